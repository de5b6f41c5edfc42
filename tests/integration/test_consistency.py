"""EC2 is slow, forgetful and sometimes mute: the waits, the retries and the deadline."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from handler.calls import VISIBLE_WITHIN
from handler.ec2 import Ec2
from handler.lifecycle import ROLE_SHOWS_WITHIN
from handler.model import Connection
from local.strict import Fault, Settings
from tests.harness import World, operations

SLOW = {
    "the request takes a while": Settings(initiating_reads=3),
    "provisioning takes a while": Settings(provisioning_reads=4),
    "the requester does not find it at first": Settings(hidden_reads_requester=3),
    "the accepter does not find it at first": Settings(hidden_reads_accepter=3),
    "Accept does not find it though Describe did": Settings(hidden_writes_accepter=4),
    "writes do not find it on either side": Settings(hidden_writes_requester=5, hidden_writes_accepter=5),
    "options show late": Settings(options_reads=3),
    "the CIDR blocks show late": Settings(cidr_reads=3),
    "the tags show late": Settings(tags_reads=12),
    "everything at once": Settings(2, 2, 2, 2, 2, 2, 2, 2, 2, 2),
}


@pytest.mark.parametrize("settings", SLOW.values(), ids=SLOW)
def test_create_and_delete_wait_for_ec2(world: World, settings: Settings) -> None:
    """Each delay that EC2 is known for is waited for, whatever order it comes in."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    vars(world.aws.settings).update(vars(settings))
    stack = world.stack()

    created = stack.create(world.properties(vpc, peer, AllowDnsResolutionFromRemoteVpc="true"))

    assert ("SUCCESS", "active") == (created["Status"], created["Data"]["Status"])
    pcx = created["PhysicalResourceId"]
    assert {"10.8.0.0/16": pcx} == world.routes(vpc)[vpc.route_table_ids[0]]
    assert {"10.0.0.0/16": pcx} == world.routes(peer)[peer.route_table_ids[0]]
    assert world.time.now() < 60
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(vpc)


def test_the_fast_path_never_sleeps(world: World) -> None:
    """Where EC2 is ready at once, nothing waits: there is no sleep that is not a wait for EC2."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    properties = world.properties(vpc, peer, AllowDnsResolutionFromRemoteVpc="true")

    stack.create(properties)
    stack.update(properties)
    stack.delete()

    assert [] == world.time.slept


def test_create_right_after_delete_gets_the_dying_id(world: World) -> None:
    """EC2 may hand out the id that is being deleted (hashicorp/terraform #4781): wait, and ask again."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    first = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    world.aws.settings.dying_creates = 2
    world.aws.settings.deleting_reads = 3
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=first)

    created = world.stack("another").create(world.properties(vpc, peer))

    assert "SUCCESS" == created["Status"], created
    assert first != created["PhysicalResourceId"]


FAULTS = [
    Fault(operation, effect, code=code, status=status)
    for operation in (
        "AssumeRole",
        "DescribeVpcs",
        "DescribeRouteTables",
        "DescribeVpcPeeringConnections",
        "CreateVpcPeeringConnection",
        "AcceptVpcPeeringConnection",
        "ModifyVpcPeeringConnectionOptions",
        "CreateTags",
        "CreateRoute",
    )
    for effect, code, status in (
        ("error", "RequestLimitExceeded", 503),
        ("error", "InternalError", 500),
        ("lost", "", 0),
        ("malformed", "", 200),
    )
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.operation}-{f.effect}-{f.code}")
def test_a_create_survives_a_passing_fault(world: World, fault: Fault) -> None:
    """Throttled, failed, done but the reply lost, or a reply that nobody can read: the same result, once."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    world.aws.faults.append(replace(fault))

    created = world.stack().create(world.properties(vpc, peer, AllowDnsResolutionFromRemoteVpc="true"))

    assert [] == world.aws.faults
    assert "SUCCESS" == created["Status"], created
    pcx = created["PhysicalResourceId"]
    assert [pcx] == world.live(vpc)
    assert [{"10.8.0.0/16": pcx}] * 2 == list(world.routes(vpc).values())
    assert [{"10.0.0.0/16": pcx}] * 2 == list(world.routes(peer).values())


@pytest.mark.parametrize("effect", ["error", "lost", "malformed"])
@pytest.mark.parametrize("operation", ["DeleteRoute", "DeleteVpcPeeringConnection", "DescribeRouteTables"])
def test_a_delete_survives_a_passing_fault(world: World, operation: str, effect: str) -> None:
    """A delete whose reply was lost says NotFound when repeated: that is success."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    stack.create(world.properties(vpc, peer))
    world.aws.faults.append(Fault(operation, effect))

    assert "SUCCESS" == stack.delete()["Status"]

    assert [] == world.live(vpc)
    assert [{}, {}] == list(world.routes(vpc).values())


def test_a_route_that_vanished_before_it_was_replaced_is_made_anew(world: World) -> None:
    """ReplaceRoute on a route that somebody removed meanwhile answers InvalidParameterValue: then it is created."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16", tables=1), world.peer_vpc("spoke", "10.8.0.0/16", tables=1)
    stack = world.stack()
    properties = world.properties(vpc, peer)
    old = stack.create(properties)["PhysicalResourceId"]
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=old)
    message = "There is no route defined for '10.8.0.0/16' in the route table."
    world.aws.faults.append(
        Fault("ReplaceRoute", code="InvalidParameterValue", message=message, status=400, account=vpc.account)
    )

    with world.counted() as calls:
        stack.update(properties)

    ours = [call.operation for call in calls if call.account == vpc.account]
    assert ["ReplaceRoute", "CreateRoute"] == [operation for operation in ours if operation.endswith("eRoute")]


def test_the_answer_leaves_before_the_time_out(world: World) -> None:
    """EC2 does not finish in time: the answer says what was not stable, and the next update goes on from there."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    stack.seconds = 120
    world.aws.settings.provisioning_reads = 40

    created = stack.create(world.properties(vpc, peer))

    assert "FAILED" == created["Status"]
    assert created["Reason"].startswith("NotStabilized: ")
    assert "was provisioning in " in created["Reason"]
    assert 105 >= world.time.now() > 60
    assert created["PhysicalResourceId"].startswith("pcx-")
    assert "SUCCESS" == stack.create(world.properties(vpc, peer))["Status"]


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [("RequestLimitExceeded", 503, "Throttling: "), ("InternalError", 500, "InternalFailure: ")],
)
def test_a_fault_that_does_not_pass_ends_at_the_deadline(world: World, code: str, status: int, expected: str) -> None:
    """Repeating has an end: the reason says what EC2 kept answering, and nothing is left half done unnoticed."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    world.aws.faults.extend(Fault("AcceptVpcPeeringConnection", code=code, status=status) for _ in range(2000))

    created = world.stack().create(world.properties(vpc, peer))

    assert created["Reason"].startswith(expected)
    assert world.time.now() <= 885
    assert operations(world.aws.calls).count("AcceptVpcPeeringConnection") < 1200


def test_a_delete_that_is_not_found_at_first(world: World) -> None:
    """NotFound of what Describe shows is EC2's eventual consistency, not an end: the Delete is repeated."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    stack.create(world.properties(vpc, peer))
    world.aws.faults.append(
        Fault("DeleteVpcPeeringConnection", code="InvalidVpcPeeringConnectionID.NotFound", status=400)
    )

    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(vpc)
    assert world.time.now() < 5


def test_a_connection_that_appears_meanwhile_is_not_taken_for_ours(world: World) -> None:
    """Create silently returns a connection that somebody made since we looked (terraform-provider-aws #27750)."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    world.aws.settings.hidden_reads_requester = 1
    theirs = world.ec2(vpc).create_vpc_peering_connection(
        VpcId=vpc.id, PeerVpcId=peer.id, PeerOwnerId=peer.account, PeerRegion=peer.region
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]

    created = world.stack().create(world.properties(vpc, peer))

    assert "FAILED" == created["Status"]
    assert not created["PhysicalResourceId"].startswith("pcx-")
    assert "pending-acceptance" == world.status(vpc, theirs)
    assert {} == world.tags(vpc, theirs)


def test_a_connection_whose_tags_never_show(world: World) -> None:
    """The answer to the request has told that it is ours: it is named, and found by its id when they show at last."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    world.aws.settings.tags_reads = 10_000
    stack = world.stack()

    created = stack.create(world.properties(vpc, peer))

    pcx = created["PhysicalResourceId"]
    assert [pcx] == world.live(vpc)
    assert created["Reason"].startswith(f"NotStabilized: {pcx} did not show its owner tags yet.")
    assert VISIBLE_WITHIN <= world.time.now() < VISIBLE_WITHIN + 10
    connection = world.aws.connection(pcx)
    connection.tagged.change(True, via=False, places=connection.places, reads=3)
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(vpc)


def test_a_replacement_that_shows_too_late_is_taken_back(world: World) -> None:
    """The answer to the request names it: the undo waits for it, where EC2 hides it until the time is over."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    other = world.peer_vpc("other", "10.12.0.0/16")
    stack = world.stack()
    old = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    stack.seconds = 120
    world.aws.settings.hidden_reads_requester = 32

    updated = stack.update(world.properties(vpc, other))

    assert ("FAILED", old) == (updated["Status"], updated["PhysicalResourceId"])
    assert [old] == world.live(vpc)


@pytest.mark.parametrize("theirs", [True, False])
def test_a_connection_that_ec2_returns_is_not_identified(world: World, *, theirs: bool) -> None:
    """Whatever tags the answer has: one that is no new request, or has not our tags, is not ours for being returned."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    tags = [] if theirs else [{"Key": key, "Value": "x"} for key in ("vpc-peering:stack-id", "vpc-peering:logical-id")]
    specification = [{"ResourceType": "vpc-peering-connection", "Tags": tags}]
    world.aws.settings.hidden_reads_requester = 1
    pcx = world.peer(vpc, peer, accept=False, TagSpecifications=specification)

    created = stack.create(world.properties(vpc, peer, Preflight="Off"))

    assert created["Reason"].startswith(f"AlreadyExists: {pcx}, which does not show this resource's owner tags")
    assert not created["PhysicalResourceId"].startswith("pcx-")
    assert "SUCCESS" == stack.delete()["Status"]
    assert "pending-acceptance" == world.status(vpc, pcx)


def test_a_role_that_was_made_just_now(world: World) -> None:
    """The same stack has made it, and STS does not know it yet: on the way forward it is tried again."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    unknown = Fault("AssumeRole", code="AccessDenied", status=403)
    stack = world.stack()
    world.aws.faults.extend(replace(unknown) for _ in range(4))
    assert "SUCCESS" == stack.create(world.properties(vpc, peer))["Status"]
    world.aws.faults.extend(replace(unknown) for _ in range(4))

    assert "SUCCESS" == stack.update(world.properties(vpc, peer, Tags=[{"Key": "team", "Value": "net"}]))["Status"]

    assert 0 < world.time.now() < 2 * ROLE_SHOWS_WITHIN


def test_a_role_that_cannot_be_assumed(world: World) -> None:
    """It is told soon; and on the way back nothing waits for it."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    role = f"arn:aws:iam::{peer.account}:role/missing"
    assert "cannot be assumed" in stack.create(world.properties(vpc, peer, PeerRoleArn=role))["Reason"]
    failed = world.time.now()

    assert "SUCCESS" == stack.delete()["Status"]

    assert ROLE_SHOWS_WITHIN - 5 <= failed <= ROLE_SHOWS_WITHIN
    assert failed == world.time.now()


@pytest.mark.parametrize("code", ["InvalidVpcID.NotFound", "VpcPeeringConnectionsPerVpcLimitExceeded"])
def test_a_request_that_ec2_refuses_is_rolled_back_at_once(world: World, code: str) -> None:
    """Nothing comes of it: a Delete that looked for a minute would keep the whole rollback waiting."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    world.aws.faults.append(Fault("CreateVpcPeeringConnection", code=code, status=400))
    assert "FAILED" == stack.create(world.properties(vpc, peer))["Status"]
    began = world.time.now()

    with world.counted() as calls:
        assert "SUCCESS" == stack.delete()["Status"]

    assert (began, True) == (world.time.now(), len(calls) <= 10)


def test_a_side_that_does_not_show_the_connection_for_a_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is planned without its tags would leave the stale ones, and wait for minutes until they go by themselves."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack, tags = world.stack(), [{"Key": "Team", "Value": "network"}]
    stack.create(world.properties(vpc, peer, Tags=tags))
    read, blind = Ec2.connections_between, [peer.region]

    def late(ec2: Ec2, vpc_ids: Collection[str]) -> tuple[Connection, ...]:
        found = read(ec2, vpc_ids)
        if blind and ec2._place.region == blind[0]:  # noqa: SLF001  # which side it is
            blind.pop()
            return ()
        return found

    monkeypatch.setattr(Ec2, "connections_between", late)

    with world.counted() as calls:
        assert "SUCCESS" == stack.update(world.properties(vpc, peer, Tags=[]))["Status"]

    assert [] == blind
    assert "Team" not in {*world.tags(vpc, stack.physical_id), *world.tags(peer, stack.physical_id)}
    assert len(calls) <= 20
