"""What maintenance may do of a plan, and what it says of it."""

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from handler.calls import Place, explain
from handler.changes import (
    AcceptConnection,
    AdoptConnection,
    Change,
    CreateConnection,
    CreateRoute,
    DeleteRoute,
    ModifyOptions,
    ReplaceRoute,
    TagConnection,
    UntagConnection,
)
from handler.errors import (
    OPTIONS,
    ROUTES,
    AccessDenied,
    InvalidRequest,
    NotFound,
    NotStabilized,
    PeeringError,
    ResourceConflict,
    RoleUnreachable,
    ServiceLimitExceeded,
)
from handler.model import Option, Route, Side, Status
from handler.plan import Plan
from handler.preflight import dns_off
from handler.routes import conflict
from handler.upkeep import (
    Finding,
    Kind,
    certain,
    digests,
    findings,
    of_attributes,
    of_failure,
    permitted,
    repaired,
    unseen,
)
from tests.unit.given import PCX, connection, desired, key, observed, peer_key, table, to

ROUTE = CreateRoute(key())
TAG = TagConnection(Side.REQUESTER, {"Team": "net"})
CONFLICT = ResourceConflict("rtb-hub routes 10.8.0.0/16 to igw-1 already.", "Remove that route.")


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan((ROUTE,), connection=connection()), (ROUTE,)),
        (Plan((ROUTE,), (CONFLICT,), connection()), (ROUTE,)),
        (Plan((ROUTE,), (CONFLICT, InvalidRequest("a", "b")), connection()), ()),
        (Plan((ROUTE,), (AccessDenied("a", "b"),), connection()), ()),
        (Plan((ROUTE, DeleteRoute(key())), (NotFound("a", "b"), CONFLICT), connection()), (ROUTE,)),
        (Plan((ROUTE, DeleteRoute(key())), (CONFLICT,), connection()), (ROUTE, DeleteRoute(key()))),
        (Plan((CreateConnection({}), ROUTE)), ()),
        (Plan((AdoptConnection(PCX, {}), ROUTE), connection=connection(owner=None)), ()),
        (Plan((ROUTE,), connection=connection(Status.DELETED)), ()),
        (
            Plan((AcceptConnection(), ROUTE), connection=connection(Status.PENDING_ACCEPTANCE)),
            (AcceptConnection(), ROUTE),
        ),
    ],
)
def test_permitted(plan: Plan, expected: tuple[Change, ...]) -> None:
    """A conflict leaves the rest to be repaired; everything else that forbids the plan leaves all as it is.

    A table that is gone leaves the rest too, but what a selector would choose is not known then: nothing is taken off.
    """
    allowed = permitted(plan, observed())

    assert (expected, ()) == (allowed.changes, allowed.refusals)


def test_what_holds_though_a_side_is_not_reached() -> None:
    """No route is taken for stale, no name for wrong, and nothing is told of what nobody could see."""
    taken, back = ReplaceRoute(key("10.9.0.0/16"), "igw-1"), ReplaceRoute(key("10.7.0.0/16"), PCX, "igw-1")
    both = (AcceptConnection(), DeleteRoute(key()), TAG, UntagConnection(Side.REQUESTER, {"a": "b"}), back)
    refusals = (about(NotFound("a", "b"), "accepter", ""), about(NotFound("c", "d"), "requester", ""), CONFLICT)
    plan = Plan((ROUTE, taken, DNS, *both), refusals, connection())
    world = replace(observed(connection()), accepter=None)

    left = certain(plan, world)

    assert ((ROUTE, taken, DNS), refusals[1:]) == (left.changes, left.refusals)
    assert () == certain(replace(plan, connection=connection(Status.PENDING_ACCEPTANCE)), world).changes
    lost = Plan((CreateConnection({}), ROUTE))
    assert lost == certain(lost, world)


def about(failure: PeeringError, side: str, part: str) -> PeeringError:
    """Return a failure that is about a part of a plan."""
    failure.side, failure.part = side, part
    return failure


TABLE_2, PEER = CreateRoute(key(table_id="rtb-2")), CreateRoute(peer_key())
DNS = ModifyOptions(Side.ACCEPTER, {Option.DNS: True})


@pytest.mark.parametrize(
    ("refusal", "left"),
    [
        (about(AccessDenied("a", "b"), "requester", "rtb-hub"), [TABLE_2, PEER, DNS, TAG]),
        (about(ServiceLimitExceeded("a", "b"), "accepter", "rtb-hub"), [ROUTE, TABLE_2, PEER, DNS, TAG]),
        (about(InvalidRequest("a", "b"), "requester", ROUTES), [PEER, DNS, TAG]),
        (about(InvalidRequest("a", "b"), "requester", OPTIONS), [ROUTE, TABLE_2, PEER, TAG]),
        (about(InvalidRequest("a", "b"), "requester", ""), []),
    ],
)
def test_what_forbids_a_part(refusal: PeeringError, left: list[Change]) -> None:
    """A table, the routes of a side, or the options: everything else is repaired."""
    plan = Plan((ROUTE, TABLE_2, PEER, DNS, TAG), (refusal, CONFLICT), connection())

    assert left == [*permitted(plan, observed()).changes]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ROUTE, Finding(Kind.DRIFT, Side.REQUESTER, "rtb-hub lacks the route to 10.8.0.0/16.")),
        (
            ReplaceRoute(peer_key(), "igw-1"),
            Finding(Kind.DRIFT, Side.ACCEPTER, "rtb-spoke routes 10.0.0.0/16 to igw-1."),
        ),
        (
            ReplaceRoute(key(), "pcx-dead"),
            Finding(Kind.BLACKHOLE, Side.REQUESTER, "rtb-hub routes 10.8.0.0/16 to pcx-dead, which has ended."),
        ),
        (
            DeleteRoute(key()),
            Finding(Kind.DRIFT, Side.REQUESTER, "rtb-hub still routes 10.8.0.0/16, which is not asked for."),
        ),
        (
            ModifyOptions(Side.ACCEPTER, {Option.DNS: True, Option.MULTIPATH: False}),
            Finding(
                Kind.SETTINGS,
                Side.ACCEPTER,
                "AllowDnsResolutionFromRemoteVpc is off, AllowMultipathResilience is on.",
            ),
        ),
        (
            TagConnection(Side.REQUESTER, {"Team": "net", "Env": "test"}),
            Finding(Kind.SETTINGS, Side.REQUESTER, "The connection lacks 2 tags: Env, Team."),
        ),
        (
            UntagConnection(Side.REQUESTER, {"Team": "net"}),
            Finding(Kind.SETTINGS, Side.REQUESTER, "The connection has 1 tag that the stack gives no more: Team."),
        ),
        (AcceptConnection(), Finding(Kind.SETTINGS, Side.ACCEPTER, "The connection waits to be accepted.")),
    ],
)
def test_what_is_said_of_a_change(change: Change, expected: Finding) -> None:
    """In plain words, what is not as it is asked for, and on which side; once it was made, that it is done."""
    world = observed(connection(), gone=frozenset({"pcx-dead"}))
    asked = replace(desired(), connection_id=PCX)

    found = [*findings(asked, world, Plan((change,), connection=connection()))]

    assert [expected] == found
    assert [replace(expected, done=True)] == repaired(found, [change], world)
    assert found == repaired(found, [], world)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, f"{PCX} is gone."),
        (connection(Status.DELETED), f"{PCX} is deleted: no message."),
    ],
)
def test_what_is_said_of_a_connection_that_is_lost(seen: object, expected: str) -> None:
    """That alone: what hangs on it would be noise; and what to do about it."""
    world = observed(*([seen] if seen else []))  # type: ignore[list-item]  # a connection
    plan = Plan((CreateConnection({}), ROUTE), connection=None)

    (found,) = findings(replace(desired(), connection_id=PCX), world, plan)

    assert (Kind.CONNECTION, False) == (found.kind, found.done)
    assert found.text.startswith(expected)
    assert "deploy the stack" in found.text


@pytest.mark.parametrize("seen", [None, connection(Status.DELETED)])
def test_what_a_connection_that_is_lost_has_left(seen: object) -> None:
    """Each route that drops packets now is named, and no other."""
    dead, other = to(PCX, blackhole=True), to("pcx-2", "10.9.0.0/16", blackhole=True)
    world = observed(*([seen] if seen else []), tables=(table(dead, other),))  # type: ignore[list-item]  # a connection
    plan = Plan((CreateConnection({}),), connection=None)

    _, *left = findings(replace(desired(), connection_id=PCX), world, plan)

    text = f"rtb-hub routes 10.8.0.0/16 to {PCX}, which has ended."
    assert [Finding(Kind.BLACKHOLE, Side.REQUESTER, text)] == left


def test_what_is_said_of_attributes_that_are_off() -> None:
    """The option of the connection is on and does nothing; it is told once, if the plan is refused for it too."""
    world = observed(connection()).with_side(Side.ACCEPTER, dns_off=("enableDnsHostnames",))
    asked = replace(desired(), connection_id=PCX)
    quiet = Plan(connection=connection())
    refused = replace(quiet, refusals=tuple(dns_off(asked, world)))

    (found,) = findings(asked, world, quiet)

    assert (Kind.ATTRIBUTES, Side.ACCEPTER, False) == (found.kind, found.side, found.done)
    assert "PeerVpcId vpc-spoke has enableDnsHostnames off" in found.text
    assert [found] == [*findings(asked, world, refused)]
    assert of_attributes(digests([of_failure(CONFLICT), found]))
    assert not of_attributes(digests([of_failure(CONFLICT)]))


def test_what_is_said_of_a_connection_without_our_tags() -> None:
    """Nobody ended it, and a deployment would be refused: the tags are to be put back."""
    seen = connection(owner=None)
    plan = Plan((CreateConnection({}), ROUTE), connection=None)

    (found,) = findings(replace(desired(), connection_id=PCX), observed(seen), plan)

    assert found.text.startswith(f"{PCX} carries no owner tags of this resource")
    assert "Put them back (vpc-peering:stack-id arn:" in found.text


def test_what_is_said_of_an_active_connection_beside_our_request() -> None:
    """Maintenance adopts nothing: the next deployment does."""
    seen = connection(connection_id="pcx-2", owner=None)
    plan = Plan((AdoptConnection("pcx-2", {}),), connection=seen)

    (found,) = findings(replace(desired(), connection_id=PCX), observed(seen), plan)

    assert f"pcx-2 joins the VPCs, and {PCX} can never be accepted beside it. To have it adopted, deploy" in found.text


def test_what_is_said_of_somebody_elses_connection_that_ended() -> None:
    """No deployment of ours makes it anew."""
    asked = replace(desired(), connection_id=PCX, foreign_id=PCX)

    (found,) = findings(asked, observed(connection(Status.DELETED)), Plan(connection=None))

    assert (
        f"{PCX} is deleted: no message. Ask its requester for a new one, and deploy the stack with its id."
        == found.text
    )


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (RoleUnreachable("a.", "b."), Kind.ROLE),
        (AccessDenied("a.", "b."), Kind.FAILURE),
        (CONFLICT, Kind.CONFLICT),
        (InvalidRequest("a.", "b."), Kind.FAILURE),
    ],
)
def test_what_is_said_of_a_failure(failure: PeeringError, kind: Kind) -> None:
    """With its remedy: whoever reads it is to do something. A role that lacks a permission was reached."""
    assert Finding(kind, "", f"{failure.cause} {failure.remedy}") == of_failure(failure)


def test_what_is_said_where_the_time_was_over() -> None:
    """No deployment is needed: the next sweep goes on."""
    assert "a. The next sweep goes on." == of_failure(NotStabilized("a.", "b.")).text


def test_side_of_a_failure() -> None:
    """Whoever is woken by it must know where to look."""
    route = Route("10.0.0.0/16", "igw-1")
    place = Place("Peer", "222222222222", "eu-west-1")
    answer = {"Error": {"Code": "UnauthorizedOperation"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    error = ClientError(answer, "CreateRoute")  # type: ignore[arg-type]  # botocore's answer

    assert Side.ACCEPTER == of_failure(conflict(peer_key(), route)).side
    assert Side.ACCEPTER == of_failure(explain(error, "create_route", place)).side
    assert Side.REQUESTER == of_failure(explain(error, "create_route", replace(place, prefix=""))).side
    assert "" == of_failure(explain(error, "put_item", Place("", "", "us-east-1"))).side


def test_what_was_noted_of_what_is_not_seen() -> None:
    """All of a side that is not reached, its attributes too, and what rests on both; what one side shows is seen."""
    back, dns = ReplaceRoute(key("10.7.0.0/16"), PCX, "igw-1"), ModifyOptions(Side.REQUESTER, {Option.DNS: True})
    changes = (ROUTE, dns, TAG, back, DeleteRoute(key()), CreateRoute(peer_key()), DNS)
    attributes = Finding(Kind.ATTRIBUTES, Side.ACCEPTER, "enableDnsHostnames is off.")
    found = [*findings(replace(desired(), connection_id=PCX), observed(connection()), Plan(changes, (), connection()))]
    known = digests([*found, attributes, Finding(Kind.CONNECTION, "", "It is gone.")])

    assert known[2:-1] == unseen(known, {Side.ACCEPTER})
    assert known[:-1] == unseen(known, {Side.ACCEPTER, Side.REQUESTER})
    assert () == unseen(known, {})
    assert len(known) == len({*known})


@pytest.mark.parametrize("change", [ROUTE, DeleteRoute(key()), TagConnection(Side.REQUESTER, {"Team": "net"})])
def test_what_is_undone_again_and_again(change: Change) -> None:
    """It is put right each time, since the stack asks for it; and people are told, until it stays."""
    world = observed(connection())
    asked = replace(desired(), connection_id=PCX)
    plan = Plan((change,), connection=connection())
    first = [*findings(asked, world, plan)]
    done = repaired(first, [change], world)

    again = repaired([*findings(asked, world, plan, digests(done))], [change], world)

    text = f"{first[0].text} It was put right at the last look too: find out who undoes it."
    assert [*done, Finding(Kind.CONFLICT, Side.REQUESTER, text)] == again
    assert again == repaired([*findings(asked, world, plan, digests(again))], [change], world)
    assert first == [*findings(asked, world, plan, digests(first))]
    assert (change,) == permitted(plan, world, digests(again)).changes


def test_route_that_two_ask_for() -> None:
    """What was put right at the last look and taken again is told, until it stays; it is not taken for ever."""
    world = observed(connection(), gone=frozenset({"pcx-dead"}))
    asked = replace(desired(), connection_id=PCX)
    contended, dead = ReplaceRoute(key(), "igw-1"), ReplaceRoute(peer_key(), "pcx-dead")
    plan = Plan((contended, dead), connection=connection())
    first = [*findings(asked, world, plan)]
    done = repaired(first, [contended, dead], world)

    told = [*findings(asked, world, plan, digests(done))]

    assert [first[1]] == told[1:]
    assert (Kind.CONFLICT, Side.REQUESTER, False) == (told[0].kind, told[0].side, told[0].done)
    assert "taken again" in told[0].text
    assert told == [*findings(asked, world, plan, digests(told))]
    assert first == [*findings(asked, world, plan, digests(first))]
    assert (dead,) == permitted(plan, world, digests(done)).changes == permitted(plan, world, digests(told)).changes
    assert (contended, dead) == permitted(plan, world, digests(first)).changes
