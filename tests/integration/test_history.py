"""The bugs that others had: docs/history.md names a test for each, and the ones that no other file has are here."""

import ast
import re
from pathlib import Path

import pytest

from local.world import Vpc
from tests.harness import TOPOLOGIES, Context, World, operations

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
OPTIONS = {"AllowDnsResolutionFromRemoteVpc": "true", "PeerAllowDnsResolutionFromRemoteVpc": "true"}
everywhere = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


def functions(path: str) -> set[str]:
    """Return the names of a file's functions."""
    return {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_bug_has_a_test_that_exists() -> None:
    """A test that was renamed or dropped would leave a bug to come in unseen."""
    rows = ROW.findall((ROOT / "docs/history.md").read_text())

    assert [str(number) for number in range(1, 43)] == [number for number, *_ in rows]
    named = {what: TEST.findall(tests) for _, what, _, tests in rows}
    assert [] == [what for what, tests in named.items() if not tests]
    assert [] == [test for tests in named.values() for path, test in tests if test not in functions(path)]


@everywhere
def test_options_are_on_after_the_first_run(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """EC2 takes options of an active connection only: a tool that asks too early needs a second run."""
    pcx = world.stack().create(world.properties(*pair, **OPTIONS))["PhysicalResourceId"]

    shown = [world.connection(vpc, pcx) for vpc in pair]
    sides = zip(("RequesterVpcInfo", "AccepterVpcInfo"), shown, strict=True)
    assert [True, True] == [seen[info]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"] for info, seen in sides]


@everywhere
def test_options_are_sent_one_by_one(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Members that nobody asked for are refused across Regions, as those of ClassicLink."""
    with world.counted() as calls:
        world.stack().create(world.properties(*pair, **OPTIONS))

    sent = [call.params for call in calls if call.operation == "ModifyVpcPeeringConnectionOptions"]
    members = [set(options) for params in sent for name, options in params.items() if name.endswith("Options")]
    assert members
    assert [{"AllowDnsResolutionFromRemoteVpc"}] * len(members) == members


@everywhere
def test_pending_request_goes_with_the_resource(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A request that nobody accepts would keep its VPC from being deleted for a week."""
    stack = world.stack()
    given = world.properties(*pair, AutoAccept="false", PeerRoleArn=None, PeerExternalId=None, PeerRoutes=None)
    pcx = stack.create(given)["PhysicalResourceId"]
    assert "pending-acceptance" == world.status(pair[0], pcx)

    assert "SUCCESS" == stack.delete()["Status"]
    assert "deleted" == world.status(pair[0], pcx)


def test_create_that_is_repeated_after_the_rollback(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Lambda repeats what ended with an error, also when CloudFormation has long deleted what it made."""
    stack = world.stack()
    event = stack.event("Create", world.properties(*pair))
    stack.delete("network-Peering-1ABCDEFGHIJK", event["ResourceProperties"])

    with world.counted() as calls:
        stack.resource(event, Context(world.time.now, world.time.now() + 900))

    assert [] == operations(calls)
    assert [] == world.live(pair[0])
