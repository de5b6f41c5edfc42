"""A sweep over many peerings, under EC2's token buckets: what it costs, and what it leaves to deployments."""

from collections import Counter
from typing import Any

import botocore.session
import pytest

from handler import external_ids, sessions
from handler.clock import Deadline
from handler.outbox import BATCH, LINES
from handler.registry import Entry
from local.strict import Call
from local.world import Vpc, make_role, make_vpc
from tests.harness import EXTERNAL_ID, HUB, Topology, World, operations, writes
from tests.integration.test_maintenance import messages

CALL_SECONDS = 0.05
SPOKES = 12
BATCHES = (10, 2)
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


@ACROSS
def test_a_sweep_leaves_deployments_their_tokens(world: World) -> None:
    """Neither a sweep nor a Create right after it is throttled once: EC2's buckets are as good as full."""
    hub = spread(world, accounts=1)
    spoke = world.peer_vpc("new", "10.200.0.0/16")

    swept_calls, _ = swept(world)
    with world.counted() as calls:
        created = world.stack("new").create(world.properties(hub, spoke))

    assert "SUCCESS" == created["Status"]
    assert operations(calls)
    assert [] == [call for call in [*swept_calls, *calls] if call.error]


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
