"""Where an item turns on one condition more than its usual cases do: each of these was once a mutant that survived."""

from typing import Any

import pytest

from handler.item import (
    LATE_SECONDS,
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


def test_create_that_is_late_is_told_why() -> None:
    """A person reads it, who may well want to deploy again."""
    overtaken = finished(Item(), delete(INVENTED))

    with pytest.raises(Superseded) as raised:
        admitted(overtaken, CREATE, NOW)

    cause, remedy = raised.value.cause, raised.value.remedy
    assert cause.startswith("CloudFormation had deleted this resource before its Create arrived")
    assert cause.endswith(".")
    assert "Where this is a new deployment all the same, deploy again." == remedy


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


@pytest.mark.parametrize("physical_id", [PCX, INVENTED])
def test_only_a_delete_of_what_was_never_known_overtakes(physical_id: str) -> None:
    """The id of a connection is told by a Create that was served: none is on its way."""
    item = admitted(Item(), delete(physical_id), NOW)

    assert (None if physical_id == PCX else NOW + LATE_SECONDS) == item.late_create_until


def test_delete_of_what_lives_overtakes_nothing() -> None:
    """Its Create has been served and answered."""
    assert admitted(finished(Item(), CREATE), delete(INVENTED), NOW).late_create_until is None


def test_delete_after_a_delete_overtakes_as_the_first_one_does() -> None:
    """The Create after a resource had gone can be overtaken too."""
    deleted = finished(finished(Item(), CREATE), delete(PCX))
    again = Claim(request("Delete", "again", PhysicalResourceId=INVENTED), "worker-3")

    assert NOW + LATE_SECONDS == admitted(deleted, again, NOW).late_create_until


def test_create_that_was_answered_is_late_no_more() -> None:
    """Nothing of it is kept in the table."""
    overtaken = finished(Item(), delete(INVENTED))

    refused = answered(overtaken, CREATE, NOW, {"Status": "FAILED", "PhysicalResourceId": PCX}, ())

    assert refused.late_create_until is None


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
            "requester rtb-hub": ["10.8.0.0/16", "10.9.0.0/16 former igw-1"],
            "accepter rtb-spoke": ["10.0.0.0/16 found"],
        },
        "pcx-new": {"accepter rtb-spoke": ["10.1.0.0/16 found former pcx-ours"]},
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
