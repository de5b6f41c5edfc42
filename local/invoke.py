"""`python -m local.invoke EVENT_FILE`: one event through the function, as Lambda would run it.

The strict EC2 and STS start with the world that the event speaks of, and a ResponseURL takes the place of the event's,
so that there is somebody to answer. With `--unanswered` the event goes as it is. With `--serve PORT` the world is only
kept, for `sam local invoke -e EVENT_FILE`.
"""

import argparse
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from local.cloudformation.journal import Journal
from local.cloudformation.response import Exchange, ResponseServer
from local.embedded import make_certificate
from local.emulator import ROOT, emulator
from local.event_world import make_event_world
from local.strict import Settings, StrictAws

ACCOUNT = "111111111111"
REGION = "us-east-1"
FUNCTION = "PeeringFunction"


def main() -> int:
    """Return 0, or 1 when the function reports an error or answers FAILED."""
    parser = argparse.ArgumentParser(prog="python -m local.invoke", description=__doc__)
    parser.add_argument("event", type=Path, metavar="EVENT_FILE")
    parser.add_argument("--serve", type=int, metavar="PORT", help="only keep the event's world, until Ctrl-C")
    parser.add_argument("--unanswered", action="store_true", help="leave the event's own ResponseURL")
    arguments = parser.parse_args()
    event = json.loads(arguments.event.read_text())
    if arguments.serve is not None:
        return serve(event, arguments.serve)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return invoke(event, unanswered=arguments.unanswered)


def invoke(event: Mapping[str, Any], *, unanswered: bool) -> int:
    """Print the function's output, its answer and its response; return 1 when either is an error."""
    function = _function(ROOT / "template.yaml")
    with StrictAws(Settings()) as aws, TemporaryDirectory() as temporary:
        make_event_world(aws.url, event)
        exchange = _exchange(event, Path(temporary))
        sent = event if unanswered else {**event, "ResponseURL": exchange.url}
        environment = _environment(function, aws.url) | {"SSL_CERT_FILE": f"{temporary}/ca.pem"}
        if unanswered:
            environment["AWS_SAM_LOCAL"] = "true"  # as `sam local invoke` sets it: one attempt to answer is enough
        with emulator(function["Handler"], ROOT / function["CodeUri"], environment) as run:
            answer = run(json.dumps(sent).encode()).decode()
    response = json.loads(exchange.wait(0) or b"{}")
    print(f"answer: {answer}\nresponse: {json.dumps(response, indent=2) if response else 'none was taken'}")
    return int(_is_error(answer) or response.get("Status") != "SUCCESS")


def _exchange(event: Mapping[str, Any], directory: Path) -> Exchange:
    """Serve a ResponseURL for the event."""
    make_certificate(directory)
    server = ResponseServer(directory / "server.pem", Journal(directory / "events.jsonl"))
    server.start()
    return server.open(event["StackId"], event["LogicalResourceId"], event["RequestId"])


def serve(event: Mapping[str, Any], port: int) -> int:
    """Keep the event's world until a signal comes."""
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with StrictAws(Settings(), port) as aws:
        make_event_world(aws.url, event)
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
