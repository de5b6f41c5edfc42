"""`python -m local.demo`: exit 0 when everything held, 1 with the step that did not, 130 after Ctrl-C."""

import os
import signal
import sys


def interrupt(number: int, _frame: object) -> None:
    """End, and let a second signal not disturb what is being cleaned up."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    """Run the demo."""
    from local.demo.run import run  # noqa: PLC0415 - half a second of imports, during which Ctrl-C must work too

    return run()


if __name__ == "__main__":
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, interrupt)
    try:
        code = main()
    except SystemExit as end:
        code = int(end.code or 0)
        os.write(2, b"Interrupted: everything that the demo had started has ended.\n")
    sys.exit(code)
