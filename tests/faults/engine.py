"""CloudFormation and Lambda as far as a custom resource sees them: what they send next, whatever became of the last."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from handler.errors import PeeringError
from handler.response import Undelivered
from tests.faults.inprocess import RESPONSE_URL, Call, Hook, InProcess, Killed, Send
from tests.harness import HUB, SERVICE_TOKEN, Context, signed

ATTEMPTS = 3
"""Lambda sends an event at most so often."""
SECONDS = 300.0
"""Of an invocation: shorter than deployed, since a call that is refused until the deadline is repeated until then."""
RETRY_SECONDS = 60.0
WAITS = 3600.0
"""Seconds that CloudFormation waits for a response."""

Properties = dict[str, Any]
Event = dict[str, Any]
Response = dict[str, Any]


class Handler(Protocol):
    """What is invoked."""

    def __call__(self, event: Event, context: Context) -> object:
        """Serve an event."""


@dataclass
class Invocation:
    """One invocation, for the bounds."""

    event: Event
    calls: int
    seconds: float
    ended: str


@dataclass
class Engine:
    """The stack of one resource. `arm` puts a fault into the next invocation only."""

    here: InProcess
    start: Callable[[Hook], Handler]
    name: str = "network"
    physical_id: str | None = None
    properties: Properties | None = None
    """Those of the last success."""
    events: list[Event] = field(default_factory=list)
    invocations: list[Invocation] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    """What the invocations returned: to an operator, who asks directly, or to Lambda."""
    armed: Hook | None = None
    problems: list[str] = field(default_factory=list)
    """What CloudFormation itself would complain about."""
    disturbed: bool = False
    """Whether somebody has changed by hand what the last success has made."""

    def create(self, properties: Properties) -> bool:
        """Create the resource; after a failure it is deleted."""
        response = self._deliver("Create", properties)
        if response and response["Status"] == "SUCCESS":
            self._settle(response, properties)
            return True
        self.remove(response["PhysicalResourceId"] if response else self.invented, properties)
        return False

    def _settle(self, response: Response, properties: Properties) -> None:
        self.physical_id, self.properties, self.disturbed = response["PhysicalResourceId"], properties, False

    @property
    def invented(self) -> str:
        """The id that CloudFormation makes up where none was told."""
        return f"{self.name}-Peering-1ABCDEFGHIJK"

    def update(self, properties: Properties) -> bool:
        """Update the resource; after a failure it is rolled back. The clean-up of a replacement is left to `clean`."""
        before = self.physical_id
        response = self._deliver("Update", properties, PhysicalResourceId=before, OldResourceProperties=self.properties)
        if response and response["Status"] == "SUCCESS":
            self.replaced = (before, self.properties) if response["PhysicalResourceId"] != before else None
            self._settle(response, properties)
            return True
        if response and response["PhysicalResourceId"] != before:
            self.problems.append(f"a failed Update answered {response['PhysicalResourceId']} for {before}")
        self.revert(properties, self.properties or {})
        return False

    replaced: tuple[str | None, Properties | None] | None = None

    def clean(self) -> None:
        """Delete what a replacement has left, by its old id and properties."""
        if self.replaced:
            self.remove(self.replaced[0] or "", self.replaced[1] or {})
            self.replaced = None

    def revert(self, current: Properties, previous: Properties) -> None:
        """Roll back by an Update to the old properties; continued once where it fails."""
        sent, self.replaced = self.physical_id, None
        for _ in range(2):
            response = self._deliver("Update", previous, PhysicalResourceId=sent, OldResourceProperties=current)
            if response and response["Status"] == "SUCCESS":
                self._settle(response, previous)
                if response["PhysicalResourceId"] != sent:
                    self.remove(sent or "", current)
                return
        self.problems.append(f"the rollback failed twice: {(response or {}).get('Reason', 'no response')}")

    def revert_by_delete(self) -> None:
        """Roll a replacement back in the other way: the new resource is deleted, the old one counts again."""
        assert self.replaced
        self.remove(self.physical_id or "", self.properties or {})
        self.physical_id, self.properties = self.replaced
        self.replaced = None

    def delete(self) -> None:
        """Delete the resource."""
        self.remove(self.physical_id or "", self.properties or {})
        self.physical_id = self.properties = None
        self.disturbed = False

    def remove(self, physical_id: str, properties: Properties) -> None:
        """Send a Delete; once more where it fails."""
        for _ in range(2):
            response = self._deliver("Delete", properties, PhysicalResourceId=physical_id)
            if response and response["Status"] == "SUCCESS":
                return
        self.problems.append(f"Delete failed twice: {(response or {}).get('Reason', 'no response')}")

    def send(self, request_type: str, properties: Properties, **more: Any) -> Event:  # noqa: ANN401  # of the event
        """Return an event that is on its way: nobody has served it yet."""
        event = {
            "RequestType": request_type,
            "ServiceToken": SERVICE_TOKEN,
            "ResponseURL": signed(RESPONSE_URL, self.here.time.now() + len(self.events)),
            "StackId": f"arn:aws:cloudformation:us-east-1:{HUB}:stack/{self.name}/5d9c2f30-0000",
            "RequestId": f"{self.name}-{len(self.events)}",
            "LogicalResourceId": "Peering",
            "ResourceType": "Custom::VpcPeering",
            "ResourceProperties": copy.deepcopy(properties),
            **copy.deepcopy(more),
        }
        self.events.append(event)
        return event

    def maintain(self) -> None:
        """Let the queue bring the resource to a worker, again while that fails."""
        for _ in range(ATTEMPTS):
            if self.invoke(self.message):
                return
            self.here.time.sleep(RETRY_SECONDS)

    @property
    def message(self) -> Event:
        """The resource's message in the queue of maintenance, as a worker gets it."""
        stack_id = f"arn:aws:cloudformation:us-east-1:{HUB}:stack/{self.name}/5d9c2f30-0000"
        body = {"StackId": stack_id, "LogicalResourceId": "Peering", "Reason": "sweep"}
        attributes = {"MessageGroupId": "1", "MessageDeduplicationId": "1", "ApproximateReceiveCount": "1"}
        record = {"messageId": "1", "body": json.dumps(body), "attributes": attributes, "eventSource": "aws:sqs"}
        return {"Records": [record]}

    def _deliver(self, request_type: str, properties: Properties, **more: Any) -> Response | None:  # noqa: ANN401
        """Send an event as Lambda does, and return the first response that was put; None: CloudFormation gave up."""
        event = self.send(request_type, properties, **more)
        for _ in range(ATTEMPTS):
            if self.invoke(event):
                break
            self.here.time.sleep(RETRY_SECONDS)
        responses = self.here.bucket.puts.get(event["RequestId"], [])
        if not responses:
            self.here.time.sleep(WAITS)
        return responses[0] if responses else None

    def invoke(self, event: Event) -> bool:
        """Invoke the function in a fresh process, once; tell whether it ended without an error."""
        hook, self.armed = self.armed or _unharmed, None
        began = self.here.time.now()
        if hasattr(hook, "ends"):
            hook.ends = began + SECONDS
        ended = "ok"
        try:
            self.answers.append(self.start(hook)(event, Context(self.here.time.now, began + SECONDS)))
        except Killed:
            ended = "killed"
        except (Undelivered, BatchProcessingError, PeeringError) as failure:
            ended = type(failure).__name__
        finally:
            self.here.time.alarms.clear()
        taken = self.here.time.now() - began
        self.invocations.append(Invocation(event, len(self.here.process.calls), taken, ended))
        return ended == "ok"


def _unharmed(_call: Call, send: Send) -> Any:  # noqa: ANN401  # botocore's
    return send()
