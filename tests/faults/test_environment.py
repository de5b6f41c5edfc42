"""Faults that are nobody's call: what people and AWS do to a resource between two of its operations."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.strict.connections import backend_of
from local.world import client
from tests.faults.inprocess import InProcess, in_process
from tests.faults.invariants import checked, replayed
from tests.faults.runs import captured
from tests.faults.scene import MORE_TAGS, Scene
from tests.harness import EXTERNAL_ID, HUB, TOPOLOGIES, Topology, internet_gateway

DESTINATION = "10.8.0.0/16"
BLOCKS = [f"10.8.{number}.0/24" for number in range(5)]
ROLE = "VpcPeeringAccess"


@pytest.fixture
def here() -> Iterator[InProcess]:
    """Let the function run in this process."""
    with in_process() as here:
        yield here


@pytest.fixture(params=TOPOLOGIES, ids=str)
def scene(here: InProcess, request: pytest.FixtureRequest) -> Scene:
    """Make a world, and the resource in it."""
    scene = Scene(here, request.param, here.start)
    assert scene.engine.create(scene.properties())
    return scene


def connection(scene: Scene) -> dict[str, str]:
    """Return the parameter that names the resource's connection."""
    return {"VpcPeeringConnectionId": str(scene.engine.physical_id)}


def route(scene: Scene, table: int = 0) -> dict[str, str]:
    """Return the parameters that name a route of ours, on the requester's side."""
    return {"RouteTableId": scene.vpc.route_table_ids[table], "DestinationCidrBlock": DESTINATION}


def assert_sound(scene: Scene) -> None:
    """Check all invariants, and that a repeated event changes nothing."""
    assert [] == [*checked(scene, ""), *replayed(scene)]


# The connection


@pytest.mark.parametrize("end", ["requester", "accepter"])
def test_connection_deleted_by_hand(scene: Scene, end: str) -> None:
    """Whoever deletes it: the next Update says so or makes it anew, and the Delete leaves no blackhole."""
    vpc = scene.vpc if end == "requester" else scene.peers[0]
    scene.world.ec2(vpc).delete_vpc_peering_connection(**connection(scene))
    scene.engine.disturbed = True

    scene.engine.update(scene.properties(Tags=MORE_TAGS))
    scene.engine.clean()

    assert_sound(scene)
    scene.engine.delete()
    assert_sound(scene)


def test_connection_recreated_by_hand(scene: Scene) -> None:
    """Somebody helps: theirs is not ours, and stays."""
    scene.world.ec2(scene.vpc).delete_vpc_peering_connection(**connection(scene))
    helped = scene.world.peer(scene.vpc, scene.peers[0])
    scene.theirs.add(helped)
    scene.before = scene.foreign()

    scene.engine.delete()

    assert_sound(scene)
    assert helped in scene.world.live(scene.vpc)


def test_rollback_to_a_request_in_place_of_what_was_cut(scene: Scene) -> None:
    """The Delete of the old id comes with the pair that failed: no route may lead to what has ended any more."""
    engine, table = scene.engine, scene.vpc.route_table_ids[0]
    assert engine.update(scene.properties(AutoAccept="false"))
    scene.world.ec2(scene.vpc).delete_vpc_peering_connection(**connection(scene))
    engine.disturbed = True
    gateway = next(target for target in scene.routes().values() if target.startswith("igw-"))
    scene.world.ec2(scene.vpc).create_route(RouteTableId=table, DestinationCidrBlock="10.16.0.0/16", GatewayId=gateway)
    scene.before = scene.foreign()

    assert not engine.update(scene.properties(peer=1))

    assert scene.pending(engine)
    assert {} == scene.ours()
    assert_sound(scene)


@pytest.mark.parametrize("how", ["reject", "expire"])
def test_request_that_ends_before_it_is_accepted(here: InProcess, how: str) -> None:
    """AutoAccept: false; the other party refuses, or lets seven days pass: the Delete finds nothing to do."""
    scene = Scene(here, Topology(), here.start)
    assert scene.engine.create(scene.properties(AutoAccept="false", PeerAllowDnsResolutionFromRemoteVpc=None))
    request = str(scene.engine.physical_id)
    if how == "reject":
        here.aws.reject(request, (scene.peers[0].account, scene.peers[0].region))
    else:
        here.aws.expire(request)

    scene.engine.delete()

    assert_sound(scene)


def test_create_right_after_delete_gets_the_dying_id(scene: Scene) -> None:
    """EC2 hands out the id that is being deleted (hashicorp/terraform #4781): the resource is the next one."""
    scene.here.aws.settings.dying_creates = 2
    scene.engine.delete()

    assert scene.engine.create(scene.properties())

    assert_sound(scene)
    scene.engine.delete()
    assert_sound(scene)


# Routes


@pytest.mark.parametrize("verb", ["delete", "replace"])
def test_route_changed_by_hand(scene: Scene, verb: str) -> None:
    """What was deleted comes back with the next Update; what leads elsewhere is somebody's, and stays theirs."""
    ec2 = scene.world.ec2(scene.vpc)
    if verb == "delete":
        ec2.delete_route(**route(scene))
    else:
        gateway = next(target for target in scene.routes().values() if target.startswith("igw-"))
        ec2.replace_route(**route(scene), GatewayId=gateway)
        scene.before = scene.foreign()

    updated = scene.engine.update(scene.properties(Tags=MORE_TAGS))

    assert updated is (verb == "delete")
    scene.engine.problems.clear()  # a rollback meets the same stranger's route
    scene.engine.delete()
    assert_sound(scene)


def test_route_that_is_there_already(here: InProcess) -> None:
    """Somebody's route stands in the way of the third of four: what was made before it is taken back."""
    scene = Scene(here, Topology(), here.start)
    gateway = internet_gateway(scene.world, scene.peers[0])
    ec2 = scene.world.ec2(scene.peers[0])
    table = scene.peers[0].route_table_ids[1]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.0.0.0/16", GatewayId=gateway)
    scene.before = scene.foreign()

    assert not scene.engine.create(scene.properties())

    assert_sound(scene)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_quota_reached_half_way(here: InProcess, most: int) -> None:
    """EC2 refuses the next route of a table: the rest is taken back by the rollback."""
    scene = Scene(here, Topology(), here.start)
    here.aws.settings.routes_per_table = most

    created = scene.engine.create(scene.properties(Routes={"AllRouteTables": "true", "DestinationCidrBlocks": BLOCKS}))

    assert not created
    assert_sound(scene)


# Tables, VPCs, blocks


def test_table_deleted(scene: Scene) -> None:
    """With its routes; an Update goes on with the others."""
    added = scene.world.ec2(scene.vpc).create_route_table(VpcId=scene.vpc.id)["RouteTable"]["RouteTableId"]
    scene.before = scene.foreign()
    assert scene.engine.update(scene.properties(Tags=MORE_TAGS))
    assert (added, DESTINATION) in scene.ours()
    scene.world.ec2(scene.vpc).delete_route_table(RouteTableId=added)
    scene.before = scene.foreign()

    assert scene.engine.update(scene.properties())

    scene.engine.delete()
    assert_sound(scene)


@pytest.mark.parametrize("end", ["requester", "accepter"])
def test_vpc_deleted(here: InProcess, end: str) -> None:
    """With its tables and the connection; the Update fails, and the Delete leaves no blackhole on the other side."""
    scene = Scene(here, Topology(), here.start)
    assert scene.engine.create(scene.properties())
    vpc = scene.vpc if end == "requester" else scene.peers[0]
    scene.world.ec2(vpc).delete_vpc_peering_connection(**connection(scene))
    backend = backend_of((vpc.account, vpc.region))
    for table in vpc.route_table_ids:
        del backend.route_tables[table]
    del backend.vpcs[vpc.id]
    scene.before = scene.foreign()

    assert not scene.engine.update(scene.properties(Tags=MORE_TAGS))

    scene.engine.problems.clear()  # nothing can be rolled back to
    scene.engine.delete()
    assert_sound(scene)


@pytest.mark.parametrize("operations", [("associate",), ("associate", "disassociate")], ids=["added", "removed"])
def test_block_of_the_peer_changes(scene: Scene, operations: tuple[str, ...]) -> None:
    """A route for it comes with the next Update, and goes with the one after; the Delete leaves none of either."""
    ec2, peer = scene.world.ec2(scene.peers[0]), scene.peers[0]
    associated = ec2.associate_vpc_cidr_block(VpcId=peer.id, CidrBlock="10.9.0.0/16")
    scene.before = scene.foreign()
    assert scene.engine.update(scene.properties(Tags=MORE_TAGS))
    assert (scene.vpc.route_table_ids[0], "10.9.0.0/16") in scene.ours()
    if "disassociate" in operations:
        ec2.disassociate_vpc_cidr_block(AssociationId=associated["CidrBlockAssociation"]["AssociationId"])
        scene.before = scene.foreign()
        assert scene.engine.update(scene.properties())
        assert (scene.vpc.route_table_ids[0], "10.9.0.0/16") not in scene.ours()

    scene.engine.delete()

    assert_sound(scene)
    assert {} == scene.ours()


# The role


def iam(scene: Scene) -> Any:  # noqa: ANN401  # a boto3 client
    """Return IAM of the accepter's account."""
    return client(scene.here.aws.url, "iam", scene.peers[0].account, "us-east-1")


def revoked(scene: Scene) -> None:
    """Delete the role."""
    iam(scene).delete_role(RoleName=ROLE)


def closed(scene: Scene) -> None:
    """Let the role want another external id."""
    trust = iam(scene).get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
    policy = json.dumps(trust).replace(EXTERNAL_ID, "another-external-id")
    iam(scene).update_assume_role_policy(RoleName=ROLE, PolicyDocument=policy)


@pytest.mark.parametrize("change", [revoked, closed])
def test_role_that_is_gone_before_the_delete(here: InProcess, change: Callable[[Scene], None]) -> None:
    """The connection goes all the same; what had to be left in the other account is named."""
    with captured() as log:
        scene = Scene(here, Topology(), here.start)
        assert scene.topology.peer_account != HUB
        assert scene.engine.create(scene.properties())
        change(scene)

        scene.engine.delete()

    scene.engine.blind = True
    assert [] == scene.owned()
    assert "may remain on the accepter's side" in log.getvalue()
    assert [] == list(checked(scene, log.getvalue()))
