"""Time: the one seam through which the function reads a clock or sleeps, and the deadline that every wait knows."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from handler.errors import NotStabilized


@dataclass(frozen=True)
class Clock:
    """A monotonic clock in seconds, a way to sleep by it, and the seconds since 1970."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wall: Callable[[], float] = time.time


class Deadline:
    """The moment by which the work must end, so that the answer leaves before Lambda's time-out."""

    def __init__(self, clock: Clock, seconds: float, whole: "Deadline | None" = None) -> None:
        self.clock = clock
        self._ends = clock.now() + seconds
        self._whole = whole
        self.guard: Callable[[], None] = lambda: None
        """Called by every check of this and of its parts: may raise where the work must end for another reason."""

    @property
    def remaining(self) -> float:
        """Seconds left, of this and of the whole that it is a part of; negative once it has passed."""
        own = self._ends - self.clock.now()
        return own if self._whole is None else min(own, self._whole.remaining)

    def cancel(self) -> None:
        """End at once, with every part: what is answered must not be changed any more."""
        self._ends = float("-inf")

    def earlier(self, seconds: float) -> "Deadline":
        """Return a part that ends as many seconds before: the rest is kept for what comes after."""
        return Deadline(self.clock, self.remaining - seconds, self)

    def within(self, seconds: float) -> "Deadline":
        """Return a part that ends as many seconds from now, or with the whole."""
        return Deadline(self.clock, seconds, self)

    def check(self, doing: str) -> None:
        """Raise `NotStabilized` when the time is over, or whatever the guard raises; that may itself take time."""
        self.guard()
        if self._whole is not None:
            self._whole.check(doing)
        if self.remaining <= 0:
            raise _out_of_time(doing)

    def pause(self, seconds: float, doing: str) -> None:
        """Sleep; raise `NotStabilized` at once if the deadline comes first."""
        if seconds >= self.remaining:
            raise _out_of_time(doing)
        self.clock.sleep(seconds)


def _out_of_time(doing: str) -> NotStabilized:
    return NotStabilized(
        f"the time was over: {doing}.",
        "Deploy again; if it recurs, give fewer tables, larger destinations or a longer ServiceTimeout.",
    )


def backoff(first: float, most: float, *, factor: float = 2) -> Iterator[float]:
    """Yield pauses in seconds that grow from `first` to `most`, each with jitter over its upper half.

    Jitter keeps parallel callers from meeting again in the same refill of EC2's token bucket.
    """
    pause = first
    while True:
        yield random.uniform(pause / 2, pause)  # noqa: S311  # not for cryptography
        pause = min(most, pause * factor)
