"""Independent calls side by side: both accounts at once, and the routes of many tables."""

from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event
from typing import Final, TypeVar

from handler.errors import Overtaken

T = TypeVar("T")

WORKERS: Final = 48
"""EC2's bucket for route calls holds 50 an account and Region: more at once would only be throttled."""


def run(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """Run tasks side by side and return their results in order.

    After a failure no further task begins; it is raised once all that had begun have ended, the first in order. That
    this invocation is overtaken comes before all others: then they are no matter of its.
    """
    failed = Event()

    def begin(task: Callable[[], T]) -> T:
        if failed.is_set():
            raise CancelledError
        try:
            return task()
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(begin, task) for task in tasks]
    failures = [f for future in futures if (f := future.exception()) and not isinstance(f, CancelledError)]
    if failures:
        raise next((failure for failure in failures if isinstance(failure, Overtaken)), failures[0])
    return [future.result() for future in futures]
