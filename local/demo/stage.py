"""The stage of the demo: the stack that is operated on, what each operation led to, and the checks."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from local import stacks
from local.demo.installation import STACK as FUNCTION
from local.demo.installation import Installation
from local.demo.scene import Place, RouteKey, Scene, make_place, observe
from local.demo.screen import READS, Screen
from local.strict import Call

TEMPLATE = Path(__file__).with_name("network.yaml").read_text()
NETWORK = "network"


class DoesNotHoldError(AssertionError):
    """A step did not lead to what must hold after it; the text names the step."""


@dataclass(frozen=True)
class Step:
    """What one operation on the stack led to: the scenes before and after it, and the calls it took."""

    before: Scene
    now: Scene
    reason: str
    """Why the resource failed, if it did."""
    calls: tuple[Call, ...]

    def routes_written(self, operation: str) -> set[RouteKey]:
        """Return table and destination of each such call."""
        return {
            (call.params["RouteTableId"], call.params["DestinationCidrBlock"])
            for call in self.calls
            if call.operation == operation
        }

    def began(self, operation: str) -> float:
        """Return when the first such call began."""
        return min(call.started for call in self.calls if call.operation == operation)

    def ended(self, *operations: str) -> float:
        """Return when the last such call had ended."""
        return max(call.ended for call in self.calls if call.operation in operations)

    @property
    def writes(self) -> list[str]:
        """The calls that changed something, or tried to."""
        return [call.operation for call in self.calls if not call.operation.startswith(READS)]


@dataclass
class Stage:
    """Shows and checks each operation on the stack. `parameters` are those that the stack has by now."""

    installation: Installation
    screen: Screen
    parameters: dict[str, str] = field(default_factory=dict)
    number: int = 0
    title: str = ""

    def __post_init__(self) -> None:
        """Begin with an AWS in which nothing is installed yet."""
        self.aws = self.installation.aws
        self.cloudformation = self.aws.client("cloudformation")
        self.place: Place = make_place(self.aws)
        self.start = self.scene = observe(self.aws, self.place, "")

    def open(self, title: str, text: str) -> None:
        """Begin a step."""
        self.number += 1
        self.title = title
        self.screen.title(self.number, title, text)

    def deploy(self, expected: str, doing: str, **parameters: str) -> Step:
        """Create or update the stack with what changes, to the expected status, and show what came of it."""
        self.parameters |= parameters
        deploy = partial(stacks.deploy, self.cloudformation, NETWORK, TEMPLATE, self.parameters)
        return self._operate(expected, doing, lambda: (deploy(), ""))

    def remove(self, expected: str, doing: str) -> Step:
        """Delete the stack, and show what came of it."""
        return self._operate(expected, doing, lambda: (stacks.delete(self.cloudformation, NETWORK), ""))

    def maintain(self, expected: str, doing: str) -> Step:
        """Ask the function to look at the resource and repair it, and show what came of it."""
        resource = {"StackId": stacks.describe(self.cloudformation, NETWORK)["StackId"], "LogicalResourceId": "Peering"}
        self.scene = observe(self.aws, self.place, self.scene.connection_id)

        def repair() -> tuple[str, str]:
            event = json.dumps({"Action": "Repair", **resource}).encode()
            answer = self.aws.client("lambda").invoke(FunctionName=FUNCTION, Payload=event)
            found = json.loads(answer["Payload"].read())
            return "repaired" if all(finding["done"] for finding in found["Findings"]) else "not repaired", found[
                "Text"
            ]

        return self._operate(expected, doing, repair)

    def check(self, checks: Mapping[str, bool]) -> None:
        """Show what must hold after this step; go on only if all of it does."""
        self.screen.checks(checks)
        if not all(checks.values()):
            raise DoesNotHoldError(f"Step {self.number} ({self.title}) does not hold.")

    def _operate(self, expected: str, doing: str, operation: Callable[[], tuple[str, str]]) -> Step:
        before, first, began = self.scene, len(self.aws.strict.calls), time.monotonic()
        with self.screen.working(doing):
            status, told = operation()
        seconds, calls = time.monotonic() - began, tuple(self.aws.strict.calls[first:])
        known, reason = self._tidings() if stacks.exists(self.cloudformation, NETWORK) else (before.connection_id, "")
        self.scene = observe(self.aws, self.place, known)
        self.screen.status(f"{NETWORK}: {status}", "" if told else reason, told)
        self.screen.cost(seconds, calls)
        self.screen.connection(before, self.scene)
        self.screen.routes(before, self.scene, self.place)
        if status != expected:
            raise DoesNotHoldError(f"Step {self.number} ({self.title}) does not hold: the stack is not {expected}.")
        return Step(before, self.scene, told or reason, calls)

    def _tidings(self) -> tuple[str, str]:
        """Return the connection's id as the stack tells it, and why the resource failed if it did."""
        outputs = stacks.outputs(self.cloudformation, NETWORK)
        messages = [event.partition("Message returned: ")[2] for event in stacks.reasons(self.cloudformation, NETWORK)]
        return outputs.get("PeeringId", ""), "".join(messages).partition(" (RequestId")[0]
