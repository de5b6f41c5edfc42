"""ReplaceRoute and DeleteRoute take no expected target: what somebody has led elsewhere since we looked is theirs."""

from typing import Any

import pytest

from local.strict import Call
from local.strict.connections import backend_of
from local.world import Vpc
from tests.harness import World, internet_gateway

BLOCKS = [f"10.8.{n}.0/24" for n in range(150)]


@pytest.fixture
def pair(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Vpc, Vpc]:
    """Make two VPCs with one table each, and let one worker do all: virtual sleeps of several would add up."""
    monkeypatch.setattr("handler.parallel.WORKERS", 1)
    return world.vpc("hub", "10.0.0.0/16", tables=1), world.peer_vpc("spoke", "10.8.0.0/16", tables=1)


def properties(world: World, pair: tuple[Vpc, Vpc], blocks: list[str]) -> dict[str, Any]:
    """Return what routes some blocks of the spoke in the hub."""
    routes = {"AllRouteTables": "true", "DestinationCidrBlocks": blocks}
    return world.properties(*pair, Routes=routes, PeerRoutes=None)


def taken(world: World, vpc: Vpc, block: str, operation: str, nth: int) -> str:
    """Let somebody lead a route to an internet gateway after the nth call of an operation; return the gateway."""
    gateway, calls = internet_gateway(world, vpc), [operation] * nth

    def watch(call: Call) -> None:
        if call.operation == operation and calls and not call.error:
            calls.pop()
            if not calls:
                place = vpc.route_table_ids[0], block
                backend_of((vpc.account, vpc.region)).replace_route(*place, gateway_id=gateway)

    world.aws.watchers.append(watch)
    return gateway


def test_a_long_delete_looks_again(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """EC2 takes five deletions a second: what the first reading showed is half a minute old in the end."""
    stack = world.stack()
    stack.create(properties(world, pair, BLOCKS))
    world.aws.settings.throttled = True
    last = max(BLOCKS)
    gateway = taken(world, pair[0], last, "DeleteRoute", 90)
    began = world.time.now()

    assert "SUCCESS" == stack.delete()["Status"]

    assert {last: gateway} == world.routes(pair[0])[pair[0].route_table_ids[0]]
    assert world.time.now() - began <= 1.15 * (len(BLOCKS) - 50) / 5


def test_what_is_made_first_takes_its_time(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Routes are taken off after all the new ones were made: the tables are read anew before."""
    stack = world.stack()
    stack.create(properties(world, pair, BLOCKS[:2]))
    gateway = taken(world, pair[0], BLOCKS[1], "CreateRoute", 1)

    assert "SUCCESS" == stack.update(properties(world, pair, [BLOCKS[0], BLOCKS[2]]))["Status"]

    assert gateway == world.routes(pair[0])[pair[0].route_table_ids[0]][BLOCKS[1]]


def test_a_route_that_is_taken_while_it_waits_to_be_moved(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A replacement moves only what leads to the old connection: else it is refused, and taken back whole."""
    stack, other = world.stack(), world.peer_vpc("other", "10.8.0.0/16", tables=1)
    old = stack.create(properties(world, pair, BLOCKS))["PhysicalResourceId"]
    world.aws.settings.throttled = True
    last = max(BLOCKS)
    gateway = taken(world, pair[0], last, "ReplaceRoute", 90)

    answer = stack.update(properties(world, (pair[0], other), BLOCKS))

    assert f"ResourceConflict: {pair[0].route_table_ids[0]} routes {last} to {gateway} already." in answer["Reason"]
    kept = {block: old for block in BLOCKS if block != last} | {last: gateway}
    assert kept == world.routes(pair[0])[pair[0].route_table_ids[0]]
