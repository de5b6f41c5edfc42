"""What an event of CloudTrail, as EventBridge delivers it, is about. Pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

NAMED: Final = ("vpc-", "pcx-", "rtb-")
"""What a resource is known by in the index."""

TAGGED: Final = ("rtb-", "rtbassoc-", "subnet-")
"""What a selector may choose by its tags, or by its association, though nobody knows it yet."""

SELECTING: Final = frozenset(
    {"AssociateRouteTable", "CreateTags", "DeleteTags", "DisassociateRouteTable", "ReplaceRouteTableAssociation"}
)
"""Events that change what a selector chooses; whatever else makes a table or a subnet names its VPC."""

OF_ATTRIBUTES: Final = "ModifyVpcAttribute"
"""The event that tells of the DNS attributes of a VPC."""


def names(detail: Mapping[str, Any]) -> set[str]:
    """Return the ids that an event is about, and its place where a selector may choose one of them.

    EC2's parameters have many shapes (`vpcId`, `ModifyVpcAttributeRequest.VpcId`, `resourcesSet.items[].resourceId`):
    an id is known by what it begins with.
    """
    ids = {*_texts(detail.get("requestParameters")), *_texts(detail.get("responseElements"))}
    found = {each for each in ids if each.startswith(NAMED)}
    if detail.get("eventName") in SELECTING and any(each.startswith(TAGGED) for each in ids):
        found.add(f"{detail.get('recipientAccountId', '')}/{detail.get('awsRegion', '')}")
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def ours(detail: Mapping[str, Any], mark: str) -> bool:
    """Tell whether the installation itself has made the call: what it does must not wake it."""
    return mark in detail.get("userAgent", "")


def woken(found: Collection[str], entry_names: Collection[str]) -> bool:
    """Tell whether a resource of these names is to be looked at."""
    return not set(found).isdisjoint(entry_names)
