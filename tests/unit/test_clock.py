from itertools import islice

import pytest

from handler.clock import Deadline, backoff
from handler.errors import NotStabilized
from tests.harness import VirtualTime


def begun(seconds: float = 100) -> tuple[VirtualTime, Deadline]:
    """Return a clock and a deadline on it."""
    time = VirtualTime()
    return time, Deadline(time.clock, seconds)


def test_remaining_follows_the_clock() -> None:
    """What is left shrinks with time, and is negative once it is over: callers compare, they do not count."""
    time, deadline = begun()
    time.sleep(30)
    assert 70 == deadline.remaining
    time.sleep(80)
    assert -10 == deadline.remaining


def test_part_ends_earlier() -> None:
    """What comes after a part keeps its seconds, however late the part was made."""
    time, deadline = begun()
    time.sleep(30)
    part = deadline.earlier(20)
    assert 50 == part.remaining
    time.sleep(60)
    assert (-10, 10) == (part.remaining, deadline.remaining)


@pytest.mark.parametrize(("seconds", "remaining"), [(10, 10), (100, 100), (500, 100)])
def test_part_never_outlives_the_whole(seconds: float, remaining: float) -> None:
    """A wait of five minutes within a run that has one is a wait of one."""
    _, deadline = begun()

    assert remaining == deadline.within(seconds).remaining


def test_cancel_ends_every_part() -> None:
    """Once the answer is on its way nothing may change AWS any more, however deep in a wait it is."""
    _, deadline = begun()
    part = deadline.earlier(10).within(60)
    deadline.cancel()

    for cancelled in (deadline, part):
        with pytest.raises(NotStabilized):
            cancelled.check("waiting")


def test_cancel_of_a_part_spares_the_whole() -> None:
    """The undo of a failed replacement runs on what was kept for it."""
    _, deadline = begun()
    deadline.earlier(10).cancel()

    assert 100 == deadline.remaining


def test_check_passes_until_the_end() -> None:
    """The end itself is over."""
    time, deadline = begun()
    time.sleep(99.9)
    deadline.check("waiting")
    time.sleep(deadline.remaining)
    with pytest.raises(NotStabilized) as raised:
        deadline.check("pcx-1 was provisioning")

    assert (
        "NotStabilized: the time was over: pcx-1 was provisioning. "
        "Deploy again; if it recurs, give fewer tables, larger destinations or a longer ServiceTimeout."
    ) == raised.value.reason


def test_pause_sleeps_by_the_clock() -> None:
    """The only way to sleep is one that tests can fast-forward."""
    time, deadline = begun()
    deadline.pause(5, "waiting")

    assert ([5], 95) == (time.slept, deadline.remaining)


@pytest.mark.parametrize("seconds", [100, 1000])
def test_pause_that_would_end_too_late_fails_at_once(seconds: float) -> None:
    """Sleeping up to a time-out and then failing would only cost the seconds that the answer needs."""
    time, deadline = begun()
    with pytest.raises(NotStabilized):
        deadline.pause(seconds, "waiting")

    assert [] == time.slept


@pytest.mark.parametrize(
    ("factor", "most"), [(2, [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2]), (1.5, [0.1, 0.15, 0.225, 0.3375, 0.50625])]
)
def test_backoff_grows_up_to_its_most(factor: float, most: list[float]) -> None:
    """Each pause lies in the upper half of its step: callers that failed together do not come back together."""
    pauses = list(islice(backoff(0.1, 2, factor=factor), len(most)))

    assert [] == [(p, m) for p, m in zip(pauses, most, strict=True) if not m / 2 - 1e-9 <= p <= m + 1e-9]
    assert len(pauses) == len(set(pauses))


@pytest.mark.parametrize("part", [False, True])
def test_guard_uses_up_time(part: bool) -> None:
    """A lease is renewed before a call: what that takes is not there for the call, which would end after the answer."""
    time, deadline = begun(10)
    deadline.guard = lambda: time.sleep(13)

    with pytest.raises(NotStabilized):
        (deadline.within(5) if part else deadline).check("calling")
