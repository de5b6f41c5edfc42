"""`python -m local.demo`: exit 0 when everything held, 1 with the step that did not, 130 after Ctrl-C."""

import sys

from local.demo import interruption


def main() -> int:
    """Run the demo; half a second of imports comes after the signals are seen to."""
    interruption.install()
    try:
        from local.demo.run import run  # noqa: PLC0415

        return run()
    except SystemExit as end:
        print("Interrupted: everything that the demo had started has ended.", file=sys.stderr)
        return int(end.code or 0)


if __name__ == "__main__":
    sys.exit(main())
