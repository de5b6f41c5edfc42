import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.emulator import emulator
from local.event_world import make_event_world
from local.invoke import ROOT, invoke
from local.strict import Settings, StrictAws

EVENTS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}
VALID = {name: event for name, event in EVENTS.items() if name != "bad-properties"}
TOY = """
import os, time

COUNT = []


def handler(event, context):
    COUNT.append(event)
    print("log line")
    if event == "raise":
        raise ValueError("as told")
    if event == "sleep":
        time.sleep(9)
    return {"count": len(COUNT), "client": type(context).__module__, "names": sorted(os.environ)}
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Write a function to a directory."""
    (tmp_path / "toy.py").write_text(TOY)
    return tmp_path


def test_emulator_runs_the_real_client_and_keeps_it_warm(code: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What `make invoke` shows is what Lambda would do: awslambdaric, module state, the log lines."""
    with emulator("toy.handler", code, {"GREETING": "hello"}) as run:
        first, second = json.loads(run(b"1")), json.loads(run(b"2"))
    assert (first["client"], first["count"], second["count"]) == ("awslambdaric.lambda_context", 1, 2)
    assert "GREETING" in first["names"]
    assert "PYTEST_CURRENT_TEST" not in first["names"]
    assert capfd.readouterr().out.count("log line") == 2


def test_emulator_tells_errors_and_enforces_the_timeout(code: Path) -> None:
    """An exception comes back with its type, a time-out as text: `make invoke` must fail on both."""
    with emulator("toy.handler", code, {"AWS_LAMBDA_FUNCTION_TIMEOUT": "1"}) as run:
        assert json.loads(run(b'"raise"'))["errorType"] == "ValueError"
        assert re.search("Task timed out after 1.00 seconds", run(b'"sleep"').decode())


@pytest.mark.parametrize("name", VALID)
def test_ids_of_the_event_exist_in_its_world(name: str) -> None:
    """The ids in the events are literal, so that the same files serve `sam local invoke`."""
    event = VALID[name]
    with StrictAws(Settings()) as aws:
        world = make_event_world(aws.url, event)
    peer = world.neighbour if name == "create-same-account" else world.accepter
    vpcs = {"VpcId": {world.requester.id}, "PeerVpcId": {peer.id, world.other_accepter.id}}
    for properties in (event["ResourceProperties"], event.get("OldResourceProperties", {})):
        assert all(properties[key] in ids for key, ids in vpcs.items() if key in properties)
    assert event.get("PhysicalResourceId", "").startswith("pcx-") == bool(world.connections)
    assert not world.connections or event["PhysicalResourceId"] == world.connections[-1]


@pytest.mark.parametrize("name", VALID)
def test_make_invoke_serves_the_event(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The README's command, on the function itself: each valid event is served, and the response is shown."""
    assert invoke(VALID[name], unanswered=False) == 0
    assert '"Status": "SUCCESS"' in capfd.readouterr().out


def test_make_invoke_fails_when_the_function_refuses() -> None:
    """A FAILED response must be seen by whoever scripts it."""
    command = [sys.executable, "-m", "local.invoke", "events/bad-properties.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 1
    assert '"Status": "FAILED"' in done.stdout


def test_make_invoke_ends_when_nobody_answers(capfd: pytest.CaptureFixture[str]) -> None:
    """As in `sam local invoke`: the response is logged, and crhelper's endless loop does not happen."""
    assert invoke(VALID["create"], unanswered=True) == 1
    out = capfd.readouterr().out
    assert "response: none was taken" in out
    assert '"Status":"SUCCESS"' in out
