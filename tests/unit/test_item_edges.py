"""Where an item turns on one condition more than its usual cases do: each of these was once a mutant that survived."""

from typing import Any

import pytest

from handler.item import (
    Claim,
    Item,
    Superseded,
    admitted,
    answered,
    packed,
)
from handler.model import RouteRecord
from tests.unit.given import PCX, key, peer_key, request

NOW = 1_000_000.0
INVENTED = "network-Peering-1ABCDEFGHIJK"
CREATE = Claim(request("Create", "create"), "worker-1")


def delete(physical_id: str) -> Claim:
    """Return the claim of a Delete."""
    return Claim(request("Delete", "delete", PhysicalResourceId=physical_id), "worker-2")


def finished(item: Item, claim: Claim, **more: Any) -> Item:  # noqa: ANN401  # of an answer
    """Return the item after a whole invocation."""
    answer = {"Status": "SUCCESS", "PhysicalResourceId": claim.request.physical_resource_id or PCX, **more}
    return answered(admitted(item, claim, NOW), claim, NOW, answer, ())


def test_request_that_is_late_is_told_which_is_served() -> None:
    """The id leads to the event of the stack that matters."""
    item = admitted(admitted(Item(), CREATE, NOW), delete(PCX), NOW)

    with pytest.raises(Superseded) as raised:
        admitted(item, CREATE, NOW)

    assert (
        "CloudFormation has sent a later request for this resource, delete, which is served instead.",
        "Look at the later event of the stack.",
    ) == (raised.value.cause, raised.value.remedy)


def test_delete_gives_nobody_life() -> None:
    """Only an Update tells what lives: the id of a Delete is about to end, and may have ended long ago."""
    assert () == admitted(Item(), delete(PCX), NOW).living


def test_packed_form() -> None:
    """It is in tables already: another form would not be understood by the function that reads it."""
    records = [
        RouteRecord(key(), PCX),
        RouteRecord(key("10.9.0.0/16"), PCX, "igw-1"),
        RouteRecord(peer_key(), PCX, found=True),
        RouteRecord(peer_key("10.1.0.0/16"), "pcx-new", PCX, found=True),
    ]

    assert {
        PCX: {
            "requester rtb-hub": ["10.8.0.0/16"],
            "requester rtb-hub igw-1": ["10.9.0.0/16"],
            "accepter rtb-spoke": ["10.0.0.0/16 found"],
        },
        "pcx-new": {"accepter rtb-spoke pcx-ours": ["10.1.0.0/16 found"]},
    } == packed(records)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"Data": {"RequesterVpcId": "vpc-hub", "AccepterVpcId": "vpc-spoke"}}, ("vpc-hub", "vpc-spoke")),
        ({"Data": {"RequesterVpcId": "vpc-hub"}}, ("vpc-hub", "")),
        ({"Data": {"AccepterVpcId": "vpc-spoke"}}, ("", "vpc-spoke")),
        ({}, ("", "")),
    ],
)
def test_answer_tells_the_vpcs(data: dict[str, Any], expected: tuple[str, str]) -> None:
    """What the attributes do not tell is not known, and is a text all the same: the item is read again as JSON."""
    item = finished(Item(), CREATE, **data)

    assert {PCX: expected} == item.vpc_ids
    assert item == Item.model_validate_json(item.model_dump_json(by_alias=True))


def test_item_of_a_newer_function_keeps_what_it_added() -> None:
    """A function that was rolled back writes the item again."""
    newer = '{"Requests":[{"RequestId":"r","RequestType":"Create","Why":"x"}],"Living":["pcx-ours"],"DriftSeenAt":5}'

    assert newer == Item.model_validate_json(newer).model_dump_json(by_alias=True, exclude_defaults=True)
