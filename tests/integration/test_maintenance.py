"""Between deployments: what is found, what is repaired, what is left alone, and how it ends for a request."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from handler.calls import MARK
from handler.clock import Deadline
from handler.errors import InternalFailure, NotStabilized
from handler.maintenance import APART, Maintenance, counted
from handler.model import Guard, Mode
from handler.reconcile import FRESH_FOR
from handler.registry import MemoryStore, Registry, Revision
from handler.request import Request
from handler.telemetry import logger
from handler.upkeep import Finding, Kind
from local.strict import Call, Fault
from local.strict.connections import backend_of
from local.world import Vpc, client
from tests.harness import (
    ACCOUNT,
    HUB,
    READS,
    TOPOLOGIES,
    Stack,
    Topology,
    World,
    internet_gateway,
    operations,
    writes,
)

topologies = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)
Found = list[Finding] | None


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make two VPCs with two tables each."""
    world.maintained = True
    return world.vpc("hub", "10.0.0.0/16", tables=2), world.peer_vpc("spoke", "10.8.0.0/16", tables=2)


@pytest.fixture
def stack(world: World, pair: tuple[Vpc, Vpc]) -> Stack:
    """Peer them."""
    stack = world.stack()
    assert "SUCCESS" == stack.create(world.properties(*pair, Tags=[{"Key": "Team", "Value": "net"}]))["Status"]
    return stack


def key(stack: Stack) -> tuple[str, str]:
    """Return the key of the resource."""
    return f"arn:aws:cloudformation:us-east-1:{HUB}:stack/{stack.name}/5d9c2f30-0000", "Peering"


def kept(stack: Stack, mode: Mode | None = None, maintenance: Maintenance | None = None) -> Found:
    """Let maintenance look at the resource once, a while after whatever has happened."""
    stack.world.time.sleep(600)
    maintenance = maintenance or stack.world.maintenance()
    return maintenance.keep(key(stack), mode, Deadline(stack.world.time.clock, 800))


def lead(world: World, vpc: Vpc, destination: str, **target: str | None) -> None:
    """Lead a route of the first table to a target by hand."""
    place = {"RouteTableId": vpc.route_table_ids[0], "DestinationCidrBlock": destination}
    world.ec2(vpc).replace_route(**place, **target)


def delete_route(world: World, vpc: Vpc, table: int, destination: str) -> None:
    """Take a route away by hand."""
    world.ec2(vpc).delete_route(RouteTableId=vpc.route_table_ids[table], DestinationCidrBlock=destination)


# What is found and repaired


@topologies
def test_nothing_is_done_where_all_is_well(world: World, stack: Stack) -> None:
    """A sweep over a healthy network only reads, and writes nothing into the registry either."""
    before = world.store.load(key(stack), Deadline(world.time.clock, 1))

    with world.counted() as calls:
        found = kept(stack)

    assert ([], []) == (found, writes(calls))
    assert before == world.store.load(key(stack), Deadline(world.time.clock, 1))


@topologies
def test_a_route_deleted_by_hand_comes_back(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """On either side; what was not touched is not touched."""
    vpc, peer = pair
    before = world.snapshot(*pair)
    delete_route(world, vpc, 0, "10.8.0.0/16")
    delete_route(world, peer, 1, "10.0.0.0/16")

    with world.counted() as calls:
        found = kept(stack)

    assert ["CreateRoute"] * 2 == writes(calls)
    assert before == world.snapshot(*pair)
    assert {
        Finding(Kind.DRIFT, side, f"{table} lacks the route to {block}.", done=True)
        for side, table, block in (
            ("requester", vpc.route_table_ids[0], "10.8.0.0/16"),
            ("accepter", peer.route_table_ids[1], "10.0.0.0/16"),
        )
    } == set(found or [])
    assert [] == kept(stack)


@topologies
def test_what_the_network_gains_is_routed(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """A new route table and a secondary CIDR block follow without a deployment, and go again with their cause."""
    vpc, peer = pair
    table = world.ec2(peer).create_route_table(VpcId=peer.id)["RouteTable"]["RouteTableId"]
    block = world.ec2(vpc).associate_vpc_cidr_block(VpcId=vpc.id, CidrBlock="10.1.0.0/16")["CidrBlockAssociation"]

    kept(stack)

    pcx = stack.physical_id
    assert {"10.0.0.0/16": pcx, "10.1.0.0/16": pcx} == world.routes(peer)[table]
    world.ec2(vpc).disassociate_vpc_cidr_block(AssociationId=block["AssociationId"])
    kept(stack)
    assert {"10.0.0.0/16": pcx} == world.routes(peer)[table]


def test_options_and_tags_come_back(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """DNS options that were switched off and a tag that was removed are set again."""
    stack = world.stack()
    options = {"AllowDnsResolutionFromRemoteVpc": "true", "PeerAllowDnsResolutionFromRemoteVpc": "true"}
    pcx = stack.create(world.properties(*pair, Tags=[{"Key": "Team", "Value": "net"}], **options))["PhysicalResourceId"]
    ec2 = world.ec2(pair[0])
    ec2.modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=pcx, RequesterPeeringConnectionOptions={"AllowDnsResolutionFromRemoteVpc": False}
    )
    ec2.delete_tags(Resources=[pcx], Tags=[{"Key": "Team"}])

    found = kept(stack) or []

    assert [True, True] == [finding.done for finding in found]
    assert {"AllowDnsResolutionFromRemoteVpc is off.", "The connection lacks 1 tag: Team."} == {f.text for f in found}
    assert [] == kept(stack)


def test_only_routes_count_as_routes(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """A tag that was put back is no route that was repaired."""
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    world.ec2(pair[0]).delete_tags(Resources=[stack.physical_id], Tags=[{"Key": "Team"}])

    found = kept(stack) or []

    assert [True, True] == [finding.done for finding in found]
    assert (1, 1, 0) == tuple(counted(found)[name] for name in ("DriftedResources", "RoutesRepaired", "Unrepaired"))


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_a_permission_that_is_missing_is_no_unreachable_role(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """The role was assumed; what it lacks is told all the same."""
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    world.aws.faults.append(Fault("CreateRoute", code="UnauthorizedOperation", status=403))

    counts = counted(kept(stack) or [])

    assert (0, 2) == (counts["UnreachableRoles"], counts["Unrepaired"])


def test_a_request_accepted_by_the_other_party_is_finished(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """`AutoAccept: false`: options, tags and routes follow the acceptance without a deployment; before, all is well."""
    stack = world.stack()
    pcx = stack.create(world.properties(*pair, AutoAccept="false"))["PhysicalResourceId"]
    assert ([], {}) == (kept(stack), world.routes(pair[0])[pair[0].route_table_ids[0]])
    world.ec2(pair[1]).accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)

    assert all(finding.done for finding in kept(stack) or [])

    assert {pcx} == {target for vpc in pair for found in world.routes(vpc).values() for target in found.values()}
    assert "active" == world.status(pair[0], pcx)


@topologies
@pytest.mark.parametrize("way", ["Delete", "Update"])
def test_after_a_replacement_was_rolled_back(world: World, pair: tuple[Vpc, Vpc], way: str) -> None:
    """What the stack asked for before counts again: nothing of the rolled back deployment is taken for wanted."""
    peers = {"A": pair[1], "B": world.peer_vpc("other", "10.9.0.0/16", tables=2)}
    for name, vpc in peers.items():
        world.ec2(vpc).create_tags(Resources=[vpc.id], Tags=[{"Key": "Which", "Value": name}])
    first, second = (
        world.properties(*pair, PeerVpcId=None, PeerVpcTags=[{"Key": "Which", "Value": name}], **more)
        for name, more in (
            ("A", {}),
            ("B", {"Routes": {"MainRouteTable": "true"}, "Tags": [{"Key": "T", "Value": "b"}]}),
        )
    )
    stack = world.stack()
    old = stack.create(first)["PhysicalResourceId"]
    before = state(world, pair, old)
    new = stack.update(second)["PhysicalResourceId"]
    if way == "Update":
        assert old == stack.update(first)["PhysicalResourceId"]
    assert "SUCCESS" == stack.delete(new, second)["Status"]

    with world.counted() as calls:
        found = kept(stack)

    assert (True, [], []) == (old != new, found, writes(calls))
    assert before == state(world, pair, old)


def state(world: World, vpcs: tuple[Vpc, Vpc], connection_id: str) -> list[object]:
    """Return the routes of some VPCs, and the tags of their connection."""
    return [each for vpc in vpcs for each in (world.routes(vpc), world.tags(vpc, connection_id))]


@pytest.mark.parametrize("mode", ["Repair", "Report"])
def test_a_record_ends_though_nothing_is_to_be_changed(world: World, pair: tuple[Vpc, Vpc], mode: str) -> None:
    """A route that is gone with its cause is ours no more: what somebody makes in its place later is theirs."""
    ec2, table = world.ec2(pair[1]), pair[1].route_table_ids[1]
    tag = [{"Key": "Tier", "Value": "app"}]
    ec2.create_tags(Resources=pair[1].route_table_ids, Tags=tag)
    stack = world.stack()
    stack.create(world.properties(*pair, PeerRoutes={"RouteTableTags": tag}, MaintenanceMode=mode))
    world.time.sleep(600)
    ec2.delete_tags(Resources=[table], Tags=tag)
    delete_route(world, pair[1], 1, "10.0.0.0/16")
    assert [] == kept(stack)
    world.route(pair[1], 1, "10.0.0.0/16", str(stack.physical_id))

    with world.counted() as calls:
        found = kept(stack)

    assert ([], []) == (found, writes(calls))
    stack.update({**stack.current, "MaintenanceMode": "Repair", "Tags": tag})
    assert stack.physical_id == world.routes(pair[1])[table]["10.0.0.0/16"]


@topologies
@pytest.mark.parametrize("reached", [True, False])
def test_a_request_that_is_being_provisioned_is_finished(world: World, pair: tuple[Vpc, Vpc], *, reached: bool) -> None:
    """The event of its acceptance wakes the look before it is active, and no event comes later."""
    stack = world.stack()
    more = {} if reached else {"PeerRoutes": None, "PeerRoleArn": None, "PeerExternalId": None}
    pcx = str(stack.create(world.properties(*pair, AutoAccept="false", **more))["PhysicalResourceId"])
    world.aws.settings.provisioning_reads = 4
    world.ec2(pair[1]).accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)

    found = kept(stack) or []

    assert [True] * len(found) == [finding.done for finding in found]
    for vpc in pair if reached else pair[:1]:
        assert {pcx} == {target for routes in world.routes(vpc).values() for target in routes.values()}


# What is only reported


@pytest.mark.parametrize("end", ["deleted", "forgotten"])
def test_a_connection_deleted_by_hand_is_not_made_anew(
    world: World, pair: tuple[Vpc, Vpc], stack: Stack, end: str
) -> None:
    """Somebody meant it, or did not: the stack's owner decides, and is told how."""
    pcx = stack.physical_id
    assert pcx
    world.ec2(pair[0]).delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    world.time.sleep(600)
    if end == "forgotten":
        world.aws.forget(pcx)

    with world.counted() as calls:
        found, *left = kept(stack) or []

    assert (Kind.CONNECTION, False) == (found.kind, found.done)
    assert pcx in found.text
    assert "deploy the stack with a change" in found.text
    tables = [table for vpc in pair for table in vpc.route_table_ids]
    assert [(Kind.BLACKHOLE, False, table) for table in tables] == [
        (each.kind, each.done, each.text.split()[0]) for each in left
    ]
    assert [] == writes(calls)


def test_dns_switched_off_in_a_vpc(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """EC2's event has the attributes read, and so has whoever asks; a sweep leaves out these calls, two a VPC.

    But not while one is off: else nothing would show, and no alarm come, from the next sweep on.
    """
    asked = {"AllowDnsResolutionFromRemoteVpc": "true"}
    stack.update(world.properties(*pair, **asked))
    detail = {"eventName": "ModifyVpcAttribute", "requestParameters": {"vpcId": pair[1].id}}
    maintenance, topic = world.maintenance(), subscribe(world)
    wake = partial(maintenance.wake, {"detail": detail})
    looks: list[int] = []

    def switch(*, on: bool) -> None:
        world.ec2(pair[1]).modify_vpc_attribute(VpcId=pair[1].id, EnableDnsHostnames={"Value": on})

    def look(start: Callable[[Deadline], int]) -> list[Finding]:
        world.time.sleep(600)
        start(Deadline(world.time.clock, 800))
        with world.counted() as calls:
            maintenance.work({"Records": messages(world)}, None, Deadline(world.time.clock, 800))
        looks.append(len(operations(calls, "DescribeVpcAttribute")))
        return maintenance.keep(key(stack), Mode.REPORT, Deadline(world.time.clock, 800), attributes=True) or []

    switch(on=False)
    ((found,), *others) = [look(start) for start in (maintenance.sweep, wake, maintenance.sweep, maintenance.sweep)]
    switch(on=True)
    well = [look(maintenance.sweep) for _ in range(2)]

    assert [0, 4, 4, 4, 4, 0] == looks
    assert ([[found]] * 3, [[], []]) == (others, well)
    assert f"PeerVpcId {pair[1].id} has enableDnsHostnames off" in found.text
    (told,) = published(world, topic)
    assert f"- Accepter's side: {found.text} Not repaired." in told


def test_a_foreign_route_is_left_alone(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """Where the policy of the stack does not allow to take it, it is reported; the other routes are repaired."""
    vpc, _ = pair
    gateway = internet_gateway(world, vpc)
    for table in (0, 1):
        delete_route(world, vpc, table, "10.8.0.0/16")
    world.ec2(vpc).create_route(
        RouteTableId=vpc.route_table_ids[0], DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway
    )

    found = kept(stack) or []

    assert [(Kind.DRIFT, True), (Kind.CONFLICT, False)] == [(finding.kind, finding.done) for finding in found]
    assert gateway == world.routes(vpc)[vpc.route_table_ids[0]]["10.8.0.0/16"]
    assert stack.physical_id == world.routes(vpc)[vpc.route_table_ids[1]]["10.8.0.0/16"]


def test_a_foreign_route_is_taken_where_the_stack_says_so(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """`OnConflict: Replace` is the stack's policy between deployments too."""
    stack = world.stack()
    stack.create(world.properties(*pair, Routes={"AllRouteTables": "true", "OnConflict": "Replace"}))
    gateway = internet_gateway(world, pair[0])
    world.ec2(pair[0]).replace_route(
        RouteTableId=pair[0].route_table_ids[0], DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway
    )

    assert [True] == [finding.done for finding in kept(stack) or []]
    assert stack.physical_id == world.routes(pair[0])[pair[0].route_table_ids[0]]["10.8.0.0/16"]


def test_what_concerns_one_table_stops_no_other(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """`RequireOptIn`: a new table that nobody has opened yet is told, and everything else is kept."""
    world.guard = Guard(opt_in=True)
    for vpc in pair:
        world.ec2(vpc).create_tags(
            Resources=[vpc.id, *vpc.route_table_ids], Tags=[{"Key": "vpc-peering:opt-in", "Value": "true"}]
        )
    stack = world.stack()
    stack.create(world.properties(*pair))
    added = world.ec2(pair[1]).create_route_table(VpcId=pair[1].id)["RouteTable"]["RouteTableId"]
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    delete_route(world, pair[1], 0, "10.0.0.0/16")

    found = kept(stack) or []

    assert {
        ("requester", pair[0].route_table_ids[0], True),
        ("accepter", pair[1].route_table_ids[0], True),
        ("accepter", added, False),
    } == {(finding.side, finding.text.removeprefix("Route table ").split()[0], finding.done) for finding in found}
    assert {} == world.routes(pair[1])[added]
    assert 0 == counted(found)["UnreachableRoles"]


def test_a_change_that_is_denied_stops_no_other(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy denies one table at each sweep anew: the others are put right, and what is stale is taken off."""
    monkeypatch.setattr("handler.parallel.WORKERS", 1)
    stack = world.stack()
    stack.create(world.properties(*pair))
    block = world.ec2(pair[1]).associate_vpc_cidr_block(VpcId=pair[1].id, CidrBlock="10.9.0.0/16")
    kept(stack)
    world.ec2(pair[1]).disassociate_vpc_cidr_block(AssociationId=block["CidrBlockAssociation"]["AssociationId"])
    for table in (0, 1):
        delete_route(world, pair[0], table, "10.8.0.0/16")
    world.aws.faults.append(Fault("CreateRoute", code="UnauthorizedOperation", status=403))

    found = kept(stack) or []

    assert [False, False, True, True, True] == sorted(finding.done for finding in found)
    assert (Kind.FAILURE, "requester") == (found[-1].kind, found[-1].side)
    tables = [{*destinations} for destinations in world.routes(pair[0]).values()]
    assert [set(), {"10.8.0.0/16"}] == sorted(tables, key=len)


DENIED = {"code": "UnauthorizedOperation", "status": 403}


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_all_that_is_denied_is_told(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """Whoever mends the one permission need not wait for the next sweep to hear of the other; the same is told once."""
    for table in (0, 1):
        delete_route(world, pair[0], table, "10.8.0.0/16")
    delete_route(world, pair[1], 0, "10.0.0.0/16")
    world.aws.faults.extend(Fault("CreateRoute", **DENIED) for _ in range(3))  # type: ignore[arg-type]  # by name

    found = kept(stack) or []

    drifts = [(Kind.DRIFT, side, False) for side in ("accepter", "requester", "requester")]
    denials = [(Kind.FAILURE, side, False) for side in ("accepter", "requester")]
    assert [*drifts, *denials] == sorted(outline(found))
    assert all("may not ec2:CreateRoute" in finding.text for finding in found[3:])


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_what_is_denied_is_told_though_the_repair_fails(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """What ends the run comes beside it, not in its place."""
    block = world.ec2(pair[1]).associate_vpc_cidr_block(VpcId=pair[1].id, CidrBlock="10.9.0.0/16")
    kept(stack)
    world.ec2(pair[1]).disassociate_vpc_cidr_block(AssociationId=block["CidrBlockAssociation"]["AssociationId"])
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    world.aws.faults.append(Fault("CreateRoute", **DENIED))  # type: ignore[arg-type]  # by name
    world.aws.faults.append(Fault("DescribeRouteTables", **DENIED, account=HUB, nth=3))  # type: ignore[arg-type]

    found = kept(stack) or []

    assert [False] * 5 == [finding.done for finding in found]
    assert {"CreateRoute", "DescribeRouteTables"} == {
        finding.text.split("ec2:")[1].split()[0] for finding in found if finding.kind is Kind.FAILURE
    }


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
@pytest.mark.parametrize("way", ["was led elsewhere", "was missing"])
def test_a_route_that_another_takes_meanwhile_stops_no_other(world: World, pair: tuple[Vpc, Vpc], way: str) -> None:
    """It is told; the others are put right all the same, and what is stale is taken off."""
    stack, ec2, (first, second) = world.stack(), world.ec2(pair[0]), pair[0].route_table_ids
    stack.create(world.properties(*pair, **TAKING_BACK))
    block = world.ec2(pair[1]).associate_vpc_cidr_block(VpcId=pair[1].id, CidrBlock="10.9.0.0/16")
    kept(stack)
    world.ec2(pair[1]).disassociate_vpc_cidr_block(AssociationId=block["CidrBlockAssociation"]["AssociationId"])
    internet, private = internet_gateway(world, pair[0]), ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]
    backend = backend_of((pair[0].account, pair[0].region))
    take_it = backend.create_route if way == "was missing" else backend.replace_route

    def taken() -> None:
        world.time.sleep(3)
        take_it(first, "10.8.0.0/16", gateway_id=private["VpnGatewayId"])

    for table in pair[0].route_table_ids:
        place = {"RouteTableId": table, "DestinationCidrBlock": "10.8.0.0/16"}
        if way == "was missing":
            ec2.delete_route(**place)
        else:
            ec2.replace_route(**place, GatewayId=internet)
    meanwhile(world, "DescribeRouteTables", taken, pair[0].account, nth=2)

    found = kept(stack) or []

    assert [False, False, True, True, True] == sorted(finding.done for finding in found)
    assert (Kind.CONFLICT, "requester", False) == outline(found)[-1]
    assert f"{first} routes 10.8.0.0/16 to {private['VpnGatewayId']} already." in found[-1].text
    left = {first: private["VpnGatewayId"], second: stack.physical_id}
    assert {table: {"10.8.0.0/16": target} for table, target in left.items()} == world.routes(pair[0])
    assert [(Kind.DRIFT, "requester", True)] == outline(kept(stack))


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_a_role_that_is_gone(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """Its side is reported, with the role; the other one is kept, but for what rests on both."""
    ec2, table = world.ec2(pair[0]), pair[0].route_table_ids[0]
    off = {"AllowDnsResolutionFromRemoteVpc": False}
    stack.update({**stack.current, "AllowDnsResolutionFromRemoteVpc": "true"})
    block = world.ec2(pair[1]).associate_vpc_cidr_block(VpcId=pair[1].id, CidrBlock="10.9.0.0/16")
    kept(stack)
    ec2.modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=stack.physical_id, RequesterPeeringConnectionOptions=off
    )
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    delete_route(world, pair[1], 0, "10.0.0.0/16")
    world.ec2(pair[1]).disassociate_vpc_cidr_block(AssociationId=block["CidrBlockAssociation"]["AssociationId"])
    tags = world.tags(pair[0], str(stack.physical_id))
    role_name = world.roles[pair[1].account].rpartition("/")[2]
    client(world.aws.url, "iam", pair[1].account, "us-east-1").delete_role(RoleName=role_name)

    with world.counted() as calls:
        *repaired, found = kept(stack) or []

    assert (Kind.ROLE, "accepter", False) == (found.kind, found.side, found.done)
    assert world.roles[pair[1].account] in found.text
    assert [("requester", True)] * 2 == [(finding.side, finding.done) for finding in repaired]
    assert ["CreateRoute", "ModifyVpcPeeringConnectionOptions"] == sorted(writes(calls))
    assert {"10.8.0.0/16", "10.9.0.0/16"} == world.routes(pair[0])[table].keys()
    assert tags == world.tags(pair[0], str(stack.physical_id))
    assert [Kind.ROLE] == [finding.kind for finding in kept(stack) or []]


@pytest.mark.parametrize("world", [Topology(account=ACCOUNT)], indirect=True, ids=str)
def test_a_role_of_the_leading_side_that_is_gone(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """Without it nothing proves that the connection is ours: nothing is done."""
    delete_route(world, pair[1], 0, "10.0.0.0/16")
    role_name = world.roles[pair[0].account].rpartition("/")[2]
    client(world.aws.url, "iam", pair[0].account, "us-east-1").delete_role(RoleName=role_name)

    with world.counted() as calls:
        (found,) = kept(stack) or []

    assert world.roles[pair[0].account] in found.text
    assert 1 == counted([found])["UnreachableRoles"]
    assert (Kind.ROLE, "requester", False, []) == (found.kind, found.side, found.done, writes(calls))


@pytest.mark.parametrize(
    ("given", "installation", "repaired"),
    [(None, Mode.REPORT, False), ("Report", Mode.REPAIR, False), ("Repair", Mode.REPORT, True)],
)
def test_modes(world: World, pair: tuple[Vpc, Vpc], given: str | None, installation: Mode, *, repaired: bool) -> None:
    """The installation says whether it repairs or reports, and a resource may say otherwise for itself."""
    stack = world.stack()
    stack.create(world.properties(*pair, MaintenanceMode=given))
    delete_route(world, pair[0], 0, "10.8.0.0/16")

    found = kept(stack, maintenance=world.maintenance(installation)) or []

    assert [repaired] == [finding.done for finding in found]
    assert repaired == ("10.8.0.0/16" in world.routes(pair[0])[pair[0].route_table_ids[0]])


def test_off(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """What is off is not even looked at."""
    stack = world.stack()
    stack.create(world.properties(*pair, MaintenanceMode="Off"))

    with world.counted() as calls:
        found = kept(stack)

    assert (None, []) == (found, calls)


# Who else works on the resource


@pytest.mark.parametrize("state", ["a request is under way", "an Update has failed", "it was deleted", "it never was"])
def test_what_does_not_rest_is_left_alone(world: World, pair: tuple[Vpc, Vpc], stack: Stack, state: str) -> None:
    """The fence: only what CloudFormation has been told to be done is kept."""
    properties = dict(stack.current)
    match state:
        case "a request is under way":
            request = stack.event("Update", properties, PhysicalResourceId=stack.physical_id, OldResourceProperties={})
            tenure = Registry(world.store, world.time.clock).tenure(Request.model_validate(request))
            tenure.begin(Deadline(world.time.clock, 60))
        case "an Update has failed":
            assert "FAILED" == stack.update({**properties, "PeerVpcId": "vpc-0"})["Status"]
        case "it was deleted":
            stack.delete()
        case "it never was":
            stack.name = "nobody"
    if state != "it was deleted":
        delete_route(world, pair[0], 0, "10.8.0.0/16")

    with world.counted() as calls:
        found = world.maintenance().keep(key(stack), None, Deadline(world.time.clock, 800))

    assert (None, []) == (found, calls)


def meanwhile(
    world: World, operation: str, act: Callable[[], object], account: str | None = None, nth: int = 1
) -> None:
    """Do something right after the next call of an operation, or a later one, in whichever account or in one."""
    acts: list[Callable[[], object]] = [act, *[lambda: None] * (nth - 1)]

    def watch(call: Call) -> None:
        if call.operation == operation and account in {None, call.account} and acts:
            acts.pop()()

    world.aws.watchers.append(watch)


def test_it_gives_way_to_a_request(
    world: World, pair: tuple[Vpc, Vpc], stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that comes while routes are repaired ends the run within seconds, and finds nothing half done."""
    monkeypatch.setattr("handler.parallel.WORKERS", 1)
    for vpc, block in zip(pair, ("10.8.0.0/16", "10.0.0.0/16"), strict=True):
        for table in (0, 1):
            delete_route(world, vpc, table, block)
    registry = Registry(world.store, world.time.clock)
    request = stack.event(
        "Update", stack.current, PhysicalResourceId=stack.physical_id, OldResourceProperties=stack.current
    )
    waiting = registry.tenure(Request.model_validate(request))

    def come() -> None:
        with pytest.raises(NotStabilized):
            waiting.begin(Deadline(world.time.clock, 1))  # it is told, and waits
        world.time.sleep(6)

    meanwhile(world, "CreateRoute", come)

    found = kept(stack)

    assert found is None
    waiting.begin(Deadline(world.time.clock, 1))
    waiting.finish({"Status": "FAILED"}, Deadline(world.time.clock, 1))
    assert "SUCCESS" == stack.update(stack.current)["Status"]
    assert {stack.physical_id} == {t for vpc in pair for found in world.routes(vpc).values() for t in found.values()}


def test_a_request_during_a_look_makes_its_findings_void(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """What is seen half way through an Update is no drift, and is not told."""
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    meanwhile(world, "DescribeVpcs", lambda: world.store.save(*moved(world, stack)))

    assert kept(stack, Mode.REPORT) is None


def moved(world: World, stack: Stack) -> tuple[Any, str, Revision, Deadline]:
    """Return what another invocation would write."""
    deadline = Deadline(world.time.clock, 1)
    last = world.store.load(key(stack), deadline)
    assert last
    return key(stack), last.name, replace(last, name="another"), deadline


# The queue, the events, and who is told


def messages(world: World, *, unfinished: bool = False) -> list[dict[str, Any]]:
    """Take all messages off the queue, as Lambda hands them to the function; or leave them there as `unfinished`."""
    sqs = client(world.aws.url, "sqs", HUB, "us-east-1")
    url = sqs.get_queue_url(QueueName="maintenance.fifo")["QueueUrl"]
    taken: list[dict[str, Any]] = []
    while some := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get("Messages"):
        taken += some
        for each in some if not unfinished else ():
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return [
        {
            "messageId": each["MessageId"],
            "receiptHandle": each["ReceiptHandle"],
            "body": each["Body"],
            "attributes": each["Attributes"],
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:us-east-1:{HUB}:maintenance.fifo",
        }
        for each in taken
    ]


def test_a_sweep_looks_at_every_resource(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """The schedule's event puts one message a resource on the queue; the worker repairs, and takes each off."""
    spoke = world.peer_vpc("other", "10.9.0.0/16", tables=2)
    other = world.stack("other")
    other.create(world.properties(pair[0], spoke))
    delete_route(world, pair[1], 0, "10.0.0.0/16")
    delete_route(world, spoke, 1, "10.0.0.0/16")
    maintenance = world.maintenance()

    assert 2 == maintenance.sweep(Deadline(world.time.clock, 800))
    taken = messages(world)
    answer = maintenance.work({"Records": taken}, None, Deadline(world.time.clock, 800))

    assert {"batchItemFailures": []} == answer
    assert 2 == len(taken)
    assert {stack.physical_id} == {target for found in world.routes(pair[1]).values() for target in found.values()}
    assert {other.physical_id} == {target for found in world.routes(spoke).values() for target in found.values()}


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
@pytest.mark.parametrize("spokes", [2, 6])
def test_resources_share_their_reads(world: World, spokes: int) -> None:
    """Of one account and Region, a batch costs the same number of calls however many resources it has."""
    world.maintained = True
    hub = world.vpc("hub", "10.0.0.0/16")
    for number in range(spokes):
        spoke = world.peer_vpc(f"spoke-{number}", f"10.{8 + number}.0.0/16")
        world.stack(f"stack-{number}").create(world.properties(hub, spoke))
    maintenance = world.maintenance()
    maintenance.sweep(Deadline(world.time.clock, 800))
    taken = messages(world)

    with world.counted() as calls:
        maintenance.work({"Records": taken}, None, Deadline(world.time.clock, 800))

    reads = ["DescribeRouteTables", "DescribeVpcPeeringConnections", "DescribeVpcs"]
    assert spokes == len(taken)
    assert ["AssumeRole", *(read for read in reads for _ in ("hub", "spokes"))] == sorted(operations(calls))


def test_a_message_that_fails_comes_again(
    world: World, pair: tuple[Vpc, Vpc], stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails unforeseen stays in the queue, and only that."""
    other = world.stack("other")
    other.create(world.properties(pair[0], world.peer_vpc("other", "10.9.0.0/16")))
    maintenance = world.maintenance()
    maintenance.sweep(Deadline(world.time.clock, 800))
    taken = sorted(messages(world), key=lambda message: "other" in message["body"])

    def fail(_: object, failing: tuple[str, str], *__: object, **___: object) -> list[Finding]:
        if failing != key(stack):
            raise RuntimeError
        return []

    monkeypatch.setattr(Maintenance, "keep", fail)

    answer = maintenance.work({"Records": taken}, None, Deadline(world.time.clock, 800))

    assert {"batchItemFailures": [{"itemIdentifier": taken[1]["messageId"]}]} == answer


@pytest.mark.parametrize("seconds", [0, 60])
def test_what_fails_comes_again_soon(
    world: World, stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seconds: int
) -> None:
    """Until then all of its line wait; and the trace tells why."""
    monkeypatch.setattr("handler.outbox.AGAIN_SECONDS", seconds)
    monkeypatch.setattr(Maintenance, "keep", lambda *_, **__: 1 // 0)
    maintenance, deadline = world.maintenance(), Deadline(world.time.clock, 800)
    maintenance.sweep(deadline)
    taken = messages(world, unfinished=True)
    caplog.clear()

    with pytest.raises(BatchProcessingError):
        maintenance.work({"Records": taken}, None, deadline)

    assert ([taken[0]["body"]] if seconds == 0 else []) == [message["body"] for message in messages(world)]
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.exc_info
    assert ZeroDivisionError is record.exc_info[0]
    assert stack.name in str(logger.get_current_keys()["stack_id"])


def test_a_slow_neighbour_is_no_failure_of_the_others(
    world: World, pair: tuple[Vpc, Vpc], stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has no time left for a look and a repair is left to the next attempt; nobody is told of it."""
    other = world.stack("other")
    other.create(world.properties(pair[0], world.peer_vpc("other", "10.9.0.0/16")))
    maintenance, topic = world.maintenance(), subscribe(world)
    maintenance.sweep(Deadline(world.time.clock, 800))
    taken = messages(world)
    looked: list[tuple[str, str]] = []

    def slow(_: object, which: tuple[str, str], *__: object, **___: object) -> list[Finding]:
        looked.append(which)
        world.time.sleep(240)
        return []

    monkeypatch.setattr(Maintenance, "keep", slow)

    in_time = maintenance.work({"Records": taken}, None, Deadline(world.time.clock, 240 + 270))
    too_late = maintenance.work({"Records": taken}, None, Deadline(world.time.clock, 240 + 269))

    assert {"batchItemFailures": []} == in_time
    assert {"batchItemFailures": [{"itemIdentifier": taken[1]["messageId"]}]} == too_late
    assert sorted([key(stack), key(other)]) == sorted(looked[:2])
    assert looked[:1] == looked[2:]
    assert [] == published(world, topic)


def test_an_item_that_cannot_be_read_fails_no_other(
    world: World, pair: tuple[Vpc, Vpc], stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and the rest of the batch is looked at; the next sweep asks for it again."""
    other = world.stack("other")
    other.create(world.properties(pair[0], world.peer_vpc("other", "10.9.0.0/16")))
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    maintenance = world.maintenance()
    maintenance.sweep(Deadline(world.time.clock, 800))
    load = world.store.load

    def unreadable(which: tuple[str, str], deadline: Deadline) -> Revision | None:
        if which == key(other):
            raise InternalFailure("the registry holds what is no item.", "Restore it.")
        return load(which, deadline)

    monkeypatch.setattr(world.store, "load", unreadable)
    caplog.clear()
    world.time.sleep(600)

    answer = maintenance.work({"Records": messages(world)}, None, Deadline(world.time.clock, 800))

    assert {"batchItemFailures": []} == answer
    assert stack.physical_id == world.routes(pair[0])[pair[0].route_table_ids[0]]["10.8.0.0/16"]
    assert {"the registry holds what is no item. Restore it."} < {
        record.__dict__["text"] for record in caplog.records if record.message == "finding"
    }


class Table(MemoryStore):
    """A store that asks for time, as DynamoDB's does."""

    def load(self, key: tuple[str, str], deadline: Deadline) -> Revision | None:
        """Read in time."""
        deadline.check("reading")
        return super().load(key, deadline)

    def save(self, key: tuple[str, str], over: str | None, revision: Revision, deadline: Deadline) -> bool:
        """Write in time."""
        deadline.check("writing")
        return super().save(key, over, revision, deadline)


@pytest.mark.parametrize("operation", ["DescribeRouteTables", "CreateRoute"])
def test_what_takes_too_long_is_told(world: World, pair: tuple[Vpc, Vpc], operation: str) -> None:
    """A look or a repair that EC2 throttles to its end is a finding, and leaves nothing held."""
    world.store = Table()
    stack = world.stack()
    stack.create(world.properties(*pair))
    for vpc, block in (pair[0], "10.8.0.0/16"), (pair[1], "10.0.0.0/16"):
        delete_route(world, vpc, 0, block)
    world.aws.faults.extend(Fault(operation, code="RequestLimitExceeded", status=503) for _ in range(2000))
    topic = subscribe(world)
    world.time.sleep(600)
    began = world.time.now()

    found = world.maintenance().keep(key(stack), None, Deadline(world.time.clock, 150))

    assert found
    assert Kind.FAILURE is found[-1].kind
    assert world.time.now() - began <= 120 + 13
    (message,) = published(world, topic)
    assert "Not repaired." in message
    world.aws.faults.clear()
    assert [True, True] == [finding.done for finding in kept(stack) or []]


def test_two_owners_of_a_route_do_not_fight_for_ever(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """`OnConflict: Replace` takes a route back once; where it is taken again, people are told."""
    stack = world.stack()
    internet = internet_gateway(world, pair[0])
    table = pair[0].route_table_ids[0]
    stack.create(world.properties(*pair, Routes={"AllRouteTables": "true", "OnConflict": "Replace"}))
    told = []
    for _ in range(3):
        world.ec2(pair[0]).replace_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=internet)
        told.append([(finding.kind, finding.done) for finding in kept(stack) or []])

    assert [[(Kind.DRIFT, True)], [(Kind.CONFLICT, False)], [(Kind.CONFLICT, False)]] == told
    assert internet == world.routes(pair[0])[table]["10.8.0.0/16"]


def take(world: World, vpc: Vpc, destination: str, gateway: str) -> None:
    """Lead a route of the first table elsewhere by hand."""
    lead(world, vpc, destination, GatewayId=gateway)


def outline(found: Found) -> list[tuple[Kind, str, bool]]:
    """Return what each finding is about, on which side, and whether it is done."""
    return [(finding.kind, finding.side, finding.done) for finding in found or []]


TAKING_BACK = {name: {"AllRouteTables": "true", "OnConflict": "Replace"} for name in ("Routes", "PeerRoutes")}
UNREACHED = (Kind.ROLE, "accepter", False)


def refuse_role(world: World, times: int) -> None:
    """Let the accepter's role be refused some times."""
    world.aws.faults.extend(Fault("AssumeRole", code="AccessDenied", status=403) for _ in range(times))


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_what_is_seen_is_noted_anew_though_a_side_is_not(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A route that stayed as it was put right has no second owner, however long the other side is not reached."""
    stack, gateway = world.stack(), internet_gateway(world, pair[0])
    stack.create(world.properties(*pair, **TAKING_BACK))
    drift = (Kind.DRIFT, "requester", True)

    take(world, pair[0], "10.8.0.0/16", gateway)
    assert [drift] == outline(kept(stack))
    refuse_role(world, 3)
    assert [UNREACHED] == outline(kept(stack))
    take(world, pair[0], "10.8.0.0/16", gateway)

    assert [drift, UNREACHED] == outline(kept(stack))


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_what_was_noted_of_a_side_that_is_not_reached_stays(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A repair of the other side does not forget who else asks for a route of this one, and who was told of it."""
    stack, gateways = world.stack(), [internet_gateway(world, vpc) for vpc in pair]
    stack.create(world.properties(*pair, **TAKING_BACK))
    topic = subscribe(world)

    take(world, pair[1], "10.0.0.0/16", gateways[1])
    assert [(Kind.DRIFT, "accepter", True)] == outline(kept(stack))
    for _ in range(2):
        take(world, pair[1], "10.0.0.0/16", gateways[1])
        take(world, pair[0], "10.8.0.0/16", gateways[0])
        refuse_role(world, 2)
        assert [(Kind.DRIFT, "requester", True), UNREACHED] == outline(kept(stack))
        published(world, topic)
        assert [(Kind.CONFLICT, "accepter", False)] == outline(kept(stack))

    assert [] == published(world, topic)


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_a_repair_that_fails_forgets_no_side(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """What was seen before it is noted, and of the side that was not reached what had been noted."""
    stack, gateways = world.stack(), [internet_gateway(world, vpc) for vpc in pair]
    stack.create(world.properties(*pair, **TAKING_BACK))
    take(world, pair[1], "10.0.0.0/16", gateways[1])
    kept(stack)
    take(world, pair[1], "10.0.0.0/16", gateways[1])
    take(world, pair[0], "10.8.0.0/16", gateways[0])
    refuse_role(world, 2)
    world.aws.faults.append(Fault("DescribeVpcs", code="UnauthorizedOperation", status=403, account=HUB, nth=2))

    assert [(Kind.DRIFT, "requester", False), UNREACHED, (Kind.FAILURE, "requester", False)] == outline(kept(stack))

    assert [(Kind.CONFLICT, "accepter", False), (Kind.DRIFT, "requester", True)] == sorted(outline(kept(stack)))


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_what_rests_on_both_sides_is_told_once(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Where one of them is not reached it cannot be seen: it is nothing new once it is seen again."""
    stack, topic = world.stack(), subscribe(world)
    stack.create(world.properties(*pair, Tags=[{"Key": "Team", "Value": "net"}], MaintenanceMode="Report"))
    world.ec2(pair[0]).delete_tags(Resources=[stack.physical_id], Tags=[{"Key": "Team"}])
    lacks = (Kind.SETTINGS, "requester", False)
    assert [lacks] == outline(kept(stack))
    refuse_role(world, 1)
    assert [UNREACHED] == outline(kept(stack))
    published(world, topic)

    assert [lacks] == outline(kept(stack))

    assert [] == published(world, topic)


def test_somebody_who_deletes_a_route_again_and_again(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """The stack asks for it, so it comes back each time; but people are told, and the alarm has something to count."""
    topic, told, unrepaired = subscribe(world), [], []
    for _ in range(4):
        delete_route(world, pair[0], 0, "10.8.0.0/16")
        unrepaired.append(counted(kept(stack) or [])["Unrepaired"])
        assert stack.physical_id == world.routes(pair[0])[pair[0].route_table_ids[0]]["10.8.0.0/16"]
        told.append(len(published(world, topic)))

    assert ([0, 1, 1, 1], [1, 1, 0, 0]) == (unrepaired, told)
    assert [] == kept(stack)


def test_a_route_that_was_taken_over_is_given_back_though_it_was_gone_meanwhile(
    world: World, pair: tuple[Vpc, Vpc]
) -> None:
    """`OnConflict: Replace` promises it at Delete; that somebody deletes the route in between changes nothing."""
    internet = internet_gateway(world, pair[0])
    table = pair[0].route_table_ids[0]
    world.ec2(pair[0]).create_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=internet)
    stack = world.stack()
    stack.create(world.properties(*pair, Routes={"AllRouteTables": "true", "OnConflict": "Replace"}))
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    kept(stack)
    assert stack.physical_id == world.routes(pair[0])[table]["10.8.0.0/16"]

    stack.delete()

    assert internet == world.routes(pair[0])[table]["10.8.0.0/16"]


def to_ours(world: World, vpc: Vpc, connection_id: str | None) -> None:
    """Point the first table's route to the spoke at our connection, as the documents show it."""
    lead(world, vpc, "10.8.0.0/16", VpcPeeringConnectionId=connection_id)


@pytest.mark.parametrize("after", [0, 400], ids=["the sweep sees it", "the Update sees it"])
def test_a_route_of_others_where_ours_was_is_left_alone(
    world: World, pair: tuple[Vpc, Vpc], stack: Stack, after: float
) -> None:
    """Once another target had its place our route is no more: one that leads to our connection later is somebody's."""
    internet, table = internet_gateway(world, pair[0]), pair[0].route_table_ids[0]
    world.ec2(pair[0]).replace_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=internet)
    world.time.sleep(after)
    without = world.properties(*pair, Routes={"AllRouteTables": "true", "ExcludeRouteTableIds": [table]})
    assert "SUCCESS" == stack.update(without)["Status"]
    if not after:
        assert [] == kept(stack)
    to_ours(world, pair[0], stack.physical_id)

    assert [] == kept(stack)
    assert "SUCCESS" == stack.update(without)["Status"]

    assert stack.physical_id == world.routes(pair[0])[table]["10.8.0.0/16"]


def test_a_route_that_we_could_not_make_is_not_ours(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """Somebody was quicker: what leads to our connection there later was not made by us."""
    internet, table, everywhere = internet_gateway(world, pair[0]), pair[0].route_table_ids[0], stack.current
    without = world.properties(*pair, Routes={"AllRouteTables": "true", "ExcludeRouteTableIds": [table]})
    assert "SUCCESS" == stack.update(without)["Status"]
    make = backend_of((pair[0].account, pair[0].region)).create_route
    act = partial(make, table, "10.8.0.0/16", gateway_id=internet)
    meanwhile(world, "DescribeRouteTables", act, pair[0].account)
    assert stack.update(everywhere)["Reason"].startswith("ResourceConflict: ")
    to_ours(world, pair[0], stack.physical_id)

    assert "SUCCESS" == stack.update(without)["Status"]
    assert [] == kept(stack)

    assert stack.physical_id == world.routes(pair[0])[table]["10.8.0.0/16"]


def test_a_route_that_we_could_not_take_is_not_ours(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """Somebody was quicker: what leads to our connection there later is not ours to give back."""
    table, ec2 = pair[0].route_table_ids[0], world.ec2(pair[0])
    without = world.properties(*pair, Routes={"AllRouteTables": "true", "ExcludeRouteTableIds": [table]})
    everywhere = world.properties(*pair, Routes={"AllRouteTables": "true", "OnConflict": "Replace"})
    assert "SUCCESS" == stack.update(without)["Status"]
    route = {"RouteTableId": table, "DestinationCidrBlock": "10.8.0.0/16"}
    ec2.create_route(**route, GatewayId=internet_gateway(world, pair[0]))
    other = ec2.create_network_interface(SubnetId=pair[0].subnet_ids[0])["NetworkInterface"]["NetworkInterfaceId"]
    lead = backend_of((pair[0].account, pair[0].region)).replace_route

    def act() -> None:
        world.time.sleep(FRESH_FOR + 1)
        lead(table, "10.8.0.0/16", interface_id=other)

    meanwhile(world, "DescribeRouteTables", act, pair[0].account)
    assert stack.update(everywhere)["Reason"].startswith("ResourceConflict: ")
    to_ours(world, pair[0], stack.physical_id)

    assert "SUCCESS" == stack.update(without)["Status"]
    assert [] == kept(stack)

    assert stack.physical_id == world.routes(pair[0])[table]["10.8.0.0/16"]


def test_a_listed_table_that_is_gone(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """It is told, and the other tables are kept all the same."""
    stack = world.stack()
    added = world.ec2(pair[0]).create_route_table(VpcId=pair[0].id)["RouteTable"]["RouteTableId"]
    listed = [pair[0].route_table_ids[0], added]
    stack.create(world.properties(*pair, Routes={"RouteTableIds": listed}))
    world.ec2(pair[0]).delete_route_table(RouteTableId=added)
    delete_route(world, pair[0], 0, "10.8.0.0/16")

    found = kept(stack) or []

    assert [(Kind.DRIFT, True), (Kind.FAILURE, False)] == [(finding.kind, finding.done) for finding in found]
    assert added in found[1].text
    assert stack.physical_id == world.routes(pair[0])[listed[0]]["10.8.0.0/16"]


def test_an_event_that_wakes_many_lets_them_stand_in_line(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A change of the hub's VPC wakes every spoke: no more workers read there than in a sweep."""
    for number in range(APART + 1):
        world.stack(f"s{number}").create(
            world.properties(pair[0], world.peer_vpc(f"s{number}", f"10.{9 + number}.0.0/16", tables=1))
        )
        if number == APART - 1:
            event = cloudtrail("CreateRouteTable", pair[0], {"vpcId": pair[0].id})
            few = world.maintenance().wake(event, Deadline(world.time.clock, 800))
            lines = [{message["attributes"]["MessageGroupId"] for message in messages(world)}]
            world.time.sleep(60)

    many = world.maintenance().wake(event, Deadline(world.time.clock, 800))

    lines.append({message["attributes"]["MessageGroupId"] for message in messages(world)})
    assert (APART, APART + 1) == (few, many)
    assert APART == len(lines[0])
    assert all(line.startswith(f"{HUB}/us-east-1/") for line in lines[1])


def cloudtrail(name: str, vpc: Vpc, parameters: dict[str, Any], agent: str = "console") -> dict[str, Any]:
    """Return an event of EC2 as CloudTrail and EventBridge deliver it."""
    return {
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "detail": {
            "eventName": name,
            "recipientAccountId": vpc.account,
            "awsRegion": vpc.region,
            "userAgent": agent,
            "requestParameters": parameters,
            "responseElements": {"requestId": "1"},
        },
    }


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("CreateRouteTable", lambda _pcx, vpc: {"vpcId": vpc.id}),
        ("DeleteRouteTable", lambda _pcx, vpc: {"routeTableId": vpc.route_table_ids[1]}),
        (
            "DeleteRoute",
            lambda _pcx, vpc: {"routeTableId": vpc.route_table_ids[1], "destinationCidrBlock": "10.0.0.0/16"},
        ),
        ("AssociateVpcCidrBlock", lambda _pcx, vpc: {"AssociateVpcCidrBlockRequest": {"VpcId": vpc.id}}),
        ("CreateTags", lambda pcx, _vpc: {"resourcesSet": {"items": [{"resourceId": pcx}]}}),
        (
            "DeleteVpcPeeringConnection",
            lambda pcx, _vpc: {"DeleteVpcPeeringConnectionRequest": {"VpcPeeringConnectionId": pcx}},
        ),
    ],
)
def test_an_event_wakes_whom_it_concerns(
    world: World,
    pair: tuple[Vpc, Vpc],
    stack: Stack,
    name: str,
    parameters: Callable[[str | None, Vpc], dict[str, Any]],
) -> None:
    """Only the resources whose VPC, table or connection is named are looked at, and once for a burst of events."""
    strangers = world.vpc("a", "10.20.0.0/16"), world.peer_vpc("b", "10.21.0.0/16")
    world.stack("strangers").create(world.properties(*strangers))
    maintenance, deadline = world.maintenance(), Deadline(world.time.clock, 800)
    event = cloudtrail(name, pair[1], parameters(stack.physical_id, pair[1]))

    assert [1, 1, 1] == [maintenance.wake(event, deadline) for _ in range(3)]

    (message,) = messages(world)
    assert key(stack) == (json.loads(message["body"])["StackId"], json.loads(message["body"])["LogicalResourceId"])


def test_an_event_of_attributes_is_not_lost_among_others(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """No other look reads them: of a burst, one message has to ask for that."""
    maintenance, deadline = world.maintenance(), Deadline(world.time.clock, 800)

    for name in ("CreateSubnet", "ModifyVpcAttribute", "CreateRouteTable", "ModifyVpcAttribute"):
        maintenance.wake(cloudtrail(name, pair[0], {"vpcId": pair[0].id}), deadline)

    bodies = [json.loads(message["body"]) for message in messages(world)]
    assert {stack.name} == {body["StackId"].split("/")[1] for body in bodies}
    assert ["CreateSubnet", "ModifyVpcAttribute"] == [body["Reason"] for body in bodies]


def test_a_tag_on_an_unknown_table_wakes_who_selects_by_tags(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A table that a selector may choose now is in nobody's record yet."""
    stack = world.stack()
    tag = [{"Key": "Tier", "Value": "app"}]
    world.ec2(pair[1]).create_tags(Resources=pair[1].route_table_ids[:1], Tags=tag)
    stack.create(world.properties(*pair, PeerRoutes={"RouteTableTags": tag}))
    unknown = {"resourcesSet": {"items": [{"resourceId": pair[1].route_table_ids[1]}]}}
    maintenance, deadline = world.maintenance(), Deadline(world.time.clock, 800)

    assert 1 == maintenance.wake(cloudtrail("CreateTags", pair[1], unknown), deadline)
    assert 0 == maintenance.wake(cloudtrail("CreateTags", replace(pair[1], region="eu-north-1"), unknown), deadline)


def test_another_main_table_wakes_who_selects_the_main_one(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """EC2 names only the association and the new table, which is in nobody's record yet."""
    world.stack().create(world.properties(*pair, PeerRoutes={"MainRouteTable": "true"}))
    change = {"associationId": "rtbassoc-1", "routeTableId": "rtb-1"}
    event = cloudtrail("ReplaceRouteTableAssociation", pair[1], change)

    assert 1 == world.maintenance().wake(event, Deadline(world.time.clock, 800))


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_what_we_do_does_not_wake_us(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """Each change that a repair makes comes back as an event: not one of them may lead to another look.

    What another installation does may.
    """
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    delete_route(world, pair[1], 0, "10.0.0.0/16")
    maintenance, deadline = world.maintenance(), Deadline(world.time.clock, 800)
    with world.counted() as calls:
        kept(stack)
    made = [call for call in calls if not call.operation.startswith(READS)]
    parameters = {"routeTableId": pair[0].route_table_ids[0], "vpcId": pair[0].id}

    woken = [maintenance.wake(cloudtrail(call.operation, pair[0], parameters, call.agent), deadline) for call in made]

    of_another = made[0].agent.replace(MARK, "custom-vpc-peering/(arn:aws:events:us-east-1:222222222222:event-bus/any)")
    assert [0] * 2 == woken
    assert 1 == maintenance.wake(cloudtrail("DeleteRoute", pair[0], parameters), deadline)
    assert made[0].agent != of_another
    assert 1 == maintenance.wake(cloudtrail("CreateRoute", pair[0], parameters, of_another), deadline)


def test_people_are_told_once(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """In plain words, what was found, where, and what was done; the same again is told to nobody."""
    maintenance = world.maintenance()
    told: list[str] = []
    topic = subscribe(world)
    internet = internet_gateway(world, pair[0])
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    delete_route(world, pair[1], 1, "10.0.0.0/16")
    world.ec2(pair[0]).create_route(
        RouteTableId=pair[0].route_table_ids[0], DestinationCidrBlock="10.8.0.0/16", GatewayId=internet
    )

    for _ in range(3):
        kept(stack, maintenance=maintenance)
        told += published(world, topic)

    (first,) = told
    table, peer_table = pair[0].route_table_ids[0], pair[1].route_table_ids[1]
    assert f"- Accepter's side: {peer_table} lacks the route to 10.0.0.0/16. Repaired." in first
    assert f"{table} routes 10.8.0.0/16 to {internet} already." in first


@pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
def test_what_another_finding_does_is_nothing_new(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """A second finding, and a look that failed as a whole, come by themselves: the first one is not told again."""
    maintenance, topic = world.maintenance(), subscribe(world)
    told: list[str] = []
    internet = internet_gateway(world, pair[0])

    def conflict(table: int) -> None:
        delete_route(world, pair[0], table, "10.8.0.0/16")
        table_id = pair[0].route_table_ids[table]
        world.ec2(pair[0]).create_route(RouteTableId=table_id, DestinationCidrBlock="10.8.0.0/16", GatewayId=internet)

    def unreachable() -> None:
        world.aws.faults.append(Fault("AssumeRole", code="AccessDenied", status=403))

    for happens in (partial(conflict, 0), unreachable, lambda: None, partial(conflict, 1), lambda: None):
        happens()
        kept(stack, maintenance=maintenance)
        told += published(world, topic)

    first, second, third = [message.splitlines()[1:] for message in told]
    tables = pair[0].route_table_ids
    assert [1, 1, 1] == [len(first), len(second), len(third)]
    assert f"{tables[0]} routes" in first[0]
    assert "cannot be assumed" in second[0]
    assert f"{tables[1]} routes" in third[0]


def test_people_are_told_what_is_written_down(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another worker has written meanwhile it tells too; only one of the two is heard."""
    stack = world.stack()
    stack.create(world.properties(*pair, MaintenanceMode="Report"))
    delete_route(world, pair[0], 0, "10.8.0.0/16")
    topic = subscribe(world)
    monkeypatch.setattr(world.store, "save", lambda *_: False)

    found = kept(stack)

    assert ([False], []) == ([finding.done for finding in found or []], published(world, topic))


def subscribe(world: World) -> str:
    """Let a queue take what the topic says, and return its URL."""
    sqs, sns = (client(world.aws.url, service, HUB, "us-east-1") for service in ("sqs", "sns"))
    url: str = sqs.create_queue(QueueName="people")["QueueUrl"]
    topic = sns.create_topic(Name="findings")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{HUB}:people")
    return url


def published(world: World, url: str) -> list[str]:
    """Return what people have been told since they were asked last."""
    sqs = client(world.aws.url, "sqs", HUB, "us-east-1")
    taken = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for each in taken:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return [json.loads(each["Body"])["Message"] for each in taken]
