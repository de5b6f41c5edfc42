"""Ctrl-C ends the demo in order at any moment, except between the start of a process and the knowledge of its id."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _State:
    held = False
    pending: int | None = None


def install() -> None:
    """Have the signals that end a program raise SystemExit(128 + number), once: cleaning up is not disturbed."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: object) -> None:
    for name in SIGNALS:
        signal.signal(name, signal.SIG_IGN)
    if _State.held:
        _State.pending = number
    else:
        sys.exit(128 + number)


@contextmanager
def held() -> Iterator[None]:
    """Put an interruption off to the end of the block."""
    _State.held = True
    try:
        yield
    finally:
        _State.held = False
    if _State.pending is not None:
        sys.exit(128 + _State.pending)
