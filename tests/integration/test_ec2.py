"""What only a race can show: the calls of one side by themselves."""

from unittest.mock import Mock

import pytest

from handler.clock import Deadline
from handler.ec2 import Ec2
from handler.errors import ResourceConflict
from handler.item import Superseded
from handler.model import End, RouteKey, Side
from handler.sessions import Access
from local.strict import Fault
from tests.harness import World, internet_gateway, sessions, writes


@pytest.fixture
def ec2(world: World) -> Ec2:
    """Open the requester's side."""
    end = End("vpc-unused", world.topology.account, world.topology.region)
    return sessions().open(Access("", end, end), "test", Deadline(world.time.clock, 60))


def test_a_route_that_somebody_made_since_we_looked(world: World, ec2: Ec2) -> None:
    """CreateRoute then says RouteAlreadyExists: the failure names table, destination and present target."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer, Routes=None))["PhysicalResourceId"]
    table, gateway = vpc.route_table_ids[0], internet_gateway(world, vpc)
    world.ec2(vpc).create_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway)

    with pytest.raises(ResourceConflict, match=f"{table} routes 10.8.0.0/16 to {gateway} already"):
        ec2.create_route(RouteKey(Side.REQUESTER, table, "10.8.0.0/16"), pcx)


def test_a_newer_request_is_no_conflict(world: World, ec2: Ec2) -> None:
    """It ends the work before the call, whatever route is there: nothing more is read, and it is told as it is."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]
    deadline = Deadline(world.time.clock, 900)
    deadline.guard = Mock(side_effect=[Superseded("A later request waits.", "Look there."), None])

    with pytest.raises(Superseded):
        ec2.until(deadline).create_route(RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16"), pcx)


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
        ec2.delete_route(route, pcx)
        ec2.delete_connection(pcx)
    world.aws.forget(pcx)
    ec2.delete_connection(pcx)

    assert [] == world.live(vpc)


@pytest.mark.parametrize("code", ["InvalidRoute.NotFound", "InvalidRouteTableID.NotFound"])
def test_route_that_ec2_does_not_find_though_it_shows_it(world: World, ec2: Ec2, code: str) -> None:
    """A route that is taken for gone would stay behind: what is still shown is deleted again."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]
    route = RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16")
    world.aws.faults.append(Fault("DeleteRoute", code=code, status=400))

    ec2.delete_route(route, pcx)

    assert {} == world.routes(vpc)[vpc.route_table_ids[0]]


def test_route_that_somebody_has_pointed_elsewhere(world: World, ec2: Ec2) -> None:
    """What is shown there now is not ours to delete again."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    gateway = internet_gateway(world, vpc)
    world.stack().create(world.properties(vpc, peer))
    table_id = vpc.route_table_ids[0]
    destination = {"RouteTableId": table_id, "DestinationCidrBlock": "10.8.0.0/16"}
    world.ec2(vpc).replace_route(**destination, GatewayId=gateway)
    world.aws.faults.append(Fault("DeleteRoute", code="InvalidRoute.NotFound", status=400))

    ec2.delete_route(RouteKey(Side.REQUESTER, table_id, "10.8.0.0/16"), "pcx-other")

    assert {"10.8.0.0/16": gateway} == world.routes(vpc)[table_id]
