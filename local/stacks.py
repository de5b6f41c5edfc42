"""Stacks through the CloudFormation API, without the half-minute polls of boto3's and sam's waiters."""

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

POLL_SECONDS = 0.02
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


def deploy(
    cloudformation: Any,  # noqa: ANN401 - a boto3 client
    name: str,
    template: Mapping[str, Any] | str,
    parameters: Mapping[str, str] | None = None,
    **options: Any,  # noqa: ANN401 - what CreateStack and UpdateStack take
) -> str:
    """Create the stack, or update it if it exists, and wait; return the status that it ends in.

    Raises botocore's ClientError when the request is refused, such as "No updates are to be performed."
    """
    act = cloudformation.update_stack if exists(cloudformation, name) else cloudformation.create_stack
    act(
        StackName=name,
        TemplateBody=template if isinstance(template, str) else json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()],
        Capabilities=CAPABILITIES,
        **options,
    )
    return wait(cloudformation, name)


def delete(cloudformation: Any, name: str) -> str:  # noqa: ANN401
    """Delete the stack and wait; return DELETE_COMPLETE or DELETE_FAILED."""
    stack_id = describe(cloudformation, name)["StackId"]
    cloudformation.delete_stack(StackName=name)
    return wait(cloudformation, stack_id)


def wait(cloudformation: Any, name: str) -> str:  # noqa: ANN401
    """Wait until no operation is in progress; return the stack's status."""
    while (status := str(describe(cloudformation, name)["StackStatus"])).endswith("_IN_PROGRESS"):
        time.sleep(POLL_SECONDS)
    return status


def describe(cloudformation: Any, name: str) -> dict[str, Any]:  # noqa: ANN401
    """Return the stack; raises botocore's ClientError if there is none."""
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return dict(stack)


def exists(cloudformation: Any, name: str) -> bool:  # noqa: ANN401
    """Tell whether there is a stack of this name."""
    try:
        return str(describe(cloudformation, name)["StackStatus"]) != "DELETE_COMPLETE"
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return False


def outputs(cloudformation: Any, name: str) -> dict[str, str]:  # noqa: ANN401
    """Return the outputs of the stack by their names."""
    return {output["OutputKey"]: output["OutputValue"] for output in describe(cloudformation, name).get("Outputs", [])}


def reasons(cloudformation: Any, name: str) -> list[str]:  # noqa: ANN401
    """Return `<logical id> <status> <reason>` of all events, oldest first."""
    events = cloudformation.get_paginator("describe_stack_events").paginate(StackName=name).build_full_result()
    return [
        f"{event['LogicalResourceId']} {event['ResourceStatus']} {event.get('ResourceStatusReason', '')}".rstrip()
        for event in reversed(events["StackEvents"])
    ]
