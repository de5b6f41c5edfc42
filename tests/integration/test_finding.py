"""VPCs, route tables and destinations that are found: by tags, by subnets, by prefix lists."""

from ipaddress import ip_network
from typing import Any

import pytest

from local.world import Vpc, make_prefix_list
from tests.harness import TOPOLOGIES, World, internet_gateway, operations, writes

topologies = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)
TIER = [{"Key": "Tier", "Value": "app"}]


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make two VPCs with three tables each: main with a subnet, two more with one subnet each."""
    return (
        world.vpc("hub", "10.0.0.0/16", tables=3, subnets=3),
        world.peer_vpc("spoke", "10.8.0.0/16", tables=3, subnets=3),
    )


def tag(world: World, vpc: Vpc, resource_id: str, **tags: str) -> None:
    """Tag a subnet, a table or a VPC."""
    world.ec2(vpc).create_tags(Resources=[resource_id], Tags=[{"Key": k, "Value": v} for k, v in tags.items()])


def routed(world: World, vpc: Vpc) -> dict[int, list[str]]:
    """Return the destinations by the number of the table, of tables that have any."""
    found = world.routes(vpc)
    return {n: list(found[table]) for n, table in enumerate(vpc.route_table_ids) if found[table]}


# Route tables


@topologies
def test_tables_are_found_on_both_sides(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """By subnet (without an association the main table), by tags of subnets and of tables, less what is excluded."""
    vpc, peer = pair
    tag(world, vpc, vpc.subnet_ids[1], Tier="app")
    tag(world, peer, peer.route_table_ids[2], Tier="app", Env="prod")
    stack = world.stack()
    rules = {
        "Routes": {"SubnetIds": [vpc.subnet_ids[0]], "SubnetTags": TIER},
        "PeerRoutes": {"RouteTableTags": [{"Key": "Tier"}, {"Key": "Env", "Value": "prod"}], "MainRouteTable": "true"},
    }

    created = stack.create(world.properties(*pair, **rules))

    assert ("SUCCESS", "2", "2") == (
        created["Status"],
        created["Data"]["RouteCount"],
        created["Data"]["PeerRouteCount"],
    )
    assert {0: ["10.8.0.0/16"], 1: ["10.8.0.0/16"]} == routed(world, vpc)
    assert {0: ["10.0.0.0/16"], 2: ["10.0.0.0/16"]} == routed(world, peer)

    less = {**rules, "Routes": {**rules["Routes"], "ExcludeRouteTableIds": [vpc.route_table_ids[0]]}}
    assert "SUCCESS" == stack.update(world.properties(*pair, **less))["Status"]
    assert {1: ["10.8.0.0/16"]} == routed(world, vpc)

    with world.counted() as calls:
        assert "SUCCESS" == stack.update(world.properties(*pair, **less))["Status"]
    assert [] == writes(calls)
    assert "SUCCESS" == stack.delete()["Status"]
    assert {} == routed(world, vpc) == routed(world, peer)


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        ({"SubnetIds": ["subnet-0a1b2c3d4e5f60718"]}, "Routes.SubnetIds: subnet-0a1b2c3d4e5f60718 is not a subnet of "),
        ({"SubnetTags": TIER}, "Routes.SubnetTags match no subnet of "),
        ({"RouteTableTags": TIER, "AllRouteTables": "true"}, "Routes.RouteTableTags match no table of "),
        (
            {"AllRouteTables": "true", "DestinationSubnetIds": ["subnet-0a1b2c3d4e5f60718"]},
            "Routes.DestinationSubnetIds: subnet-0a1b2c3d4e5f60718 is not a subnet of ",
        ),
        (
            {"AllRouteTables": "true", "DestinationPrefixListIds": ["pl-0a1b2c3d4e5f60718"]},
            "Routes.DestinationPrefixListIds: pl-0a1b2c3d4e5f60718 is not in us-east-1 (",
        ),
        (
            {"AllRouteTables": "true", "ExcludeRouteTableIds": ["rtb-0a1b2c3d4e5f60718"]},
            "Routes.ExcludeRouteTableIds: rtb-0a1b2c3d4e5f60718 is not a table of ",
        ),
    ],
    ids=["subnet", "subnet tags", "table tags", "destination subnet", "prefix list", "excluded table"],
)
@topologies
def test_what_matches_nothing_is_named(
    world: World, pair: tuple[Vpc, Vpc], rule: dict[str, object], cause: str
) -> None:
    """A selector that silently chooses nothing leaves machines without a route: nothing is made."""
    with world.counted() as calls:
        refused = world.stack().create(world.properties(*pair, Routes=rule))

    assert refused["Reason"].startswith(f"NotFound: {cause}")
    assert len(refused["Reason"]) <= 240
    assert [] == writes(calls)


def test_tags_that_are_gone_do_not_hold_up_a_delete(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The record of routes knows what was made, whatever the tags say by then."""
    vpc, _ = pair
    tag(world, vpc, vpc.subnet_ids[1], Tier="app")
    stack = world.stack()
    stack.create(world.properties(*pair, Routes={"SubnetTags": TIER}))
    world.ec2(vpc).delete_tags(Resources=[vpc.subnet_ids[1]], Tags=TIER)

    assert "NotFound" in stack.update(world.properties(*pair, Routes={"SubnetTags": TIER}))["Reason"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert {} == routed(world, vpc)


def test_a_table_that_was_excluded_and_deleted(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Nothing is left to protect: the next Update goes on, and a new mistake is still told."""
    vpc, _ = pair
    doomed = world.ec2(vpc).create_route_table(VpcId=vpc.id)["RouteTable"]["RouteTableId"]
    rule = {"AllRouteTables": "true", "ExcludeRouteTableIds": [doomed]}
    stack = world.stack()
    stack.create(world.properties(*pair, Routes=rule))
    world.ec2(vpc).delete_route_table(RouteTableId=doomed)

    assert "SUCCESS" == stack.update(world.properties(*pair, Routes={**rule, "OnConflict": "Skip"}))["Status"]
    mistyped = {**rule, "ExcludeRouteTableIds": [doomed, "rtb-0a1b2c3d4e5f60718"]}
    assert "rtb-0a1b2c3d4e5f60718 is not a table" in stack.update(world.properties(*pair, Routes=mistyped))["Reason"]
    assert "SUCCESS" == stack.delete()["Status"]


# Destinations


@topologies
def test_destinations(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Subnets of the other VPC, prefix lists of the own Region, and blocks as they are given: their union."""
    vpc, peer = pair
    lists = [
        make_prefix_list(world.aws.url, end.account, end.region, "l", block, max_entries=3)
        for end, block in ((vpc, "10.8.7.0/24"), (peer, "10.0.7.0/24"))
    ]
    stack = world.stack()
    rules = {
        "Routes": {
            "MainRouteTable": "true",
            "DestinationSubnetIds": list(peer.subnet_ids[:2]),
            "DestinationPrefixListIds": [lists[0]],
            "DestinationCidrBlocks": ["10.8.0.0/17", "10.8.128.0/17", "10.8.0.0/16"],
        },
        "PeerRoutes": {"MainRouteTable": "true", "DestinationPrefixListIds": [lists[1]]},
    }

    created = stack.create(world.properties(*pair, **rules))

    blocks = ["10.8.0.0/16", "10.8.0.0/17", "10.8.0.0/28", "10.8.0.16/28", "10.8.128.0/17", lists[0]]
    assert ("SUCCESS", "6") == (created["Status"], created["Data"]["RouteCount"])
    assert {0: blocks} == routed(world, vpc)
    assert {0: [lists[1]]} == routed(world, peer)
    with world.counted() as calls:
        stack.update(world.properties(*pair, **rules))
    assert [] == writes(calls)
    assert "SUCCESS" == stack.delete()["Status"]
    assert {} == routed(world, vpc) == routed(world, peer)


@topologies
def test_a_subnet_with_ipv6(world: World) -> None:
    """Both blocks of a subnet are destinations, each in its own address family."""
    vpc = world.vpc("app", "10.0.0.0/16", ipv6=True)
    peer = world.peer_vpc("data", "10.8.0.0/16", ipv6=True)
    block = str(next(ip_network(peer.cidr_blocks[-1]).subnets(new_prefix=64)))
    ec2 = world.ec2(peer)
    subnet = ec2.create_subnet(VpcId=peer.id, CidrBlock="10.8.9.0/28", Ipv6CidrBlock=block)["Subnet"]["SubnetId"]
    rules = {"Routes": {"MainRouteTable": "true", "DestinationSubnetIds": [subnet]}}

    assert "SUCCESS" == world.stack().create(world.properties(vpc, peer, **rules))["Status"]

    assert {0: sorted(["10.8.9.0/28", block])} == {t: sorted(b) for t, b in routed(world, vpc).items()}


@topologies
def test_a_prefix_list_that_is_in_the_way(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A list is a destination as every other: a conflict names it, and Replace gives it back."""
    vpc, _ = pair
    prefix_list = make_prefix_list(world.aws.url, vpc.account, vpc.region, "l", "10.8.7.0/24", max_entries=3)
    gateway = internet_gateway(world, vpc)
    world.ec2(vpc).create_route(
        RouteTableId=vpc.route_table_ids[0], DestinationPrefixListId=prefix_list, GatewayId=gateway
    )
    rule = {"MainRouteTable": "true", "DestinationPrefixListIds": [prefix_list]}

    refused = world.stack().create(world.properties(*pair, Routes=rule))
    assert f"{vpc.route_table_ids[0]} routes {prefix_list} to {gateway} already." in refused["Reason"]

    stack = world.stack()
    stack.create(world.properties(*pair, Routes={**rule, "OnConflict": "Replace"}))
    assert stack.physical_id == world.routes(vpc)[vpc.route_table_ids[0]][prefix_list]
    stack.delete()
    assert gateway == world.routes(vpc)[vpc.route_table_ids[0]][prefix_list]


def test_a_prefix_list_of_the_other_region(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Lists are bound to a Region: one of the other side is not there."""
    other = make_prefix_list(world.aws.url, pair[1].account, pair[1].region, "l", "10.8.7.0/24", max_entries=3)

    reason = world.stack().create(
        world.properties(*pair, Routes={"MainRouteTable": "true", "DestinationPrefixListIds": [other]})
    )["Reason"]

    assert f"Routes.DestinationPrefixListIds: {other} is not in us-east-1 (111111111111)." in reason
    assert "A prefix list is of one Region" in reason


@topologies
@pytest.mark.parametrize(
    ("hub", "spoke", "count"), [(True, True, 2), (True, False, 1), (False, True, 1), (False, False, 1)]
)
def test_ipv6_where_both_have_it(world: World, *, hub: bool, spoke: bool, count: int) -> None:
    """A VPC without IPv6 simply has none, on either side."""
    vpc = world.vpc("hub", "10.0.0.0/16", ipv6=hub, tables=1)
    peer = world.peer_vpc("spoke", "10.8.0.0/16", ipv6=spoke, tables=1)

    data = world.stack().create(world.properties(vpc, peer))["Data"]

    assert (str(count), str(count)) == (data["RouteCount"], data["PeerRouteCount"])


@topologies
def test_a_hole_in_a_destination(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """To leave a part out of a route is impossible: the reason says what to do instead."""
    rule = {"AllRouteTables": "true", "ExcludeCidrBlocks": ["10.8.4.0/24"]}

    reason = world.stack().create(world.properties(*pair, Routes=rule))["Reason"]

    assert "Routes.ExcludeCidrBlocks: 10.8.4.0/24 is a part of destination 10.8.0.0/16" in reason
    assert reason.endswith("Exclude 10.8.0.0/16 whole, or list smaller Routes.DestinationCidrBlocks.")


# Conflicts


@topologies
def test_skipped_routes_are_told(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """In an attribute of each side, and counted as none of ours."""
    vpc, peer = pair
    for end, block in ((vpc, "10.8.0.0/16"), (peer, "10.0.0.0/16")):
        gateway = internet_gateway(world, end)
        world.ec2(end).create_route(RouteTableId=end.route_table_ids[1], DestinationCidrBlock=block, GatewayId=gateway)
    rule = {"AllRouteTables": "true", "OnConflict": "Skip"}
    stack = world.stack()

    data = stack.create(world.properties(*pair, Routes=rule, PeerRoutes=rule))["Data"]

    assert ("2", "2") == (data["RouteCount"], data["PeerRouteCount"])
    assert f"10.8.0.0/16 in {vpc.route_table_ids[1]}" == data["SkippedRoutes"]
    assert f"10.0.0.0/16 in {peer.route_table_ids[1]}" == data["PeerSkippedRoutes"]


@topologies
@pytest.mark.parametrize("policy", ["Fail", "Skip", "Replace"])
def test_a_blackhole_of_a_dead_connection_is_no_conflict(world: World, pair: tuple[Vpc, Vpc], policy: str) -> None:
    """It leads nowhere, and nobody would ever want it back."""
    vpc, peer = pair
    dead = world.peer(vpc, peer)
    world.route(vpc, 0, "10.8.0.0/16", dead)
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=dead)
    stack = world.stack()

    with world.counted() as calls:
        created = stack.create(world.properties(*pair, Routes={"MainRouteTable": "true", "OnConflict": policy}))

    assert {"10.8.0.0/16": created["PhysicalResourceId"]} == world.routes(vpc)[vpc.route_table_ids[0]]
    assert 1 == operations(calls).count("ReplaceRoute")
    stack.delete()
    assert {} == routed(world, vpc)


@topologies
@pytest.mark.parametrize("policy", ["Fail", "Skip", "Replace"])
def test_a_propagated_route_is_no_conflict(world: World, pair: tuple[Vpc, Vpc], policy: str) -> None:
    """A static route beside it wins, and takes nothing from it (terraform-provider-aws #36510)."""
    vpc, _ = pair
    world.aws.plant_propagated_route(vpc.route_table_ids[0], "10.8.0.0/16", "vgw-1")

    created = world.stack().create(world.properties(*pair, Routes={"MainRouteTable": "true", "OnConflict": policy}))

    assert ("SUCCESS", "1", "") == (created["Status"], created["Data"]["RouteCount"], created["Data"]["SkippedRoutes"])


# VPCs


def sought(world: World, pair: tuple[Vpc, Vpc], **more: object) -> dict[str, Any]:
    """Return properties that find both VPCs by their names."""
    names = {
        "VpcTags": [{"Key": "Name", "Value": "hub"}],
        "PeerVpcTags": [{"Key": "Name", "Value": "spoke"}],
    }
    return world.properties(*pair, VpcId=None, PeerVpcId=None, **{**names, **more})


@topologies
def test_vpcs_are_found_and_stay(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A name that moves to another VPC moves no peering; Delete finds the pair by its connection."""
    vpc, peer = pair
    stack = world.stack()

    created = stack.create(sought(world, pair))
    assert ("SUCCESS", vpc.id, peer.id) == (
        created["Status"],
        created["Data"]["RequesterVpcId"],
        created["Data"]["AccepterVpcId"],
    )

    tag(world, vpc, vpc.id, Name="renamed")
    world.vpc("hub", "10.4.0.0/16")
    with world.counted() as calls:
        assert stack.physical_id == stack.update(sought(world, pair))["PhysicalResourceId"]
    assert {"CreateTags"} == set(writes(calls))

    tag(world, peer, peer.id, Name="renamed")
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(vpc)
    assert {} == routed(world, vpc) == routed(world, peer)


@topologies
def test_an_update_that_finds_its_vpcs_again_costs_no_more(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """8 reads as without a query: the registry knows the VPCs; subnets come on top. A query may be sorted otherwise."""
    vpc, peer = pair
    names = [{"Key": "Name", "Value": "spoke"}, {"Key": "Env"}]
    tag(world, peer, peer.id, Env="prod")
    subnets = {"SubnetIds": [vpc.subnet_ids[0]]}
    properties = sought(world, pair, PeerVpcTags=names, Routes=subnets, PeerRoutes=None)
    stack = world.stack()
    pcx = stack.create(properties)["PhysicalResourceId"]
    other = world.peer_vpc("spoke", "10.12.0.0/16")
    tag(world, other, other.id, Env="prod")
    world.ec2(peer).delete_tags(Resources=[peer.id], Tags=[{"Key": "Env"}])

    with world.counted() as calls:
        updated = stack.update({**properties, "PeerVpcTags": names[::-1], "Preflight": "Off"})

    assert ("SUCCESS", pcx) == (updated["Status"], updated["PhysicalResourceId"])
    assert [] == writes(calls)
    assert len(calls) <= 8 + 1


@topologies
def test_another_query_is_a_replacement_where_it_finds_another(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The clean-up's Delete has the old query, and the old id: it takes the old connection alone."""
    vpc, peer = pair
    other = world.peer_vpc("other", "10.12.0.0/16")
    stack = world.stack()
    first = stack.create(sought(world, pair))["PhysicalResourceId"]
    old = dict(stack.current)

    same = sought(world, pair, PeerVpcTags=[{"Key": "Name", "Value": "spoke"}, {"Key": "Name2"}])
    tag(world, peer, peer.id, Name2="x")
    assert first == stack.update(same)["PhysicalResourceId"]
    moved = stack.update(sought(world, pair, PeerVpcTags=[{"Key": "Name", "Value": "other"}]))

    assert ("SUCCESS", other.id) == (moved["Status"], moved["Data"]["AccepterVpcId"])
    assert "SUCCESS" == stack.delete(first, old)["Status"]
    assert [moved["PhysicalResourceId"]] == world.live(vpc)
    assert {0, 1} == routed(world, other).keys()
    assert {} == routed(world, peer)


def test_a_vpc_that_was_found_and_built_anew(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The template has no PeerVpcId to check: the reason says whence the id is, and what leads to the new one."""
    vpc, peer = pair
    ec2 = world.ec2(peer)
    empty = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    tag(world, peer, empty, Name="gone")
    query = sought(world, pair, PeerVpcTags=[{"Key": "Name", "Value": "gone"}], PeerRoutes=None)
    stack = world.stack()
    pcx = stack.create(query)["PhysicalResourceId"]
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    ec2.delete_vpc(VpcId=empty)
    tag(world, peer, peer.id, Name="gone")

    reason = stack.update({**query, "Preflight": "Off"})["Reason"]

    assert f"{empty}, which PeerVpcTags found for this resource, is not in {peer.region}" in reason
    assert "Give the id of the new VPC as PeerVpcId, or change PeerVpcTags" in reason
    given_id = {**query, "PeerVpcId": peer.id}
    del given_id["PeerVpcTags"]
    assert peer.id == stack.update(given_id)["Data"]["AccepterVpcId"]
    assert [stack.physical_id] == world.live(vpc)


def test_a_replacement_by_query_is_rolled_back_by_an_update(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """CloudFormation comes with the old query and the new id; the old connection is found and answered."""
    vpc, peer = pair
    world.peer_vpc("other", "10.12.0.0/16")
    stack = world.stack()
    first = stack.create(sought(world, pair))["PhysicalResourceId"]
    old = dict(stack.current)
    second = stack.update(sought(world, pair, PeerVpcTags=[{"Key": "Name", "Value": "other"}]))["PhysicalResourceId"]
    new = dict(stack.current)

    assert first == stack.update(old)["PhysicalResourceId"]
    assert "SUCCESS" == stack.delete(second, new)["Status"]
    assert [first] == world.live(vpc)
    assert {0, 1, 2} == routed(world, peer).keys()


@pytest.mark.parametrize(
    ("query", "cause"),
    [
        (
            [{"Key": "Name", "Value": "h*b"}],
            "NotFound: VpcTags match no VPC in us-east-1 of account 111111111111 (Name=h*b).",
        ),
        (
            [{"Key": "Name", "Value": "HUB"}],
            "NotFound: VpcTags match no VPC in us-east-1 of account 111111111111 (Name=HUB).",
        ),
        ([{"Key": "Name"}], "InvalidRequest: VpcTags match 2 VPCs in us-east-1 of account 111111111111 (Name): vpc-"),
    ],
    ids=["a wildcard is a character", "case", "several"],
)
def test_a_query_finds_exactly_one(
    world: World, pair: tuple[Vpc, Vpc], query: list[dict[str, str]], cause: str
) -> None:
    """To take any of several, or none, would be a guess about somebody's network."""
    world.vpc("hub-2", "10.4.0.0/16")
    stack = world.stack()

    with world.counted() as calls:
        refused = stack.create(sought(world, pair, VpcTags=query))
        assert "SUCCESS" == stack.delete()["Status"]

    assert refused["Reason"].startswith(cause)
    assert [] == writes(calls)


def test_delete_of_a_half_made_one(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Its Create was killed: no id is known, and the names have moved; the owner tags lead to it."""
    vpc, _ = pair
    stack = world.stack()
    stack.create(sought(world, pair))
    tag(world, vpc, vpc.id, Name="renamed")

    assert "SUCCESS" == stack.delete("peering-invented-by-cloudformation")["Status"]
    assert [] == world.live(vpc)


def test_delete_of_what_is_gone(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Deleted by hand and forgotten by EC2, and the query finds several: its routes are removed all the same."""
    vpc, peer = pair
    stack = world.stack()
    pcx = stack.create(sought(world, pair))["PhysicalResourceId"]
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    world.aws.forget(pcx)
    world.vpc("hub", "10.4.0.0/16")
    assert routed(world, vpc)

    assert "SUCCESS" == stack.delete()["Status"]
    assert {} == routed(world, vpc) == routed(world, peer)
