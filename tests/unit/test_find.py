"""Which VPC a query means, and for how long."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from handler.errors import InvalidRequest, NotFound
from handler.find import find, recall
from handler.model import ADOPTED, Connection, Desired, End, Owner, Query, Side, Status, Vpc, matches
from tests.unit.given import ENDS, PCX, connection, desired

HUB: Query = (("Name", "hub"),)
SPOKE: Query = (("Name", "spoke"), ("Shared", None))


@dataclass
class Ec2:
    """A side with some VPCs by their tags, and some connections."""

    vpcs: dict[str, dict[str, str]] = field(default_factory=dict)
    connections: tuple[Connection, ...] = ()
    asked: list[str] = field(default_factory=list)

    def vpcs_tagged(self, query: Query) -> tuple[Vpc, ...]:
        """Find VPCs as the strict EC2 would."""
        self.asked.append("vpcs")
        return tuple(Vpc(vpc_id, "", ()) for vpc_id, tags in self.vpcs.items() if matches(query, tags))

    def connection(self, connection_id: str) -> Connection | None:
        """Find a connection by its id."""
        self.asked.append(connection_id)
        return next((c for c in self.connections if c.connection_id == connection_id), None)

    def connections_owned(self, owner: Owner) -> tuple[Connection, ...]:
        """Find the connections of a resource."""
        self.asked.append(owner.logical_id)
        return tuple(c for c in self.connections if owner.owns(c))


def query(hub: Query = HUB, spoke: Query = SPOKE, **more: Any) -> Desired:  # noqa: ANN401  # the fields of Desired
    """Return what finds both VPCs by their tags."""
    wanted = desired(ends=(replace(ENDS[0], vpc_id=""), replace(ENDS[1], vpc_id="")), **more)
    return replace(
        wanted,
        requester=replace(wanted.requester, vpc_tags=hub),
        accepter=replace(wanted.accepter, vpc_tags=spoke),
    )


def sides(*connections: Connection, hubs: tuple[str, ...] = ("vpc-hub",)) -> dict[Side, Any]:
    """Return both sides with the VPCs that the queries mean."""
    return {
        Side.REQUESTER: Ec2({vpc_id: {"Name": "hub"} for vpc_id in hubs}, connections),
        Side.ACCEPTER: Ec2({"vpc-spoke": {"Name": "spoke", "Shared": ""}, "vpc-other": {"Name": "spoke"}}, connections),
    }


def test_nothing_is_asked_without_a_query() -> None:
    """The simple resource must not pay for it."""
    asked = sides()

    assert desired() == find(desired(), asked, {})
    assert [] == asked[Side.REQUESTER].asked + asked[Side.ACCEPTER].asked


def test_create() -> None:
    """All pairs must match, and a missing value matches any."""
    assert ENDS == find(query(), sides(), {}).ends


def test_no_vpc_matches() -> None:
    """The query stands in the message, with where was looked."""
    with pytest.raises(NotFound) as raised:
        find(query(spoke=(("Name", "spoke"), ("Shared", "yes"))), sides(), {})

    assert (
        "PeerVpcTags match no VPC in eu-west-1 of account 222222222222 (Name=spoke, Shared=yes)." == raised.value.cause
    )


def test_several_vpcs_match() -> None:
    """To take the first would peer another VPC tomorrow: all are named."""
    with pytest.raises(InvalidRequest) as raised:
        find(query(), sides(hubs=("vpc-b", "vpc-a")), {})

    assert "VpcTags match 2 VPCs in us-east-1 of account 111111111111 (Name=hub): vpc-a, vpc-b." == raised.value.cause


def test_both_queries_are_told() -> None:
    """Whoever mends one must not meet the other in the next deployment; a side that is not ours is not asked."""
    with pytest.raises(NotFound) as raised:
        find(query(hub=(("Name", "x"),), spoke=(("Name", "y"),)), sides(), {})

    assert all(f"{name} match no VPC" in raised.value.cause for name in ("(1) VpcTags", "(2) PeerVpcTags"))


def test_the_order_of_a_query_means_nothing() -> None:
    """All pairs must match, whichever comes first: a template that sorts them asks for the same."""
    tags: Query = (("a", "1"), ("b", None))
    found = find(
        query(hub=tags, previous=query(hub=tags[::-1]), connection_id=PCX), sides(connection(), hubs=("vpc-new",)), {}
    )

    assert ENDS == found.ends == getattr(found.previous, "ends", None)


REMEMBERED = {Side.REQUESTER: "vpc-hub", Side.ACCEPTER: "vpc-spoke"}


def test_what_the_registry_knows_is_not_asked_for() -> None:
    """An Update that changes no query reads nothing to find its VPCs, and its sessions are opened once."""
    wanted = recall(query(previous=query(), connection_id=PCX), REMEMBERED)
    asked = sides(hubs=("vpc-new",))

    assert ENDS == wanted.ends
    assert ENDS == getattr(find(wanted, asked, REMEMBERED).previous, "ends", None)
    assert [] == asked[Side.REQUESTER].asked + asked[Side.ACCEPTER].asked
    assert ENDS == recall(query(present=False, connection_id=PCX), REMEMBERED).ends


@pytest.mark.parametrize("remembered", [{}, dict.fromkeys(Side, "")])
def test_what_the_registry_does_not_know_is_asked_for(remembered: dict[Side, str]) -> None:
    """Then the connection tells; another query, or a Create, is looked for in any case."""
    update = query(previous=query(), connection_id=PCX)

    assert update == recall(update, remembered)
    assert ENDS == find(update, sides(connection(), hubs=("vpc-new",)), remembered).ends
    assert query() == recall(query(), REMEMBERED)
    changed = query(previous=query(hub=(("Name", "old"),)), connection_id=PCX)
    assert ("", "vpc-spoke") == tuple(end.vpc_id for end in recall(changed, REMEMBERED).ends)


def test_what_was_found_stays() -> None:
    """Tags that move to another VPC do not move a peering."""
    found = find(query(previous=query(), connection_id=PCX), sides(connection(), hubs=("vpc-new",)), {})

    assert ENDS == found.ends == getattr(found.previous, "ends", None)


def test_another_query_finds_anew() -> None:
    """Then it may be a replacement: the old pair is that of the connection."""
    before = query(hub=(("Name", "old"),))
    found = find(query(previous=before, connection_id=PCX), sides(connection(), hubs=("vpc-new",)), {})

    assert (replace(ENDS[0], vpc_id="vpc-new"), ENDS[1]) == found.ends
    assert ENDS == getattr(found.previous, "ends", None)


def test_the_rollback_of_a_replacement() -> None:
    """It comes with the connection that was to be replaced: what failed is found by its own query."""
    failed = query(hub=(("Name", "new"),))
    seen = sides(connection())
    seen[Side.REQUESTER].vpcs["vpc-new"] = {"Name": "new"}
    found = find(query(previous=failed, connection_id=PCX), seen, {})

    assert ENDS == found.ends
    assert (replace(ENDS[0], vpc_id="vpc-new"), ENDS[1]) == getattr(found.previous, "ends", None)


def test_a_connection_that_is_gone() -> None:
    """Then the query is all there is."""
    assert ENDS == find(query(previous=query(), connection_id=PCX), sides(), {}).ends


@pytest.mark.parametrize("connection_id", [PCX, None])
def test_delete_finds_the_pair_by_the_connection(connection_id: str | None) -> None:
    """By its id, or, where the Create did not come to tell it, by its owner tags."""
    gone = query(present=False, connection_id=connection_id)

    assert ENDS == find(gone, sides(connection(), hubs=()), {}).ends


def test_delete_of_what_is_gone() -> None:
    """Nothing to find is no failure there."""
    found = find(query(present=False, connection_id=PCX), sides(hubs=("vpc-a", "vpc-b")), {})

    assert ("", "vpc-spoke") == (found.requester.end.vpc_id, found.accepter.end.vpc_id)


def test_delete_without_the_accepters_side() -> None:
    """Its role may be gone: the connection tells its VPC as well."""
    seen = {Side.REQUESTER: sides(connection())[Side.REQUESTER]}

    assert ENDS == find(query(present=False, connection_id=PCX), seen, {}).ends
    assert "" == find(query(present=False), {Side.REQUESTER: sides()[Side.REQUESTER]}, {}).accepter.end.vpc_id


@pytest.mark.parametrize("present", [True, False])
def test_one_side_finds_its_own_vpc(present: bool) -> None:
    """Of somebody's request only the accepter's account is asked, first by the query and later by the connection."""
    wanted = replace(desired(ends=(End("", "", ""), replace(ENDS[1], vpc_id="")), foreign_id=PCX), present=present)
    wanted = replace(wanted, accepter=replace(wanted.accepter, vpc_tags=SPOKE))
    known = replace(wanted, connection_id=PCX, previous=wanted if present else None)
    seen = {Side.ACCEPTER: sides(connection(owner=None))[Side.ACCEPTER]}

    assert "vpc-spoke" == find(wanted, seen, {}).accepter.end.vpc_id
    seen[Side.ACCEPTER].vpcs.clear()
    assert "vpc-spoke" == find(known, seen, {}).accepter.end.vpc_id


def test_another_place_finds_anew() -> None:
    """The same query means another VPC in another Region."""
    before = query()
    elsewhere = replace(before.requester, end=replace(before.requester.end, region="us-west-2"))
    seen = sides(connection(), hubs=("vpc-west",))
    found = find(query(previous=replace(before, requester=elsewhere), connection_id=PCX), seen, {})

    assert "vpc-west" == found.requester.end.vpc_id
    assert "vpc-hub" == (found.previous.requester.end.vpc_id if found.previous else None)


def test_an_adopted_connection_may_be_reversed() -> None:
    """The ids alone do not tell which end is whose: the tag does."""
    reversed_ = connection(ends=ENDS[::-1], tags={ADOPTED: "accepter+Routes"})

    assert ENDS == find(query(present=False, connection_id=PCX), sides(reversed_, hubs=()), {}).ends


def test_a_dead_connection_of_ours_is_none() -> None:
    """Delete after a failed Create: what has ended already leads nowhere, and the query may still."""
    ended = connection(Status.DELETED, ends=(End("a", "", ""), ENDS[1]))

    assert ENDS == find(query(present=False), sides(ended), {}).ends


def test_connection_that_is_not_shown_any_more() -> None:
    """The registry knows which VPCs it joined: its routes are looked for there, whatever the queries find by now."""
    remembered = {Side.REQUESTER: "vpc-a", Side.ACCEPTER: "vpc-b"}

    found = find(query(present=False, connection_id=PCX), sides(hubs=("vpc-c", "vpc-d")), remembered)

    assert ["vpc-a", "vpc-b"] == [end.vpc_id for end in found.ends]
