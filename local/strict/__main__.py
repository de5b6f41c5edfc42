"""`python -m local.strict --port P [--iam-url URL] [--latency S]`: in the foreground until SIGTERM or SIGINT."""

import argparse
import signal

from local.strict.server import StrictAws
from local.strict.settings import Settings

FLOOR = 0.003
"""Seconds; faster replies make Terraform's client drop and repeat calls."""


def main() -> None:
    """Serve; prints the URL once it listens."""
    parser = argparse.ArgumentParser(prog="python -m local.strict", description="A strict EC2 and STS on loopback.")
    parser.add_argument("--port", type=int, default=0, help="default: the system picks one")
    parser.add_argument("--iam-url", help="where AssumeRole looks roles up; default: this server's own IAM")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each call takes at least")
    options = parser.parse_args()
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    settings = Settings(iam_url=options.iam_url, latency=max(FLOOR, options.latency))
    with StrictAws(settings, options.port) as aws:
        print(aws.url, flush=True)
        signal.sigwait(stops)


if __name__ == "__main__":
    main()
