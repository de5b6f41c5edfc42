import json
from typing import Any

from conftest import Stack, function


def invocations(stack: Stack) -> list[dict[str, Any]]:
    """Return what each invocation has seen."""
    stack.finished()
    return [json.loads(line) for line in stack.logs if "invocation" in line]


def test_function_runs_under_the_real_runtime_client(stack: Stack) -> None:
    """Only awslambdaric gives a handler the context, the time-out and the errors that Lambda gives it."""
    stack.deploy()
    (first,) = invocations(stack)
    assert first["client"] == "awslambdaric.lambda_context"


def test_process_is_reused_and_its_state_survives(stack: Stack) -> None:
    """A warm start keeps module state: what leaks from one event into the next must be seen here."""
    stack.deploy(Name="a")
    stack.finished()
    stack.deploy(Name="b")
    assert [entry["invocation"] for entry in invocations(stack)] == [1, 2]


def test_environment_is_the_embedded_one_and_the_templates(stack: Stack) -> None:
    """EC2 and STS are the strict ones, all else MiniStack's, the key is the account's; nothing comes from the host."""
    stack.function = function(Environment={"Variables": {"POWERTOOLS_SERVICE_NAME": "toy"}})
    stack.deploy()
    environment = invocations(stack)[0]["env"]
    expected = {
        "AWS_ACCESS_KEY_ID": "111111111111",
        "AWS_ENDPOINT_URL": stack.aws.url,
        "AWS_ENDPOINT_URL_EC2": stack.aws.strict.url,
        "AWS_ENDPOINT_URL_STS": stack.aws.strict.url,
        "AWS_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "toy",
    }
    assert expected == {name: environment[name] for name in expected}
    assert "PYTEST_CURRENT_TEST" not in environment


def test_logs_reach_cloudwatch_too(stack: Stack) -> None:
    """Metric filters and people look there."""
    stack.deploy()
    stack.finished()
    group = f"/aws/lambda/{stack.requests[0]['event']['ServiceToken'].rpartition(':')[2]}"
    events = stack.aws.client("logs").filter_log_events(logGroupName=group)["events"]
    assert any('"invocation": 1' in event["message"] for event in events)
