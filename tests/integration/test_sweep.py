"""A sweep over many peerings, under EC2's token buckets: what it costs, and what it leaves to deployments."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from threading import Condition
from types import SimpleNamespace
from typing import Any, Self

import botocore.session
import pytest

from handler import external_ids, sessions
from handler.clock import Deadline
from handler.outbox import BATCH, LINES
from handler.registry import Entry
from local.strict import Call
from local.world import Vpc, make_role, make_vpc
from tests.harness import EXTERNAL_ID, HUB, Topology, VirtualTime, World, operations, writes
from tests.integration.test_maintenance import messages

CALL_SECONDS = 0.05
SPOKES = 12
BATCHES = (10, 2)
ROUNDS, DEPLOYMENTS = 2, 2
READS = ("DescribeRouteTables", "DescribeVpcPeeringConnections", "DescribeVpcs")
ACROSS = pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)


def spread(world: World, *, accounts: int) -> Vpc:
    """Peer a hub with many spokes, in so many other accounts; and let time pass with each call from then on."""
    world.maintained = True
    hub = world.vpc("hub", "10.0.0.0/16")
    for number in range(SPOKES):
        account = f"{400000000000 + number % accounts}"
        spoke = make_vpc(world.aws.url, account, "eu-west-1", f"spoke-{number}", f"10.{20 + number}.0.0/16")
        if account not in world.roles:
            world.roles[account] = make_role(world.aws.url, account, "VpcPeeringAccess", HUB, EXTERNAL_ID)
        created = world.stack(f"stack-{number}").create(world.properties(hub, spoke))
        assert "SUCCESS" == created["Status"]
    world.time.sleep(600)
    world.aws.settings.throttled = True
    world.aws.watchers.append(lambda _call: world.time.sleep(CALL_SECONDS))
    return hub


def swept(world: World) -> tuple[list[Call], list[int]]:
    """Sweep, as one worker does it batch by batch; return the calls, and how many each batch took."""
    maintenance, deadline = world.maintenance(), Deadline(world.time.clock, 800)
    assert SPOKES == maintenance.sweep(deadline)
    taken = messages(world)
    counts, made = [], []
    for start in range(0, SPOKES, BATCH):
        with world.counted() as calls:
            answer = maintenance.work({"Records": taken[start : start + BATCH]}, None, deadline)
        assert {"batchItemFailures": []} == answer
        counts.append(len(calls))
        made += calls
    return made, counts


@ACROSS
def test_spokes_of_one_account_cost_seven_calls_a_batch(world: World) -> None:
    """Three reads of each of the two accounts, and one role: whatever the number of resources."""
    spread(world, accounts=1)

    calls, counts = swept(world)

    assert [7] * len(BATCHES) == counts
    assert [] == writes(calls)


@ACROSS
def test_an_external_id_is_read_once_a_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each decryption is paid for, and Parameter Store takes but 40 a second; no line of any resource shows it."""
    spread(world, accounts=1)
    read: list[str] = []

    def counted(session: botocore.session.Session, name: str, *rest: Any) -> str | None:  # noqa: ANN401  # passed on
        read.append(name)
        return external_ids.recalled(session, name, *rest)

    monkeypatch.setattr(sessions, "recalled", counted)
    concealed: list[str] = []
    monkeypatch.setattr(sessions, "conceal", concealed.append)

    swept(world)

    assert (len(BATCHES), 1) == (len(read), len(set(read)))
    assert [EXTERNAL_ID] * SPOKES == concealed


@ACROSS
def test_spokes_of_many_accounts_cost_the_hub_no_more(world: World) -> None:
    """The hub is read three times a batch; each other account once a resource."""
    hub = spread(world, accounts=SPOKES)

    calls, counts = swept(world)

    assert [3 + size * 4 for size in BATCHES] == counts
    of_hub = Counter(call.operation for call in calls if (call.account, call.region) == (hub.account, hub.region))
    assert dict.fromkeys(READS, len(BATCHES)) == {name: of_hub[name] for name in READS}


class Lanes:
    """Virtual time of several who work side by side: one goes on at a time, once all wait, whoever is due first."""

    def __init__(self, time: VirtualTime, lanes: int) -> None:
        self._now, self._move = time.now, time.sleep
        self._lanes = lanes
        self._numbers = count()
        self._waiting: list[tuple[float, int]] = []
        self._turn = Condition()

    def sleep(self, seconds: float) -> None:
        """Wait until it is this one's turn, so many seconds from now or later."""
        with self._turn:
            mine = (self._now() + seconds, next(self._numbers))
            self._waiting.append(mine)
            self._next()
            assert self._turn.wait_for(lambda: mine not in self._waiting, timeout=60)

    def run(self, work: Callable[[], None]) -> float:
        """Work in a lane; return when that ended."""
        try:
            self.sleep(0)
            work()
            return self._now()
        finally:
            with self._turn:
                self._lanes -= 1
                self._next()

    def _next(self) -> None:
        if self._waiting and len(self._waiting) == self._lanes:
            first = min(self._waiting)
            self._move(max(0, first[0] - self._now()))
            self._waiting.remove(first)
            self._turn.notify_all()


class InTurn:
    """A pool that does at once what it is given."""

    def __init__(self, _workers: int) -> None: ...

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def submit(self, work: Callable[..., Any], *given: Any) -> "Future[Any]":  # noqa: ANN401  # whatever it is given
        """Do it."""
        future: Future[Any] = Future()
        future.set_result(work(*given))
        return future


@ACROSS
def test_deployments_during_a_sweep_are_never_throttled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many workers as the queue lets read in the hub, all the time: no call is refused, and none waits.

    Ten spokes stand for any other ten: each worker looks at them again and again. The calls of one worker follow each
    other, as slowly as if three of twice the length went side by side.
    """
    hub = spread(world, accounts=SPOKES)
    spokes = [world.peer_vpc(f"new-{number}", f"10.{200 + number}.0.0/16", tables=2) for number in range(DEPLOYMENTS)]
    maintenance = world.maintenance()
    maintenance.sweep(Deadline(world.time.clock, 800))
    batch = {"Records": messages(world)[:BATCH]}
    world.aws.watchers.clear()
    world.aws.settings.latency = CALL_SECONDS
    lanes, began = Lanes(world.time, LINES + 1), world.time.now()
    monkeypatch.setattr("handler.parallel.ThreadPoolExecutor", InTurn)
    monkeypatch.setattr("local.strict.gateway.time", SimpleNamespace(sleep=lanes.sleep))
    monkeypatch.setattr(world.time, "sleep", lanes.sleep)
    worker = world.maintenance()

    def work() -> None:
        for _ in range(ROUNDS):
            assert {"batchItemFailures": []} == worker.work(batch, None, Deadline(world.time.clock, 800))

    def deploy() -> None:
        for number, spoke in enumerate(spokes):
            created = world.stack(f"new-{number}").create(world.properties(hub, spoke))
            assert "SUCCESS" == created["Status"]

    with world.counted() as calls, ThreadPoolExecutor(LINES + 1) as pool:
        *swept, deployed = pool.map(lanes.run, [work] * LINES + [deploy])

    batch_calls = 3 + 4 * BATCH
    assert [ROUNDS * batch_calls * CALL_SECONDS] * LINES == pytest.approx([ended - began for ended in swept])
    assert began < deployed < min(swept)
    assert DEPLOYMENTS * 2 * 2 == len(operations(calls, "CreateRoute"))
    assert (len(calls) - LINES * ROUNDS * batch_calls) * CALL_SECONDS == pytest.approx(deployed - began)
    assert [] == [call for call in calls if call.error]


@ACROSS
@pytest.mark.parametrize("hub_leads", [True, False])
def test_a_hub_is_read_by_few_workers_whichever_side_it_is(world: World, *, hub_leads: bool) -> None:
    """Spokes of many accounts that request from one hub would stand in as many lines, by their own accounts."""
    hub = f"{HUB}/us-east-1"
    pairs = [(hub, f"{400000000000 + number}/eu-west-1") for number in range(40)]
    entries = [
        Entry((f"stack-{number}", "Peering"), pair if hub_leads else pair[::-1], frozenset())
        for number, pair in enumerate(pairs)
    ]

    count = world.maintenance().outbox.enqueue(entries, "sweep", 0, Deadline(world.time.clock, 800))

    lines: set[Any] = {message["attributes"]["MessageGroupId"] for message in messages(world)}
    assert (40, {f"{hub}/{line}" for line in range(LINES)}) == (count, lines)


@ACROSS
def test_a_sweep_of_one_place_stands_in_few_lines(world: World) -> None:
    """SQS hands out one batch of a line at a time: so many workers read in one account and Region, and no more."""
    spread(world, accounts=1)
    maintenance = world.maintenance()
    maintenance.sweep(Deadline(world.time.clock, 800))

    groups: list[Any] = [message["attributes"]["MessageGroupId"] for message in messages(world)]

    assert SPOKES == len(groups)
    assert 1 < len(set(groups)) <= LINES
