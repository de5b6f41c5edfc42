"""What design section 9 promises, counted: EC2 and STS calls at 1, 20 and 100 tables a side, and the time."""

import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from local.strict import Call
from local.world import Vpc
from tests.harness import ACCOUNT, READS, Topology, World, operations, writes

SIZES = (1, 20, 100)
ONE_ROLE, TWO_ROLES = Topology(), Topology(account=ACCOUNT)
sizes = pytest.mark.parametrize("tables", SIZES)
topologies = pytest.mark.parametrize("world", [ONE_ROLE, TWO_ROLES], indirect=True, ids=str)
sizes_and_topologies = pytest.mark.parametrize(
    ("world", "tables"), [*((ONE_ROLE, size) for size in SIZES), (TWO_ROLES, 20)], indirect=["world"], ids=str
)
OPTIONS = {"AllowDnsResolutionFromRemoteVpc": "true", "PeerAllowDnsResolutionFromRemoteVpc": "true"}


def _polls(calls: list[Call]) -> int:
    """Count the reads that wait for EC2 to change state: those of one connection by its id, until it is active or gone.

    Of the reads by id the last of each side are no polls where options or tags are read back.
    """
    changes = [n for n, call in enumerate(calls) if call.operation == "CreateVpcPeeringConnection"]
    first_route = next(n for n, call in enumerate(calls) if call.operation in {"CreateRoute", "DeleteRoute"})
    return sum(
        call.operation == "DescribeVpcPeeringConnections" and bool(changes) and changes[0] < n < first_route
        for n, call in enumerate(calls)
    )


def _reads(calls: Iterable[Call]) -> int:
    return sum(call.operation.startswith(READS) for call in calls)


@sizes_and_topologies
def test_create(world: World, tables: int) -> None:
    """10 reads + T x C writes a side + 6; polls while EC2 changes state come on top."""
    vpc = world.vpc("hub", "10.0.0.0/16", secondary=["10.1.0.0/16"], tables=tables)
    peer = world.peer_vpc("spoke", "10.8.0.0/16", secondary=["10.9.0.0/16"], tables=tables)

    with world.counted() as calls:
        created = world.stack().create(world.properties(vpc, peer, Preflight="Off", **OPTIONS))

    assert "SUCCESS" == created["Status"]
    assert 2 * 2 * tables == operations(calls).count("CreateRoute")
    assert _reads(calls) - _polls(calls) <= 10
    assert len(writes(calls)) <= 2 * 2 * tables + 6


@topologies
def test_preflight_adds_to_create(world: World) -> None:
    """One read a side to count the peerings of its VPC, and two a VPC for DNS; nobody asks for quotas yet."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")

    with world.counted() as calls:
        world.stack().create(world.properties(vpc, peer, **OPTIONS))

    assert 4 == operations(calls).count("DescribeVpcAttribute")
    assert _reads(calls) - _polls(calls) <= 10 + 2 + 4
    assert [] == [call for call in calls if call.service == "servicequotas"]


@sizes_and_topologies
def test_update_that_changes_nothing(world: World, tables: int) -> None:
    """8 reads, 0 writes."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16", tables=tables), world.peer_vpc("spoke", "10.8.0.0/16", tables=tables)
    stack = world.stack()
    properties = world.properties(vpc, peer, **OPTIONS)
    stack.create(properties)

    with world.counted() as calls:
        stack.update(properties)

    assert [] == writes(calls)
    assert len(calls) <= 8


@sizes
def test_adding_a_table(world: World, tables: int) -> None:
    """Reads and the routes of the new table; no other route is touched."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16", tables=tables), world.peer_vpc("spoke", "10.8.0.0/16", tables=tables)
    stack = world.stack()
    properties = world.properties(vpc, peer)
    stack.create(properties)
    added = world.ec2(vpc).create_route_table(VpcId=vpc.id)["RouteTable"]["RouteTableId"]

    with world.counted() as calls:
        stack.update(properties)

    assert ["CreateRoute"] == writes(calls)
    assert [added] == [call.params["RouteTableId"] for call in calls if call.operation == "CreateRoute"]
    assert _reads(calls) <= 8


@sizes
def test_adding_a_cidr_block(world: World, tables: int) -> None:
    """Reads and one route a table of the other side; no other route is touched."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16", tables=tables), world.peer_vpc("spoke", "10.8.0.0/16", tables=tables)
    stack = world.stack()
    properties = world.properties(vpc, peer)
    stack.create(properties)
    world.ec2(peer).associate_vpc_cidr_block(VpcId=peer.id, CidrBlock="10.9.0.0/16")

    with world.counted() as calls:
        stack.update(properties)

    touched = [(c.operation, c.params["DestinationCidrBlock"]) for c in calls if c.operation in writes(calls)]
    assert [("CreateRoute", "10.9.0.0/16")] * tables == touched
    assert _reads(calls) <= 8


@sizes_and_topologies
def test_delete(world: World, tables: int) -> None:
    """8 reads + the routes + 2."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16", tables=tables), world.peer_vpc("spoke", "10.8.0.0/16", tables=tables)
    stack = world.stack()
    stack.create(world.properties(vpc, peer))

    with world.counted() as calls:
        stack.delete()

    assert _reads(calls) <= 8
    assert len(writes(calls)) <= 2 * tables + 2


CHAIN = (
    "AssumeRole",
    "observe both sides at once",
    "CreateVpcPeeringConnection",
    "Describe: requested",
    "AcceptVpcPeeringConnection",
    "Describe: active on both sides",
    "options, tags and routes of both sides at once",
    "Describe: read back",
)
"""The calls of a Create that depend on each other."""


def test_time_without_throttling(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides in parallel: at most 1.5 x the longest chain of dependent calls, for 2 x 20 tables.

    Told by which calls wait for which, and not by the time that a busy machine takes between them.
    """
    vpc, peer = world.vpc("hub", "10.0.0.0/16", tables=20), world.peer_vpc("spoke", "10.8.0.0/16", tables=20)
    waits: list[tuple[float, float]] = []

    def wait(seconds: float) -> None:
        began = time.monotonic()
        time.sleep(seconds)
        waits.append((began, time.monotonic()))

    monkeypatch.setattr("local.strict.gateway.time", SimpleNamespace(sleep=wait))
    world.aws.settings.latency = 0.3
    stack = world.stack()

    created = stack.create(world.properties(vpc, peer, **OPTIONS))

    assert "SUCCESS" == created["Status"]
    assert len(waits) > 2 * 20
    assert longest_chain(waits) <= 1.5 * len(CHAIN)


def longest_chain(waits: list[tuple[float, float]]) -> int:
    """Return how many calls at most came one after the other, each begun once the one before had ended."""
    chains: list[tuple[float, int]] = []
    for began, ended in sorted(waits):
        chains.append((ended, 1 + max((length for end, length in chains if end <= began), default=0)))
    return max(length for _, length in chains)


def test_neither_side_waits_for_the_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each side has buckets of its own: routes of both are made in turn, so that both buckets are in use."""
    monkeypatch.setattr("handler.parallel.WORKERS", 1)
    vpc, peer = world.vpc("hub", "10.0.0.0/16", tables=3), world.peer_vpc("spoke", "10.8.0.0/16", tables=3)

    with world.counted() as calls:
        world.stack().create(world.properties(vpc, peer))

    regions = [call.region for call in calls if call.operation == "CreateRoute"]
    assert ["us-east-1", "eu-west-1"] * 3 == regions


def test_time_under_throttling(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """EC2's buckets: N routes on one side take at most 1.15 x (N - 50) / 5 s, and none fails.

    One worker, since virtual sleeps of several would add up.
    """
    monkeypatch.setattr("handler.parallel.WORKERS", 1)
    vpc, peer = world.vpc("hub", "10.0.0.0/16", tables=100), world.peer_vpc("spoke", "10.8.0.0/16", tables=1)
    routes = {"AllRouteTables": "true", "DestinationCidrBlocks": [f"10.8.{n}.0/24" for n in range(3)]}
    world.aws.settings.throttled = True

    created = world.stack().create(world.properties(vpc, peer, Routes=routes, PeerRoutes=None))

    assert "300" == created["Data"]["RouteCount"]
    assert world.time.now() <= 1.15 * (300 - 50) / 5


SOUGHT = {
    "VpcId": None,
    "PeerVpcId": None,
    "VpcTags": [{"Key": "Name", "Value": "hub"}],
    "PeerVpcTags": [{"Key": "Name", "Value": "spoke"}],
}


@pytest.mark.parametrize(
    ("more", "added"),
    [
        (lambda vpc, _peer: {"Routes": {"SubnetIds": [vpc.subnet_ids[0]]}}, 1),
        (lambda _vpc, peer: {"Routes": {"MainRouteTable": "true", "DestinationSubnetIds": [peer.subnet_ids[0]]}}, 1),
        (
            lambda vpc, peer: {
                "Routes": {"SubnetIds": [vpc.subnet_ids[0]], "DestinationSubnetIds": [peer.subnet_ids[0]]}
            },
            2,
        ),
        (lambda _vpc, _peer: {"Routes": {"RouteTableTags": [{"Key": "Tier"}]}}, 0),
        (lambda _vpc, _peer: SOUGHT, 0),
        (lambda _vpc, _peer: {"OnExistingConnection": "Adopt"}, 0),
    ],
    ids=["subnets", "destination subnets", "both", "table tags", "queries", "adopt"],
)
def test_what_finding_adds(world: World, more: Callable[[Vpc, Vpc], dict[str, Any]], added: int) -> None:
    """An Update that changes nothing: one read more a side whose subnets matter, none for VPCs that were found."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    world.ec2(vpc).create_tags(Resources=[vpc.route_table_ids[0]], Tags=[{"Key": "Tier", "Value": "app"}])
    plain, stack = world.stack("plain"), world.stack()
    plain.create(world.properties(vpc, peer))
    with world.counted() as simple:
        plain.update(plain.current)
    plain.delete()
    stack.create(world.properties(vpc, peer, **more(vpc, peer)))

    with world.counted() as calls:
        stack.update(stack.current)

    assert [] == writes(calls)
    assert len(simple) + added == len(calls)
