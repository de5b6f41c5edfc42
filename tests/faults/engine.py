"""CloudFormation and Lambda as far as a custom resource sees them: what they send next, whatever became of the last."""

import copy
import json
from collections.abc import Callable, Collection
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
SWEEP_SECONDS = 900.0
"""From one sweep to the next."""
CONVERGES = 2
"""A Delete has succeeded after so many invocations in which nothing fails."""
IDENTITY = ("VpcId", "PeerVpcId", "OwnerId", "PeerOwnerId", "Region", "PeerRegion", "VpcTags", "PeerVpcTags")
"""Properties whose change is a replacement."""
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
    faulted: bool = False
    """Whether something was put into it."""
    answered: bool = False
    """Whether the registry had the answer already when it began."""


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
    finding: str | None = None
    """What maintenance found where all was to be well."""
    returned: object = None
    """What the last invocation has returned."""
    given_up: set[str] = field(default_factory=set)
    """Requests that CloudFormation waits for no longer, or that Lambda has not repeated yet."""
    hopeless: set[str] = field(default_factory=set)
    """Requests that must fail."""
    blind: bool = False
    """Whether a Delete could not reach the accepter's side, as whoever made it so has said."""
    delayed: bool = False
    """Whether a call was refused for long, as whoever made it so has said."""
    unrecorded: set[str] = field(default_factory=set)
    """Requests whose answer the registry could not take, as whoever made it so has said."""
    leftovers: bool = False
    """Whether an Update has failed, and its rollback too: nobody tells the handler of the tags that it had made."""
    disturbed: bool = False
    """Whether somebody has changed by hand what the last success has made."""
    outdated: bool = False
    """Whether the VPCs have changed since the last success: what it told of them was true then."""

    def create(self, properties: Properties) -> bool:
        """Create the resource; after a failure it is deleted."""
        return self.created(self._deliver("Create", properties), properties)

    def created(self, response: Response | None, properties: Properties) -> bool:
        """Go on after a Create was answered, or not."""
        if response and response["Status"] == "SUCCESS":
            self._settle(response, properties)
            return True
        self.remove(response["PhysicalResourceId"] if response else self.invented, properties)
        return False

    def _settle(self, response: Response, properties: Properties) -> None:
        self.physical_id, self.properties = response["PhysicalResourceId"], properties
        self.disturbed = self.outdated = False

    @property
    def invented(self) -> str:
        """The id that CloudFormation makes up where none was told."""
        return f"{self.name}-Peering-1ABCDEFGHIJK"

    def update(self, properties: Properties) -> bool:
        """Update the resource; after a failure it is rolled back. The clean-up of a replacement is left to `clean`."""
        return self.updated(self.serve(self.send_update(properties)), properties)

    def send_update(self, properties: Properties) -> Event:
        """Return an Update that is on its way."""
        return self.send(
            "Update", properties, PhysicalResourceId=self.physical_id, OldResourceProperties=self.properties
        )

    def updated(self, response: Response | None, properties: Properties) -> bool:
        """Go on after an Update was answered, or not."""
        before = self.physical_id
        if response and response["Status"] == "SUCCESS":
            self._compare_ids(response, properties)
            self.replaced = (before, self.properties) if response["PhysicalResourceId"] != before else None
            self._settle(response, properties)
            return True
        if response and response["PhysicalResourceId"] != before:
            self.problems.append(f"a failed Update answered {response['PhysicalResourceId']} for {before}")
        self.revert(properties, self.properties or {})
        return False

    def _compare_ids(self, response: Response, properties: Properties) -> None:
        """Compare the id that an Update told with the one it came with: another one exactly for a replacement.

        What somebody has deleted by hand is replaced too.
        """
        before, now = ({name: given.get(name) for name in IDENTITY} for given in (self.properties or {}, properties))
        changed = response["PhysicalResourceId"] != self.physical_id
        if changed is (before == now) and not self.disturbed:
            told = f"{response['PhysicalResourceId']} for {self.physical_id}"
            self.problems.append(f"an Update that was {'no' if changed else 'a'} replacement answered {told}")

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
                self._compare_ids(response, previous)
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
        self.disturbed = self.outdated = False

    def remove(self, physical_id: str, properties: Properties) -> None:
        """Send a Delete; once more where it fails."""
        began = len(self.invocations)
        for _ in range(2):
            response = self._deliver("Delete", properties, PhysicalResourceId=physical_id)
            if response and response["Status"] == "SUCCESS":
                unharmed = sum(not invocation.faulted for invocation in self.invocations[began:])
                if unharmed > CONVERGES:
                    self.problems.append(f"Delete took {unharmed} invocations after the faults had ended")
                return
        self.problems.append(f"Delete failed twice: {(response or {}).get('Reason', 'no response')}")

    @property
    def rests(self) -> bool:
        """Whether the registry was told of the success that counts now, and of all since, and the last has succeeded.

        Maintenance keeps what rests, and leaves all else alone.
        """
        responses = [(event, self.response(event) or {}) for event in self.events]
        for event, response in reversed(responses):
            if event["RequestId"] in self.unrecorded:
                return False
            told = (response.get("Status"), response.get("PhysicalResourceId"))
            if event["RequestType"] != "Delete" and told == ("SUCCESS", self.physical_id):
                return responses[-1][1].get("Status") == "SUCCESS"
        return False

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
        self.ask(self.message)

    def ask(self, event: Event) -> None:
        """Send an event that has no answer of its own, again while that fails; what fails of a batch alone."""
        for _ in range(ATTEMPTS):
            if self.invoke(event) and not (event := self._left(event)):
                return
            self.here.time.sleep(RETRY_SECONDS)
        self.problems.append(f"{event} has failed whenever it was tried")

    def _left(self, event: Event) -> Event:
        """Return what the last invocation has left of a batch in the queue."""
        told = self.returned if isinstance(self.returned, dict) else {}
        failed = {failure["itemIdentifier"] for failure in told.get("batchItemFailures", [])}
        left = [record for record in event.get("Records", []) if record["messageId"] in failed]
        return {"Records": left} if left else {}

    def work(self) -> None:
        """Bring all that is queued to a worker as one batch."""
        if waiting := self.here.received():
            self.ask(batch(waiting))
        self.armed = None

    @property
    def message(self) -> Event:
        """The resource's message in the queue of maintenance, as a worker gets it."""
        stack_id = f"arn:aws:cloudformation:us-east-1:{HUB}:stack/{self.name}/5d9c2f30-0000"
        return batch([json.dumps({"StackId": stack_id, "LogicalResourceId": "Peering", "Reason": "sweep"})])

    def inspect(self) -> None:
        """Let maintenance look at the resource, and then ask it whether all is as it was asked for last."""
        self.maintain()
        body = json.loads(self.message["Records"][0]["body"])
        self.invoke({"Action": "Check", **{name: body[name] for name in ("StackId", "LogicalResourceId")}})
        if isinstance(self.returned, dict) and self.returned["Findings"]:
            self.finding = self.returned["Text"]

    def _deliver(self, request_type: str, properties: Properties, **more: Any) -> Response | None:  # noqa: ANN401
        return self.serve(self.send(request_type, properties, **more))

    def serve(self, event: Event) -> Response | None:
        """Bring an event as Lambda does, and return the first response that was put; None: CloudFormation gave up."""
        self.given_up.discard(event["RequestId"])
        for _ in range(ATTEMPTS):
            if self.invoke(event):
                break
            self.here.time.sleep(RETRY_SECONDS)
        response = self.response(event)
        if response is None:
            self.here.time.sleep(WAITS)
        return response

    def response(self, event: Event) -> Response | None:
        """Return the first response to a request."""
        return next(iter(self.here.bucket.puts.get(event["RequestId"], [])), None)

    def answer(self, event: Event) -> Response | None:
        """Return the answer that the registry has for a request."""
        requests = (request for item in self.here.items() for request in item.get("Requests", []))
        return next((r.get("Answer") for r in requests if r["RequestId"] == event.get("RequestId")), None)

    def invoke(self, event: Event) -> bool:
        """Invoke the function in a fresh process, once; tell whether it ended without an error."""
        faulted, hook, self.armed = self.armed is not None, self.armed or _unharmed, None
        answered = faulted and self.answer(event) is not None
        began = self.here.time.now()
        if hasattr(hook, "ends"):
            hook.ends = began + SECONDS
        ended, self.returned = "ok", None
        try:
            handler = self.start(hook)
            self.here.process.request_id = event.get("RequestId")
            self.returned = handler(event, Context(self.here.time.now, began + SECONDS))
            self.answers.append(self.returned)
        except Killed:
            ended = "killed"
        except (Undelivered, BatchProcessingError, PeeringError) as failure:
            ended = type(failure).__name__
        finally:
            self.here.time.alarms.clear()
        taken = self.here.time.now() - began
        self.invocations.append(Invocation(event, len(self.here.process.calls), taken, ended, faulted, answered))
        return ended == "ok"


def batch(bodies: Collection[str]) -> Event:
    """Return messages of the queue as a worker gets them."""
    attributes = {"MessageGroupId": "1", "MessageDeduplicationId": "1", "ApproximateReceiveCount": "1"}
    sent = {"receiptHandle": "1", "attributes": attributes, "eventSource": "aws:sqs"}
    return {"Records": [{**sent, "messageId": str(at), "body": body} for at, body in enumerate(bodies, start=1)]}


def _unharmed(_call: Call, send: Send) -> Any:  # noqa: ANN401  # botocore's
    return send()
