"""The only calls to STS: one botocore session, and a client an account and Region."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.session

from handler.calls import CONFIG, Place, call
from handler.clock import Deadline
from handler.ec2 import Ec2
from handler.model import End

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

SESSION_SECONDS: Final = 900
"""Life of an assumed session: STS's least, and Lambda's longest run."""


@dataclass(frozen=True)
class Access:
    """How to act on a side: where it lies, and the role to assume there; without one, the function's own."""

    prefix: str
    end: End
    role_arn: str | None = None
    external_id: str | None = None

    @property
    def place(self) -> Place:
        """The place of its calls, for messages."""
        return Place(self.prefix, self.end.account, self.end.region, self.role_arn)


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

    def open(self, access: Access, session_name: str, deadline: Deadline) -> Ec2:
        """Return EC2 as one side sees it.

        Raises:
            AccessDenied: when the role cannot be assumed.

        """
        credentials = self._assume(access, session_name, deadline) if access.role_arn else {}
        client = self._session.create_client("ec2", access.end.region, config=CONFIG, **credentials)
        quotas = partial(self._session.create_client, "service-quotas", access.end.region, config=CONFIG, **credentials)
        return Ec2(cast("EC2Client", client), self._paginators, access.place, deadline, quotas)

    def _assume(self, access: Access, session_name: str, deadline: Deadline) -> dict[str, Any]:
        parameters: dict[str, Any] = {"RoleArn": access.role_arn, "RoleSessionName": session_name}
        if access.external_id:
            parameters["ExternalId"] = access.external_id
        sts = self._session.create_client("sts", config=CONFIG)
        answer = call(sts, "assume_role", access.place, deadline, DurationSeconds=SESSION_SECONDS, **parameters)
        return _credentials(answer["Credentials"])


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
