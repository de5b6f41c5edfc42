"""What the person at night reads: cause, subject and remedy, and a world that is as it was."""

from collections.abc import Callable
from typing import Any

import pytest

from local.strict import Fault
from local.world import Vpc
from tests.harness import TOPOLOGIES, World, internet_gateway, operations, writes

Properties = dict[str, Any]


def _refused(world: World, properties: Properties, limit: int = 240) -> str:
    """Create with these properties, and return the reason of the failure."""
    response = world.stack().create(properties)
    assert "FAILED" == response["Status"]
    assert len(response["Reason"]) <= limit
    assert "Data" not in response
    return str(response["Reason"])


topologies = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


REFUSALS: dict[str, tuple[Callable[[World, Vpc, Vpc], Properties], tuple[str, ...]]] = {
    "the accepter's role does not exist": (
        lambda world, vpc, peer: world.properties(vpc, peer, PeerRoleArn=f"arn:aws:iam::{peer.account}:role/missing"),
        (
            "AccessDenied: PeerRoleArn arn:aws:iam::222222222222:role/missing cannot be assumed",
            " by arn:aws:iam::111111111111:",
        ),
    ),
    "the external id is wrong": (
        lambda world, vpc, peer: world.properties(vpc, peer, PeerExternalId="not-the-one"),
        ("AccessDenied: PeerRoleArn ", "PeerExternalId and OrganizationId must match."),
    ),
    "the accepter's VPC is not there": (
        lambda world, vpc, peer: world.properties(vpc, peer, PeerVpcId="vpc-0123456789abcdef0"),
        ("NotFound: PeerVpcId vpc-0123456789abcdef0 is not in eu-west-1 of account 222222222222.", "Check PeerVpcId, "),
    ),
    "the requester's VPC is not there": (
        lambda world, vpc, peer: world.properties(vpc, peer, VpcId="vpc-0123456789abcdef0"),
        ("NotFound: VpcId vpc-0123456789abcdef0 is not in us-east-1 of account 111111111111.",),
    ),
    "the Region is wrong": (
        lambda world, vpc, peer: world.properties(vpc, peer, PeerRegion="eu-west-2"),
        ("NotFound: PeerVpcId ", "is not in eu-west-2 of account 222222222222. Check PeerVpcId, PeerRegion"),
    ),
    "a table of another VPC": (
        lambda world, vpc, peer: world.properties(vpc, peer, Routes={"RouteTableIds": [peer.route_table_ids[0]]}),
        ("NotFound: Routes.RouteTableIds: rtb-", " is not a table of vpc-", " Give a route table of vpc-"),
    ),
    "a destination inside the own VPC": (
        lambda world, vpc, peer: world.properties(
            vpc, peer, PeerRoutes={"MainRouteTable": "true", "DestinationCidrBlocks": ["10.8.4.0/24"]}
        ),
        ("InvalidRequest: PeerRoutes: destination 10.8.4.0/24 lies inside 10.8.0.0/16 of vpc-",),
    ),
    "a hole in a destination": (
        lambda world, vpc, peer: world.properties(
            vpc, peer, Routes={"AllRouteTables": "true", "ExcludeCidrBlocks": ["10.8.4.0/24"]}
        ),
        ("InvalidRequest: Routes.ExcludeCidrBlocks: 10.8.4.0/24 is a part of destination 10.8.0.0/16",),
    ),
}


@pytest.mark.parametrize(("change", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(
    world: World,
    pair: tuple[Vpc, Vpc],
    change: Callable[[World, Vpc, Vpc], Properties],
    expected: tuple[str, ...],
) -> None:
    """Each refusal says what and where, comes before the first write, and its Delete succeeds."""
    stack, properties = world.stack(), change(world, *pair)

    with world.counted() as calls:
        reason = _refused(world, properties)

    assert [] == [part for part in expected if part not in reason], reason
    assert [] == writes(calls)
    stack.current = properties
    assert "SUCCESS" == stack.delete("vpc-peering-0123456789abcdef0")["Status"]


def test_what_one_table_refuses_keeps_no_other_route(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A policy denies one of the accepter's tables: what can be taken off is, and what cannot is named."""
    monkeypatch.setattr("handler.parallel.WORKERS", 1)
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16", tables=4)
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    world.aws.faults.append(Fault("DeleteRoute", code="UnauthorizedOperation", status=403, account=peer.account))

    assert "SUCCESS" == stack.delete()["Status"]

    (left,) = [table for table, found in world.routes(peer).items() if found == {"10.0.0.0/16": pcx}]
    (told,) = [record.__dict__["change"] for record in caplog.records if "refused a change" in record.getMessage()]
    assert f"accepter: delete route 10.0.0.0/16 in {left}" == told


@pytest.mark.parametrize(("cidr", "secondary"), [("10.0.0.0/17", []), ("10.8.0.0/16", ["10.1.5.0/24"])])
def test_overlap_is_refused_before_the_request(world: World, cidr: str, secondary: list[str]) -> None:
    """EC2 would make a connection that is failed at once and cannot be deleted: both blocks are named instead."""
    vpc = world.vpc("hub", "10.0.0.0/16", secondary=["10.1.0.0/16"])
    peer = world.peer_vpc("spoke", cidr, secondary=secondary)

    with world.counted() as calls:
        reason = _refused(world, world.properties(vpc, peer))

    assert f"overlaps {secondary[0] if secondary else cidr} of {peer.id}" in reason
    assert [] == writes(calls)


def test_overlap_found_by_ec2(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Where only EC2 can tell, its `failed` connection becomes a reason, and needs no deletion."""
    vpc, _ = pair
    overlapping = world.peer_vpc("overlapping", "10.0.128.0/17")
    unseen = {"AutoAccept": "false", "PeerRoleArn": None, "PeerExternalId": None, "PeerRoutes": None}
    stack = world.stack()

    created = stack.create(world.properties(vpc, overlapping, **unseen))

    assert created["Reason"].startswith("InvalidRequest: pcx-")
    assert "became failed: " in created["Reason"]
    assert created["Reason"].endswith("Check for overlapping CIDR blocks, PeerVpcId, PeerOwnerId and PeerRegion.")
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(vpc)


def test_route_conflict(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A route that another target owns is named with its table, destination and present target, and stays."""
    vpc, peer = pair
    table = vpc.route_table_ids[1]
    gateway = internet_gateway(world, vpc)
    world.ec2(vpc).create_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway)

    with world.counted() as calls:
        reason = _refused(world, world.properties(vpc, peer))

    assert f"ResourceConflict: {table} routes 10.8.0.0/16 to {gateway} already." in reason
    assert "set Routes.OnConflict to Skip or Replace." in reason
    assert [] == writes(calls)
    assert {"10.8.0.0/16": gateway} == world.routes(vpc)[table]


def test_route_conflict_skipped(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Skip leaves the other target's route, makes the rest, and counts only ours."""
    vpc, peer = pair
    table, gateway = vpc.route_table_ids[1], internet_gateway(world, vpc)
    world.ec2(vpc).create_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway)
    stack = world.stack()

    created = stack.create(world.properties(vpc, peer, Routes={"AllRouteTables": "true", "OnConflict": "Skip"}))

    assert "1" == created["Data"]["RouteCount"]
    stack.delete()
    assert [{}, {"10.8.0.0/16": gateway}] == [world.routes(vpc)[t] for t in vpc.route_table_ids]


@topologies
@pytest.mark.parametrize("side", [0, 1], ids=["requester", "accepter"])
def test_route_conflict_replaced_and_put_back(world: World, pair: tuple[Vpc, Vpc], side: int) -> None:
    """Replace takes the route over in one step, and Delete gives it back to the target that had it, on either side."""
    end, destination = pair[side], ("10.8.0.0/16", "10.0.0.0/16")[side]
    table, gateway = end.route_table_ids[1], internet_gateway(world, end)
    world.ec2(end).create_route(RouteTableId=table, DestinationCidrBlock=destination, GatewayId=gateway)
    stack = world.stack()
    rule = {("Routes", "PeerRoutes")[side]: {"AllRouteTables": "true", "OnConflict": "Replace"}}

    created = stack.create(world.properties(*pair, **rule))

    assert {destination: created["PhysicalResourceId"]} == world.routes(end)[table]
    stack.delete()
    assert [{}, {destination: gateway}] == [world.routes(end)[t] for t in end.route_table_ids]


@pytest.mark.parametrize("code", ["Gateway.NotAttached", "NatGatewayNotFound", "InvalidParameterValue"])
def test_a_former_target_that_cannot_take_its_route_back(world: World, pair: tuple[Vpc, Vpc], code: str) -> None:
    """What had the route is detached or gone: the route goes, and the Delete does not fail for it."""
    vpc, peer = pair
    table, gateway = vpc.route_table_ids[1], internet_gateway(world, vpc)
    world.ec2(vpc).create_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway)
    stack = world.stack()
    stack.create(world.properties(vpc, peer, Routes={"AllRouteTables": "true", "OnConflict": "Replace"}))
    world.aws.faults.append(Fault("ReplaceRoute", code=code, status=400))

    assert "SUCCESS" == stack.delete()["Status"]
    assert [{}, {}] == list(world.routes(vpc).values())


def test_a_bad_rule_of_a_request_left_pending(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A table that does not exist is refused at once, not weeks later when the other party accepts."""
    rule = {"RouteTableIds": ["rtb-0123456789abcdef0"]}

    with world.counted() as calls:
        reason = _refused(world, world.properties(*pair, AutoAccept="false", Routes=rule))

    assert reason.startswith("NotFound: Routes.RouteTableIds: rtb-0123456789abcdef0 is not a table of vpc-")
    assert [] == writes(calls)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_pair_that_somebody_peered_already(world: World, pair: tuple[Vpc, Vpc], reverse: bool) -> None:
    """In either direction the existing connection is named, and is neither taken over nor touched."""
    requester, accepter = reversed(pair) if reverse else pair
    theirs = world.ec2(requester).create_vpc_peering_connection(
        VpcId=requester.id, PeerVpcId=accepter.id, PeerOwnerId=accepter.account, PeerRegion=accepter.region
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    world.ec2(accepter).accept_vpc_peering_connection(VpcPeeringConnectionId=theirs)
    before = world.connection(pair[0], theirs)
    stack = world.stack()

    with world.counted() as calls:
        created = stack.create(world.properties(*pair))

    assert f"AlreadyExists: {theirs} (active) already joins {requester.id} to {accepter.id}" in created["Reason"]
    assert [] == writes(calls)
    assert "SUCCESS" == stack.delete()["Status"]
    assert before == world.connection(pair[0], theirs)


def test_another_stacks_connection_is_not_deleted(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A Delete that names a connection of another stack is refused: ownership is proven by tags, never by an id."""
    theirs = world.stack("theirs")
    pcx = theirs.create(world.properties(*pair))["PhysicalResourceId"]

    response = world.stack("ours").delete(pcx, world.properties(*pair))

    assert "FAILED" == response["Status"]
    assert (
        f"ResourceConflict: {pcx} carries no owner tags of this resource (owner tags: stack-id arn:"
        in response["Reason"]
    )
    assert [pcx] == world.live(pair[0])


def test_a_reverse_peering_that_appears_meanwhile(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Accepting our request then fails with VpcPeeringConnectionAlreadyExists; the Delete withdraws it."""
    stack = world.stack()
    world.aws.faults.append(
        Fault("AcceptVpcPeeringConnection", code="VpcPeeringConnectionAlreadyExists", message="pcx-0abc", status=400)
    )

    created = stack.create(world.properties(*pair))

    assert created["Reason"].startswith("AlreadyExists: the two VPCs are peered already: pcx-0abc.")
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(pair[0])


def test_dns_hostnames_off(world: World) -> None:
    """EC2 refuses the option where a VPC has DNS hostnames off: the reason says what to turn on."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16", dns=False)

    asked = {"PeerAllowDnsResolutionFromRemoteVpc": "true", "Preflight": "Off"}
    reason = _refused(world, world.properties(vpc, peer, **asked))

    assert reason.startswith("InvalidRequest: a VPC of the pair has DNS hostnames or DNS support off")
    assert "enableDnsHostnames" in reason


def test_route_quota(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A full table: the reason says which call met which limit, and Delete takes away what had been made."""
    world.aws.settings.routes_per_table = 0
    stack = world.stack()

    created = stack.create(world.properties(*pair))

    assert created["Reason"].startswith("ServiceLimitExceeded: a quota is used up: ")
    assert "RouteLimitExceeded" in created["Reason"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(pair[0])


def test_peering_quota(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Too many peerings of a VPC: EC2's own code, and where to ask for more."""
    world.aws.settings.outstanding_requests_per_vpc = 0

    reason = _refused(world, world.properties(*pair))

    assert reason.startswith("ServiceLimitExceeded: a quota is used up: ")
    assert reason.endswith("Ask for more in Service Quotas, or remove some.")


@pytest.mark.parametrize(
    ("operation", "region"),
    [("DescribeVpcs", "us-east-1"), ("AcceptVpcPeeringConnection", "eu-west-1"), ("CreateRoute", "eu-west-1")],
)
def test_missing_permission(world: World, pair: tuple[Vpc, Vpc], operation: str, region: str) -> None:
    """The reason names the action, the Region and the account; where a role was assumed, that role."""
    message = "You are not authorized to perform this operation."
    world.aws.faults.append(Fault(operation, code="UnauthorizedOperation", message=message, status=403, region=region))

    reason = _refused(world, world.properties(*pair))

    assert reason.startswith("AccessDenied: ")
    assert f"may not ec2:{operation} in {region} of account " in reason


def test_every_property_error_is_reported_at_once_before_any_call(world: World) -> None:
    """A person corrects a template once, not error by error; AWS is not asked before it can be right."""
    with world.counted() as calls:
        wrong = {"VpcId": "vpc-1", "PeerVpcid": "x", "AutoAccept": "yes", "ServiceToken": "t"}
        reason = _refused(world, wrong, limit=1000)

    assert [] == operations(calls)
    for part in (
        "VpcId 'vpc-1' is not",
        "did you mean PeerVpcId?",
        "AutoAccept 'yes' is not a boolean",
        "PeerVpcId is",
    ):
        assert part in reason
