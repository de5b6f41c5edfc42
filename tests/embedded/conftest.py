"""One embedded AWS for the tests of this folder, and stacks around a function that does what it is told."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local import stacks
from local.embedded import EmbeddedAws

TOY = Path(__file__).with_name("toy_function.py").read_text()
ROLE = "arn:aws:iam::111111111111:role/toy"
NAMES = itertools.count(1)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """Start it once: every test has stacks of its own."""
    with EmbeddedAws(tmp_path_factory.mktemp("aws")) as embedded:
        yield embedded


def function(**properties: object) -> dict[str, Any]:
    """Return the resource of a toy function with these properties."""
    code = {"ZipFile": TOY}
    defaults = {"Runtime": "python3.13", "Architectures": ["arm64"], "Handler": "index.handler", "Timeout": 5}
    return {"Type": "AWS::Lambda::Function", "Properties": {**defaults, "Role": ROLE, "Code": code, **properties}}


@dataclass
class Stack:
    """A stack with the function `Function` and the custom resource `Toy`."""

    aws: EmbeddedAws
    name: str
    function: dict[str, Any] = field(default_factory=function)
    metadata: dict[str, str] = field(default_factory=dict)

    def deploy(
        self,
        *,
        then: dict[str, Any] | None = None,
        beside: dict[str, Any] | None = None,
        outputs: tuple[str, ...] = (),
        **properties: object,
    ) -> str:
        """Deploy with these properties of `Toy`.

        `then` are those of `Last`, another one that depends on it, and `beside` those of `Beside`, one that does not.
        """
        resources = {"Function": self.function, "Toy": _toy(properties)}
        if beside is not None:
            resources["Beside"] = _toy(beside)
        if then is not None:
            resources["Last"] = {"DependsOn": "Toy", **_toy(then)}
        values = {name: {"Value": {"Fn::GetAtt": ["Toy", name]}} for name in outputs}
        template = {"Metadata": self.metadata, "Resources": resources, "Outputs": values}
        return stacks.deploy(self.aws.client("cloudformation"), self.name, template)

    def delete(self) -> str:
        """Delete it; return the status."""
        return stacks.delete(self.aws.client("cloudformation"), self.name)

    @property
    def reasons(self) -> list[str]:
        """The events of the stack as text."""
        return stacks.reasons(self.aws.client("cloudformation"), self.name)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What CloudFormation sent for this stack, and what came of it."""
        return [entry for entry in self.aws.events if f":stack/{self.name}/" in entry["event"]["StackId"]]

    @property
    def sent(self) -> list[tuple[str, str | None]]:
        """The requests for `Toy`: type and physical id."""
        events = [entry["event"] for entry in self.requests]
        return [(e["RequestType"], e.get("PhysicalResourceId")) for e in events if e["LogicalResourceId"] == "Toy"]

    def finished(self) -> list[dict[str, Any]]:
        """Return the requests, once every invocation is over: a stack goes on before its function ends."""
        while not all(_is_over(entry["attempts"]) for entry in self.requests):
            time.sleep(stacks.POLL_SECONDS)
        return self.requests

    @property
    def logs(self) -> list[str]:
        """The function's output."""
        return self.aws.logs(self.requests[0]["event"]["ServiceToken"].rpartition(":")[2])


def _is_over(attempts: list[dict[str, Any] | None]) -> bool:
    return len(attempts) == 3 or (bool(attempts) and attempts[-1] is None)


def _toy(properties: dict[str, object]) -> dict[str, Any]:
    token = {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}}
    return {"Type": "Custom::VpcPeering", "Properties": {**token, **properties}}


@pytest.fixture
def stack(aws: EmbeddedAws) -> Stack:
    """Name a stack that no other test has."""
    return Stack(aws, f"toy-{next(NAMES)}")
