"""A peering that exists is taken over, routes and all, without a dropped packet: every moment is looked at."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local import stacks
from local.strict import Call
from local.world import Vpc
from tests.e2e.installed import FUNCTION, HOME, Installed, Stack, routes_to

TOKEN = f"arn:aws:lambda:us-east-1:{HOME}:function:{FUNCTION}"
DELETE = "DeleteVpcPeeringConnection"


@contextmanager
def never_cut(lab: Installed, *vpcs: Vpc) -> Iterator[list[Call]]:
    """Fail if any route that works now is absent, or leads elsewhere, after any single call made inside."""
    before = {table: lab.aws.strict.routes_of(table) for vpc in vpcs for table in vpc.route_table_ids}
    assert any(before.values())
    cut: list[Call] = []
    calls: list[Call] = []

    def watch(call: Call) -> None:
        calls.append(call)
        if any(not routes.items() <= lab.aws.strict.routes_of(table).items() for table, routes in before.items()):
            cut.append(call)

    lab.aws.strict.watchers.append(watch)
    yield calls
    lab.aws.strict.watchers.remove(watch)
    assert calls
    assert not cut


def native(vpc: Vpc, peer: Vpc) -> dict[str, Any]:
    """Return a stack as people write it without this project: retained, as the first step of the migration."""
    keep = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    names = {"VpcId": vpc.id, "PeerVpcId": peer.id, "Tags": [{"Key": "Name", "Value": "legacy"}]}
    resources: dict[str, Any] = {"Old": {**keep, "Type": "AWS::EC2::VPCPeeringConnection", "Properties": names}}
    for side, other in ((vpc, peer), (peer, vpc)):
        for table_id in side.route_table_ids:
            properties = {
                "RouteTableId": table_id,
                "DestinationCidrBlock": other.cidr_blocks[0],
                "VpcPeeringConnectionId": {"Ref": "Old"},
            }
            name = f"Route{table_id.removeprefix('rtb-')}"
            resources[name] = {**keep, "Type": "AWS::EC2::Route", "Properties": properties}
    return {"Resources": resources, "Outputs": {"Id": {"Value": {"Ref": "Old"}}}}


def adopting(vpc: Vpc, peer: Vpc, **more: object) -> dict[str, Any]:
    """Return a stack that takes the peering over."""
    properties = {
        "ServiceToken": TOKEN,
        "VpcId": vpc.id,
        "PeerVpcId": peer.id,
        "OnExistingConnection": "Adopt",
        "Routes": {"AllRouteTables": True},
        "PeerRoutes": {"AllRouteTables": True},
        **more,
    }
    outputs = {name: {"Value": {"Fn::GetAtt": ["Peering", name]}} for name in ("Id", "RouteCount", "PeerRouteCount")}
    return {"Resources": {"Peering": {"Type": "Custom::VpcPeering", "Properties": properties}}, "Outputs": outputs}


def test_from_the_native_type(lab: Installed) -> None:
    """Retain, then change the type in one deployment of the same stack: CloudFormation lets go, and this takes over."""
    vpc, peer = lab.vpc("here", "10.0.0.0/16"), lab.vpc("there", "10.8.0.0/16")
    stack = lab.stack()
    assert stacks.deploy(stack.cloudformation, stack.name, native(vpc, peer)) == "CREATE_COMPLETE"
    pcx = stack.outputs["Id"]
    assert lab.routes(vpc) == routes_to(vpc, peer, pcx)

    with never_cut(lab, vpc, peer) as calls:
        assert stacks.deploy(stack.cloudformation, stack.name, adopting(vpc, peer)) == "UPDATE_COMPLETE"
        assert stack.outputs == {"Id": pcx, "RouteCount": "2", "PeerRouteCount": "2"}
        more = adopting(vpc, peer, Tags=[{"Key": "team", "Value": "net"}])
        assert stacks.deploy(stack.cloudformation, stack.name, more) == "UPDATE_COMPLETE"
        assert tags(lab, vpc, pcx).items() >= {"Name": "legacy", "team": "net"}.items()
        assert stack.delete() == "DELETE_COMPLETE"

    assert {"CreateTags", "DeleteTags"} == {c.operation for c in calls if not c.operation.startswith("Describe")}
    assert lab.live(vpc) == [pcx]
    assert tags(lab, vpc, pcx) == {"Name": "legacy"}


def tags(lab: Installed, vpc: Vpc, connection_id: str) -> dict[str, str]:
    """Return all tags of a connection."""
    return {tag["Key"]: tag["Value"] for tag in lab.connection(vpc, connection_id).get("Tags", [])}


@pytest.fixture
def terraformed(lab: Installed) -> tuple[Vpc, Vpc, str]:
    """Peer two accounts as Terraform does: request, accept, options of each side, tags, routes one by one."""
    vpc, peer = lab.vpc("here", "10.0.0.0/16"), lab.peer_vpc("there", "10.8.0.0/16")
    requester, accepter = lab.ec2(vpc), lab.ec2(peer)
    request = requester.create_vpc_peering_connection(
        VpcId=vpc.id,
        PeerVpcId=peer.id,
        PeerOwnerId=peer.account,
        PeerRegion=peer.region,
        TagSpecifications=[
            {"ResourceType": "vpc-peering-connection", "Tags": [{"Key": "ManagedBy", "Value": "terraform"}]}
        ],
    )
    pcx = request["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    accepter.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    accepter.create_tags(Resources=[pcx], Tags=[{"Key": "ManagedBy", "Value": "terraform"}])
    dns = {"AllowDnsResolutionFromRemoteVpc": True}
    requester.modify_vpc_peering_connection_options(VpcPeeringConnectionId=pcx, RequesterPeeringConnectionOptions=dns)
    accepter.modify_vpc_peering_connection_options(VpcPeeringConnectionId=pcx, AccepterPeeringConnectionOptions=dns)
    for side, other, ec2 in ((vpc, peer, requester), (peer, vpc, accepter)):
        for table_id in side.route_table_ids:
            block = other.cidr_blocks[0]
            ec2.create_route(RouteTableId=table_id, DestinationCidrBlock=block, VpcPeeringConnectionId=pcx)
    return vpc, peer, pcx


def test_from_terraform(lab: Installed, terraformed: tuple[Vpc, Vpc, str]) -> None:
    """Adopt, then `terraform state rm`: in between, and whatever becomes of the stack, no route is cut."""
    vpc, peer, pcx = terraformed
    dns = {"AllowDnsResolutionFromRemoteVpc": True, "PeerAllowDnsResolutionFromRemoteVpc": True}
    before = [lab.connection(side, pcx) for side in (vpc, peer)]
    stack = lab.stack()

    with never_cut(lab, vpc, peer) as calls:
        lab.settle()
        assert stack.deploy(lab.properties(vpc, peer, OnExistingConnection="Adopt", **dns)) == "CREATE_COMPLETE"
        assert stack.connection_id == pcx
        added = lab.ec2(vpc).create_route_table(VpcId=vpc.id)["RouteTable"]["RouteTableId"]
        lab.settle()
        assert stack.deploy(lab.properties(vpc, peer, OnExistingConnection="Fail", **dns)) == "UPDATE_COMPLETE"
        lab.settle()
        assert lab.routes(vpc)[added] == {"10.8.0.0/16": pcx}
        assert stack.delete() == "DELETE_COMPLETE"

    assert lab.routes(vpc)[added] == {}
    written = {c.operation for c in calls if not c.operation.startswith(("Describe", "AssumeRole"))}
    assert written == {"CreateTags", "DeleteTags", "CreateRoute", "CreateRouteTable", "DeleteRoute"}
    assert before == [lab.connection(side, pcx) for side in (vpc, peer)]


def test_a_migration_that_is_rolled_back(lab: Installed, terraformed: tuple[Vpc, Vpc, str]) -> None:
    """Another resource of the stack fails: the peering is as it was, and no route was cut on the way."""
    vpc, peer, pcx = terraformed
    before = [lab.connection(side, pcx) for side in (vpc, peer)]
    stack: Stack = lab.stack()

    with never_cut(lab, vpc, peer) as calls:
        failed = stack.deploy(lab.properties(vpc, peer, OnExistingConnection="Adopt"), last={"PeerVpcId": "vpc-0"})

    assert failed == "ROLLBACK_COMPLETE"
    operations = {call.operation for call in calls}
    assert operations >= {"CreateTags", "DeleteTags"}, "it was never adopted"
    assert DELETE not in operations
    assert before == [lab.connection(side, pcx) for side in (vpc, peer)]
