"""One invocation's hold on a resource, whatever other invocations do meanwhile and whatever the table does."""

from typing import TYPE_CHECKING, Any

import pytest

from handler.clock import Deadline
from handler.errors import NetworkFailure, NotStabilized
from handler.item import LEASE_SECONDS, LeaseLost, Superseded
from handler.model import RouteRecord, Side, Stood
from handler.registry import (
    LOST_WITHIN,
    RENEWED_EVERY,
    SHOWN_WITHIN,
    Key,
    MemoryStore,
    Registry,
    Revision,
    Store,
    Tenure,
)
from tests.harness import VirtualTime
from tests.unit.given import PCX, key, request

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER = {"Status": "SUCCESS", "PhysicalResourceId": PCX}
ROUTE = RouteRecord(key(), PCX)
STOOD = {PCX: {Side.REQUESTER: Stood({"team": "net"})}}


class Table(MemoryStore):
    """A store that counts its writings, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writings = 0
        self.before: Callable[[], None] = lambda: None
        """Called before each writing, once."""
        self.lost_reply = self.unreachable = self.unreadable = False

    def load(self, key: Key, deadline: Deadline) -> Revision | None:
        """Read."""
        if self.unreadable:
            raise NetworkFailure("the table is not reached.", "Wait.")
        return super().load(key, deadline)

    def save(self, key: Key, over: str | None, revision: Revision, deadline: Deadline) -> bool:
        """Write; with a lost reply the repeated writing finds itself in its own way."""
        if self.unreachable:
            raise NetworkFailure("the table is not reached.", "Wait.")
        before, self.before = self.before, lambda: None
        before()
        self.writings += 1
        return super().save(key, over, revision, deadline) and not self.lost_reply


@pytest.fixture
def time() -> VirtualTime:
    """Make a time that does not wait."""
    return VirtualTime()


@pytest.fixture
def table() -> Table:
    """Make an empty table."""
    return Table()


def tenure(store: Store, time: VirtualTime, request_type: str = "Create", request_id: str = "create") -> Tenure:
    """Return the hold of an invocation, not begun."""
    more: dict[str, Any] = {} if request_type == "Create" else {"PhysicalResourceId": PCX}
    return Registry(store, time.clock).tenure(request(request_type, request_id, **more))


def begun(store: Store, time: VirtualTime, request_type: str = "Create", request_id: str = "create") -> Tenure:
    """Return the hold of an invocation that has the lease."""
    hold = tenure(store, time, request_type, request_id)
    hold.begin(Deadline(time.clock, 900))
    return hold


def finish(hold: Tenure, time: VirtualTime) -> None:
    """End an invocation."""
    hold.finish(ANSWER, Deadline(time.clock, 900))


def test_second_request_waits_for_the_first(table: Table, time: VirtualTime) -> None:
    """The fence: the first notices at its next call, ends, and the second goes on."""
    first, second = begun(table, time), tenure(table, time, "Delete", "delete")
    sleep = time.sleep

    def notice(seconds: float) -> None:
        sleep(seconds)
        if time.now() >= RENEWED_EVERY and first.answer is None:
            with pytest.raises(Superseded):
                first.check()
            finish(first, time)

    time.sleep = notice  # type: ignore[method-assign]
    second.begin(Deadline(time.clock, 900))

    assert RENEWED_EVERY <= time.now() < 3 * RENEWED_EVERY
    assert second.answer is None


def test_second_request_waits_for_the_end_of_a_dead_ones_lease(table: Table, time: VirtualTime) -> None:
    """A process that was killed says nothing."""
    begun(table, time)

    begun(table, time, "Delete", "delete")

    assert LEASE_SECONDS <= time.now() < LEASE_SECONDS + RENEWED_EVERY


def test_waiting_has_an_end(table: Table, time: VirtualTime) -> None:
    """CloudFormation is told, rather than nobody."""
    begun(table, time)

    with pytest.raises(NotStabilized, match="an earlier request"):
        tenure(table, time, "Delete", "delete").begin(Deadline(time.clock, 20))


def test_request_that_gave_up_waiting_is_answered(table: Table, time: VirtualTime) -> None:
    """Its answer stands, and the lease of the other one does too."""
    first, second = begun(table, time), tenure(table, time, "Delete", "delete")
    with pytest.raises(NotStabilized):
        second.begin(Deadline(time.clock, 5))

    finish(second, time)

    assert ANSWER == begun(table, time, "Delete", "delete").answer
    with pytest.raises(Superseded):
        first.remember([ROUTE])


def test_repeated_event_gets_its_answer(table: Table, time: VirtualTime) -> None:
    """At once, without a lease, whoever works on the resource by now."""
    finish(begun(table, time), time)
    begun(table, time, "Update", "update")

    assert (ANSWER, 0.0) == (begun(table, time).answer, time.now())


def test_duplicate_waits_for_the_answer_of_the_first(table: Table, time: VirtualTime) -> None:
    """Lambda may deliver an event twice at once: one works, both give the same answer."""
    first, duplicate = begun(table, time), tenure(table, time)
    table.before = lambda: None
    sleep = time.sleep
    time.sleep = lambda seconds: (sleep(seconds), finish(first, time))[0]  # type: ignore[method-assign]

    duplicate.begin(Deadline(time.clock, 900))

    assert ANSWER == duplicate.answer


def test_lease_is_renewed_by_calls_and_not_by_every_one(table: Table, time: VirtualTime) -> None:
    """A call costs one writing in five seconds, and a long wait keeps the lease."""
    hold = begun(table, time)
    before = table.writings
    for _ in range(100):
        time.sleep(1)
        hold.check()

    assert 100 / RENEWED_EVERY == table.writings - before
    assert hold.answer is None
    assert LEASE_SECONDS - RENEWED_EVERY < (lease_until(table) - time.now()) <= LEASE_SECONDS


def lease_until(table: Table) -> int:
    """Return when the lease of the only item ends."""
    (revision,) = table._revisions.values()  # noqa: SLF001  # the store's own
    assert revision.item.lease
    return revision.item.lease.until


def test_writing_whose_reply_was_lost_is_known_again(table: Table, time: VirtualTime) -> None:
    """DynamoDB took it, the repetition is refused by its own condition: nobody else was there."""
    table.lost_reply = True
    hold = begun(table, time)
    hold.remember([ROUTE])
    finish(hold, time)

    assert 3 == table.writings
    again = begun(table, time)
    assert (ANSWER, (ROUTE,)) == (again.answer, again.records)


def test_writing_meets_another_one(table: Table, time: VirtualTime) -> None:
    """A newer request begins between our reading and our writing: what we write is decided anew, on what it wrote."""
    hold = begun(table, time)

    def meanwhile() -> None:
        with pytest.raises(NotStabilized):
            tenure(table, time, "Delete", "delete").begin(Deadline(time.clock, 0))

    table.before = meanwhile
    with pytest.raises(Superseded):
        hold.remember([ROUTE])


def test_taken_lease_is_noticed(table: Table, time: VirtualTime) -> None:
    """A process that slept longer than its lease must not write any more, and must not answer while another one works.

    Once that one has answered, there is one answer only.
    """
    hold = begun(table, time)
    time.sleep(LEASE_SECONDS)
    other = begun(table, time)

    with pytest.raises(LeaseLost):
        hold.check()
    with pytest.raises(LeaseLost):
        finish(hold, time)
    finish(other, time)
    assert ANSWER == hold.finish({**ANSWER, "Status": "FAILED"}, Deadline(time.clock, 900))


def test_renewal_that_fails_is_repeated_while_the_lease_holds(table: Table, time: VirtualTime) -> None:
    """A table that is away for a moment ends nothing; one that stays away ends the work before the lease ends."""
    hold = begun(table, time)
    table.unreachable = True
    while lease_until(table) - time.now() > LOST_WITHIN + RENEWED_EVERY:
        time.sleep(RENEWED_EVERY)
        hold.check()
    time.sleep(RENEWED_EVERY + 1)

    with pytest.raises(NetworkFailure):
        hold.check()


def test_routes_are_written_before_they_are_made_and_forgotten_with_the_answer(table: Table, time: VirtualTime) -> None:
    """A record too many is harmless for a moment, a record too few is a route that nobody owns."""
    hold = begun(table, time)
    hold.remember([ROUTE])
    assert (ROUTE,) == reread(table, time)
    hold.forget(PCX)
    assert (ROUTE,) == reread(table, time)
    finish(hold, time)

    assert () == reread(table, time)


def test_what_stood_is_written_at_once_and_dropped_with_the_answer(table: Table, time: VirtualTime) -> None:
    """A process that dies after its first write must not take what was there for ours; what is left is forgotten."""
    hold = begun(table, time)
    hold.remember([], STOOD)
    hold.remember([], {"pcx-2": {}})
    assert {**STOOD, "pcx-2": {}} == hold.stood == known(table, time).stood
    hold.forget(PCX, [])
    hold.forget("pcx-2")
    hold.forget("pcx-3")
    assert {**STOOD, "pcx-2": {}} == known(table, time).stood
    finish(hold, time)

    assert STOOD == known(table, time).stood
    assert {PCX} == known(table, time).living


def known(table: Table, time: VirtualTime) -> Tenure:
    """Return what another process finds."""
    other = tenure(table, time, "Update", "update")
    other._enter(Deadline(time.clock, 60))  # noqa: SLF001  # without waiting
    return other


def reread(table: Table, time: VirtualTime) -> tuple[RouteRecord, ...]:
    """Return the routes that another process finds recorded."""
    other = tenure(table, time, "Update", "update")
    other._enter(Deadline(time.clock, 60))  # noqa: SLF001  # without waiting
    return other.records


def test_routes_that_were_recorded_just_now(table: Table, time: VirtualTime) -> None:
    """EC2 may not show them yet: what it does not show is not gone. A renewal and a known route count for nothing."""
    hold = begun(table, time)
    assert hold.settled
    hold.remember([ROUTE])
    assert not hold.settled
    time.sleep(SHOWN_WITHIN)
    assert not hold.settled
    time.sleep(1)
    assert hold.settled
    hold.remember([ROUTE])

    assert hold.settled
    finish(hold, time)
    assert begun(table, time, "Update", "update").settled


def test_connection_that_was_requested_just_now(table: Table, time: VirtualTime) -> None:
    """Another process knows of the request before EC2 has it, until EC2 must show it; to be renewed is no request."""
    hold = begun(table, time)
    assert (False, True) == (hold.unseen, hold.may_live)
    time.sleep(10)
    hold.requesting(time.clock.wall())
    requested = time.now()
    hold.finish({**ANSWER, "Status": "FAILED"}, Deadline(time.clock, 900))
    delete = begun(table, time, "Delete", "delete")
    assert (True, True) == (delete.unseen, delete.may_live)
    time.sleep(requested + SHOWN_WITHIN - time.now())
    delete.check()
    assert delete.unseen
    time.sleep(1)

    assert (False, True, True) == (delete.unseen, delete.requested, delete.may_live)


def test_state_that_the_resource_has_had(table: Table, time: VirtualTime) -> None:
    """The properties of the request are compared with those of the last success, or the connection with what lives."""
    finish(begun(table, time), time)
    update = begun(table, time, "Update", "update")
    update.finish({**ANSWER, "PhysicalResourceId": "pcx-new"}, Deadline(time.clock, 900))
    given = {"PhysicalResourceId": "pcx-new", "ResourceProperties": {"VpcId": "vpc-1"}}
    other = Registry(table, time.clock).tenure(request("Update", "other", **given))
    other.begin(Deadline(time.clock, 900))

    assert (True, False) == (other.had(PCX), other.had("pcx-new"))


def test_request_that_succeeded_is_no_matter_any_more(table: Table, time: VirtualTime) -> None:
    """Its connection is known by its id."""
    hold = begun(table, time)
    hold.requesting(time.clock.wall())
    finish(hold, time)

    delete = begun(table, time, "Delete", "delete")
    assert (False, False) == (delete.unseen, delete.requested)


def test_request_that_was_refused_is_none(table: Table, time: VirtualTime) -> None:
    """What an earlier attempt has requested counts again, if there was one."""
    hold = begun(table, time)
    before = hold.requested_at
    hold.requesting(time.clock.wall())
    assert (None, time.clock.wall()) == (before, hold.requested_at)

    hold.requesting(before)

    assert (None, False, False) == (hold.requested_at, hold.requested, hold.unseen)


def test_nothing_is_requested_for_a_superseded_create(table: Table, time: VirtualTime) -> None:
    """It is fenced at the last moment before the request, and has no say on the item any more."""
    hold = begun(table, time)
    tenure(table, time, "Delete", "delete")._enter(Deadline(time.clock, 60))  # noqa: SLF001  # without waiting

    with pytest.raises(Superseded):
        hold.requesting(time.clock.wall())


def test_hold_without_the_table_knows_of_a_request(table: Table, time: VirtualTime) -> None:
    """A Delete that goes on alone waits for what was requested too."""
    hold = begun(table, time)
    hold.requesting(time.clock.wall())
    hold.finish({**ANSWER, "Status": "FAILED"}, Deadline(time.clock, 900))
    delete = tenure(table, time, "Delete", "delete")
    delete.begin(Deadline(time.clock, 900))

    alone = delete.alone()
    alone.begin(Deadline(time.clock, 900))

    assert (True, True) == (alone.unseen, alone.may_live)


def test_hold_without_the_table_knows_what_was_read(table: Table, time: VirtualTime) -> None:
    """A Delete goes on alone: with the routes and the VPCs of the item, and without disturbing it."""
    hold = begun(table, time)
    hold.remember([ROUTE], STOOD)
    vpcs = {"RequesterVpcId": "vpc-hub", "AccepterVpcId": "vpc-spoke"}
    hold.finish({**ANSWER, "Data": vpcs}, Deadline(time.clock, 900))
    delete = tenure(table, time, "Delete", "delete")
    table.unreachable = True
    with pytest.raises(NetworkFailure):
        delete.begin(Deadline(time.clock, 900))
    writings = table.writings

    alone = delete.alone()
    alone.begin(Deadline(time.clock, 900))
    time.sleep(RENEWED_EVERY)
    alone.check()

    assert ((ROUTE,), ["vpc-hub", "vpc-spoke"]) == (alone.records, list(alone.vpc_ids(PCX).values()))
    assert (None, True, False) == (alone.answer, alone.may_live, alone.unknown)
    assert (STOOD, {PCX}) == (alone.stood, alone.living)
    assert alone.answer is None
    alone.finish(ANSWER, Deadline(time.clock, 900))
    assert ANSWER == alone.answer
    assert writings == table.writings


def test_hold_without_the_table_knows_of_an_unanswered_create(table: Table, time: VirtualTime) -> None:
    """What was read before the table failed still tells that there may be a connection."""
    begun(table, time)
    time.sleep(LEASE_SECONDS)
    delete = tenure(table, time, "Delete", "delete")
    table.unreachable = True
    with pytest.raises(NetworkFailure):
        delete.begin(Deadline(time.clock, 900))

    alone = delete.alone()
    alone.begin(Deadline(time.clock, 900))

    assert (True, False) == (alone.may_live, alone.unknown)


def test_hold_without_the_table_waits_for_nobody(table: Table, time: VirtualTime) -> None:
    """Whether the lease that was read is held still can't be known."""
    begun(table, time)
    delete = tenure(table, time, "Delete", "delete")
    table.unreachable = True
    with pytest.raises(NetworkFailure):
        delete.begin(Deadline(time.clock, 900))
    began = time.now()

    delete.alone().begin(Deadline(time.clock, 900))

    assert began == time.now()


def test_hold_of_what_was_never_read_may_live(table: Table, time: VirtualTime) -> None:
    """Nobody knows that there is nothing."""
    table.unreadable = True
    delete = tenure(table, time, "Delete", "delete")
    with pytest.raises(NetworkFailure):
        delete.begin(Deadline(time.clock, 900))

    alone = delete.alone()
    alone.begin(Deadline(time.clock, 900))

    assert (True, True) == (alone.may_live, alone.unknown)
    assert not tenure(Table(), time, "Delete", "delete").may_live


def test_answer_that_does_not_release(table: Table, time: VirtualTime) -> None:
    """A call may still be on its way: the next invocation waits for the end of the lease."""
    hold = begun(table, time)
    hold.finish({**ANSWER, "Status": "FAILED"}, Deadline(time.clock, 900), release=False)
    began = time.now()

    begun(table, time, "Delete", "delete")

    assert LEASE_SECONDS <= time.now() - began < LEASE_SECONDS + 10


def test_lease_that_ran_out_is_nobodys(table: Table, time: VirtualTime) -> None:
    """Where the table cannot say who has it by now, somebody else may: this invocation must not answer."""
    hold = begun(table, time)
    assert not hold.ran_out
    table.unreachable = True
    time.sleep(LEASE_SECONDS)

    assert hold.ran_out
    with pytest.raises(LeaseLost):
        hold.check()
    assert not tenure(table, time).ran_out
