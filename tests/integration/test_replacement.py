"""A replacement, what CloudFormation does after it, and what it does when it fails."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from handler.ec2 import Ec2
from local.strict import Fault
from local.world import Vpc
from tests.harness import TOPOLOGIES, Context, Stack, World, operations, writes

everywhere = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)
AGGREGATE = "10.8.0.0/14"
"""A destination that covers the old and the new peer: its routes must move from one connection to the other."""


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Peered:
    """A stack whose connection is about to be replaced, and the properties before and after."""

    world: World
    stack: Stack
    vpc: Vpc
    peer: Vpc
    new_peer: Vpc
    old: dict[str, Any]
    new: dict[str, Any]
    old_id: str

    @property
    def table(self) -> dict[str, str]:
        """The routes of the requester's main table."""
        return self.world.routes(self.vpc)[self.vpc.route_table_ids[0]]

    def assert_as_before(self) -> None:
        """Check that the old connection lives, with all its routes, and that nothing of the new one is left."""
        assert [self.old_id] == self.world.live(self.vpc)
        assert {AGGREGATE: self.old_id} == self.table
        assert {"10.0.0.0/16": self.old_id} == self.world.routes(self.peer)[self.peer.route_table_ids[0]]
        assert {} == self.world.routes(self.new_peer)[self.new_peer.route_table_ids[0]]


@pytest.fixture
def peered(world: World) -> Peered:
    """Create the old connection."""
    vpc = world.vpc("hub", "10.0.0.0/16", tables=1)
    peer, new_peer = world.peer_vpc("blue", "10.8.0.0/16", tables=1), world.peer_vpc("green", "10.9.0.0/16", tables=1)
    routes = {"AllRouteTables": "true", "DestinationCidrBlocks": [AGGREGATE]}
    old, new = world.properties(vpc, peer, Routes=routes), world.properties(vpc, new_peer, Routes=routes)
    stack = world.stack()
    return Peered(world, stack, vpc, peer, new_peer, old, new, stack.create(old)["PhysicalResourceId"])


@everywhere
def test_replacement_moves_the_routes_without_a_gap(peered: Peered) -> None:
    """Make before break: the new connection takes the routes over by ReplaceRoute, and the clean-up takes the rest."""
    with peered.world.counted() as calls:
        response = peered.stack.update(peered.new)
    new_id = response["PhysicalResourceId"]

    assert "SUCCESS" == response["Status"]
    assert {peered.old_id, new_id} == set(peered.world.live(peered.vpc))
    assert {AGGREGATE: new_id} == peered.table
    assert ["CreateRoute", "ReplaceRoute"] == sorted(op for op in writes(calls) if "Route" in op)

    assert "SUCCESS" == peered.stack.delete(peered.old_id, peered.old)["Status"]
    assert [new_id] == peered.world.live(peered.vpc)
    assert {AGGREGATE: new_id} == peered.table
    assert {} == peered.world.routes(peered.peer)[peered.peer.route_table_ids[0]]


@everywhere
@pytest.mark.parametrize("sandbox", ["same", "another"])
def test_rollback_as_a_delete_of_the_new_id(peered: Peered, sandbox: str) -> None:
    """Another resource failed after ours was replaced: the Delete of the new id puts the routes back.

    It may reach another sandbox of the function, which knows of the replacement by the connection's tag alone.
    """
    peered.stack.update(peered.new)
    if sandbox == "another":
        peered.stack.resource = peered.world.resource()

    with peered.world.counted() as calls:
        assert "SUCCESS" == peered.stack.delete()["Status"]

    assert 1 == operations(calls).count("ReplaceRoute")
    peered.assert_as_before()


@everywhere
def test_rollback_as_an_update_to_the_old_properties(peered: Peered) -> None:
    """The Update back finds the old connection and returns its id; then CloudFormation deletes the new one."""
    new_id = peered.stack.update(peered.new)["PhysicalResourceId"]

    with peered.world.counted() as calls:
        response = peered.stack.update(peered.old)

    assert ("SUCCESS", peered.old_id) == (response["Status"], response["PhysicalResourceId"])
    assert ["ReplaceRoute"] == writes(calls)
    assert "SUCCESS" == peered.stack.delete(new_id, peered.new)["Status"]
    peered.assert_as_before()


@pytest.mark.parametrize(
    "operation",
    ["AcceptVpcPeeringConnection", "CreateTags", "ReplaceRoute", "CreateRoute", "ModifyVpcPeeringConnectionOptions"],
)
def test_a_replacement_that_fails_half_way_is_taken_back(peered: Peered, operation: str) -> None:
    """Whatever fails after the new connection was made: it goes, the routes return, and the old id stands."""
    peered.world.aws.faults.append(Fault(operation, code="UnauthorizedOperation", status=403))

    response = peered.stack.update({**peered.new, "AllowDnsResolutionFromRemoteVpc": "true"})

    assert ("FAILED", peered.old_id) == (response["Status"], response["PhysicalResourceId"])
    assert response["Reason"].startswith("AccessDenied: ")
    peered.assert_as_before()
    assert "SUCCESS" == peered.stack.update(peered.old)["Status"]
    peered.assert_as_before()


@pytest.mark.parametrize("sandbox", ["same", "another"])
def test_what_could_not_be_taken_back_goes_with_the_rollback(peered: Peered, sandbox: str) -> None:
    """The replacement fails, and so does its taking back: the rollback's Update finds the remnant by its tag."""
    denied = Fault("ModifyVpcPeeringConnectionOptions", code="UnauthorizedOperation", status=403)
    back = Fault("DeleteVpcPeeringConnection", code="UnauthorizedOperation", status=403)
    peered.world.aws.faults.extend([denied, back])
    changed = {**peered.new, "AllowDnsResolutionFromRemoteVpc": "true"}
    failed = peered.stack.update(changed)
    assert ("FAILED", peered.old_id) == (failed["Status"], failed["PhysicalResourceId"])
    assert 2 == len(peered.world.live(peered.vpc))
    if sandbox == "another":
        peered.stack.resource = peered.world.resource()

    rolled_back = peered.stack.send(
        "Update", peered.old, PhysicalResourceId=peered.old_id, OldResourceProperties=changed
    )

    assert ("SUCCESS", peered.old_id) == (rolled_back["Status"], rolled_back["PhysicalResourceId"])
    peered.assert_as_before()


def test_a_replacement_does_not_need_the_role_of_the_old_side(peered: Peered) -> None:
    """The old role may be gone, which can be the very reason of the update."""
    gone = {**peered.old, "RoleArn": "arn:aws:iam::111111111111:role/gone"}

    response = peered.stack.send("Update", peered.new, PhysicalResourceId=peered.old_id, OldResourceProperties=gone)

    assert "SUCCESS" == response["Status"]


def test_a_replacement_that_is_refused_changes_nothing(peered: Peered) -> None:
    """A refusal comes before the first write, and names the old id."""
    blocked = peered.world.peer_vpc("overlapping", "10.0.128.0/17")

    with peered.world.counted() as calls:
        response = peered.stack.update({**peered.new, "PeerVpcId": blocked.id})

    assert ("FAILED", peered.old_id) == (response["Status"], response["PhysicalResourceId"])
    assert [] == writes(calls)
    peered.assert_as_before()


def test_a_failed_update_is_followed_by_the_update_back(peered: Peered) -> None:
    """The rollback of an update in place comes with old and new properties swapped, and undoes what had been done."""
    table = peered.vpc.route_table_ids[0]
    changed = {**peered.old, "Routes": {"RouteTableIds": [table], "DestinationCidrBlocks": [AGGREGATE, "10.64.0.0/16"]}}
    peered.world.aws.faults.append(Fault("CreateTags", code="UnauthorizedOperation", status=403))
    failed = peered.stack.update({**changed, "Tags": [{"Key": "team", "Value": "net"}]})
    assert ("FAILED", peered.old_id) == (failed["Status"], failed["PhysicalResourceId"])

    back = peered.stack.send("Update", peered.old, PhysicalResourceId=peered.old_id, OldResourceProperties=changed)

    assert ("SUCCESS", peered.old_id) == (back["Status"], back["PhysicalResourceId"])
    peered.assert_as_before()


def test_swapping_the_sides_is_recognised(peered: Peered) -> None:
    """VpcId and PeerVpcId swapped is the same pair: the message says so instead of leaving two connections."""
    swapped = {
        **peered.old,
        "VpcId": peered.peer.id,
        "PeerVpcId": peered.vpc.id,
        "Region": peered.peer.region,
        "PeerRegion": peered.vpc.region,
        "PeerOwnerId": peered.vpc.account,
        "RoleArn": peered.old["PeerRoleArn"],
        "ExternalId": peered.old["PeerExternalId"],
        "PeerRoleArn": None,
        "PeerExternalId": None,
        "Routes": peered.old["PeerRoutes"],
    }

    response = peered.stack.update({key: value for key, value in swapped.items() if value is not None})

    assert ("FAILED", peered.old_id) == (response["Status"], response["PhysicalResourceId"])
    assert "VpcId and PeerVpcId are swapped" in response["Reason"]
    peered.assert_as_before()


def test_the_rollback_of_a_refused_swap(world: World) -> None:
    """CloudFormation sends the old properties again, with the swapped ones as the old: that is no second swap."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    good = dict(stack.current)
    swapped = {
        **world.properties(peer, vpc),
        "Region": peer.region,
        "PeerRegion": vpc.region,
        "PeerOwnerId": vpc.account,
    }
    assert "swapped" in stack.update(swapped)["Reason"]

    with world.counted() as calls:
        back = stack.send("Update", good, PhysicalResourceId=pcx, OldResourceProperties=swapped)

    assert ("SUCCESS", pcx) == (back["Status"], back["PhysicalResourceId"])
    assert [] == writes(calls)


def test_a_stray_request_of_the_other_party(world: World) -> None:
    """Anybody there can request the reverse of an active connection; it can never be accepted, and holds nothing up."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    world.peer(peer, vpc, accept=False)

    updated = stack.update(world.properties(vpc, peer, Tags=[{"Key": "team", "Value": "net"}]))

    assert ("SUCCESS", pcx) == (updated["Status"], updated["PhysicalResourceId"])
    assert "SUCCESS" == stack.delete()["Status"]


def test_what_does_not_show_yet_goes_with_the_rollback(peered: Peered, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process died after the request, which EC2 does not show when the rollback's Update comes."""
    stack = peered.stack

    def die(ec2: Ec2, *arguments: Any) -> None:  # noqa: ANN401  # the method's
        original(ec2, *arguments)
        raise Killed

    original = Ec2.create_connection
    event = stack.event("Update", peered.new, PhysicalResourceId=peered.old_id, OldResourceProperties=peered.old)
    peered.world.aws.settings.hidden_reads_requester = 3
    with monkeypatch.context() as patch:
        patch.setattr(Ec2, "create_connection", die)
        with pytest.raises(Killed):
            stack.resource(event, Context(peered.world.time.now, peered.world.time.now() + 900))
    stack.resource = peered.world.resource()

    back = stack.send("Update", peered.old, PhysicalResourceId=peered.old_id, OldResourceProperties=peered.new)

    assert ("SUCCESS", peered.old_id) == (back["Status"], back["PhysicalResourceId"])
    peered.assert_as_before()


@pytest.mark.parametrize(("requested", "expected"), [(True, 1.0), (False, 0.0)])
def test_remnant_that_the_role_cannot_look_for(
    peered: Peered, capsys: pytest.CaptureFixture[str], *, requested: bool, expected: float
) -> None:
    """The rollback must not fail for it; but where a connection was requested, the metric tells that it may live on."""
    fault = Fault("ModifyVpcPeeringConnectionOptions" if requested else "DescribeVpcs", code="AuthFailure", status=403)
    peered.world.aws.faults.append(fault)
    changed = {**peered.new, "AllowDnsResolutionFromRemoteVpc": "true"}
    assert "FAILED" == peered.stack.update(changed)["Status"]
    missing = {**changed, "RoleArn": f"arn:aws:iam::{peered.vpc.account}:role/missing"}
    capsys.readouterr()

    back = peered.stack.send("Update", peered.old, PhysicalResourceId=peered.old_id, OldResourceProperties=missing)

    assert ("SUCCESS", peered.old_id) == (back["Status"], back["PhysicalResourceId"])
    assert [expected] == json.loads(capsys.readouterr().out)["AccepterLeftBehind"]
