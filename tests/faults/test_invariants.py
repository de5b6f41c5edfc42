"""The invariants can fail: handlers that are wrong in one point are found, each by the invariant that is about it."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import pytest

import handler.settings
from handler.cfn import PeeringResource
from handler.changes import UntagConnection
from handler.errors import InternalFailure
from handler.model import Side
from handler.progress import Progress
from handler.reconcile import Reconciler
from handler.response import Undelivered
from handler.telemetry import logger
from tests.faults.fault import Fault
from tests.faults.inprocess import AlarmedTime, Call, in_process
from tests.faults.invariants import Violation, checked, replayed
from tests.faults.paths import created
from tests.faults.runs import FOUR, MOST, UNITS, Result, Unit, captured, forked
from tests.faults.scene import MORE_TAGS, Scene

Broken = Callable[[], AbstractContextManager[Any]]


def unit(path: str, topology: str = str(FOUR[0])) -> Unit:
    """Return a unit by its name."""
    return next(unit for unit in UNITS if str(unit) == f"{path} / {topology}")


def silent() -> AbstractContextManager[Any]:
    """Never answer a Create."""
    deliver = PeeringResource._deliver  # noqa: SLF001

    def keep(self: PeeringResource) -> Undelivered | None:
        request = self._request
        return Undelivered("never") if request.request_type == "Create" else deliver(self)

    return patch.object(PeeringResource, "_deliver", keep)


def refusing() -> AbstractContextManager[Any]:
    """Fail every Create and Update."""
    begun = PeeringResource._begun_tenure  # noqa: SLF001

    def fail(self: PeeringResource) -> Any:  # noqa: ANN401  # a tenure
        if self._request.request_type != "Delete":
            raise InternalFailure("no.", "no.")
        return begun(self)

    return patch.object(PeeringResource, "_begun_tenure", fail)


@contextmanager
def tagging() -> Iterator[None]:
    """Never remove a tag."""
    plan = handler.settings.plan_settings

    def without(*given: Any, **more: Any) -> Iterator[Any]:  # noqa: ANN401  # as the plan's
        return (change for change in plan(*given, **more) if not isinstance(change, UntagConnection))

    with patch("handler.plan.plan_settings", without), patch("handler.reconcile.plan_settings", without):
        yield


@contextmanager
def leaving() -> Iterator[None]:
    """Leave the accepter's routes, and say so."""
    take_off = Reconciler._take_off  # noqa: SLF001

    def lazy(self: Any, desired: Any, observed: Any, side: Side, *more: Any) -> Any:  # noqa: ANN401
        return None if side is Side.ACCEPTER else take_off(self, desired, observed, side, *more)

    def say(*_: object, **__: object) -> None:
        logger.warning("routes of this resource may remain on the accepter's side")

    with patch.object(Reconciler, "_take_off", lazy), patch.object(Progress, "left", say):
        yield


@pytest.mark.parametrize(
    ("broken", "path", "topology", "invariant"),
    [
        (silent, "create", FOUR[0], "one response"),
        (refusing, "create", FOUR[0], "what can be done is done"),
        (tagging, "removal of tags", FOUR[0], "SUCCESS means done"),
        (leaving, "delete", MOST, "no orphan"),
    ],
    ids=["silent", "refusing", "tagging", "leaving"],
)
def test_a_broken_handler_is_found(broken: Broken, path: str, topology: object, invariant: str) -> None:
    """What does one thing wrong, and nothing else, is found without any fault."""
    with broken():
        (baseline,) = unit(path, str(topology)).runs(kinds=())

    assert invariant in {violation["invariant"] for violation in baseline["violations"]}


def test_the_handler_is_not() -> None:
    """The same runs of the handler as it is break nothing, so that it was the one thing that was found."""
    units = [unit("create"), unit("removal of tags"), unit("delete", str(MOST))]

    assert [[]] * 3 == [result["violations"] for each in units for result in each.runs(kinds=())]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Make a world with the resource in it, and people's own routes to its connection."""
    with in_process() as here, captured():
        scene = Scene(here, FOUR[0], here.start)
        created(scene)
        yield scene


def found(violations: Iterator[Violation]) -> set[str]:
    """Return the names of invariants that do not hold."""
    return {violation.invariant for violation in violations}


def test_people_lose_nothing(scene: Scene) -> None:
    """A route of a user's to our connection that goes is found, as is one that stays when all is well."""
    assert set() == found(checked(scene, ""))
    (table, block), *_ = scene.users

    scene.world.ec2(scene.vpc).delete_route(RouteTableId=table, DestinationCidrBlock=block)

    assert {"strangers notice nothing"} == found(checked(scene, ""))


def test_what_ec2_tells_of_a_strangers_vpc_is_compared(scene: Scene) -> None:
    """Not only routes and tags of strangers stay, but whatever EC2 keeps of what is theirs."""
    ec2 = scene.world.ec2(scene.vpc)
    ec2.modify_vpc_attribute(VpcId=scene.strangers[0].id, EnableDnsSupport={"Value": False})

    assert {"strangers notice nothing"} == found(checked(scene, ""))


def test_attributes_are_compared(scene: Scene) -> None:
    """All attributes are told, and a wrong one is found."""
    response = scene.engine.response(scene.engine.events[0])
    assert response
    assert 15 == len(response["Data"])

    response["Data"]["RouteCount"] = "7"

    assert "SUCCESS means done" in found(checked(scene, ""))


def test_an_answer_that_is_not_the_recorded_one_is_found(scene: Scene) -> None:
    """What the registry has recorded is what CloudFormation must be told, and nothing else."""
    response = scene.engine.response(scene.engine.events[0])
    assert response

    response["NoEcho"] = True

    assert {"one response"} == found(checked(scene, ""))


def test_a_delete_that_answers_another_id_is_found(scene: Scene) -> None:
    """CloudFormation takes another id for another resource."""
    event = scene.engine.send("Delete", scene.properties(), PhysicalResourceId="invented")
    scene.here.bucket.puts[event["RequestId"]] = [{"Status": "SUCCESS", "PhysicalResourceId": "pcx-other"}]

    assert {"one response"} == found(checked(scene, ""))


def test_a_change_after_the_response_is_found(scene: Scene) -> None:
    """Whatever serves an answered request must change nothing any more."""
    process = scene.here.process
    process.request_id = scene.engine.events[0]["RequestId"]

    with patch.object(process, "hook", lambda _call, _send: None):
        scene.here._called(Call("ec2", "DeleteRoute", "", "", ""), lambda: None)  # type: ignore[arg-type, return-value]  # noqa: SLF001

    assert {"nothing is changed after the response"} == found(checked(scene, ""))


def test_an_update_keeps_its_id(scene: Scene) -> None:
    """Another id without a replacement, which CloudFormation would take for one, is found."""
    event = scene.engine.send_update(scene.properties(Tags=MORE_TAGS))
    response = {**(scene.engine.response(scene.engine.events[0]) or {}), "PhysicalResourceId": "pcx-other"}

    scene.engine.updated(response, event["ResourceProperties"])

    assert ["an Update that was no replacement"] == [problem[:33] for problem in scene.engine.problems]


def test_many_calls_are_found(scene: Scene) -> None:
    """What calls again and again though nothing is refused has no bounds."""
    scene.engine.invocations[0].calls = 121

    assert {"bounded"} == found(checked(scene, ""))


def test_a_delete_that_needs_many_invocations_is_found(scene: Scene) -> None:
    """A Delete that succeeds only when it is sent again and again does not converge."""
    invoke, times = PeeringResource.__call__, iter(range(9))

    def late(self: PeeringResource, *given: Any) -> Any:  # noqa: ANN401  # as the handler's
        if next(times) < 2:
            raise Undelivered("not yet")
        return invoke(self, *given)

    with patch.object(PeeringResource, "__call__", late):
        scene.engine.delete()

    assert ["Delete took 3 invocations after the faults had ended"] == scene.engine.problems


def test_a_replay_that_changes_the_registry_is_found(scene: Scene) -> None:
    """Not only routes and statuses are the same after a replay, but the registry, tags and options too."""
    serve = scene.start

    def tagging_start(hook: Any) -> Any:  # noqa: ANN401  # as start's
        tags = [{"Key": "Replayed", "Value": "yes"}]
        scene.world.ec2(scene.vpc).create_tags(Resources=[scene.engine.physical_id], Tags=tags)
        return serve(hook)

    scene.engine.start = tagging_start

    assert {"a replay changes nothing"} == found(replayed(scene))


def test_a_run_that_is_lost_is_found() -> None:
    """A copy of the process that is killed, or one of its own, is no run that went well."""

    def dies() -> Result:
        os.kill(os.getpid(), 9)
        return {}

    (result,) = forked(dies)

    assert ["no run is lost"] == [violation["invariant"] for violation in result["violations"]]


def test_a_branch_that_is_lost_is_found() -> None:
    """One fault's run that ends without a result is missed, though its parent goes on."""

    def dies(*_: object) -> None:
        os.kill(os.getpid(), 9)

    with patch("tests.faults.runs.excuse", dies):
        *_, last = unit("delete").runs(kinds=("killed before",), stride=9)

    assert ["no run is lost"] == [violation["invariant"] for violation in last["violations"]]


@pytest.mark.parametrize(
    ("kind", "operation", "blinded"),
    [("access denied", "DeleteRoute", True), ("reset", "DeleteRoute", False), ("not found", "AssumeRole", True)],
)
def test_an_excuse_is_the_faults(kind: str, operation: str, blinded: bool) -> None:
    """Routes may stay where the fault kept the Delete away for good, whatever the handler says of itself."""
    service = "sts" if operation == "AssumeRole" else "ec2"
    call = Call(service, operation, "1", "r", "arn:aws:iam::1:role/x")

    assert blinded is Fault(kind, call, AlarmedTime()).blinds("1", "r")
