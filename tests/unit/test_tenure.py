"""Each call of the registry's table has a time of its own, and a writing is told from every other one."""

import logging
from typing import TYPE_CHECKING

import pytest

from handler.calls import CONFIG
from handler.clock import Deadline
from handler.errors import InvalidRequest, NetworkFailure, NotStabilized
from handler.item import KEPT_SECONDS, LEASE_SECONDS, LeaseLost
from handler.model import RouteRecord, Side
from handler.registry import LOST_WITHIN, REACHED_WITHIN, RENEWED_EVERY, Key, MemoryStore, Registry, Revision, Tenure
from tests.harness import VirtualTime
from tests.unit.given import OWNER, PCX, key, request

if TYPE_CHECKING:
    from handler.item import Answer

ANSWER: "Answer" = {"Status": "SUCCESS", "PhysicalResourceId": PCX}
ROUTE = RouteRecord(key(), PCX)
KEY: Key = (OWNER.stack_id, OWNER.logical_id)


class Watched(MemoryStore):
    """A store that writes down each call with its time, and what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Key, float]] = []
        self.names: list[str] = []
        self.unreachable = self.breaks_off = self.lost_reply = self.refuses = False

    def load(self, key: Key, deadline: Deadline) -> Revision | None:
        """Read."""
        self.calls.append(("load", key, deadline.remaining))
        return super().load(key, deadline)

    def save(self, key: Key, over: str | None, revision: Revision, deadline: Deadline) -> bool:
        """Write."""
        self.calls.append(("save", key, deadline.remaining))
        if self.unreachable:
            raise NetworkFailure("the table is not reached.", "Wait.")
        if self.refuses:
            raise InvalidRequest("the item is too large.", "Split it.")
        saved = super().save(key, over, revision, deadline)
        if saved:
            self.names.append(revision.name)
        if self.breaks_off:
            raise NetworkFailure("the table broke off.", "Wait.")
        return saved and not self.lost_reply


@pytest.fixture
def time() -> VirtualTime:
    """Make a time that does not wait."""
    return VirtualTime()


@pytest.fixture
def store() -> Watched:
    """Make an empty store."""
    return Watched()


def tenure(store: Watched, time: VirtualTime, request_type: str = "Create", request_id: str = "create") -> Tenure:
    """Return the hold of an invocation, not begun."""
    more = {} if request_type == "Create" else {"PhysicalResourceId": PCX}
    return Registry(store, time.clock).tenure(request(request_type, request_id, **more))


def begun(store: Watched, time: VirtualTime, request_type: str = "Create", request_id: str = "create") -> Tenure:
    """Return the hold of an invocation that has the lease."""
    hold = tenure(store, time, request_type, request_id)
    hold.begin(Deadline(time.clock, 900))
    return hold


def calls_of(store: Watched) -> list[tuple[str, Key, float]]:
    """Return the calls since the last time."""
    calls, store.calls = store.calls, []
    return calls


def test_every_call_has_its_time(store: Watched, time: VirtualTime) -> None:
    """A table that hangs must not eat the time of the work, and a renewal no time in which the lease could end."""
    hold = begun(store, time)
    assert [("load", KEY, REACHED_WITHIN), ("save", KEY, REACHED_WITHIN)] == calls_of(store)
    time.sleep(RENEWED_EVERY)
    hold.check()
    assert [("save", KEY, RENEWED_EVERY)] == calls_of(store)
    hold.remember([ROUTE])
    assert [("save", KEY, REACHED_WITHIN)] == calls_of(store)
    hold.requesting(time.clock.wall())
    assert [("save", KEY, REACHED_WITHIN)] == calls_of(store)
    hold.finish(ANSWER, Deadline(time.clock, 900))
    assert [("save", KEY, REACHED_WITHIN)] == calls_of(store)


def test_record_that_was_refused_is_none(store: Watched, time: VirtualTime) -> None:
    """It is too large, say: no route of it is made, and the answer is recorded and the lease released without it."""
    hold = begun(store, time)
    hold.remember([ROUTE])
    store.refuses = True
    with pytest.raises(InvalidRequest):
        hold.remember([RouteRecord(key("10.9.0.0/16"), PCX)])
    store.refuses = False

    assert (ROUTE,) == hold.records
    hold.finish({**ANSWER, "Status": "FAILED"}, Deadline(time.clock, 900))
    assert (ROUTE,) == begun(store, time, "Update", "update").records


def test_last_writing_keeps_the_deadline(store: Watched, time: VirtualTime) -> None:
    """Lambda's time-out does not wait for the table."""
    hold = begun(store, time)
    calls_of(store)

    hold.finish(ANSWER, Deadline(time.clock, 3))

    assert [("save", KEY, 3)] == calls_of(store)


def test_whoever_has_no_lease_reads_before_it_answers(store: Watched, time: VirtualTime) -> None:
    """What it knows may be old: one reading, and then a writing over just that."""
    begun(store, time)
    waiting = tenure(store, time, "Delete", "delete")
    with pytest.raises(NotStabilized):
        waiting.begin(Deadline(time.clock, 0))
    calls_of(store)

    waiting.finish(ANSWER, Deadline(time.clock, 900))

    assert [("load", KEY, REACHED_WITHIN), ("save", KEY, REACHED_WITHIN)] == calls_of(store)


def test_record_survives_a_beginning_that_broke_off(store: Watched, time: VirtualTime) -> None:
    """The lease was written, its reply never came: the answer is recorded over it, and not an empty record too."""
    first = begun(store, time)
    first.remember([ROUTE])
    first.finish(ANSWER, Deadline(time.clock, 900))
    store.breaks_off = True
    hold = tenure(store, time, "Delete", "delete")
    with pytest.raises(NetworkFailure):
        hold.begin(Deadline(time.clock, 900))
    store.breaks_off = False

    hold.finish({**ANSWER, "Status": "FAILED"}, Deadline(time.clock, 900))

    assert (ROUTE,) == begun(store, time, "Update", "update").records


def test_conflict_reads_within_the_same_time(store: Watched, time: VirtualTime) -> None:
    """A writing that meets another one has no second time."""
    hold = begun(store, time)
    with pytest.raises(NotStabilized):
        tenure(store, time, "Delete", "delete").begin(Deadline(time.clock, 0))
    calls_of(store)

    hold.finish(ANSWER, Deadline(time.clock, 900))

    expected = ["save", "load", "save"]
    assert [(name, KEY, REACHED_WITHIN) for name in expected] == calls_of(store)


def test_writings_have_names_of_their_own(store: Watched, time: VirtualTime) -> None:
    """Two of one name, and what came between them would be overwritten unseen."""
    hold = begun(store, time)
    hold.remember([ROUTE])
    hold.forget(PCX)
    hold.finish(ANSWER, Deadline(time.clock, 900))

    assert [f"{hold.claim.holder}-{number}" for number in (1, 2, 3)] == store.names


def test_memory_knows_a_writing_that_comes_too_late(time: VirtualTime) -> None:
    """It says so as DynamoDB does: a writing over what is not the last one is none."""
    store, deadline = MemoryStore(), Deadline(time.clock, 900)
    first, second = (Revision(name, tenure(Watched(), time)._item) for name in ("first", "second"))  # noqa: SLF001

    assert store.save(KEY, None, first, deadline) is True
    assert store.save(KEY, None, second, deadline) is False
    assert first == store.load(KEY, deadline)
    assert store.save(KEY, "first", second, deadline) is True
    assert second == store.load(KEY, deadline)
    assert store.load((KEY[0], "Another"), deadline) is None


def test_lost_reply_renews_as_well(store: Watched, time: VirtualTime) -> None:
    """The lease was written: the next call of the work does not write it again, the one after five seconds does."""
    store.lost_reply = True
    hold = begun(store, time)
    time.sleep(RENEWED_EVERY - 1)
    calls_of(store)
    hold.check()
    assert [] == calls_of(store)
    time.sleep(1)
    hold.check()
    assert ["save", "load"] == [name for name, _, _ in calls_of(store)]


def test_waiting_grows_to_five_seconds(store: Watched, time: VirtualTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before notices within five seconds; to ask more often would only cost."""
    monkeypatch.setattr("handler.clock.random.uniform", lambda _least, most: most)
    begun(store, time)

    with pytest.raises(NotStabilized) as raised:
        tenure(store, time, "Delete", "delete").begin(Deadline(time.clock, 20))

    assert [0.5, 1, 2, 4, 5, 5] == time.slept
    assert "the time was over: an earlier request for this resource was still being served." == raised.value.cause


def test_renewal_may_fail_until_the_lease_is_about_to_end(
    store: Watched, time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    """Thirty seconds before its end and not later: a call that has begun ends in these. The log tells of each."""
    caplog.set_level(logging.WARNING)
    hold = begun(store, time)
    store.unreachable = True
    time.sleep(LEASE_SECONDS - LOST_WITHIN)

    hold.check()

    (record,) = caplog.records
    assert ("the lease could not be renewed yet", "NetworkFailure: the table is not reached. Wait.") == (
        record.getMessage(),
        record.__dict__["reason"],
    )
    time.sleep(RENEWED_EVERY)
    with pytest.raises(NetworkFailure):
        hold.check()


def test_lease_that_was_taken_is_no_passing_failure(store: Watched, time: VirtualTime) -> None:
    """It is not logged and forgotten."""
    hold = begun(store, time)
    time.sleep(LEASE_SECONDS)
    begun(store, time)

    with pytest.raises(LeaseLost):
        hold.check()


def test_no_call_outlives_the_lease() -> None:
    """Whoever takes the lease over must find nobody at work: a call that began in time ends before it is free."""
    longest = CONFIG.connect_timeout + CONFIG.read_timeout  # type: ignore[attr-defined]  # botocore's

    assert RENEWED_EVERY + longest < LOST_WITHIN < LEASE_SECONDS - RENEWED_EVERY


def test_vpcs_are_those_of_the_connection(store: Watched, time: VirtualTime) -> None:
    """A query of the properties may lead elsewhere by now: what the Create found is what its Delete is about."""
    data = {"RequesterVpcId": "vpc-hub", "AccepterVpcId": "vpc-spoke"}
    begun(store, time).finish({**ANSWER, "Data": data}, Deadline(time.clock, 900))
    hold = begun(store, time, "Delete", "delete")

    assert {Side.REQUESTER: "vpc-hub", Side.ACCEPTER: "vpc-spoke"} == hold.vpc_ids(PCX)
    assert ({}, {}) == (hold.vpc_ids("pcx-other"), hold.vpc_ids(None))


def test_end_is_remembered_from_now_on(store: Watched, time: VirtualTime) -> None:
    """The time to live of what was deleted counts from its end."""
    time.sleep(1000)
    begun(store, time).finish(ANSWER, Deadline(time.clock, 900))

    begun(store, time, "Delete", "delete").finish(ANSWER, Deadline(time.clock, 900))

    left = store.load(KEY, Deadline(time.clock, 900))
    assert left
    assert 1000 + KEPT_SECONDS == left.item.expires_at
