"""Start MiniStack on a socket that the parent has bound, with custom resources and functions as AWS runs them."""

import argparse
import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from hypercorn.asyncio import serve  # type: ignore[import-not-found]
from hypercorn.config import Config  # type: ignore[import-not-found]
from ministack.app import app
from ministack.services.cloudformation import custom_resource as ministack

from local.cloudformation import functions, native
from local.cloudformation.custom_resource import CustomResources
from local.cloudformation.journal import Journal
from local.cloudformation.response import ResponseServer
from local.cloudformation.rollback import Rollbacks
from local.cloudformation.side_by_side import SideBySide


def main() -> None:
    """Serve until the parent closes our standard input; then end with every function."""
    arguments = _arguments()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    journal = Journal(arguments.directory / "events.jsonl")
    responses = ResponseServer(arguments.directory / "server.pem", journal)
    responses.start()
    rollbacks = Rollbacks()
    side_by_side = SideBySide(CustomResources(responses, journal, rollbacks.failed))
    rollbacks.install(side_by_side.finish)
    ministack.invoke_custom_resource = side_by_side.invoke
    native.install()
    functions.install(arguments.python, arguments.directory / "logs", journal)
    config = Config()
    config.bind = [f"fd://{arguments.socket}"]
    asyncio.run(serve(app, config))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--directory", type=Path, required=True, help="has server.pem and logs/; gets events.jsonl")
    parser.add_argument("--python", type=Path, required=True, help="the interpreter that has awslambdaric")
    return parser.parse_args()


def _end_with_parent() -> None:
    """End this process group, functions and all: also when the parent was killed and could not say so."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
