"""Independent calls side by side: both accounts at once, and the routes of many tables."""

from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event
from typing import Final, TypeVar

T = TypeVar("T")

WORKERS: Final = 48
"""EC2's bucket for route calls holds 50 an account and Region: more at once would only be throttled."""


def run(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """Run tasks side by side and return their results in order.

    After a failure no further task begins; it is raised once all that had begun have ended, the first in order.
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
    failures = [failure for future in futures if (failure := future.exception())]
    for failure in failures:
        if not isinstance(failure, CancelledError):
            raise failure
    return [future.result() for future in futures]
