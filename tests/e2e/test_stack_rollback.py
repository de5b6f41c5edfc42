import pytest

from local.strict.faults import Fault
from local.world import Vpc
from tests.e2e.installed import BROKEN, OTHER, Installed, Stack, no_routes, routes_to, writes


@pytest.fixture
def vpc(lab: Installed) -> Vpc:
    """Make the requester's VPC."""
    return lab.vpc("hub", "10.0.0.0/16", tables=3)


@pytest.fixture
def peer(lab: Installed) -> Vpc:
    """Make the accepter's VPC."""
    return lab.peer_vpc("blue", "10.8.0.0/16")


@pytest.fixture
def new_peer(lab: Installed) -> Vpc:
    """Make the VPC that replaces it, with the same blocks."""
    return lab.peer_vpc("green", "10.8.0.0/16")


def denied_route(account: str | None = None, nth: int = 1) -> Fault:
    """Return the fault of a role that may not create a route."""
    return Fault("CreateRoute", "error", "UnauthorizedOperation", "No.", 403, account=account, nth=nth)


def assert_only(lab: Installed, connection_id: str, vpc: Vpc, peer: Vpc, other: Vpc) -> None:
    """Check that this connection is the only one, with all routes of both sides, and that `other` has none."""
    assert [connection_id] == lab.live(vpc) == lab.live(peer)
    assert lab.routes(vpc) == routes_to(vpc, peer, connection_id)
    assert lab.routes(peer) == routes_to(peer, vpc, connection_id)
    assert lab.routes(other) == no_routes(other)


def assert_nothing(lab: Installed, *vpcs: Vpc) -> None:
    """Check that no connection and no route is left."""
    for vpc in vpcs:
        assert not lab.live(vpc)
        assert lab.routes(vpc) == no_routes(vpc)


@pytest.mark.parametrize("way", ["Delete", "Update"])
def test_rollback_of_a_replacement_puts_routes_back_without_a_gap(
    lab: Installed, vpc: Vpc, peer: Vpc, new_peer: Vpc, way: str
) -> None:
    """CloudFormation knows two ways back, and after both the old connection has all of its routes."""
    stack = lab.stack(RollbackOfReplacement=way)
    stack.deploy(lab.properties(vpc, peer))
    old_id = stack.connection_id
    with lab.counted() as calls:
        status = stack.deploy(lab.properties(vpc, new_peer), last=BROKEN)
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    new_id = stack.answers[1]["PhysicalResourceId"]
    back = [("Update", new_id)] if way == "Update" else []
    assert stack.sent == [("Create", None), ("Update", old_id), *back, ("Delete", new_id)]
    assert_only(lab, old_id, vpc, peer, new_peer)
    on_hub = [c.operation for c in calls if c.params.get("RouteTableId") in vpc.route_table_ids]
    assert on_hub == ["ReplaceRoute"] * 6
    assert stack.delete() == "DELETE_COMPLETE"
    assert_nothing(lab, vpc, peer, new_peer)


def test_replacement_that_fails_half_way_answers_the_old_id(lab: Installed, vpc: Vpc, peer: Vpc, new_peer: Vpc) -> None:
    """The new connection was made and accepted when a route was refused: it goes again, and the old one stands."""
    stack = lab.stack()
    stack.deploy(lab.properties(vpc, peer))
    old_id = stack.connection_id
    lab.aws.strict.faults.append(denied_route(OTHER))
    assert stack.deploy(lab.properties(vpc, new_peer)) == "UPDATE_ROLLBACK_COMPLETE"
    assert "AccessDenied" in stack.failure
    assert "ec2:CreateRoute" in stack.failure
    assert stack.answers[1]["PhysicalResourceId"] == old_id
    assert stack.sent == [("Create", None), ("Update", old_id), ("Update", old_id)]
    assert_only(lab, old_id, vpc, peer, new_peer)


def test_update_that_is_refused_changes_nothing(lab: Installed, vpc: Vpc, peer: Vpc) -> None:
    """A conflict is found before the first write, and the rollback finds nothing to do."""
    first, second, third = vpc.route_table_ids
    gateway_id = lab.ec2(vpc).create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    lab.ec2(vpc).attach_vpn_gateway(VpnGatewayId=gateway_id, VpcId=vpc.id)
    lab.ec2(vpc).create_route(RouteTableId=third, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway_id)
    stack = lab.stack()
    stack.deploy(lab.properties(vpc, peer, Routes={"RouteTableIds": [first, second]}))
    before = lab.routes(vpc), lab.routes(peer)
    with lab.counted() as calls:
        assert stack.deploy(lab.properties(vpc, peer, Tags=[{"Key": "a", "Value": "b"}])) == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.failure.startswith("ResourceConflict: ")
    assert all(word in stack.failure for word in (third, "10.8.0.0/16", gateway_id))
    assert not writes(calls)
    assert before == (lab.routes(vpc), lab.routes(peer))


def test_update_that_succeeded_is_rolled_back(lab: Installed, vpc: Vpc, peer: Vpc) -> None:
    """Another resource fails after ours: routes and options are again as they were."""
    first = vpc.route_table_ids[0]
    stack = lab.stack()
    stack.deploy(lab.properties(vpc, peer, Routes={"RouteTableIds": [first]}))
    old_id = stack.connection_id
    dns = {"AllowDnsResolutionFromRemoteVpc": True}
    assert stack.deploy(lab.properties(vpc, peer, **dns), last=BROKEN) == "UPDATE_ROLLBACK_COMPLETE"
    assert lab.routes(vpc) == {**no_routes(vpc), first: {"10.8.0.0/16": old_id}}
    assert stack.sent == [("Create", None), ("Update", old_id), ("Update", old_id)]


def test_create_that_is_refused_leaves_nothing(lab: Installed, vpc: Vpc, peer: Vpc) -> None:
    """The Delete after it carries an id that is no connection's, and finds nothing to do."""
    gateway_id = lab.ec2(peer).create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    lab.ec2(peer).attach_vpn_gateway(VpnGatewayId=gateway_id, VpcId=peer.id)
    table_id = peer.route_table_ids[1]
    lab.ec2(peer).create_route(RouteTableId=table_id, DestinationCidrBlock="10.0.0.0/16", GatewayId=gateway_id)
    stack = lab.stack()
    with lab.counted() as calls:
        assert stack.deploy(lab.properties(vpc, peer)) == "ROLLBACK_COMPLETE"
    assert stack.failure.startswith(f"ResourceConflict: {table_id} routes 10.0.0.0/16 to {gateway_id} already.")
    assert not writes(calls)
    physical_id = stack.answers[0]["PhysicalResourceId"]
    assert not physical_id.startswith("pcx-")
    assert stack.sent == [("Create", None), ("Delete", physical_id)]


def half_created(stack: Stack) -> str:
    """Return the id that a failed Create answered, having checked that the Delete came with it."""
    connection_id: str = stack.answers[0]["PhysicalResourceId"]
    assert stack.sent == [("Create", None), ("Delete", connection_id)]
    assert connection_id.startswith("pcx-")
    return connection_id


def test_half_created_peering_is_deleted_by_the_rollback(lab: Installed, vpc: Vpc, peer: Vpc) -> None:
    """The connection and some routes were there when one was refused: the id in the answer leads the Delete to it."""
    lab.aws.strict.faults.append(denied_route(nth=3))
    stack = lab.stack()
    assert stack.deploy(lab.properties(vpc, peer)) == "ROLLBACK_COMPLETE"
    half_created(stack)
    assert_nothing(lab, vpc, peer)


def test_create_that_succeeded_is_rolled_back(lab: Installed, vpc: Vpc, peer: Vpc) -> None:
    """Another resource of the new stack fails: the peering goes with the rest."""
    stack = lab.stack()
    assert stack.deploy(lab.properties(vpc, peer), last=BROKEN) == "ROLLBACK_COMPLETE"
    half_created(stack)
    assert_nothing(lab, vpc, peer)
