"""What only a race can show: the calls of one side by themselves."""

import pytest

from handler.clock import Deadline
from handler.ec2 import Ec2
from handler.errors import ResourceConflict
from handler.model import End, RouteKey, Side
from handler.sessions import Access
from tests.harness import World, internet_gateway, sessions, writes


@pytest.fixture
def ec2(world: World) -> Ec2:
    """Open the requester's side."""
    end = End("vpc-unused", world.topology.account, world.topology.region)
    return sessions().open(Access("", end), "test", Deadline(world.time.clock, 60))


def test_a_route_that_somebody_made_since_we_looked(world: World, ec2: Ec2) -> None:
    """CreateRoute then says RouteAlreadyExists: the failure names table, destination and present target."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer, Routes=None))["PhysicalResourceId"]
    table, gateway = vpc.route_table_ids[0], internet_gateway(world, vpc)
    world.ec2(vpc).create_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway)

    with pytest.raises(ResourceConflict, match=f"{table} routes 10.8.0.0/16 to {gateway} already"):
        ec2.create_route(RouteKey(Side.REQUESTER, table, "10.8.0.0/16"), pcx)


def test_the_identical_route_is_fine(world: World, ec2: Ec2) -> None:
    """A repeated CreateRoute whose first reply was lost finds its own route."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]

    with world.counted() as calls:
        ec2.create_route(RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16"), pcx)

    assert ["CreateRoute"] == writes(calls)


def test_deleting_twice(world: World, ec2: Ec2) -> None:
    """A connection that is gone, and routes that are gone, count as deleted."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]
    route = RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16")

    for _ in range(2):
        ec2.delete_route(route)
        ec2.delete_connection(pcx)
    world.aws.forget(pcx)
    ec2.delete_connection(pcx)

    assert [] == world.live(vpc)
