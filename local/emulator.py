"""The Lambda runtime interface emulator that aws-sam-cli brings, around the real runtime client, without Docker."""

import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import urllib3

ROOT = Path(__file__).parents[1]
ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
START_SECONDS = 10


@contextlib.contextmanager
def emulator(handler: str, code: Path, environment: Mapping[str, str]) -> Iterator[Callable[[bytes], bytes]]:
    """Run the function from the directory `code` with nothing but this environment; yields what invokes it.

    The function's output goes to ours. An invocation returns the function's answer, or Lambda's message of its error.
    """
    invoked, runtime_api = _free_address(), _free_address()
    process = subprocess.Popen(
        [
            *(_program(), "--log-level", "error"),
            *("--runtime-interface-emulator-address", invoked, "--runtime-api-address", runtime_api),
            *(sys.executable, "-m", "awslambdaric", handler),
        ],
        cwd=code,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", **environment},
    )
    try:
        _wait_until_it_listens(invoked)
        yield lambda event: _invoke(invoked, event)
    finally:
        process.send_signal(signal.SIGTERM)  # upon which it ends the function, that has a process group of its own
        process.wait()


def _program() -> Path:
    pattern = f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{ARCHITECTURES[platform.machine()]}"
    return next((ROOT / ".tools/sam").glob(pattern))


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def _wait_until_it_listens(address: str) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection((host, int(port))).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _invoke(address: str, event: bytes) -> bytes:
    url = f"http://{address}/2015-03-31/functions/function/invocations"
    return urllib3.request("POST", url, body=event, timeout=900, retries=False).data
