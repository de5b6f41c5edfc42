"""The types of the properties' values: what is right, and what is told when it is not.

CloudFormation hands each value over as a string, booleans too ("false" is true in Python).
"""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from handler.model import RESERVED_BLOCKS, Mode, canonical, inside

EXTERNAL_ID: Final = r"[\w+=,.@:/-]{2,1224}"
REFERENCE: Final = r"\{\{resolve:(ssm-secure|secretsmanager):([\w+=,.@:/-]+)\}\}"
"""A secure dynamic reference, which CloudFormation leaves as it is in a custom resource."""
KEPT: Final = "external-id/role/"
"""Where maintenance keeps the external ids of roles: of all stacks, so no stack may refer to them."""


SHOWN: Final = 60
"""Characters of a wrong value that are told."""


def shown(value: object) -> str:
    """Return a value as a message has it: the beginning of one that is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def wrong(text: str) -> PydanticCustomError:
    """Return the error of a value, as parsing tells it after the property's name."""
    return PydanticCustomError("property", "{text}", {"text": text})


def _matches(pattern: str, right: str, *, secret: bool = False) -> AfterValidator:
    def check(value: str) -> str:
        if not value:
            raise wrong("is empty; leave it out, with !Ref AWS::NoValue where it depends on a condition")
        if not re.fullmatch(pattern, value, re.ASCII):
            raise wrong(f"{'value' if secret else shown(value)} is not {right}")
        return value

    return AfterValidator(check)


def one_of(*choices: str) -> BeforeValidator:
    """Return the check that a value is one of a few."""

    def check(value: object) -> object:
        if value not in choices:
            raise wrong(f"{shown(value)} is unknown; use {' or '.join(choices)}")
        return value

    return BeforeValidator(check)


def _boolean(value: object) -> bool:
    match value:
        case True | "true":
            return True
        case False | "false":
            return False
    raise wrong(f"{shown(value)} is not a boolean; use true or false")


def _switch(value: object) -> bool:
    """Read On or Off, which YAML 1.1 takes for booleans where they are not quoted."""
    match value:
        case True | "true" | "On":
            return True
        case False | "false" | "Off":
            return False
    raise wrong(f"{shown(value)} is unknown; use On or Off")


def _mode(value: object) -> Mode:
    try:
        return Mode("false" if value is False else str(value))
    except ValueError:
        raise wrong(f"{shown(value)} is unknown; use {' or '.join(Mode)}") from None


def _cidr_block(value: str) -> str:
    try:
        # Python also takes an address alone, a netmask, and an IPv6 zone; EC2 does not.
        block = canonical(value) if re.fullmatch(r"[0-9a-fA-F.:]+/\d+", value, re.ASCII) else None
    except ValueError:
        block = None
    if block is None:
        raise wrong(f"{shown(value)} is not a CIDR block; write one like 10.1.0.0/16")
    if any(inside(block, reserved) for reserved in RESERVED_BLOCKS):
        raise wrong(f"{block} is reserved by EC2; leave it out")
    return block


class OnExistingConnection(StrEnum):
    """What to do where somebody else has peered the two VPCs already."""

    FAIL = "Fail"
    ADOPT = "Adopt"


Switch = Annotated[bool, BeforeValidator(_switch)]
MaintenanceMode = Annotated[Mode, BeforeValidator(_mode)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
VpcId = Annotated[str, _matches(r"vpc-([0-9a-f]{8}|[0-9a-f]{17})", "a VPC id like vpc-0a1b2c3d4e5f60718")]
TableId = Annotated[str, _matches(r"rtb-([0-9a-f]{8}|[0-9a-f]{17})", "a route table id like rtb-0a1b2c3d4e5f60718")]
SubnetId = Annotated[str, _matches(r"subnet-([0-9a-f]{8}|[0-9a-f]{17})", "a subnet id like subnet-0a1b2c3d4e5f60718")]
PrefixListId = Annotated[str, _matches(r"pl-([0-9a-f]{8}|[0-9a-f]{17})", "a prefix list id like pl-0a1b2c3d4e5f60718")]
ConnectionId = Annotated[str, _matches(r"pcx-([0-9a-f]{8}|[0-9a-f]{17})", "a connection id like pcx-0a1b2c3d4e5f60718")]
AccountId = Annotated[str, _matches(r"\d{12}", "an account of 12 digits (quote it in YAML)")]
Region = Annotated[str, _matches(r"[a-z]{2,}(-[a-z]+)+-\d", "a Region like eu-west-1")]
RoleArn = Annotated[str, _matches(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", "the ARN of an IAM role")]
ExternalId = Annotated[
    str,
    _matches(
        f"{EXTERNAL_ID}|(?!.*{KEPT}){REFERENCE}",
        "an external id (2 to 1,224 of A-Z a-z 0-9 _+=,.@:/-), nor a reference to one of yours",
        secret=True,
    ),
]
CidrBlock = Annotated[str, AfterValidator(_cidr_block)]
