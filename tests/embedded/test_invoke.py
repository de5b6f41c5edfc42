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
from local.world import client

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
        world = make_event_world(aws.url)
    peer = world.neighbour if name == "create-same-account" else world.accepter
    vpcs = {"VpcId": {world.requester.id}, "PeerVpcId": {peer.id, world.other_accepter.id}}
    for properties in (event["ResourceProperties"], event.get("OldResourceProperties", {})):
        assert all(properties[key] in ids for key, ids in vpcs.items() if key in properties)


LIFE = {
    "create": {"CreateConnection": 1, "AcceptConnection": 1, "ModifyOptions": 2, "TagConnection": 1, "CreateRoute": 5},
    "update": {"CreateRoute": 3},
    "update-tags": {"TagConnection": 2},
    "replace": {"CreateConnection": 1, "AcceptConnection": 1, "ModifyOptions": 2, "TagConnection": 1}
    | {"CreateRoute": 1, "ReplaceRoute": 2},
    "rollback-update": {"ReplaceRoute": 2},
    "rollback-delete": {"ReplaceRoute": 2, "DeleteRoute": 1, "DeleteConnection": 1},
    "delete": {"DeleteRoute": 5, "DeleteConnection": 1},
    "delete-never-created": {},
}


@pytest.mark.parametrize("name", VALID)
def test_make_invoke_serves_the_event(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The README's command, on the function itself: each valid event is served, and its response is shown once."""
    assert invoke(VALID[name]) == 0
    assert capfd.readouterr().out.partition("--- the event\n")[2].count('"Status": "SUCCESS"') == 1


@pytest.mark.parametrize("name", LIFE)
def test_make_invoke_shows_what_the_event_promises(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Each event comes after the life that led to it: an Update of tags that makes routes teaches nonsense."""
    invoke(VALID[name])
    lines = capfd.readouterr().out.partition("--- the event\n")[2].splitlines()
    (plan,) = [line for line in lines if '"message":"plan"' in line]
    assert LIFE[name] == json.loads(plan)["counts"]


@pytest.mark.parametrize("path", sorted((ROOT / "events/operator").glob("*.json")), ids=lambda path: path.stem)
def test_make_invoke_answers_an_operator(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An operator event has nobody at a ResponseURL: its answer is shown, about the only resource of the events."""
    event = json.loads(path.read_text())
    assert invoke(event) == 0
    answer = json.loads("{" + capfd.readouterr().out.rpartition("\n{\n")[2])
    assert {"Text"} < answer.keys()
    assert ("After" in event) is ("There is no" in answer["Text"])


def test_serve_keeps_what_led_to_the_event() -> None:
    """`sam local invoke` of a Delete has a connection with its routes and tags to delete, by the id of the event."""
    command = [sys.executable, "-m", "local.invoke", "--serve", "0", "events/delete.json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as served:  # noqa: S603
        try:
            url = next(re.search(r"this event: (\S+)", line) for line in served.stdout or () if "this event" in line)
            ec2 = client(url[1] if url else "", "ec2", "111111111111", "us-east-1")
            (found,) = ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]
        finally:
            served.terminate()
    assert EVENTS["delete"]["PhysicalResourceId"] == found["VpcPeeringConnectionId"]
    assert {"Key": "Environment", "Value": "staging"} in found["Tags"]
    assert served.returncode == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[]", "is no event"),
        ('{"RequestType": "Create"}', "is no event"),
    ],
)
def test_make_invoke_refuses_what_is_no_event(content: str | None, told: str, tmp_path: Path) -> None:
    """A mistyped file name is told in one sentence, not by a trace of our code."""
    file = tmp_path / "event.json"
    if content:
        file.write_text(content)
    command = [sys.executable, "-m", "local.invoke", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 1
    assert re.fullmatch(rf"\S+ {told}.*\. Give a file of events/\.\n", done.stderr)


def test_make_invoke_fails_when_the_function_refuses() -> None:
    """A FAILED response must be seen by whoever scripts it."""
    command = [sys.executable, "-m", "local.invoke", "events/bad-properties.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 1
    assert '"Status": "FAILED"' in done.stdout
    assert done.stdout.splitlines()[-1].startswith("InvalidRequest: 9 findings: ")


def test_make_invoke_ends_when_nobody_answers(capfd: pytest.CaptureFixture[str]) -> None:
    """As in `sam local invoke`: the response is logged, and crhelper's endless loop does not happen."""
    assert invoke(VALID["create"], unanswered=True) == 1
    out = capfd.readouterr().out
    assert "response: none was taken" in out
    assert '"Status":"SUCCESS"' in out
