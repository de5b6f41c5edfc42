from functools import partial
from threading import Barrier

import pytest

from handler.errors import AccessDenied
from handler.item import LeaseLost, Superseded
from handler.parallel import WORKERS, run


def test_results_are_in_order() -> None:
    """Callers match results with what they asked for."""
    assert list(range(100)) == run(partial(int, number) for number in range(100))


def test_nothing_to_do() -> None:
    """A converged world has no changes."""
    assert [] == run([])


def test_tasks_run_side_by_side() -> None:
    """As many as there are workers meet at one point in time: none waits for another."""
    barrier = Barrier(WORKERS, timeout=30)

    assert sorted(range(WORKERS)) == sorted(run([barrier.wait] * WORKERS))


def test_first_failure_is_raised_and_nothing_more_begins() -> None:
    """What had begun is ended, so that nothing writes while the failure is already being answered."""
    begun: list[int] = []
    barrier = Barrier(WORKERS, timeout=30)

    def task(number: int) -> None:
        begun.append(number)
        barrier.wait()
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"^0$"):
        run([*(partial(task, number) for number in range(WORKERS)), *[partial(begun.append, -1)] * 1000])

    assert set(range(WORKERS)) == set(begun)


@pytest.mark.parametrize("overtaken", [Superseded("A later request waits.", "Look there."), LeaseLost()])
@pytest.mark.parametrize("place", [0, 1])
def test_being_overtaken_counts_more_than_any_failure(overtaken: Exception, place: int) -> None:
    """Whatever else has failed is no matter of this invocation any more: it must not begin to undo."""
    barrier = Barrier(2, timeout=30)

    def fail(failure: Exception) -> None:
        barrier.wait()
        raise failure

    failures: list[Exception] = [AccessDenied("No.", "Allow it.")]
    failures.insert(place, overtaken)

    with pytest.raises(type(overtaken)):
        run(partial(fail, failure) for failure in failures)
