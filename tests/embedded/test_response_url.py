import urllib.parse
from typing import Any

import pytest
from conftest import Stack

from local import stacks


def answers(stack: Stack) -> list[int]:
    """Return the status of each PUT for the stack's first request."""
    return [answer["status"] for answer in stack.finished()[0]["answers"]]


def test_url_is_https_on_loopback_and_looks_presigned(stack: Stack) -> None:
    """HTTPS is all that crhelper speaks, and what redacts the URL must meet one that carries a signature."""
    stack.deploy()
    url = urllib.parse.urlsplit(stack.requests[0]["event"]["ResponseURL"])
    assert (url.scheme, url.hostname) == ("https", "127.0.0.1")
    assert "X-Amz-Signature" in urllib.parse.parse_qs(url.query)


@pytest.mark.parametrize(
    ("step", "status"),
    [({"ContentType": "application/json"}, "403"), ({"Size": 4097}, "400"), ({"Signature": "forged"}, "403")],
    ids=["content-type", "more than 4,096 bytes", "forged signature"],
)
def test_refused_put_is_no_response(stack: Stack, step: dict[str, Any], status: str) -> None:
    """S3 refuses these, so CloudFormation never sees them and goes on waiting for the next PUT."""
    assert stack.deploy(outputs=("Statuses",), Create=[step, {}]) == "CREATE_COMPLETE"
    assert {"Statuses": status} == stacks.outputs(stack.aws.client("cloudformation"), stack.name)


def test_4096_bytes_are_accepted(stack: Stack) -> None:
    """The limit itself is allowed: trimming one byte too much would lose a reason's end."""
    assert stack.deploy(Create=[{"Size": 4096}]) == "CREATE_COMPLETE"
    assert len(stack.requests[0]["answers"][0]["body"]) == 4096


def test_second_response_is_refused_and_a_repetition_is_not(stack: Stack) -> None:
    """One response a request: a contradiction must show in tests, a replay of the same answer is harmless."""
    same = {"Data": {}}
    assert stack.deploy(Create=[same, {"Status": "FAILED", "Reason": "changed its mind"}, same]) == "CREATE_COMPLETE"
    assert answers(stack) == [200, 403, 200]


def test_response_after_service_timeout_is_refused(stack: Stack) -> None:
    """A response that comes too late changes nothing, and the function has to see that."""
    stack.deploy(ServiceTimeout=1, Create=[{"Sleep": 1.2}, {"PhysicalResourceId": "late"}])
    assert answers(stack) == [403]


@pytest.mark.parametrize("name", ["StackId", "RequestId", "LogicalResourceId"])
def test_response_for_another_request_fails_the_resource(stack: Stack, name: str) -> None:
    """CloudFormation wants these three verbatim; a handler that mixes up two requests must not pass."""
    assert stack.deploy(Create=[{name: "another"}]) == "ROLLBACK_COMPLETE"
    assert f"Toy CREATE_FAILED Invalid response object: {name} is not that of the request" in stack.reasons


@pytest.mark.parametrize("physical_id", ["", "x" * 1025], ids=["empty", "more than 1 KB"])
def test_invalid_physical_id_loses_the_reason(stack: Stack, physical_id: str) -> None:
    """The real reason is lost to "Invalid PhysicalResourceId", and the Delete carries an id nobody made."""
    failed = {"Status": "FAILED", "Reason": "the real one", "PhysicalResourceId": physical_id}
    assert stack.deploy(Create=[failed]) == "ROLLBACK_COMPLETE"
    assert "Toy CREATE_FAILED Invalid PhysicalResourceId" in stack.reasons
    (_, (delete, invented)) = stack.sent
    assert delete == "Delete"
    assert invented is not None
    assert invented.startswith(f"{stack.name}-Toy-")


def test_failed_needs_a_reason(stack: Stack) -> None:
    """Reason is required when Status is FAILED."""
    stack.deploy(Create=[{"Status": "FAILED"}])
    assert "Toy CREATE_FAILED Invalid response object: Reason is required when Status is FAILED" in stack.reasons


@pytest.mark.parametrize("body", ["{", "[]", '{"Status": "OK"}'], ids=["not JSON", "no object", "unknown status"])
def test_garbage_fails_the_resource(stack: Stack, body: str) -> None:
    """S3 stores any bytes; what CloudFormation cannot read is a failure at once, not an hour later."""
    assert stack.deploy(Create=[{"Body": body}]) == "ROLLBACK_COMPLETE"
    assert any(reason.startswith("Toy CREATE_FAILED Invalid response object: ") for reason in stack.reasons)
