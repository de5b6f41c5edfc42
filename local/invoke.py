"""`python -m local.invoke EVENT_FILE`: one event through the function, as Lambda would run it.

The strict EC2 and STS start with the world that the event speaks of: what led to it is served first, by the function
itself. A ResponseURL takes the place of the event's, so that there is somebody to answer. An operator event is about
the resource that events/create.json makes. With `--unanswered` the event goes as it is. With `--serve PORT` the world
is only kept, for `sam local invoke -e EVENT_FILE`.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from local.cloudformation.journal import Journal
from local.cloudformation.response import Exchange, ResponseServer
from local.embedded import make_certificate
from local.emulator import ROOT, emulator
from local.event_world import Event, make_event_world, play_what_led_to
from local.strict import Settings, StrictAws

ACCOUNT = "111111111111"
REGION = "us-east-1"
FUNCTION = "PeeringFunction"
CREATE: Final = json.loads((ROOT / "events/create.json").read_text(encoding="utf-8"))

Ask = Callable[[Event], str]
"""Has the function serve an event, and returns its answer."""


def main() -> int:
    """Return 0, or 1 when the function reports an error or answers FAILED."""
    parser = argparse.ArgumentParser(prog="python -m local.invoke", description=__doc__)
    parser.add_argument("event", type=Path, metavar="EVENT_FILE")
    parser.add_argument("--serve", type=int, metavar="PORT", help="only keep the event's world, until Ctrl-C")
    parser.add_argument("--unanswered", action="store_true", help="leave the event's own ResponseURL")
    arguments = parser.parse_args()
    event = read(arguments.event)
    if arguments.serve is not None:
        return serve(event, arguments.serve)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return invoke(event, unanswered=arguments.unanswered)


def read(file: Path) -> Event:
    """Return the event of a file.

    Raises:
        SystemExit: it holds none; the text says why.

    """
    try:
        event = json.loads(file.read_text(encoding="utf-8"))
    except OSError as failure:
        raise SystemExit(f"{file} cannot be read: {failure.strerror}. Give a file of events/.") from failure
    except ValueError as failure:
        raise SystemExit(f"{file} is not JSON: {failure}. Give a file of events/.") from failure
    if not isinstance(event, dict) or not ("Action" in event or CREATE.keys() <= event.keys()):
        raise SystemExit(f"{file} is no event of CloudFormation, nor of an operator. Give a file of events/.")
    return event


def invoke(event: Event, *, unanswered: bool = False) -> int:
    """Print the function's output and its response; return 1 when that is an error, or none was taken."""
    with StrictAws(Settings()) as aws, TemporaryDirectory() as temporary:
        server = None if unanswered else _response_server(Path(temporary))
        with _function_at(aws.url, Path(temporary), local=unanswered) as ask:
            _play_what_led_to(event, aws.url, ask, server)
            if "Action" in event:
                return _shown(ask(event))
            exchange = _exchange(server, event) if server else None
            answer = ask({**event, "ResponseURL": exchange.url} if exchange else event)
    response = json.loads((exchange and exchange.wait(0)) or b"{}")
    if not response or _is_error(answer):
        print(f"answer: {answer}\nresponse: {json.dumps(response) if response else 'none was taken'}")
        return 1
    print(f"response: {json.dumps(response, indent=2)}")
    if response["Status"] == "SUCCESS":
        return 0
    print(response["Reason"])
    return 1


def _shown(answer: str) -> int:
    """Print what an operator is answered; return 1 when that is an error."""
    failed = _is_error(answer)
    print(answer if failed else json.dumps(json.loads(answer), indent=2))
    return int(failed)


@contextmanager
def _function_at(url: str, directory: Path, *, local: bool) -> Iterator[Ask]:
    """Run the function against the AWS at that URL; a `local` one tries once to answer, as in `sam local invoke`."""
    function = _function(ROOT / "template.yaml")
    more = {"AWS_SAM_LOCAL": "true"} if local else {"SSL_CERT_FILE": f"{directory}/ca.pem"}
    with emulator(function["Handler"], ROOT / function["CodeUri"], _environment(function, url) | more) as run:
        yield lambda event: run(json.dumps(event).encode()).decode()


def _play_what_led_to(event: Event, url: str, ask: Ask, server: ResponseServer | None = None) -> None:
    """Make the world of an event, and have the function serve what CloudFormation had sent before it."""

    def earlier(request: Event) -> str:
        print(f"--- before the event: {request['RequestType']}", flush=True)
        sent = {**request, "ResponseURL": _exchange(server, request).url} if server else request
        return str(json.loads(ask(sent))["PhysicalResourceId"])

    known = {} if event.get("Action", "Plan") == "Plan" else {"PhysicalResourceId": "pcx-"}
    play_what_led_to({**CREATE, **known, **event}, make_event_world(url), earlier)
    print("--- the event", flush=True)


def _response_server(directory: Path) -> ResponseServer:
    make_certificate(directory)
    server = ResponseServer(directory / "server.pem", Journal(directory / "events.jsonl"))
    server.start()
    return server


def _exchange(server: ResponseServer, event: Event) -> Exchange:
    """Serve a ResponseURL for the event."""
    return server.open(event["StackId"], event["LogicalResourceId"], event["RequestId"])


def serve(event: Event, port: int) -> int:
    """Keep the event's world until a signal comes."""
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with StrictAws(Settings(), port) as aws, TemporaryDirectory() as temporary:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)  # for the function's process, which a signal has to end
        with _function_at(aws.url, Path(temporary), local=True) as ask:
            _play_what_led_to(event, aws.url, ask)
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        print(f"EC2 and STS for this event: {aws.url} (Ctrl-C ends it)", flush=True)
        signal.sigwait(stops)
    return 0


def _is_error(answer: str) -> bool:
    """Tell an error by its type; a time-out is plain text."""
    try:
        parsed = json.loads(answer)
    except ValueError:
        return True
    return isinstance(parsed, dict) and "errorType" in parsed


def _environment(function: Mapping[str, Any], url: str) -> dict[str, str]:
    """Return the template's variables and those of local/env.json, with every endpoint replaced by this URL."""
    variables = json.loads((ROOT / "local/env.json").read_text())
    declared = {
        **function["Environment"]["Variables"],
        **variables.get("Parameters", {}),
        **variables.get(FUNCTION, {}),
    }
    endpoints = {name: url for name in declared if name.startswith("AWS_ENDPOINT_URL")}
    return {
        **{name: str(value) for name, value in declared.items() if value is not None},
        **endpoints,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "embedded",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": str(function["FunctionName"]),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function["MemorySize"]),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function["Timeout"]),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    }


def _function(template_file: Path) -> dict[str, Any]:
    """Return the function's properties, each !Ref to a parameter replaced by its default, any other tag by None."""

    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms."""

    Loader.add_multi_constructor("!", lambda _, tag, node: (tag, node.value))
    template = yaml.load(template_file.read_text(), Loader)  # noqa: S506 - it is a SafeLoader
    defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}

    def resolved(value: object) -> Any:  # noqa: ANN401 - any YAML
        if isinstance(value, tuple):
            return defaults.get(value[1]) if value[0] == "Ref" else None
        if isinstance(value, dict):
            return {name: resolved(item) for name, item in value.items()}
        return value

    properties: dict[str, Any] = resolved(template["Resources"][FUNCTION]["Properties"])
    return properties


if __name__ == "__main__":
    sys.exit(main())
