"""What `OnConflict: Replace` took from another target goes back there, whatever becomes of the connection."""

from typing import Any

import pytest

from local.world import Vpc
from tests.harness import TOPOLOGIES, World, internet_gateway

TAGS = [{"Key": "Team", "Value": "network"}]
RULES: dict[str, Any] = {"Routes": {"AllRouteTables": "true", "OnConflict": "Replace"}, "PeerRoutes": None}

topologies = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


def led(world: World, vpc: Vpc, destination: str = "10.8.0.0/16") -> str:
    """Lead a destination of the first table to a gateway, and return the gateway."""
    gateway = internet_gateway(world, vpc)
    world.ec2(vpc).create_route(
        RouteTableId=vpc.route_table_ids[0], DestinationCidrBlock=destination, GatewayId=gateway
    )
    return gateway


def first_table(world: World, vpc: Vpc) -> dict[str, str]:
    """Return the routes of the first table."""
    return world.routes(vpc)[vpc.route_table_ids[0]]


@topologies
def test_after_a_replacement(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The record of the old connection goes with its clean-up: the new one has to know what the old one took."""
    vpc, peer = pair
    gateway = led(world, vpc, "10.8.0.0/15")
    rules = {**RULES, "Routes": {**RULES["Routes"], "DestinationCidrBlocks": ["10.8.0.0/15"]}}
    stack = world.stack()
    stack.create(world.properties(vpc, peer, **rules))
    old, old_properties = stack.physical_id, stack.current
    stack.update(world.properties(vpc, world.peer_vpc("spoke2", "10.9.0.0/16"), **rules))

    assert "SUCCESS" == stack.delete(old, old_properties)["Status"]
    assert {"10.8.0.0/15": stack.physical_id} == first_table(world, vpc)
    assert "SUCCESS" == stack.delete()["Status"]

    assert {"10.8.0.0/15": gateway} == first_table(world, vpc)


def test_after_it_was_made_again(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A colleague deletes the connection, and the next Update makes another one."""
    vpc, peer = pair
    gateway = led(world, vpc)
    stack = world.stack()
    stack.create(world.properties(vpc, peer, **RULES))
    old, old_properties = stack.physical_id, stack.current
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=old)
    stack.update(world.properties(vpc, peer, **RULES, Tags=TAGS))

    assert "SUCCESS" == stack.delete(old, old_properties)["Status"]
    assert "SUCCESS" == stack.delete()["Status"]

    assert {"10.8.0.0/16": gateway} == first_table(world, vpc)


def test_taken_a_second_time(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Somebody leads a route of ours elsewhere, and an Update takes it back: it is theirs again in the end."""
    vpc, peer = pair
    stack = world.stack()
    stack.create(world.properties(vpc, peer, **RULES))
    gateway = internet_gateway(world, vpc)
    world.ec2(vpc).replace_route(
        RouteTableId=vpc.route_table_ids[0], DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway
    )
    stack.update(world.properties(vpc, peer, **RULES, Tags=TAGS))
    assert {"10.8.0.0/16": stack.physical_id} == first_table(world, vpc)

    assert "SUCCESS" == stack.delete()["Status"]

    assert {"10.8.0.0/16": gateway} == first_table(world, vpc)


def test_found_then_led_elsewhere(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A route that an adopted connection had before us counts as found only until somebody leads it elsewhere."""
    vpc, peer = pair
    adopted = world.peer(vpc, peer)
    world.route(vpc, 0, "10.8.0.0/16", adopted)
    stack = world.stack()
    rules = {**RULES, "OnExistingConnection": "Adopt"}
    stack.create(world.properties(vpc, peer, **rules))
    gateway = internet_gateway(world, vpc)
    world.ec2(vpc).replace_route(
        RouteTableId=vpc.route_table_ids[0], DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway
    )
    stack.update(world.properties(vpc, peer, **rules, Tags=TAGS))
    assert {"10.8.0.0/16": adopted} == first_table(world, vpc)

    assert "SUCCESS" == stack.delete()["Status"]

    assert {"10.8.0.0/16": gateway} == first_table(world, vpc)


def test_rollback_of_the_policy(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Another resource of the stack fails after Skip became Replace: the rollback gives back what that took."""
    vpc, peer = pair
    gateway = led(world, vpc)
    skipping = world.properties(vpc, peer, **{**RULES, "Routes": {"AllRouteTables": "true", "OnConflict": "Skip"}})
    stack = world.stack()
    stack.create(skipping)
    stack.update(world.properties(vpc, peer, **RULES))
    assert {"10.8.0.0/16": stack.physical_id} == first_table(world, vpc)

    rolled_back = stack.update(skipping)

    assert {"10.8.0.0/16": gateway} == first_table(world, vpc)
    assert f"10.8.0.0/16 in {vpc.route_table_ids[0]}" == rolled_back["Data"]["SkippedRoutes"]


def test_blackhole_of_an_adopted_connection_that_died(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A route to nowhere is nobody's, though it led to the connection that the resource had before."""
    vpc, peer = pair
    adopted = world.peer(vpc, peer)
    world.route(vpc, 1, "10.9.0.0/16", adopted)
    stack = world.stack()
    only_first = {"Routes": {"RouteTableIds": [vpc.route_table_ids[0]]}, "PeerRoutes": None}
    stack.create(world.properties(vpc, peer, OnExistingConnection="Adopt", **only_first))
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=adopted)
    other = world.peer_vpc("other", "10.9.0.0/16")

    updated = stack.update(world.properties(vpc, other, Routes={"AllRouteTables": "true"}, PeerRoutes=None))

    assert "SUCCESS" == updated["Status"]
    assert {stack.physical_id} == {routes["10.9.0.0/16"] for routes in world.routes(vpc).values()}
