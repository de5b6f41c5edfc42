"""Which tables a rule chooses, and which destinations."""

from dataclasses import replace

import pytest

from handler.changes import CreateRoute
from handler.errors import InvalidRequest, NotFound, PeeringError
from handler.model import Observed, PrefixList, RouteRule, RouteTable, Side, Subnet
from handler.plan import plan
from tests.unit.given import ALL, BLOCKS, PCX, PEER_BLOCK, connection, desired, observed

IPV6, PEER_IPV6 = "2001:db8::/56", "2001:db8:8::/56"
MAIN = RouteTable("rtb-main", main=True)
APP = RouteTable("rtb-app", main=False, subnet_ids=frozenset({"subnet-app"}), tags={"Tier": "app", "Env": "prod"})
DATA = RouteTable("rtb-data", main=False, subnet_ids=frozenset({"subnet-data"}), tags={"Tier": "data", "Env": "prod"})
EDGE = RouteTable("rtb-edge", main=False, gateway=True, tags={"Tier": "app", "Edge": "yes"})
SUBNETS = (
    Subnet("subnet-app", ("10.0.1.0/24",), {"Use": "app", "Env": "prod"}),
    Subnet("subnet-data", ("10.0.2.0/24",), {"Use": "data", "Env": "prod"}),
    Subnet("subnet-plain", ("10.0.3.0/24",), {"Use": "plain"}),
)
PEER_SUBNETS = (
    Subnet("subnet-one", ("10.8.1.0/24", "2001:db8:8:1::/64")),
    Subnet("subnet-two", ("10.8.2.0/24",)),
    Subnet("subnet-six", ("2001:db8:8:6::/64",)),
)


def world(blocks: tuple[str, ...] = BLOCKS) -> Observed:
    """Return an active peering, with four tables and three subnets in the hub, and three subnets in the spoke."""
    seen = observed(connection(), blocks=blocks, tables=(MAIN, APP, DATA, EDGE))
    seen = seen.with_side(
        Side.REQUESTER, subnets=SUBNETS, prefix_lists=(PrefixList("pl-1", ipv6=False, max_entries=5),)
    )
    return seen.with_side(Side.ACCEPTER, subnets=PEER_SUBNETS)


def routes(rule: RouteRule, seen: Observed) -> list[tuple[str, str]]:
    """Return table and destination of every route that a rule of the hub makes."""
    planned = plan(desired(routes=rule), seen)
    planned.raise_if_unsafe()
    return [(c.route.table_id, c.route.destination) for c in planned.changes if isinstance(c, CreateRoute)]


def refusals(rule: RouteRule, seen: Observed) -> list[tuple[type[PeeringError], str]]:
    """Return why a rule of the hub is refused."""
    return [(type(refusal), refusal.cause) for refusal in plan(desired(routes=rule), seen).refusals]


@pytest.mark.parametrize(
    ("rule", "tables"),
    [
        (RouteRule(subnet_ids=("subnet-app",)), ["rtb-app"]),
        (RouteRule(subnet_ids=("subnet-plain",)), ["rtb-main"]),
        (RouteRule(subnet_ids=("subnet-app", "subnet-plain")), ["rtb-app", "rtb-main"]),
        (RouteRule(subnet_tags=(("Use", "data"),)), ["rtb-data"]),
        (RouteRule(subnet_tags=(("Use", None),)), ["rtb-app", "rtb-data", "rtb-main"]),
        (RouteRule(subnet_tags=(("Env", "prod"), ("Use", "app"))), ["rtb-app"]),
        (RouteRule(route_table_tags=(("Tier", "app"),)), ["rtb-app"]),
        (RouteRule(route_table_tags=(("Tier", None), ("Env", "prod"))), ["rtb-app", "rtb-data"]),
        (RouteRule(route_table_tags=(("Tier", "app"),), subnet_ids=("subnet-data",)), ["rtb-app", "rtb-data"]),
        (RouteRule(route_table_tags=(("Tier", "data"),), main_route_table=True), ["rtb-data", "rtb-main"]),
        (RouteRule(subnet_tags=(("Use", None),), exclude_route_table_ids=("rtb-main",)), ["rtb-app", "rtb-data"]),
    ],
)
def test_tables(rule: RouteRule, tables: list[str]) -> None:
    """Selectors are a union less what is excluded; a subnet without an association uses the main table."""
    assert [(table_id, PEER_BLOCK) for table_id in tables] == routes(rule, world())


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        (RouteRule(subnet_ids=("subnet-x",)), "Routes.SubnetIds: subnet-x is not a subnet of vpc-hub"),
        (RouteRule(subnet_ids=("subnet-one",)), "Routes.SubnetIds: subnet-one is not a subnet of vpc-hub"),
        (RouteRule(subnet_tags=(("Use", "none"),)), "Routes.SubnetTags match no subnet of vpc-hub"),
        (RouteRule(route_table_tags=(("Tier", "none"),)), "Routes.RouteTableTags match no table of vpc-hub"),
        (RouteRule(route_table_tags=(("Edge", "yes"),)), "Routes.RouteTableTags match no table of vpc-hub"),
        (
            RouteRule(all_route_tables=True, exclude_route_table_ids=("rtb-x",)),
            "Routes.ExcludeRouteTableIds: rtb-x is not a table of vpc-hub",
        ),
        (RouteRule(("rtb-x",)), "Routes.RouteTableIds: rtb-x is not a table of vpc-hub"),
    ],
)
def test_a_selector_that_matches_nothing(rule: RouteRule, cause: str) -> None:
    """It is a mistake, and named, even where another selector of the union chooses something."""
    also = replace(rule, main_route_table=True)
    told = [(NotFound, f"{cause} (us-east-1, 111111111111).")]

    assert told == refusals(rule, world()) == refusals(also, world())


@pytest.mark.parametrize(
    "rule",
    [
        RouteRule(subnet_ids=("subnet-app",), exclude_route_table_ids=("rtb-app",)),
        RouteRule(main_route_table=True, exclude_route_table_ids=("rtb-app", "rtb-main")),
    ],
)
def test_an_exclusion_that_leaves_no_table(rule: RouteRule) -> None:
    """Success without a route is not what anybody asks for by naming tables."""
    assert [(NotFound, "Routes.ExcludeRouteTableIds have every table that Routes choose.")] == refusals(rule, world())


def test_the_accepters_rule_is_named_as_such() -> None:
    """Both sides have the same keys: the message says whose, and in which VPC was looked."""
    rule = RouteRule(subnet_ids=("subnet-app",), route_table_tags=(("Tier", "app"),), main_route_table=True)
    where = "of vpc-spoke (eu-west-1, 222222222222)."

    assert [
        f"PeerRoutes.RouteTableTags match no table {where}",
        f"PeerRoutes.SubnetIds: subnet-app is not a subnet {where}",
    ] == [refusal.cause for refusal in plan(desired(peer_routes=rule), world()).refusals]


def test_a_selector_that_matches_nothing_is_no_matter_at_delete() -> None:
    """A tag that was taken off since must not keep a stack from going."""
    gone = desired(routes=RouteRule(subnet_tags=(("Use", "none"),)), present=False, connection_id="pcx-ours")

    assert () == plan(gone, world()).refusals


@pytest.mark.parametrize(
    ("rule", "blocks", "destinations"),
    [
        (RouteRule(destination_subnet_ids=("subnet-one", "subnet-two")), BLOCKS, ["10.8.1.0/24", "10.8.2.0/24"]),
        (
            RouteRule(destination_subnet_ids=("subnet-one", "subnet-six")),
            (*BLOCKS, IPV6),
            ["10.8.1.0/24", "2001:db8:8:1::/64", "2001:db8:8:6::/64"],
        ),
        (RouteRule(destination_subnet_ids=("subnet-six",)), BLOCKS, []),
        (RouteRule(destination_prefix_list_ids=("pl-1",)), BLOCKS, ["pl-1"]),
        (
            RouteRule(
                destination_cidr_blocks=("10.8.0.0/16",),
                destination_subnet_ids=("subnet-one",),
                destination_prefix_list_ids=("pl-1",),
            ),
            BLOCKS,
            ["10.8.0.0/16", "10.8.1.0/24", "pl-1"],
        ),
        (RouteRule(destination_cidr_blocks=("10.8.0.0/17", "10.8.128.0/17")), BLOCKS, ["10.8.0.0/17", "10.8.128.0/17"]),
        (
            RouteRule(destination_subnet_ids=("subnet-one", "subnet-two"), exclude_cidr_blocks=("10.8.2.0/24",)),
            BLOCKS,
            ["10.8.1.0/24"],
        ),
        (RouteRule(destination_prefix_list_ids=("pl-1",), exclude_cidr_blocks=("10.8.0.0/16",)), BLOCKS, ["pl-1"]),
    ],
)
def test_destinations(rule: RouteRule, blocks: tuple[str, ...], destinations: list[str]) -> None:
    """The union of what is given, as it is given; IPv6 of subnets only where this VPC has IPv6; lists as a whole."""
    main = replace(rule, main_route_table=True)

    assert [("rtb-main", destination) for destination in destinations] == routes(main, world(blocks))


def test_destinations_that_are_not_there() -> None:
    """A subnet of the wrong VPC, and a prefix list of another Region, are named."""
    rule = RouteRule(
        main_route_table=True, destination_subnet_ids=("subnet-app",), destination_prefix_list_ids=("pl-2",)
    )

    assert [
        (
            NotFound,
            "Routes.DestinationSubnetIds: subnet-app is not a subnet of vpc-spoke (eu-west-1, 222222222222).",
        ),
        (NotFound, "Routes.DestinationPrefixListIds: pl-2 is not in us-east-1 (111111111111)."),
    ] == refusals(rule, world())


def test_a_hole_in_a_destination() -> None:
    """A route has no holes: a part of a destination cannot be left out of it."""
    rule = RouteRule(
        main_route_table=True, destination_subnet_ids=("subnet-one",), exclude_cidr_blocks=("10.8.1.128/25",)
    )
    text = "Routes.ExcludeCidrBlocks: 10.8.1.128/25 is a part of destination 10.8.1.0/24, and a route has no holes."

    assert [(InvalidRequest, text)] == refusals(rule, world())


def test_what_is_excluded_may_lie_anywhere() -> None:
    """A block inside the VPC itself is refused as a destination, unless it is excluded."""
    given = RouteRule(main_route_table=True, destination_cidr_blocks=("10.0.1.0/24", PEER_BLOCK))
    text = "Routes: destination 10.0.1.0/24 lies inside 10.0.0.0/16 of vpc-hub itself."

    assert [(InvalidRequest, text)] == refusals(given, world())
    assert [("rtb-main", PEER_BLOCK)] == routes(replace(given, exclude_cidr_blocks=("10.0.0.0/16",)), world())


def test_an_excluded_table_that_was_deleted_since() -> None:
    """It was there when it was given, and needs no protection: neither an Update nor maintenance is held up."""
    rule = RouteRule(all_route_tables=True, exclude_route_table_ids=("rtb-x",))
    wanted = desired(routes=rule, connection_id=PCX, previous=desired(routes=rule))

    assert () == plan(wanted, world()).refusals
    assert 1 == len(plan(replace(wanted, previous=desired(routes=ALL)), world()).refusals)
    assert 1 == len(plan(replace(wanted, previous=desired()), world()).refusals)
