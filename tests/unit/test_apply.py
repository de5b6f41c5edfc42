"""What was planned is written so: each change is one call, of the right side, in EC2's own words."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from unittest.mock import Mock, call, create_autospec, patch

import pytest

from handler.apply import apply, taken_off, written_ahead
from handler.changes import (
    AcceptConnection,
    AdoptConnection,
    Change,
    CreateConnection,
    CreateRoute,
    DeleteConnection,
    DeleteRoute,
    ModifyOptions,
    ReleaseConnection,
    ReplaceRoute,
    TagConnection,
    UntagConnection,
)
from handler.ec2 import Ec2
from handler.errors import AccessDenied, InvalidRequest, NotFound, PeeringError, Throttling
from handler.model import Option, RouteRecord, Side
from tests.unit.given import PCX, key, peer_key

TAGS = {"Team": "net"}
ON = {Option.DNS: True}
GIVEN_BACK = ReplaceRoute(peer_key(), former=PCX, target="igw-1")
TAKEN_OVER = ReplaceRoute(peer_key(), former="igw-1")


@pytest.fixture
def sides() -> dict[Side, Mock]:
    """Make two sides that write down what they are told."""
    return {side: create_autospec(Ec2, instance=True) for side in Side}


def told(sides: dict[Side, Mock]) -> dict[Side, list[object]]:
    """Return the calls of the sides that had any."""
    return {side: ec2.mock_calls for side, ec2 in sides.items() if ec2.mock_calls}


@pytest.mark.parametrize(
    ("change", "side", "expected"),
    [
        (CreateRoute(key()), Side.REQUESTER, call.create_route(key(), PCX)),
        (CreateRoute(peer_key()), Side.ACCEPTER, call.create_route(peer_key(), PCX)),
        (TAKEN_OVER, Side.ACCEPTER, call.replace_route(peer_key(), PCX)),
        (GIVEN_BACK, Side.ACCEPTER, call.replace_route(peer_key(), "igw-1")),
        (DeleteRoute(peer_key()), Side.ACCEPTER, call.delete_route(peer_key(), PCX)),
        (TagConnection(Side.ACCEPTER, TAGS), Side.ACCEPTER, call.tag(PCX, TAGS)),
        (UntagConnection(Side.ACCEPTER, TAGS), Side.ACCEPTER, call.untag(PCX, TAGS)),
        (ModifyOptions(Side.ACCEPTER, ON), Side.ACCEPTER, call.modify_options(PCX, Side.ACCEPTER, ON)),
        (ModifyOptions(Side.REQUESTER, ON), Side.REQUESTER, call.modify_options(PCX, Side.REQUESTER, ON)),
        (
            ModifyOptions(Side.ACCEPTER, ON, reversed=True),
            Side.ACCEPTER,
            call.modify_options(PCX, Side.REQUESTER, ON),
        ),
        (AdoptConnection(PCX, TAGS), Side.REQUESTER, call.tag(PCX, TAGS)),
        (ReleaseConnection(PCX, TAGS), Side.REQUESTER, call.untag(PCX, TAGS)),
        (DeleteConnection("pcx-doomed"), Side.REQUESTER, call.delete_connection("pcx-doomed")),
    ],
    ids=str,
)
def test_change_is_one_call(sides: dict[Side, Mock], change: Change, side: Side, expected: object) -> None:
    """A call to the wrong side, or with another role, would change what is not ours."""
    applied: list[Change] = []

    apply([change], sides, PCX, applied.append)  # type: ignore[arg-type]  # an autospec

    assert {side: [expected]} == told(sides)
    assert [change] == applied


@pytest.mark.parametrize("change", [CreateConnection(TAGS), AcceptConnection()])
def test_connection_is_not_made_here(sides: dict[Side, Mock], change: Change) -> None:
    """Its id comes of them: to skip them in silence would leave a resource without a connection."""
    with pytest.raises(TypeError, match=rf"^{type(change).__name__} is no change that is applied to a connection$"):
        apply([change], sides, PCX, [].append)  # type: ignore[arg-type]  # an autospec

    assert {} == told(sides)


def invalid(code: str) -> InvalidRequest:
    """Return a refusal with EC2's code in lower case."""
    failure = InvalidRequest("It cannot.", "Wait.")
    failure.ec2_code = code
    return failure


@pytest.mark.parametrize(
    "failure",
    [
        NotFound("igw-1 is gone.", "Wait."),
        invalid("invalidparametervalue"),
        invalid("gateway.notattached"),
        invalid("natgatewaynotfound"),
        invalid("invalidinstanceid"),
        AccessDenied("No.", "Allow it."),
    ],
)
def test_route_whose_former_target_is_gone_is_deleted(
    sides: dict[Side, Mock], failure: PeeringError, caplog: pytest.LogCaptureFixture
) -> None:
    """A route to a connection that is about to end would swallow packets; the log says what could not be given back."""
    caplog.set_level(logging.WARNING)
    sides[Side.ACCEPTER].replace_route.side_effect = failure

    apply([GIVEN_BACK], sides, PCX, [].append)  # type: ignore[arg-type]  # an autospec

    assert {Side.ACCEPTER: [call.replace_route(peer_key(), "igw-1"), call.delete_route(peer_key(), PCX)]} == told(sides)
    (record,) = caplog.records
    assert ("a route could not be given back", "10.0.0.0/16 in rtb-spoke", failure.reason) == (
        record.getMessage(),
        record.__dict__["route"],
        record.__dict__["reason"],
    )


def test_route_that_is_asked_for_stays_where_it_cannot_be_given_back(sides: dict[Side, Mock]) -> None:
    """Its connection lives: to delete it would stop the traffic for which the stack asks."""
    sides[Side.ACCEPTER].replace_route.side_effect = AccessDenied("No.", "Allow it.")

    apply([replace(GIVEN_BACK, asked_for=True)], sides, PCX, [].append)  # type: ignore[arg-type]  # an autospec

    assert {Side.ACCEPTER: [call.replace_route(peer_key(), "igw-1")]} == told(sides)


@pytest.mark.parametrize("failure", [Throttling("Not now.", "Wait."), invalid("incorrectstate"), invalid("")])
def test_other_failures_do_not_delete_the_route(sides: dict[Side, Mock], failure: PeeringError) -> None:
    """Nothing is known of the former target while EC2 throttles, and it lives where its state stands in the way."""
    sides[Side.ACCEPTER].replace_route.side_effect = failure
    applied: list[Change] = []

    with pytest.raises(type(failure)):
        apply([GIVEN_BACK], sides, PCX, applied.append)  # type: ignore[arg-type]  # an autospec

    assert {Side.ACCEPTER: [call.replace_route(peer_key(), "igw-1")]} == told(sides)
    assert [] == applied


def test_every_change_is_made(sides: dict[Side, Mock]) -> None:
    """One side has more routes than the other: the rest of the longer list is not dropped."""
    routes = [CreateRoute(key(f"10.{n}.0.0/16")) for n in range(3)]
    changes = [TagConnection(Side.REQUESTER, TAGS), *routes, CreateRoute(peer_key())]
    applied: list[Change] = []

    apply(changes, sides, PCX, applied.append)  # type: ignore[arg-type]  # an autospec

    assert sorted(map(str, changes)) == sorted(map(str, applied))


def test_only_what_is_made_is_recorded() -> None:
    """A record is what a Delete takes a route off by: the former target of one that is taken over is part of it."""
    changes = [CreateRoute(key()), TAKEN_OVER, GIVEN_BACK, DeleteRoute(key()), TagConnection(Side.REQUESTER, TAGS)]

    assert [RouteRecord(key(), PCX), RouteRecord(peer_key(), PCX, "igw-1")] == written_ahead(changes, PCX)


def test_what_is_taken_off() -> None:
    """Deleted, or given back: either way it leads to the connection no more, and its record must go."""
    taken_over = ReplaceRoute(peer_key("10.2.0.0/16"), former="igw-1")
    changes = [CreateRoute(key("10.1.0.0/16")), taken_over, GIVEN_BACK, DeleteRoute(key())]

    assert [peer_key(), key()] == taken_off(changes)


@pytest.mark.parametrize("goes_on", [True, False])
def test_what_is_refused_is_told(sides: dict[Side, Mock], *, goes_on: bool) -> None:
    """Whoever asked decides whether the rest is done all the same; a change that was refused counts as none."""
    failure = AccessDenied("No.", "Allow it.")
    sides[Side.REQUESTER].create_route.side_effect = [failure, None]
    changes = [CreateRoute(key()), CreateRoute(key("10.9.0.0/16"))]
    applied: list[Change] = []
    refused: list[tuple[Change, PeeringError]] = []

    def take_note(change: Change, failure: PeeringError) -> bool:
        refused.append((change, failure))
        return goes_on

    with nullcontext() if goes_on else pytest.raises(AccessDenied), patch("handler.parallel.WORKERS", 1):
        apply(changes, sides, PCX, applied.append, take_note)  # type: ignore[arg-type]  # an autospec

    assert [(changes[0], failure)] == refused
    assert (changes[1:] if goes_on else []) == applied
