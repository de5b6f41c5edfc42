"""What EC2 would refuse half way is found before the first write; and what costs extra is not switched on unasked."""

from typing import Any

import pytest

from local.strict import Call, Fault
from local.world import Vpc, make_prefix_list
from tests.harness import TOPOLOGIES, Stack, World, internet_gateway, operations, writes

topologies = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)
between_regions = pytest.mark.parametrize(
    "world", [t for t in TOPOLOGIES if t.region != t.peer_region], indirect=True, ids=str
)
DNS = {"AllowDnsResolutionFromRemoteVpc": "true"}
MULTIPATH = "AllowMultipathResilience"


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


def refused(world: World, properties: dict[str, Any]) -> str:
    """Create, and return the reason why nothing at all was written."""
    with world.counted() as calls:
        response = world.stack().create(properties)
    assert "FAILED" == response["Status"]
    assert [] == writes(calls)
    return str(response["Reason"])


@topologies
def test_all_findings_in_one_message(world: World) -> None:
    """Whoever mends one thing must not meet the next one in the next deployment."""
    vpc = world.vpc("hub", "10.0.0.0/16", secondary=["10.8.4.0/22"], dns=False)
    peer = world.peer_vpc("spoke", "10.8.0.0/16")
    gateway = internet_gateway(world, vpc)
    world.ec2(vpc).create_route(
        RouteTableId=vpc.route_table_ids[0], DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway
    )
    rules = {
        "Routes": {"AllRouteTables": "true", "DestinationCidrBlocks": ["10.8.0.0/16"]},
        "PeerRoutes": {"RouteTableIds": [vpc.route_table_ids[1]]},
    }

    reason = refused(world, world.properties(vpc, peer, **rules, **DNS))

    assert reason.startswith("InvalidRequest: 4 findings: (1) CIDR block 10.8.4.0/22 of ")
    for told in (
        f"overlaps 10.8.0.0/16 of {peer.id}.",
        f"PeerRoutes.RouteTableIds: {vpc.route_table_ids[1]} is not a table of {peer.id}",
        f"{vpc.route_table_ids[0]} routes 10.8.0.0/16 to {gateway} already.",
        f"VpcId {vpc.id} has enableDnsHostnames off",
    ):
        assert told in reason
    assert len(reason) <= 1000


@topologies
def test_ipv6_overlap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of both families are compared, and both are named."""
    vpc = world.vpc("six", "10.4.0.0/16", ipv6=True)
    block = next(b for b in vpc.cidr_blocks if ":" in b)
    monkeypatch.setattr("moto.ec2.models.vpcs.random_ipv6_cidr", lambda: block)
    peer = world.peer_vpc("six", "10.12.0.0/16", ipv6=True)

    reason = refused(world, world.properties(vpc, peer))

    assert f"CIDR block {block} of {vpc.id} overlaps {block} of {peer.id}." in reason


@topologies
@pytest.mark.parametrize("side", ["", "Peer"])
def test_dns_attributes(world: World, side: str) -> None:
    """EC2 needs both in both VPCs, whichever side asks; only what is newly asked for is looked at."""
    vpc = world.vpc("hub", "10.0.0.0/16")
    peer = world.peer_vpc("spoke", "10.8.0.0/16", dns=False)
    asked = {f"{side}AllowDnsResolutionFromRemoteVpc": "true"}

    reason = refused(world, world.properties(vpc, peer, **asked))
    assert f"InvalidRequest: PeerVpcId {peer.id} has enableDnsHostnames off" in reason
    assert len(reason) <= 240

    world.ec2(peer).modify_vpc_attribute(VpcId=peer.id, EnableDnsHostnames={"Value": True})
    stack = world.stack()
    assert "SUCCESS" == stack.create(world.properties(vpc, peer, **asked))["Status"]
    with world.counted() as calls:
        stack.update(world.properties(vpc, peer, **asked, Tags=[{"Key": "a", "Value": "b"}]))
    assert "DescribeVpcAttribute" not in operations(calls)


@topologies
@pytest.mark.parametrize("side", ["", "Peer"])
def test_dns_attributes_of_a_vpc_that_is_not_there(world: World, pair: tuple[Vpc, Vpc], side: str) -> None:
    """Who mistypes an id is told which property to check, whatever else is asked for."""
    missing = {f"{side}VpcId": "vpc-0123456789abcdef0"}

    reason = refused(world, world.properties(*pair, **DNS, **missing))

    assert reason.startswith(f"NotFound: {side}VpcId vpc-0123456789abcdef0 is not in ")
    assert f" Check {side}VpcId, {side}Region and {side}RoleArn." in reason


def test_dns_attributes_of_what_is_left_pending(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """They are looked at before the request, and again once somebody has accepted it, before any route is made."""
    vpc, peer = pair
    hostnames = {"VpcId": vpc.id, "EnableDnsHostnames": {"Value": False}}
    world.ec2(vpc).modify_vpc_attribute(**hostnames)
    properties = alone(world, pair, WaitForAcceptance="false", **DNS)
    assert f"VpcId {vpc.id} has enableDnsHostnames off" in refused(world, properties)

    world.ec2(vpc).modify_vpc_attribute(**{**hostnames, "EnableDnsHostnames": {"Value": True}})
    stack = world.stack()
    pcx = stack.create(properties)["PhysicalResourceId"]
    world.ec2(vpc).modify_vpc_attribute(**hostnames)
    world.ec2(peer).accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    with world.counted() as calls:
        updated = stack.update({**properties, "Tags": [{"Key": "a", "Value": "b"}]})
    assert f"VpcId {vpc.id} has enableDnsHostnames off" in updated["Reason"]
    assert [] == writes(calls)

    world.ec2(vpc).modify_vpc_attribute(**{**hostnames, "EnableDnsHostnames": {"Value": True}})
    assert "active" == stack.update(properties)["Data"]["Status"]
    with world.counted() as calls:
        assert "SUCCESS" == stack.update({**properties, "Tags": [{"Key": "a", "Value": "b"}]})["Status"]
    assert "DescribeVpcAttribute" not in operations(calls)


def fill(world: World, vpc: Vpc, count: int) -> None:
    """Fill the main table with routes of somebody else."""
    gateway = internet_gateway(world, vpc)
    for n in range(count):
        world.ec2(vpc).create_route(
            RouteTableId=vpc.route_table_ids[0], DestinationCidrBlock=f"172.16.{n}.0/24", GatewayId=gateway
        )


@topologies
def test_route_quota(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The table, what it would hold, and the quota that this account has; a list counts with its maximum."""
    vpc, peer = pair
    fill(world, vpc, 50)
    world.aws.settings.routes_per_table = 60
    prefix_list = make_prefix_list(world.aws.url, vpc.account, vpc.region, "l", "10.8.0.0/24", max_entries=11)
    rule = {"MainRouteTable": "true", "DestinationPrefixListIds": [prefix_list]}

    reason = refused(world, world.properties(vpc, peer, Routes=rule))
    assert reason.startswith(
        f"ServiceLimitExceeded: {vpc.route_table_ids[0]} would have 61 IPv4 routes, and its quota is 60."
    )
    assert "SUCCESS" == world.stack().create(world.properties(vpc, peer))["Status"]


@pytest.mark.parametrize("world", [TOPOLOGIES[0], TOPOLOGIES[-1]], indirect=True, ids=str)
@pytest.mark.parametrize("applied", [True, False])
def test_peering_quota(world: World, *, applied: bool) -> None:
    """Of either VPC: the count, and the quota, raised by somebody or not."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16", tables=1)
    world.aws.settings.applied_quotas = applied
    world.aws.settings.active_peerings_per_vpc = 51
    for n in range(51):
        world.peer(peer, world.vpc(f"v{n}", f"172.16.{n}.0/24", tables=1, subnets=0))

    reason = refused(world, world.properties(vpc, peer))

    assert reason.startswith(f"ServiceLimitExceeded: {peer.id} has 51 active peerings, and its quota is 51.")


def test_quotas_that_may_not_be_read(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Then only EC2's own refusal tells, and what was made is taken back."""
    vpc, peer = pair
    fill(world, vpc, 50)
    world.aws.settings.routes_per_table = 50
    world.aws.faults.append(Fault("GetServiceQuota", code="AccessDeniedException", status=400))
    stack = world.stack()

    created = stack.create(world.properties(vpc, peer))

    assert "RouteLimitExceeded" in created["Reason"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(vpc)


def test_preflight_off(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """No read that only preflight needs: for roles without the permissions."""
    vpc, peer = pair
    fill(world, vpc, 50)

    with world.counted() as calls:
        created = world.stack().create(world.properties(vpc, peer, Preflight="Off", **DNS))

    assert "SUCCESS" == created["Status"]
    assert {"AssumeRole", "DescribeVpcs", "DescribeRouteTables", "DescribeVpcPeeringConnections"} == {
        call.operation for call in calls
    } - set(writes(calls))


# Multipath resilience


@between_regions
def test_multipath_resilience(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Each side consents for itself; what is absent is left alone, and false takes it back."""
    vpc, _ = pair
    stack = world.stack()

    def status() -> str:
        return str(world.connection(vpc, stack.physical_id or "")["MultipathResilienceStatus"])

    with world.counted() as calls:
        stack.create(world.properties(*pair, **{MULTIPATH: "true"}, **DNS))
    assert "pending" == status()
    assert [None] == [c.params.get("RequesterPeeringConnectionOptions") for c in calls if "CreateVpc" in c.operation]
    assert 1 == operations(calls).count("ModifyVpcPeeringConnectionOptions")
    stack.update(world.properties(*pair, **{MULTIPATH: "true", f"Peer{MULTIPATH}": "true"}))
    assert "enabled" == status()
    stack.update(world.properties(*pair))
    assert "enabled" == status()
    stack.update(world.properties(*pair, **{MULTIPATH: "false", f"Peer{MULTIPATH}": "false"}))
    assert "disabled" == status()


@pytest.mark.parametrize("world", [t for t in TOPOLOGIES if t.region == t.peer_region], indirect=True, ids=str)
def test_multipath_resilience_within_a_region(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """EC2 has it between Regions only: told before any call."""
    with world.counted() as calls:
        response = world.stack().create(world.properties(*pair, **{f"Peer{MULTIPATH}": "true"}))

    assert response["Reason"].startswith(f"InvalidRequest: Peer{MULTIPATH} works between two Regions")
    assert [] == calls


@between_regions
@pytest.mark.parametrize("mode", ["adopt", "one side"])
def test_accepting_does_not_consent_unasked(world: World, pair: tuple[Vpc, Vpc], mode: str) -> None:
    """A request that carries it would switch it on for whoever accepts, at extra cost."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer, accept=False, RequesterPeeringConnectionOptions={MULTIPATH: True})
    more: dict[str, Any] = {"OnExistingConnection": "Adopt"}
    if mode == "one side":
        more = {"VpcPeeringConnectionId": pcx, "Routes": None, "RoleArn": None, "ExternalId": None}
        more |= {"Region": vpc.region, "PeerRegion": peer.region, "PeerOwnerId": peer.account}

    reason = refused(world, world.properties(*pair, **more))
    assert f"InvalidRequest: {pcx} asks for multipath resilience" in reason
    assert "pending-acceptance" == world.status(vpc, pcx)

    asked = world.stack().create(world.properties(*pair, **more, **{f"Peer{MULTIPATH}": "true"}))
    assert ("SUCCESS", "active") == (asked["Status"], asked["Data"]["Status"])


# Waiting for the other party


def alone(world: World, pair: tuple[Vpc, Vpc], **more: object) -> dict[str, Any]:
    """Return properties of a request that somebody else is to accept."""
    nobody = {"PeerRoleArn": None, "PeerExternalId": None, "PeerRoutes": None}
    waits = {"AutoAccept": "false", "WaitForAcceptance": "true"}
    return world.properties(*pair, **{**nobody, **waits, **more})


def act_while_it_waits(world: World, peer: Vpc, verb: str, after: int = 8) -> None:
    """Let the other party accept or reject, some reads after the request."""
    seen: list[str] = []

    def watch(call: Call) -> None:
        seen.append(call.operation)
        if seen.count("DescribeVpcPeeringConnections") == after:
            world.aws.watchers.clear()
            getattr(world.aws, verb)(world.aws.newest(), (peer.account, peer.region))

    world.aws.watchers.append(watch)


@topologies
def test_the_other_party_accepts(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The stack goes on by itself: options, tags and routes, in the same request."""
    _, peer = pair
    act_while_it_waits(world, peer, "accept")

    created = world.stack().create(alone(world, pair, Routes={"AllRouteTables": "true"}, **DNS))

    assert ("SUCCESS", "active", "2") == (
        created["Status"],
        created["Data"]["Status"],
        created["Data"]["RouteCount"],
    )
    assert {t: {} for t in peer.route_table_ids} == world.routes(peer)
    assert world.time.now() > 1


def test_nobody_accepts(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The request fails before the function's time is over, and the rollback withdraws it."""
    stack = world.stack()

    created = stack.create(alone(world, pair))

    assert created["Reason"].startswith(
        f"NotStabilized: nobody accepted {created['PhysicalResourceId']} for {pair[1].id}"
    )
    assert f"Have it accepted in {pair[1].region} of {pair[1].account}" in created["Reason"]
    assert 800 < world.time.now() < 900
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(pair[0])


@topologies
def test_the_other_party_rejects(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """It will not change its mind for waiting: told at once."""
    act_while_it_waits(world, pair[1], "reject")

    created = world.stack().create(alone(world, pair))

    assert created["Reason"].startswith(f"ResourceConflict: {created['PhysicalResourceId']} became rejected")
    assert world.time.now() < 60


def test_an_update_waits_as_well(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A request that was left pending is waited for once somebody asks for that."""
    stack: Stack = world.stack()
    pending = alone(world, pair, WaitForAcceptance="false")
    assert "pending-acceptance" == stack.create(pending)["Data"]["Status"]
    act_while_it_waits(world, pair[1], "accept", after=5)

    updated = stack.update(alone(world, pair))

    assert ("SUCCESS", "active") == (updated["Status"], updated["Data"]["Status"])


# Renaming and moving


@topologies
def test_what_touches_neither_connection_nor_routes(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Tags, Name, policies and roles are changed without a call to what carries packets."""
    vpc, peer = pair
    stack = world.stack()
    pcx = stack.create(world.properties(*pair))["PhysicalResourceId"]
    before = world.routes(vpc), world.routes(peer)
    policies = {"OnConflict": "Replace", "AllRouteTables": "true"}
    changed = world.properties(
        *pair,
        Tags=[{"Key": "Name", "Value": "new"}, {"Key": "team", "Value": "net"}],
        OnExistingConnection="Adopt",
        Preflight="Off",
        WaitForAcceptance="true",
        Routes=policies,
        PeerRoutes=policies,
    )
    for name in ("RoleArn", "PeerRoleArn"):
        if name in changed:
            changed[name] = world.second_role(changed[name])

    with world.counted() as calls:
        updated = stack.update(changed)

    assert ("SUCCESS", pcx) == (updated["Status"], updated["PhysicalResourceId"])
    assert {"CreateTags"} == set(writes(calls))
    assert before == (world.routes(vpc), world.routes(peer))
    assert "new" == world.tags(vpc, pcx)["Name"]


@topologies
@pytest.mark.parametrize("policy", ["Fail", "Adopt"])
def test_swapped_vpcs(world: World, policy: str) -> None:
    """The same pair the other way round: the message says so, and no second connection is made."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    rules = {"Routes": {"AllRouteTables": "true"}, "PeerRoutes": {"AllRouteTables": "true"}}
    swapped = world.properties(
        peer, vpc, **rules, OnExistingConnection=policy, Region=peer.region, PeerRegion=vpc.region
    )
    swapped["PeerOwnerId"] = vpc.account

    with world.counted() as calls:
        refused_ = stack.update(swapped)

    assert ("FAILED", pcx) == (refused_["Status"], refused_["PhysicalResourceId"])
    assert f"AlreadyExists: VpcId and PeerVpcId are swapped: {pcx} of this resource" in refused_["Reason"]
    assert [] == writes(calls)
