"""Functions as Lambda runs them: every Python function under the real runtime client, awslambdaric.

MiniStack has its own worker for Python, and a true Runtime API for `provided` runtimes. Here each Python function is
a `provided` one whose bootstrap starts awslambdaric from the project's environment.
"""

# ruff: noqa: SLF001 - MiniStack has no public seams
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import IO, Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.cloudformation.journal import Journal

Record = dict[str, Any]


class Tee:
    """A stream that also writes to a file what is read from it."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._path = path

    def readline(self) -> bytes:
        """Read one line, and keep it."""
        line = self._stream.readline()
        with self._path.open("ab") as file:
            file.write(line)
        return line

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


def install(python: Path, logs: Path, journal: Journal) -> None:
    """Have MiniStack run its functions with this interpreter, each one's output in a file of this directory."""
    lambda_runtime._worker_class_for = lambda _config: lambda_runtime.ProvidedWorker
    lambda_svc._execute_function_warm = lambda_svc._execute_function_provided_warm
    lambda_svc._provided_runtime_code_dir = _with_bootstrap(lambda_svc._provided_runtime_code_dir, python)
    lambda_svc._provided_worker_env = _with_lambdas_variables(lambda_svc._provided_worker_env)
    lambda_svc._execute_function_dispatch = _recorded(lambda_svc._execute_function_dispatch, journal)
    pump = lambda_runtime.ProvidedWorker._pump_output

    def tee(worker: lambda_runtime.ProvidedWorker, stream: IO[bytes], lines: Queue[str]) -> None:
        pump(worker, Tee(stream, logs / f"{worker.func_name}.log"), lines)

    lambda_runtime.ProvidedWorker._pump_output = tee


def _with_bootstrap(extract: Callable[[bytes], str], python: Path) -> Callable[[bytes], str]:
    """Add a bootstrap; packages that are compiled for Lambda's processor give way to those of the interpreter."""
    script = f'#!/bin/sh\nexec {shlex.quote(str(python))} -m awslambdaric "$_HANDLER"\n'

    def extracted(code_zip: bytes) -> str:
        directory = Path(extract(code_zip))
        bootstrap = directory / "bootstrap"
        with lambda_svc._provided_code_lock:
            if not bootstrap.exists():
                for package in {library.relative_to(directory).parts[0] for library in directory.rglob("*.so")}:
                    shutil.rmtree(directory / package)
                bootstrap.write_text(script)
                bootstrap.chmod(0o755)
        return str(directory)

    return extracted


def _with_lambdas_variables(environment: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    """Add the variables of Lambda's that MiniStack leaves out and the runtime client or Powertools read."""

    def named(config: Record, code_directory: str, port: int) -> dict[str, str]:
        logging = config.get("LoggingConfig") or {}
        return {
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
            "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup", f"/aws/lambda/{config['FunctionName']}"),
            "AWS_LAMBDA_LOG_LEVEL": logging.get("ApplicationLogLevel", "INFO"),
            **environment(config, code_directory, port),
        }

    return named


def _recorded(dispatch: Callable[..., Record], journal: Journal) -> Callable[..., Record]:
    """Write each invocation that carries a custom resource's event into the journal, with the error if it had one."""

    def run(function: Record, config: Record, event: Record, request_id: str, started: float) -> Record:
        result = dispatch(function, config, event, request_id, started)
        if "ResponseURL" in event:
            journal.write("attempt", event["RequestId"], result["body"] if result.get("error") else None)
        return result

    return run
