"""The only calls to STS: one botocore session, and a client an account and Region."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session

from handler.calls import CONFIG, Place, call
from handler.clock import Deadline
from handler.ec2 import Ec2, Reads
from handler.errors import PeeringError
from handler.external_ids import recalled, remember, resolved
from handler.model import End
from handler.telemetry import conceal, logger
from handler.values import KEPT, REFERENCE

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

SESSION_SECONDS: Final = 900
"""Life of an assumed session: STS's least, and Lambda's longest run."""


@dataclass(frozen=True)
class Access:
    """How to act on a side: where it lies, and the role to assume there; without one, the function's own.

    `other` is the other end. `connection_id` names a connection that somebody else requested; then `other` may have
    nothing but what was given of it. An adopted connection may have been requested from either end.
    """

    prefix: str
    end: End
    other: End
    role_arn: str | None = None
    external_id: str | None = None
    connection_id: str | None = None

    @property
    def place(self) -> Place:
        """The place of its calls, for messages."""
        return Place(self.prefix, self.end.account, self.end.region, self.role_arn)

    @property
    def policy(self) -> str:
        """The session policy: of what the role may do, only what this request is about; of STS's 2,048 characters.

        While the VPC is looked for by its tags, the session can only read. EC2 knows no condition for the ends of a
        connection where tags are deleted, and may not know them yet where a request is tagged.
        """
        partition = (self.role_arn or "").split(":")[1]
        own, other = (_vpc_arn(partition, end) for end in (self.end, self.other))
        here = own.rpartition(":")[0]
        connection = f"{here}:vpc-peering-connection/{self.connection_id or '*'}"
        accepters, requesters = ([own], [other]) if self.connection_id else ([own, other], [own, other])
        ends = {"ArnLike": {"ec2:AccepterVpc": accepters, "ec2:RequesterVpc": requesters}}
        at_request = {"StringEquals": {"ec2:CreateAction": "CreateVpcPeeringConnection"}}
        statements = [_allow("*", "ec2:Describe*", "servicequotas:Get*")]
        if self.end.vpc_id:
            joins = ("ec2:AcceptVpcPeeringConnection", "ec2:CreateVpcPeeringConnection")
            changes = ("ec2:CreateTags", "ec2:DeleteVpcPeeringConnection", "ec2:ModifyVpcPeeringConnectionOptions")
            routes = ("ec2:CreateRoute", "ec2:DeleteRoute", "ec2:ReplaceRoute")
            statements += [
                _allow(f"{here}:route-table/*", *routes, Condition={"ArnEquals": {"ec2:Vpc": own}}),
                _allow(own, *joins),
                _allow(connection, *joins, *changes, Condition=ends),
                _allow(connection, "ec2:CreateTags", Condition=at_request),
                _allow(connection, "ec2:DeleteTags"),
            ]
        return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _vpc_arn(partition: str, end: End) -> str:
    return f"arn:{partition}:ec2:{end.region or '*'}:{end.account or '*'}:vpc/{end.vpc_id or '*'}"


def _allow(resource: str, *actions: str, **condition: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **condition}


class Sessions:
    """Opens sides. The botocore session, and with it the parsed service models, outlives an invocation."""

    def __init__(self, session: botocore.session.Session) -> None:
        self._session = session
        self._paginators = session.get_paginator_model("ec2")

    def regions(self, partition: str) -> tuple[str, ...]:
        """Return the Regions of a partition that this botocore knows."""
        partitions = self._session.get_component("data_loader").load_data("partitions")["partitions"]
        known: dict[str, tuple[str, ...]] = {p["id"]: tuple(p["regions"]) for p in partitions}
        return known.get(partition, ())

    def open(self, access: Access, session_name: str, deadline: Deadline, reads: Reads | None = None) -> Ec2:
        """Return EC2 as one side sees it; with shared `reads`, for looking only.

        Raises:
            AccessDenied: when the role cannot be assumed.

        """
        credentials: dict[str, Any] = {}
        if access.role_arn and reads:
            looking = replace(access, end=replace(access.end, vpc_id=""))
            assume = partial(self._assume, looking, session_name, deadline)
            credentials = reads.once((access.role_arn, access.external_id), assume)
        elif access.role_arn:
            credentials = self._assume(access, session_name, deadline)
        client = self._session.create_client("ec2", access.end.region, config=CONFIG, **credentials)
        quotas = partial(self._session.create_client, "service-quotas", access.end.region, config=CONFIG, **credentials)
        return Ec2(cast("EC2Client", client), self._paginators, access.place, deadline, quotas, reads)

    def remember(self, access: Access, folder: str, deadline: Deadline) -> None:
        """Keep the external id that has just opened a role, unless it is a reference; to fail in that is no failure."""
        if access.role_arn and access.external_id and not re.fullmatch(REFERENCE, access.external_id):
            try:
                remember(self._session, _kept_as(folder, access.role_arn), access.external_id, access.place, deadline)
            except PeeringError as failure:
                logger.warning("maintenance will not reach a side", role=access.role_arn, reason=failure.reason)

    def recalled(self, access: Access, folder: str, deadline: Deadline, reads: Reads | None = None) -> Access:
        """Return the same access, with the external id that opened its role last where none is given.

        With shared `reads` it is read once for all resources of the role; each decryption is paid for.

        Raises:
            PeeringError: it cannot be read.

        """
        if access.role_arn is None or access.external_id:
            return access
        read = partial(recalled, self._session, _kept_as(folder, access.role_arn), access.place, deadline)
        known = reads.once(("external id", access.role_arn), read) if reads else read()
        if known:
            conceal(known)  # whoever has read it before has done so for another resource's lines
        return replace(access, external_id=known)

    def _assume(self, access: Access, session_name: str, deadline: Deadline) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "RoleArn": access.role_arn,
            "RoleSessionName": session_name,
            "Policy": access.policy,
        }
        if access.external_id:
            parameters["ExternalId"] = resolved(self._session, access.external_id, access.place, deadline)
        sts = self._session.create_client("sts", config=CONFIG)
        answer = call(sts, "assume_role", access.place, deadline, DurationSeconds=SESSION_SECONDS, **parameters)
        return _credentials(answer["Credentials"])


def _kept_as(folder: str, role_arn: str) -> str:
    return f"/{folder}/{KEPT}{role_arn.split(':')[4]}-{sha256(role_arn.encode()).hexdigest()[:32]}"


def _credentials(credentials: Mapping[str, str]) -> dict[str, Any]:
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


def session_name(stack_id: str, logical_id: str) -> str:
    """Return a role session name that leads from CloudTrail to the stack, of the 64 characters that STS takes."""
    stack = stack_id.split("/")[1] if "/" in stack_id else stack_id
    return re.sub(r"[^\w+=,.@-]", "-", f"{stack[: 63 - min(len(logical_id), 40)]}.{logical_id[:40]}")
