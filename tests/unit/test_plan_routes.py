from dataclasses import replace
from typing import Any

import pytest

from handler.changes import Change, CreateConnection, CreateRoute, DeleteRoute, ReplaceRoute
from handler.errors import InvalidRequest, NotFound, NotStabilized, PeeringError, ResourceConflict
from handler.model import (
    ADOPTED,
    Desired,
    End,
    Observed,
    OnConflict,
    Route,
    RouteKey,
    RouteRecord,
    RouteRule,
    RouteTable,
    Side,
    Status,
    Stood,
)
from handler.plan import plan
from handler.routes import lost_routes
from tests.unit.given import (
    ALL,
    BLOCK,
    ENDS,
    PCX,
    PEER_BLOCK,
    connection,
    desired,
    key,
    observed,
    peer_key,
    table,
    to,
)

SECOND = "10.9.0.0/16"
IPV6, PEER_IPV6 = "2001:db8::/56", "2001:db8:8::/56"


def changes(wanted: Desired, world: Observed) -> list[Change]:
    """Return the changes of a plan that nothing forbids."""
    planned = plan(wanted, world)
    planned.raise_if_unsafe()
    return list(planned.changes)


def hub(*routes: Route, **more: Any) -> Observed:  # noqa: ANN401  # of observed
    """Return a world with the peering active and one table in the hub."""
    return observed(connection(), tables=(table(*routes),), **more)


def refusals(rule: RouteRule, world: Observed) -> list[tuple[type[PeeringError], str]]:
    """Return why a rule of the hub is refused."""
    return [(type(refusal), refusal.cause) for refusal in plan(desired(routes=rule), world).refusals]


def selected(rule: RouteRule, *tables: RouteTable) -> list[str]:
    """Return the tables that get routes by a rule."""
    made = changes(desired(routes=rule), observed(connection(), tables=tables))
    return [change.route.table_id for change in made if isinstance(change, CreateRoute)]


# Which tables


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (RouteRule(), []),
        (RouteRule(("rtb-b",)), ["rtb-b"]),
        (RouteRule(("rtb-b", "rtb-a")), ["rtb-a", "rtb-b"]),
        (RouteRule(main_route_table=True), ["rtb-main"]),
        (RouteRule(("rtb-a",), main_route_table=True), ["rtb-a", "rtb-main"]),
        (RouteRule(all_route_tables=True), ["rtb-a", "rtb-b", "rtb-main"]),
        (RouteRule(all_route_tables=True, exclude_route_table_ids=("rtb-b",)), ["rtb-a", "rtb-main"]),
    ],
)
def test_tables_are_the_union_less_the_excluded(rule: RouteRule, expected: list[str]) -> None:
    """Selectors add up, exclusion wins, and AllRouteTables spares a gateway's table, where EC2 refuses the route."""
    tables = (table(table_id="rtb-main", main=True), table(table_id="rtb-b"), table(table_id="rtb-a"))

    assert expected == selected(rule, *tables, table(table_id="rtb-edge", gateway=True))


def test_missing_table_is_refused() -> None:
    """A table of another VPC is a mistake that EC2 would answer half way through."""
    assert [(NotFound, "Routes.RouteTableIds: rtb-x is not a table of vpc-hub (us-east-1, 111111111111).")] == refusals(
        RouteRule(("rtb-hub", "rtb-x")), hub()
    )


def test_gateways_table_named_by_id_is_refused() -> None:
    """EC2 would refuse the route after the connection was made."""
    edge = table(table_id="rtb-edge", gateway=True)

    (refusal,) = plan(desired(routes=RouteRule(("rtb-edge",))), observed(tables=(edge,))).refusals

    assert "Routes.RouteTableIds: rtb-edge is the table of a gateway." == refusal.cause
    assert ("requester", "rtb-edge") == (refusal.side, refusal.part)


def test_a_bad_rule_is_about_the_routes_of_its_side() -> None:
    """Between deployments the other side is kept all the same."""
    listed = RouteRule(("rtb-x",))

    refusals = plan(desired(routes=listed, peer_routes=listed), observed()).refusals

    assert [("requester", "routes"), ("accepter", "routes")] == [(each.side, each.part) for each in refusals]


def test_missing_table_of_the_accepter_is_refused_with_its_property() -> None:
    """The message names the property that is to be changed."""
    (refusal,) = plan(desired(peer_routes=RouteRule(("rtb-x",))), observed()).refusals

    assert "PeerRoutes.RouteTableIds: rtb-x is not a table of vpc-spoke (eu-west-1, 222222222222)." == refusal.cause
    assert isinstance(refusal, NotFound)


# Which destinations


def test_destinations_are_all_blocks_of_the_other_vpc() -> None:
    """Without DestinationCidrBlocks every block counts, secondary ones too, each way."""
    world = observed(
        connection(),
        blocks=(BLOCK, "10.1.0.0/16"),
        peer_blocks=(PEER_BLOCK, SECOND),
        tables=(table(),),
        peer_tables=(table(table_id="rtb-spoke"),),
    )

    assert [
        CreateRoute(peer_key()),
        CreateRoute(peer_key("10.1.0.0/16")),
        CreateRoute(key()),
        CreateRoute(key(SECOND)),
    ] == changes(desired(routes=ALL, peer_routes=ALL), world)


@pytest.mark.parametrize(
    ("blocks", "peer_blocks", "expected"),
    [
        ((BLOCK, IPV6), (PEER_BLOCK, PEER_IPV6), [peer_key(), peer_key(IPV6), key(), key(PEER_IPV6)]),
        ((BLOCK, IPV6), (PEER_BLOCK,), [peer_key(), key()]),
        ((BLOCK,), (PEER_BLOCK, PEER_IPV6), [peer_key(), key()]),
    ],
    ids=["both", "requester only", "accepter only"],
)
def test_ipv6_needs_both_vpcs(blocks: tuple[str, ...], peer_blocks: tuple[str, ...], expected: list[RouteKey]) -> None:
    """EC2 carries IPv6 only between VPCs that both have it: a route from or to one without leads nowhere."""
    world = observed(
        connection(),
        blocks=blocks,
        peer_blocks=peer_blocks,
        tables=(table(),),
        peer_tables=(table(table_id="rtb-spoke"),),
    )

    assert list(map(CreateRoute, expected)) == changes(desired(routes=ALL, peer_routes=ALL), world)


def test_given_destinations_stand_for_the_default() -> None:
    """DestinationCidrBlocks are taken as given, though they are no blocks of the other VPC (a transit behind it)."""
    rule = RouteRule(all_route_tables=True, destination_cidr_blocks=("172.16.0.0/12",))

    assert [CreateRoute(key("172.16.0.0/12"))] == changes(desired(routes=rule), hub())


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [(SECOND, [PEER_BLOCK]), ("10.8.0.0/15", []), ("10.8.0.0/14", []), ("192.168.0.0/16", [PEER_BLOCK, SECOND])],
    ids=["one", "exactly both", "both", "none"],
)
def test_excluded_destinations(excluded: str, expected: list[str]) -> None:
    """ExcludeCidrBlocks takes away each destination that lies in it whole."""
    rule = replace(ALL, exclude_cidr_blocks=(excluded,))

    assert [CreateRoute(key(block)) for block in expected] == changes(
        desired(routes=rule), hub(peer_blocks=(PEER_BLOCK, SECOND))
    )


def test_hole_in_a_destination_is_refused() -> None:
    """A route has no holes: silently routing what was excluded would be worse than to refuse."""
    rule = replace(ALL, exclude_cidr_blocks=("10.8.1.0/24",))

    assert [
        (
            InvalidRequest,
            "Routes.ExcludeCidrBlocks: 10.8.1.0/24 is a part of destination 10.8.0.0/16, and a route has no holes.",
        )
    ] == refusals(rule, hub())


@pytest.mark.parametrize("destination", [BLOCK, "10.0.1.0/24"])
def test_destination_inside_the_own_vpc_is_refused(destination: str) -> None:
    """EC2 keeps traffic inside a VPC local and refuses a more specific route to a connection."""
    rule = RouteRule(all_route_tables=True, destination_cidr_blocks=(destination,))

    assert [
        (InvalidRequest, f"Routes: destination {destination} lies inside 10.0.0.0/16 of vpc-hub itself.")
    ] == refusals(rule, hub())


def test_destination_around_the_own_vpc_is_fine() -> None:
    """The local route is more specific than a supernet, and wins."""
    rule = RouteRule(all_route_tables=True, destination_cidr_blocks=("10.0.0.0/8",))

    assert [CreateRoute(key("10.0.0.0/8"))] == changes(desired(routes=rule), hub())


def test_blocks_come_from_the_connection_where_the_accepter_is_closed_to_us() -> None:
    """Only an active connection shows the other side's blocks; the accepter's account itself need not be opened."""
    named = connection(tags={"Name": "hub-to-vpc-spoke"})
    seen = replace(named, cidr_blocks={Side.ACCEPTER: (PEER_BLOCK, PEER_IPV6)})
    world = replace(observed(seen, tables=(table(),)), accepter=None)

    assert [CreateRoute(key())] == changes(desired(auto_accept=False, routes=ALL), world)


def test_blocks_that_do_not_show_yet_are_waited_for() -> None:
    """EC2 may show an active connection without blocks for a moment: no routes at all would look like success."""
    world = replace(hub(), accepter=None)

    assert [(NotStabilized, "pcx-ours does not show the blocks of vpc-spoke yet.")] == [
        (type(r), r.cause) for r in plan(desired(auto_accept=False, routes=ALL), world).refusals
    ]


# What stands there already


@pytest.mark.parametrize("on_conflict", list(OnConflict))
@pytest.mark.parametrize("blackhole", [True, False])
def test_identical_route_is_kept(on_conflict: OnConflict, blackhole: bool) -> None:
    """A route to our connection is what was asked for, whoever made it."""
    planned = plan(desired(routes=replace(ALL, on_conflict=on_conflict)), hub(to(PCX, blackhole=blackhole)))

    assert ((), (), frozenset({key()}), ()) == (planned.changes, planned.refusals, planned.routes, planned.skipped)


@pytest.mark.parametrize(
    ("blackhole", "cause"),
    [
        (False, "rtb-hub routes 10.8.0.0/16 to igw-1 already."),
        (True, "rtb-hub routes 10.8.0.0/16 to igw-1 (a blackhole) already."),
    ],
)
def test_other_target_is_refused_by_default(blackhole: bool, cause: str) -> None:
    """The message names the table, the destination and the present target."""
    assert [(ResourceConflict, cause)] == refusals(ALL, hub(to("igw-1", blackhole=blackhole)))


def test_conflict_of_the_accepter_names_its_property() -> None:
    """The remedy names the property of the side where the route is."""
    world = observed(connection(), peer_tables=(table(to("tgw-1", BLOCK), table_id="rtb-spoke"),))
    (refusal,) = plan(desired(peer_routes=ALL), world).refusals

    assert "Remove that route, exclude the table, or set PeerRoutes.OnConflict to Skip or Replace." == refusal.remedy


def test_every_conflict_is_told() -> None:
    """Correcting one at a time would take a deployment each."""
    world = observed(tables=(table(to("igw-1"), table_id="rtb-a"), table(to("tgw-1"), table_id="rtb-b")))

    assert [
        (ResourceConflict, "rtb-a routes 10.8.0.0/16 to igw-1 already."),
        (ResourceConflict, "rtb-b routes 10.8.0.0/16 to tgw-1 already."),
    ] == refusals(ALL, world)


def test_other_target_is_skipped() -> None:
    """Skip leaves the route to its target, and says which; the rest is made."""
    world = observed(connection(), tables=(table(to("igw-1"), table_id="rtb-a"), table(table_id="rtb-b")))

    planned = plan(desired(routes=replace(ALL, on_conflict=OnConflict.SKIP)), world)

    assert (CreateRoute(key(table_id="rtb-b")),) == planned.changes
    assert (key(table_id="rtb-a"),) == planned.skipped
    assert frozenset({key(table_id="rtb-b")}) == planned.routes


def test_other_target_is_replaced() -> None:
    """Replace takes the destination without a gap, and keeps in mind from whom."""
    rule = replace(ALL, on_conflict=OnConflict.REPLACE)

    assert [ReplaceRoute(key(), former="igw-1")] == changes(desired(routes=rule), hub(to("igw-1")))


def test_target_that_is_not_told_is_not_replaced() -> None:
    """A kind of target that EC2 has since: it could not be given back, and would be lost with the resource."""
    rule = replace(ALL, on_conflict=OnConflict.REPLACE)

    (refused,) = plan(desired(routes=rule), hub(to(""))).refusals

    assert "rtb-hub routes 10.8.0.0/16 to a target of a kind that could not be given back." == refused.cause
    assert refused.remedy.endswith("set Routes.OnConflict to Skip.")
    assert [ReplaceRoute(key(), former="")] == changes(desired(routes=rule), hub(replace(to(""), blackhole=True)))


@pytest.mark.parametrize("on_conflict", list(OnConflict))
def test_route_of_the_former_connection_moves(on_conflict: OnConflict) -> None:
    """At a replacement the routes are the resource's own: they move without a gap under any policy."""
    wanted = desired(
        connection_id="pcx-former",
        previous=desired(ends=(End("vpc-old", "111111111111", "us-east-1"), ENDS[1]), routes=ALL),
        routes=replace(ALL, on_conflict=on_conflict),
    )
    made = changes(wanted, observed(tables=(table(to("pcx-former"), to("pcx-former", "172.16.0.0/12")),)))

    assert [ReplaceRoute(key(), former="pcx-former")] == [c for c in made if not isinstance(c, CreateConnection)][2:]


@pytest.mark.parametrize(
    ("tags", "stood", "taken"),
    [
        ({ADOPTED: "requester"}, {}, False),
        ({}, {"pcx-former": {Side.REQUESTER: Stood()}}, False),
        ({}, {"pcx-former": {}}, True),
        ({}, {}, True),
    ],
    ids=["by its tag", "by the registry", "made", "unknown"],
)
def test_routes_of_others_stay_on_a_connection_that_lives_on(
    tags: dict[str, str], stood: dict[str, dict[Side, Stood]], *, taken: bool
) -> None:
    """A connection that the resource has not made is left, not deleted: what others lead to it is theirs."""
    ends = (ENDS[0], End("vpc-old", "222222222222", "eu-west-1"))
    former = connection(connection_id="pcx-former", ends=ends, tags=tags)
    world = replace(observed(former, tables=(table(to("pcx-former")),)), stood=stood)
    wanted = desired(
        connection_id="pcx-former", previous=desired(ends=ends), routes=replace(ALL, on_conflict=OnConflict.SKIP)
    )

    moved = [change.former for change in changes(wanted, world) if isinstance(change, ReplaceRoute)]

    assert ["pcx-former"] * taken == moved


@pytest.mark.parametrize("on_conflict", list(OnConflict))
def test_route_to_a_dead_connection_is_no_conflict(on_conflict: OnConflict) -> None:
    """Nobody's traffic takes a route to a connection that lives no more: it may be taken over under any policy."""
    rule = replace(ALL, on_conflict=on_conflict)
    world = hub(to("pcx-dead", blackhole=True), gone=frozenset({"pcx-dead"}))

    assert [ReplaceRoute(key(), former="pcx-dead")] == changes(desired(routes=rule), world)


def test_blackhole_to_a_living_connection_is_a_conflict() -> None:
    """Another resource's connection that is still pending is not dead."""
    assert [ResourceConflict] == [kind for kind, _ in refusals(ALL, hub(to("pcx-other", blackhole=True)))]


@pytest.mark.parametrize("origin", ["EnableVgwRoutePropagation", "Advertisement", "CreateRouteTable"])
def test_propagated_and_local_routes_never_conflict(origin: str) -> None:
    """EC2 lets a static route stand beside a propagated one, and prefers it."""
    assert [CreateRoute(key())] == changes(desired(routes=ALL), hub(to("vgw-1", origin=origin)))


def test_static_route_beside_a_propagated_one_is_seen() -> None:
    """The static one is ours though a propagated one to the same destination is listed first."""
    propagated = to("vgw-1", origin="EnableVgwRoutePropagation")

    assert [] == changes(desired(routes=ALL), hub(propagated, to(PCX)))


def test_route_more_or_less_specific_is_no_conflict() -> None:
    """EC2 compares destinations as a whole; longest prefix decides between them."""
    world = hub(to("igw-1", "0.0.0.0/0"), to("tgw-1", "10.8.0.0/24"), to("tgw-1", "10.0.0.0/8"))

    assert [CreateRoute(key())] == changes(desired(routes=ALL), world)


# Updates


def test_added_table_touches_no_other_route() -> None:
    """One table more is one route more, whatever else is there."""
    rule, more = RouteRule(("rtb-a",)), RouteRule(("rtb-a", "rtb-b"))
    world = observed(connection(), tables=(table(to(PCX), table_id="rtb-a"), table(table_id="rtb-b")))

    assert [CreateRoute(key(table_id="rtb-b"))] == changes(desired(routes=more, previous=desired(routes=rule)), world)


def test_added_block_touches_no_other_route() -> None:
    """One block of the other VPC more is one route a table more."""
    wanted = desired(routes=ALL, previous=desired(routes=ALL))

    assert [CreateRoute(key(SECOND))] == changes(wanted, hub(to(PCX), peer_blocks=(PEER_BLOCK, SECOND)))


STALE: list[tuple[RouteRule | None, str]] = [
    (None, "rule gone"),
    (RouteRule(("rtb-other",)), "table gone"),
    (replace(ALL, exclude_route_table_ids=("rtb-hub",)), "table excluded"),
    (replace(ALL, destination_cidr_blocks=(SECOND,)), "other destination"),
    (replace(ALL, exclude_cidr_blocks=(PEER_BLOCK,)), "destination excluded"),
]


@pytest.mark.parametrize("rule", [rule for rule, _ in STALE], ids=[name for _, name in STALE])
@pytest.mark.parametrize(("target", "expected"), [(PCX, [DeleteRoute(key())]), ("igw-1", [])], ids=["ours", "moved"])
def test_stale_route_goes_while_it_is_ours(rule: RouteRule | None, target: str, expected: list[Change]) -> None:
    """What the old properties asked for and the new ones do not is removed, unless somebody has re-pointed it since."""
    world = observed(connection(), tables=(table(to(target)), table(to(PCX, SECOND), table_id="rtb-other")))
    world = replace(world, records=(RouteRecord(key(SECOND, "rtb-other"), "pcx-unrelated"),))
    made = changes(desired(routes=rule, previous=desired(routes=RouteRule(("rtb-hub",)))), world)

    assert expected == [change for change in made if not isinstance(change, CreateRoute)]


def test_stale_route_of_the_accepter_goes() -> None:
    """Both sides are kept clean."""
    world = observed(connection(), peer_tables=(table(to(PCX, BLOCK), table_id="rtb-spoke"),))

    assert [DeleteRoute(peer_key())] == changes(desired(previous=desired(peer_routes=ALL)), world)


def test_recorded_route_that_is_desired_no_more_goes() -> None:
    """A block that the other VPC lost is in no rule any more: the record alone knows the route."""
    record = RouteRecord(key(SECOND), PCX)
    wanted = desired(routes=ALL, previous=desired(routes=ALL))

    assert [DeleteRoute(key(SECOND))] == changes(wanted, hub(to(PCX), to(PCX, SECOND), records=(record,)))


def test_stale_route_is_given_back() -> None:
    """A route that was taken from a living target under Replace goes back to it."""
    wanted = desired(previous=desired(routes=replace(ALL, on_conflict=OnConflict.REPLACE)))
    world = hub(to(PCX), records=(RouteRecord(key(), PCX, "igw-1"),))

    assert [ReplaceRoute(key(), former=PCX, target="igw-1")] == changes(wanted, world)


def test_skipped_route_is_never_stale() -> None:
    """A route that was left to another target is not ours to remove once the rule goes."""
    wanted = desired(previous=desired(routes=replace(ALL, on_conflict=OnConflict.SKIP)))

    assert [] == changes(wanted, hub(to("igw-1")))


def test_own_routes_of_the_user_are_never_touched() -> None:
    """Users point routes of their own at `!Ref Peering`, in our tables too: they are no part of the rules."""
    world = observed(
        connection(),
        tables=(table(to(PCX), to(PCX, "172.16.0.0/12")), table(to(PCX), table_id="rtb-theirs")),
    )
    wanted = desired(routes=RouteRule(("rtb-hub",)), previous=desired(routes=RouteRule(("rtb-hub",))))

    assert [] == changes(wanted, world)
    assert [DeleteRoute(key())] == changes(replace(wanted, requester=desired().requester), world)


def test_other_destinations_are_never_touched() -> None:
    """Whatever the policy, a rule speaks of its own destinations only."""
    world = hub(to(PCX), to("igw-1", "0.0.0.0/0"), to("tgw-1", "10.8.0.0/24"), to("pcx-other", SECOND))
    rule = replace(ALL, on_conflict=OnConflict.REPLACE)

    assert [] == changes(desired(routes=rule), world)


def test_routes_of_another_pair_are_not_stale() -> None:
    """The old connection of a replacement keeps its other routes until its own clean-up."""
    previous = desired(ends=(ENDS[0], End("vpc-old", "222222222222", "eu-west-1")), routes=ALL)
    world = hub(to("pcx-former", SECOND), to(PCX))

    assert [] == changes(desired(routes=ALL, previous=previous, connection_id="pcx-former"), world)


@pytest.mark.parametrize("status", [Status.PENDING_ACCEPTANCE, Status.PROVISIONING])
def test_routes_of_a_connection_that_becomes_active(status: Status) -> None:
    """The plan made before the acceptance is already the whole one, so that a conflict is refused before any write."""
    world = observed(connection(status), tables=(table(),))

    assert CreateRoute(key()) == changes(desired(routes=ALL), world)[-1]
    assert [ResourceConflict] == [
        type(r) for r in plan(desired(routes=ALL), observed(connection(status), tables=(table(to("igw-1")),))).refusals
    ]


@pytest.mark.parametrize(
    ("present", "lost"),
    [
        (to(PCX), set()),
        (None, {key()}),
        (to("igw-1"), {key()}),
        (to("pcx-new"), set()),
        (to("pcx-theirs"), {key()}),
        (to("local", origin="CreateRouteTable"), {key()}),
    ],
    ids=["ours", "gone", "taken", "moved by us", "found elsewhere", "not static"],
)
def test_recorded_routes_that_are_lost(present: Route | None, lost: set[RouteKey]) -> None:
    """Whoever leads one to our connection later has made it; what we have moved ourselves may come back."""
    records = (
        RouteRecord(key(), PCX),
        RouteRecord(key(), "pcx-new", former=PCX),
        RouteRecord(key(table_id="rtb-not-shown"), PCX),
        RouteRecord(key(SECOND), PCX, found=True),
    )

    assert lost == lost_routes(hub(*filter(None, [present]), records=records), PCX)
