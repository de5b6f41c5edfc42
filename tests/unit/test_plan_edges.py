"""Where a plan turns on one condition more than its usual cases do: each of these was once a mutant that survived."""

from dataclasses import replace

import pytest

from handler.changes import AdoptConnection, CreateRoute
from handler.errors import NotFound
from handler.model import (
    ADOPTED,
    REPLACES,
    Connection,
    Desired,
    End,
    Observed,
    RouteRule,
    Side,
    Status,
    Vpc,
)
from handler.plan import Plan, plan
from tests.unit.given import ALL, ENDS, NAME, PCX, as_accepter, connection, desired, key, observed, peer_key, table, to

OTHERS = "pcx-others"
VENDOR = End("vpc-vendor", "999999999999", "us-east-1")
TEAM = {"Team": "net"}
LED = (table(to(OTHERS)),)
"""A route to somebody's connection."""


def theirs(status: Status = Status.ACTIVE, **tags: str) -> Connection:
    """Return a connection of the pair that nobody's stack owns."""
    return connection(status, connection_id=OTHERS, owner=None, tags=tags)


def foreign(status: Status = Status.ACTIVE) -> Connection:
    """Return somebody's request as its accepter sees it."""
    return Connection(OTHERS, status, VENDOR, ENDS[1], tags=NAME, cidr_blocks={Side.REQUESTER: ("10.0.0.0/16",)})


def one_side(previous: Desired | None = None) -> Desired:
    """Return what manages the accepter's side of it, and has done so before."""
    wanted = desired(
        ends=(VENDOR, ENDS[1]), peer_routes=ALL, foreign_id=OTHERS, connection_id=OTHERS, previous=previous
    )
    return replace(wanted, requester=replace(wanted.requester, managed=False))


def accepter_sees(seen: Connection) -> Observed:
    """Return a world of which the accepter's side alone can be read, with a route to the connection."""
    tables = (table(to(OTHERS, "10.0.0.0/16"), table_id="rtb-spoke"),)
    return replace(observed(peer_connections=(seen,), peer_tables=tables), requester=None)


def adoption(planned: Plan) -> AdoptConnection:
    """Return the change that adopts."""
    (change,) = (change for change in planned.changes if isinstance(change, AdoptConnection))
    return change


# Remedies


@pytest.mark.parametrize("side", list(Side))
def test_missing_vpc_tells_what_to_check(side: Side) -> None:
    """Each of the three properties may be the wrong one."""
    (refusal,) = plan(desired(), observed().with_side(side, vpc=None)).refusals

    expected = "Check VpcId, Region and RoleArn."
    assert expected == refusal.remedy.replace(f"{side.prefix}VpcId", "VpcId").replace(
        f"{side.prefix}Region", "Region"
    ).replace(f"{side.prefix}RoleArn", "RoleArn")


def test_shared_vpc_tells_whose_role_is_needed() -> None:
    """The account that can peer it is known."""
    shared = Vpc("vpc-spoke", "999999999999", ("172.16.0.0/16",))
    (refusal,) = plan(desired(), observed().with_side(Side.ACCEPTER, vpc=shared)).refusals

    remedy = "Only its owner, no participant of a shared VPC, can peer it: give PeerRoleArn of a role in 999999999999."
    assert remedy == refusal.remedy


def test_overlap_has_no_other_way_out() -> None:
    """Nobody shall look for an option."""
    (refusal,) = plan(desired(), observed(peer_blocks=("10.0.0.0/8",))).refusals

    assert "EC2 peers only VPCs without any overlap: use other VPCs." == refusal.remedy


# What is left undone


@pytest.mark.parametrize("status", [Status.DELETED, Status.REJECTED, Status.EXPIRED, Status.FAILED])
def test_ended_request_that_we_have_had_is_left(status: Status) -> None:
    """The rollback to a connection that has ended meanwhile does nothing, and still knows which one it is."""
    ended = foreign(status)

    assert Plan(connection=ended) == plan(replace(one_side(), restores=True), accepter_sees(ended))


def test_ended_request_that_is_not_shown_any_more_is_left() -> None:
    """EC2 forgets it after hours: the rollback must not depend on when it comes."""
    gone = Connection(OTHERS, Status.DELETED, VENDOR, ENDS[1])
    world = replace(observed(peer_connections=()), requester=None)

    assert Plan(connection=gone) == plan(replace(one_side(), restores=True), world)


def test_vpc_of_another_account_gets_no_routes() -> None:
    """Its blocks are seen, and its connection cannot be made: no route is promised."""
    shared = Vpc("vpc-spoke", "999999999999", ("172.16.0.0/16",))
    planned = plan(desired(routes=ALL), observed(tables=(table(),)).with_side(Side.ACCEPTER, vpc=shared))

    assert [] == [change for change in planned.changes if isinstance(change, CreateRoute)]
    assert frozenset() == planned.routes


def test_bad_rule_is_refused_before_the_connection_is_accepted() -> None:
    """Routes come later, when the other party has accepted; that the table is not there is known now."""
    wanted = desired(auto_accept=False, routes=RouteRule(route_table_ids=("rtb-none",)))

    assert [NotFound] == [type(refusal) for refusal in plan(wanted, observed(tables=(table(),))).refusals]


# What was there before


def test_routes_that_stood_are_found_before_the_connection_is_accepted() -> None:
    """They are blackholes still, and somebody's all the same: the tag of adoption and the record say so."""
    planned = plan(
        desired(adopt=True, auto_accept=False, routes=ALL),
        observed(theirs(Status.PENDING_ACCEPTANCE), tables=LED, peer_connections=()),
    )

    assert frozenset({key()}) == planned.found
    assert "requester+Routes" == adoption(planned).tags[ADOPTED]


def test_adopted_connection_is_not_found_again() -> None:
    """The answer to the Create was lost: its retry knows no id, but the tag says which routes stood there."""
    adopted = connection(connection_id=OTHERS, tags={**NAME, ADOPTED: "requester"})

    assert frozenset() == plan(desired(adopt=True, routes=ALL), observed(adopted, tables=LED)).found


def test_route_that_we_asked_for_is_not_found() -> None:
    """One side knows the blocks of the other from the connection alone: so it knows what it asked for before."""
    before = replace(one_side(), connection_id=None)

    assert frozenset() == plan(one_side(previous=before), accepter_sees(foreign())).found
    assert frozenset({peer_key()}) == plan(replace(one_side(), connection_id=None), accepter_sees(foreign())).found


def test_own_connection_whose_tags_were_removed_replaces_nothing() -> None:
    """It is adopted again; to name itself as its predecessor would give its routes back to itself."""
    untagged = connection(owner=None)

    assert REPLACES not in adoption(plan(desired(adopt=True, connection_id=PCX), observed(untagged))).tags


@pytest.mark.parametrize(
    ("tags", "peer_tags", "expected"),
    [
        ({}, {}, "requester"),
        ({"Own": "kept"}, {"Own": "kept"}, "requester"),
        ({"Team": "other"}, {}, "requester"),
        (TEAM, {}, "requester+Tags"),
        ({}, {"Cost": "7"}, "requester+PeerTags"),
        ({"Cost": "7"}, TEAM, "requester"),
        (TEAM, {"Cost": "7"}, "requester+Tags+PeerTags"),
    ],
)
def test_tag_of_adoption_tells_which_tags_stood(tags: dict[str, str], peer_tags: dict[str, str], expected: str) -> None:
    """Of each side its own, with key and value: what stood there stays when the resource goes."""
    seen = theirs(**tags)
    world = observed(seen, peer_connections=(as_accepter(seen, peer_tags),))

    assert expected == adoption(plan(desired(adopt=True, tags=TEAM, peer_tags={"Cost": "7"}), world)).tags[ADOPTED]


def test_connection_that_the_accepter_does_not_see_yet_is_adopted() -> None:
    """EC2 shows a new request to the other account later than to its own."""
    planned = plan(desired(adopt=True, peer_tags=TEAM), observed(theirs(), peer_connections=()))

    assert "requester" == adoption(planned).tags[ADOPTED]
