"""The embedded AWS: the strict EC2 and STS, and MiniStack for all that stacks create, as one context manager."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
import urllib3

from local import world
from local.strict import Settings, StrictAws

ROOT = Path(__file__).parents[1]
MINISTACK = ROOT / ".tools/ministack/bin/python"
ACCOUNT = "111111111111"
REGION = "us-east-1"


def make_certificate(directory: Path) -> None:
    """Write server.pem, a certificate for 127.0.0.1 with its key, and ca.pem, which SSL_CERT_FILE is to name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))


class EmbeddedAws:
    """CloudFormation, Lambda and the rest on loopback while the context lasts.

    `directory` gets the logs and the record of custom-resource events, and is the caller's to remove. `retry_delay` is
    the time in seconds before the first retry of an asynchronous invocation; the second waits twice as long. In AWS
    they are 60 and 120 s. No process outlives the context, nor this process if it is killed.

    `url` is MiniStack's, `strict` the server of EC2 and STS; its AssumeRole looks roles up in MiniStack's IAM.
    """

    def __init__(self, directory: Path, *, settings: Settings | None = None, retry_delay: float = 0.01) -> None:
        self._directory = directory.resolve()
        self._retry_delay = retry_delay
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.strict = StrictAws(dataclasses.replace(settings or Settings(), iam_url=self.url))

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.strict)
            self._start()
            stack.callback(self._stop)
            self._wait_until_it_serves()
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _start(self) -> None:
        for name in ("logs", "tmp"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        make_certificate(self._directory)
        with self._socket, (self._directory / "ministack.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=ROOT,
                env=self._server_environment(),
                pass_fds=[self._socket.fileno()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def client(self, service: str, account: str = ACCOUNT, region: str = REGION) -> Any:  # noqa: ANN401 - boto3's own
        """Return a boto3 client of this account and Region; EC2 and STS are the strict ones."""
        return world.client(self.strict.url if service in {"ec2", "sts"} else self.url, service, account, region)

    def environment(self, account: str = ACCOUNT, region: str = REGION) -> dict[str, str]:
        """Return this process's environment, pointed at the embedded AWS, for programs such as `sam deploy`."""
        outside = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **outside,
            **self._endpoints(),
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "embedded",
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAM_CLI_POLL_DELAY": "0.2",
            "SAM_CLI_TELEMETRY": "0",
        }

    def logs(self, function_name: str) -> list[str]:
        """Return what the function has written to its standard output and error, line by line."""
        log = self._directory / "logs" / f"{function_name}.log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every custom-resource request so far, in order.

        `event`: what the function was sent; `attempts`: for each finished invocation the function's error (errorType,
        errorMessage) or None; `answers`: for each PUT to the ResponseURL the HTTP `status` and the `body`.
        """
        journal = self._directory / "events.jsonl"
        requests: dict[str, dict[str, Any]] = {}
        for line in journal.read_text().splitlines() if journal.exists() else []:
            entry = json.loads(line)
            if entry["kind"] == "event":
                requests[entry["RequestId"]] = {"event": entry["content"], "attempts": [], "answers": []}
            else:
                requests[entry["RequestId"]][f"{entry['kind']}s"].append(entry["content"])
        return list(requests.values())

    def _command(self) -> list[str]:
        options = (f"--socket={self._socket.fileno()}", f"--directory={self._directory}", f"--python={sys.executable}")
        return [str(MINISTACK), "-m", "local.cloudformation", *options]

    def _server_environment(self) -> dict[str, str]:
        """Return all that MiniStack and, through it, the functions see: nothing of this process's environment."""
        return {
            **self._endpoints(),
            "ALLOWED_RESPONSE_HOSTS": "127.0.0.1",
            "AWS_SECRET_ACCESS_KEY": "embedded",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": self.url.rpartition(":")[2],
            "HOME": str(self._directory),
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": str(self._retry_delay),
            "LAMBDA_ASYNC_RETRY_MAX_SECONDS": str(2 * self._retry_delay),
            "LANG": "C.UTF-8",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_HOST": "127.0.0.1",
            "PATH": os.defpath,
            "SFTP_ENABLED": "0",
            "SSL_CERT_FILE": str(self._directory / "ca.pem"),
            "TMPDIR": str(self._directory / "tmp"),
        }

    def _endpoints(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_EC2": self.strict.url,
            "AWS_ENDPOINT_URL_STS": self.strict.url,
        }

    def _wait_until_it_serves(self) -> None:
        """Ask one question: the socket listens already, so the answer comes when the server is ready."""
        try:
            urllib3.request("GET", f"{self.url}/_ministack/health", timeout=60, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise RuntimeError(f"MiniStack did not start; see {self._directory / 'ministack.log'}") from error

    def _stop(self) -> None:
        """Close its standard input, upon which it ends itself and its functions."""
        assert self._process.stdin  # noqa: S101 - Popen was told PIPE
        self._process.stdin.close()
        self._process.wait()
