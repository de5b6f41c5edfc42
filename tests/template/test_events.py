"""The events are what CloudFormation sends, and tell the stories that their names promise."""

import json
from pathlib import Path
from typing import Any

import pytest

from handler.errors import InvalidRequest
from handler.operate import ASKED
from handler.parsing import parse
from handler.properties import Home

ROOT = Path(__file__).parents[2]
EVENTS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}
HOME = Home("111111111111", "us-east-1", "aws", {"us-east-1", "eu-west-1"})
KINDS = {
    "create": "Create",
    "create-same-account": "Create",
    "bad-properties": "Create",
    "update": "Update",
    "update-tags": "Update",
    "replace": "Update",
    "rollback-update": "Update",
    "delete": "Delete",
    "delete-never-created": "Delete",
    "rollback-delete": "Delete",
}
ALWAYS = {
    "RequestType",
    "RequestId",
    "ResponseURL",
    "StackId",
    "ServiceToken",
    "ResourceType",
    "LogicalResourceId",
    "ResourceProperties",
}
MORE = {
    "Create": set(),
    "Update": {"PhysicalResourceId", "OldResourceProperties"},
    "Delete": {"PhysicalResourceId"},
}


def leaves(node: object) -> list[object]:
    """Return all scalars."""
    if isinstance(node, dict | list):
        items = node.values() if isinstance(node, dict) else node
        return [leaf for item in items for leaf in leaves(item)]
    return [node]


def changed(event: dict[str, Any]) -> set[str]:
    """Return the names of the properties that an Update changes."""
    new, old = event["ResourceProperties"], event["OldResourceProperties"]
    return {name for name in new.keys() | old.keys() if new.get(name) != old.get(name)}


def test_every_event_is_told_by_its_name() -> None:
    """The README and the demo name these files."""
    assert {name: event["RequestType"] for name, event in EVENTS.items()} == KINDS


@pytest.mark.parametrize("name", KINDS)
def test_events_have_the_fields_of_their_type(name: str) -> None:
    """PhysicalResourceId is never part of a Create, and a handler that relies on it would fail only in AWS."""
    event = EVENTS[name]
    assert ALWAYS | MORE[event["RequestType"]] == event.keys()
    assert event["ServiceToken"] == event["ResourceProperties"]["ServiceToken"]
    assert event["ResourceType"] == "Custom::VpcPeering"


@pytest.mark.parametrize("name", KINDS)
def test_every_value_is_a_string(name: str) -> None:
    """CloudFormation sends booleans and numbers as strings."""
    assert {str} == {type(leaf) for leaf in leaves(EVENTS[name])}


@pytest.mark.parametrize("name", KINDS)
def test_nobody_answers_at_the_response_url(name: str) -> None:
    """An invocation by hand must neither reach anybody nor hang: port 9 of loopback refuses at once."""
    assert EVENTS[name]["ResponseURL"].startswith("https://127.0.0.1:9/arn%3Aaws%3Acloudformation%3A")
    assert "X-Amz-Signature=" in EVENTS[name]["ResponseURL"]


def test_all_events_are_of_one_resource() -> None:
    """Played one after the other they tell the life of one peering; each is a request of its own."""
    assert len({(event["StackId"], event["LogicalResourceId"]) for event in EVENTS.values()}) == 1
    assert len(EVENTS) == len({event["RequestId"] for event in EVENTS.values()})


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"bad-properties"}))
def test_the_function_understands_the_properties(name: str) -> None:
    """An example that is refused teaches nothing."""
    assert parse(EVENTS[name]["ResourceProperties"], HOME)


def test_bad_properties_are_all_reported() -> None:
    """Whoever made nine mistakes wants to read of nine, not to deploy nine times."""
    with pytest.raises(InvalidRequest) as refused:
        parse(EVENTS["bad-properties"]["ResourceProperties"], HOME)
    reason = refused.value.reason
    wrong = ["VpcId 'vpc-123'", "PeerOwnerId '2222'", "PeerRegion 'eu-west-11'", "AutoAccept 'yes'", "Tags key 'aws:En"]
    wrong += [
        "Routes.OnConflict 'Ignore'",
        "Routes.Destinations is unknown",
        "PeerVpcID is unknown",
        "PeerVpcId is miss",
    ]
    assert reason.startswith("InvalidRequest: 9 findings: (1) ")
    assert [] == [text for text in wrong if f") {text}" not in reason]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("update", {"PeerRoutes"}),
        ("update-tags", {"Tags"}),
        ("replace", {"PeerVpcId"}),
        ("rollback-update", {"PeerVpcId"}),
    ],
)
def test_updates_change_what_they_promise(name: str, expected: set[str]) -> None:
    """An update that changes more shows nothing clearly."""
    assert expected == changed(EVENTS[name])


def test_the_rollback_update_is_the_replacement_the_other_way_round() -> None:
    """CloudFormation swaps old and new properties and sends the id that the replacement answered."""
    replace, rollback = EVENTS["replace"], EVENTS["rollback-update"]
    assert replace["ResourceProperties"] == rollback["OldResourceProperties"]
    assert replace["OldResourceProperties"] == rollback["ResourceProperties"]
    assert replace["PhysicalResourceId"] != rollback["PhysicalResourceId"]


def test_the_rollback_delete_removes_the_new_connection() -> None:
    """It carries the new id with the new properties, while the old connection still lives."""
    assert EVENTS["rollback-delete"]["ResourceProperties"] == EVENTS["replace"]["ResourceProperties"]
    assert EVENTS["rollback-delete"]["PhysicalResourceId"] == EVENTS["rollback-update"]["PhysicalResourceId"]


def test_an_id_that_cloudformation_invented_is_no_connection_id() -> None:
    """A Delete after a failed Create names something that never was."""
    assert not EVENTS["delete-never-created"]["PhysicalResourceId"].startswith("pcx-")


@pytest.mark.parametrize("path", sorted((ROOT / "events/operator").glob("*.json")), ids=lambda path: path.stem)
def test_operator_events(path: Path) -> None:
    """Each asks what its name says, and speaks of the resource of the other events."""
    event = json.loads(path.read_text())
    asked = ASKED.validate_python(event)

    action, _, request = path.stem.partition("-")
    assert action.title() == event["Action"] == asked.action
    created = EVENTS["create"]
    after = {name: created[name] for name in ("StackId", "LogicalResourceId")}
    known = {**EVENTS.get(request, created), "After": after}
    assert {} == {name: value for name, value in event.items() if name != "Action" and value != known[name]}
