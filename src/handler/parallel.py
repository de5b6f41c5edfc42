"""Independent calls side by side: both accounts at once, and the routes of many tables."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Final, TypeVar

T = TypeVar("T")

WORKERS: Final = 48
"""EC2's bucket for route calls holds 50 an account and Region: more at once would only be throttled."""


def run(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """Run tasks side by side and return their results in order.

    After a failure no further task begins; it is raised once all that had begun have ended, the first in order.
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(task) for task in tasks]
        wait(futures, return_when=FIRST_EXCEPTION)
        pool.shutdown(cancel_futures=True)
    for future in futures:
        if not future.cancelled() and (failure := future.exception()):
            raise failure
    return [future.result() for future in futures]
