"""The custom resources of one stack at the same time, as CloudFormation makes them."""

import json

import pytest
from conftest import Stack

FAILED = {"Status": "FAILED", "Reason": "as told", "PhysicalResourceId": "half"}
SLOW = [{"Sleep": 0.5}, {}]


def test_a_new_stack_makes_them_side_by_side(stack: Stack) -> None:
    """Two at once need two environments of the function: peerings of one hub really meet in EC2's token bucket."""
    assert stack.deploy(beside={"Create": SLOW}, Create=SLOW) == "CREATE_COMPLETE"
    assert len(stack.finished()) == 2
    assert [1, 1] == [json.loads(line)["invocation"] for line in stack.logs if "invocation" in line]


def test_what_depends_on_another_waits_for_it(stack: Stack) -> None:
    """DependsOn stays an order."""
    assert stack.deploy(then={}, beside={}, Create=SLOW) == "CREATE_COMPLETE"
    assert "Last" == stack.requests[-1]["event"]["LogicalResourceId"]
    assert stack.requests[0]["answers"]


@pytest.mark.parametrize("failing", ["Toy", "Beside"])
def test_failure_takes_the_others_back(stack: Stack, failing: str) -> None:
    """What is under way when another resource fails ends first, and is then deleted by the id that it answered."""
    create = {"Toy": SLOW, "Beside": SLOW, failing: [FAILED]}
    status = stack.deploy(beside={"Create": create["Beside"]}, Create=create["Toy"])
    assert status == "ROLLBACK_COMPLETE"
    events = [entry["event"] for entry in stack.requests]
    deleted = {e["LogicalResourceId"]: e["PhysicalResourceId"] for e in events if e["RequestType"] == "Delete"}
    assert {"Toy": "toy", "Beside": "toy", failing: "half"} == deleted
    assert any(reason.startswith(f"{failing} CREATE_FAILED Received response") for reason in stack.reasons)
    assert stack.delete() == "DELETE_COMPLETE"
    assert len(stack.requests) == 4
