"""The only calls to Parameter Store and Secrets Manager: external ids by reference, and those that maintenance needs.

CloudFormation resolves no secure dynamic reference in a custom resource ("Dynamic references for secure values, such as
ssm-secure and secretsmanager, are not currently supported in custom resources"; cloudformation-coverage-roadmap #341):
the reference itself arrives. So the function reads what it names, in its own account and Region.
"""

import json
import re
from typing import Final

import botocore.session

from handler.calls import CONFIG, Place, call
from handler.clock import Deadline
from handler.errors import AccessDenied, InvalidRequest, PeeringError
from handler.telemetry import conceal
from handler.values import EXTERNAL_ID, REFERENCE

ARN_PARTS: Final = 7
"""Parts of a secret's ARN, which may stand in a reference where its name may."""


def resolved(session: botocore.session.Session, given: str, place: Place, deadline: Deadline) -> str:
    """Return the external id that a reference names; what is none is returned as it is.

    Raises:
        AccessDenied: there is no external id where it leads to, and so no way to open the role.
        PeeringError: what it names cannot be read.

    """
    reference = re.fullmatch(REFERENCE, given)
    if reference is None:
        return given
    store, name = reference.groups()
    read = _parameter if store == "ssm-secure" else _secret
    try:
        value = read(session, name, Place(place.prefix, "", place.region), deadline)
    except InvalidRequest as failure:
        raise AccessDenied(
            f"the external id of {place.prefix}RoleArn cannot be had: {failure.cause}",
            f"Correct {place.prefix}ExternalId, or store what it names.",
        ) from failure
    if value is None or not re.fullmatch(EXTERNAL_ID, value, re.ASCII):
        raise AccessDenied(
            f"{place.prefix}ExternalId {given} leads to a value that is not an external id.",
            "Store 2 to 1,224 of A-Z a-z 0-9 _+=,.@:/- there.",
        )
    conceal(value)
    return value


def remember(session: botocore.session.Session, name: str, external_id: str, place: Place, deadline: Deadline) -> None:
    """Keep the external id that has just opened a role, for maintenance, where CloudFormation sends none.

    Raises:
        PeeringError: Parameter Store cannot be used.

    """
    if recalled(session, name, place, deadline) != external_id:
        client = session.create_client("ssm", config=CONFIG)
        parameter = {"Name": name, "Value": external_id, "Type": "SecureString", "Overwrite": True}
        call(client, "put_parameter", Place(place.prefix, "", place.region), deadline, **parameter)


def recalled(session: botocore.session.Session, name: str, place: Place, deadline: Deadline) -> str | None:
    """Return the external id that opened a role last, or None where none did.

    Raises:
        PeeringError: Parameter Store cannot be used.

    """
    try:
        value = _parameter(session, name, Place(place.prefix, "", place.region), deadline)
    except PeeringError as failure:
        if failure.ec2_code != "parameternotfound":
            raise
        return None
    conceal(value)
    return value


def _parameter(session: botocore.session.Session, name: str, place: Place, deadline: Deadline) -> str:
    client = session.create_client("ssm", config=CONFIG)
    answer = call(client, "get_parameter", place, deadline, Name=name, WithDecryption=True)
    value: str = answer["Parameter"]["Value"]
    return value


def _secret(session: botocore.session.Session, name: str, place: Place, deadline: Deadline) -> str | None:
    """Read `secret-id:SecretString:json-key:version-stage:version-id`, of which only the first must be given."""
    client = session.create_client("secretsmanager", config=CONFIG)
    parts = name.split(":")
    count = ARN_PARTS if parts[0] == "arn" else 1
    _, key, stage, version = [*parts[count:], "", "", "", ""][:4]
    asked = {"SecretId": ":".join(parts[:count]), "VersionStage": stage, "VersionId": version}
    answer = call(
        client, "get_secret_value", place, deadline, **{name: value for name, value in asked.items() if value}
    )
    text: str | None = answer.get("SecretString")
    if not key or text is None:
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return str(found[key]) if isinstance(found, dict) and key in found else None
