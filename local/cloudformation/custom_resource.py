"""Custom resources as CloudFormation runs them, in the place of MiniStack's own `invoke_custom_resource`.

Added to MiniStack: the HTTPS ResponseURL, the asynchronous invocation with two retries, ServiceTimeout counted from
the invocation, and the strict reading of the response. What follows a failure is in `rollback.py`.
"""

# ruff: noqa: SLF001 - MiniStack has no public seams
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import get_account_id, get_region, new_uuid, now_iso
from ministack.services import lambda_svc
from ministack.services.cloudformation.custom_resource import _normalise_resource_properties as stringified

from local.cloudformation.journal import Journal
from local.cloudformation.response import ResponseServer

SERVICE_TIMEOUT = 3600
PHYSICAL_ID_BYTES = 1024

Properties = Mapping[str, Any]
Event = dict[str, Any]


class ResourceFailedError(RuntimeError):
    """A custom resource failed; carries the id that CloudFormation goes on with, None if the response gave none."""

    def __init__(self, reason: str, physical_id: str | None = None) -> None:
        super().__init__(reason)
        self.physical_id = physical_id


@dataclass(frozen=True)
class CustomResources:
    """Sends requests to functions and waits for their responses."""

    responses: ResponseServer
    journal: Journal
    on_failure: Callable[[str, Event, ResourceFailedError], None]

    def invoke(  # noqa: PLR0913, PLR0917 - the signature is MiniStack's
        self,
        request_type: str,
        logical_id: str,
        props: Properties,
        stack_name: str,
        stack_id: str,
        resource_type: str,
        physical_id: str | None = None,
        old_props: Properties | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Run one request to its end, with the signature of MiniStack's function of this purpose.

        Returns the physical id and the attributes. Raises ResourceFailedError, and ValueError when the function
        does not exist in the stack's Region, or belongs to an account that does not let the stack's account invoke it.
        Blocks: it is called on a thread of its own.
        """
        function = _function(props["ServiceToken"])
        request_id = new_uuid()
        exchange = self.responses.open(stack_id, logical_id, request_id)
        event = {
            "RequestType": request_type,
            "ServiceToken": props["ServiceToken"],
            "ResponseURL": exchange.url,
            "StackId": stack_id,
            "RequestId": request_id,
            "LogicalResourceId": logical_id,
            "ResourceType": resource_type,
            **({} if physical_id is None else {"PhysicalResourceId": physical_id}),
            "ResourceProperties": stringified(props),
            **({} if old_props is None else {"OldResourceProperties": stringified(old_props)}),
        }
        self.journal.write("event", request_id, event)
        lambda_svc.invoke_async_with_retry(function, event)
        body = exchange.wait(int(props.get("ServiceTimeout", SERVICE_TIMEOUT)))
        try:
            return read_response(event, body)
        except ResourceFailedError as failure:
            self.on_failure(stack_name, event, failure)
            raise


def is_custom(resource_type: str) -> bool:
    """Tell whether resources of this type are made by a function."""
    return resource_type.startswith("Custom::") or resource_type == "AWS::CloudFormation::CustomResource"


def made_in_vain(resource_type: str, physical_id: str, properties: Properties) -> dict[str, Any]:
    """Return MiniStack's record of a resource that its stack is to delete, since its creation came to nothing."""
    return {
        "PhysicalResourceId": physical_id,
        "ResourceType": resource_type,
        "ResourceStatus": "CREATE_FAILED",
        "Properties": properties,
        "Attributes": {},
        "Timestamp": now_iso(),
    }


def _function(service_token: str) -> dict[str, Any]:
    """Return MiniStack's record of the function, or raise ValueError."""
    owner = service_token.split(":")[4]
    record, config, _ = lambda_svc._get_func_record_for_ref_in_scope(service_token, account_id=owner)
    if record is None or config is None or config["FunctionArn"].split(":")[3] != get_region():
        raise ValueError(f"There is no function {service_token} in {get_region()}.")
    if owner != get_account_id() and not any(map(_lets_in, record["policy"]["Statement"])):
        raise ValueError(f"{get_account_id()} is not authorized to perform: lambda:InvokeFunction on {service_token}.")
    return dict(lambda_svc._execution_record_for_config(record, config))


def _lets_in(statement: Mapping[str, Any]) -> bool:
    """Tell whether a function's policy statement lets the stack's account invoke it; its conditions are not read."""
    principal = statement["Principal"]
    named = principal.get("AWS", "") if isinstance(principal, dict) else principal
    return statement["Action"] == "lambda:InvokeFunction" and (named == "*" or get_account_id() in named)


def read_response(event: Event, body: bytes | None) -> tuple[str, dict[str, Any]]:
    """Return the physical id and the attributes of a response, or raise ResourceFailedError as CloudFormation would."""
    if body is None:
        raise ResourceFailedError(
            "CloudFormation did not receive a response from your Custom Resource. "
            f"Please check your logs for requestId [{event['RequestId']}]."
        )
    response = _parsed(body)
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        if response.get(name) != event[name]:
            raise ResourceFailedError(f"Invalid response object: {name} is not that of the request")
    physical_id = response.get("PhysicalResourceId")
    if not isinstance(physical_id, str) or not 0 < len(physical_id.encode()) <= PHYSICAL_ID_BYTES:
        raise ResourceFailedError("Invalid PhysicalResourceId")
    if response["Status"] == "FAILED":
        raise ResourceFailedError(_message(event, response.get("Reason")), physical_id)
    return physical_id, response.get("Data") or {}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        response = json.loads(body)
    except ValueError as error:
        raise ResourceFailedError(f"Invalid response object: {error}") from error
    if not isinstance(response, dict) or response.get("Status") not in {"SUCCESS", "FAILED"}:
        raise ResourceFailedError("Invalid response object: Status must be SUCCESS or FAILED")
    return response


def _message(event: Event, reason: str | None) -> str:
    if not reason:
        return "Invalid response object: Reason is required when Status is FAILED"
    return (
        f"Received response status [FAILED] from custom resource. Message returned: {reason} "
        f"(RequestId: {event['RequestId']})"
    )
