"""One request, one answer: what it says, what is told beside it, and in which time it is given, whatever fails."""

import io
import json
import logging
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock

import pytest
from crhelper import CfnResource, resource_helper

import handler.cfn
from handler.cfn import DELIVERY_SECONDS, MARGIN_SECONDS, PeeringResource
from handler.changes import CreateRoute
from handler.clock import Deadline
from handler.errors import InvalidRequest, NetworkFailure, NotStabilized, PeeringError
from handler.item import LEASE_SECONDS, LeaseLost, Superseded
from handler.registry import RENEWED_EVERY, Key, MemoryStore, NewerItem, Registry, Revision
from handler.response import BODY_LIMIT, Undelivered
from handler.telemetry import logger, redactor
from tests.harness import Context, VirtualTime
from tests.unit.given import OWNER, PCX, RESPONSE_URL, key, request

if TYPE_CHECKING:
    from handler.item import Item
    from handler.lifecycle import Lifecycle, Run
    from handler.request import Request

Line = dict[str, Any]
BEGAN = 1000.0
SECONDS = 900.0
NOT_YET_KNOWN = request("Create").deterministic_id
KEY: Key = (OWNER.stack_id, OWNER.logical_id)
UNREACHED = NetworkFailure("the table is not reached.", "Wait.")
REFUSED = Undelivered("CloudFormation did not take the response: HTTP status 403.")
KEYS = {
    "stack_id": OWNER.stack_id,
    "logical_id": OWNER.logical_id,
    "request_id": "request-1",
    "request_type": "Create",
    "connection_id": "",
}
IDS = {"StackId": OWNER.stack_id, "RequestId": "request-1", "LogicalResourceId": OWNER.logical_id, "NoEcho": False}
SUCCESS = {"Status": "SUCCESS", "PhysicalResourceId": NOT_YET_KNOWN, **IDS, "Data": {}}


class Table(MemoryStore):
    """A store whose next readings and writings fail as they are told to; None lets one pass."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: list[PeeringError | None] = []
        self.unwritable: list[PeeringError] = []
        self.within: list[float] = []
        """The seconds that each writing had."""

    def load(self, key: Key, deadline: Deadline) -> Revision | None:
        """Read."""
        if self.unreadable and (failure := self.unreadable.pop(0)):
            raise failure
        return super().load(key, deadline)

    def save(self, key: Key, over: str | None, revision: Revision, deadline: Deadline) -> bool:
        """Write."""
        self.within.append(deadline.remaining)
        if self.unwritable:
            raise self.unwritable.pop(0)
        return super().save(key, over, revision, deadline)

    @property
    def item(self) -> "Item":
        """What is remembered of the resource."""
        revision = self._revisions[KEY]
        return revision.item


class Sandbox:
    """A sandbox of the function: a test says how it serves, and sees all that leaves it."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.time.sleep(BEGAN)
        self.table = Table()
        self.serve: Callable[[Run], None] = lambda _run: None
        self.served: list[tuple[Request, Run]] = []
        self.refusal: Exception | None = None
        self.delivered: list[tuple[str, dict[str, Any], float, bool]] = []
        self.measure = Mock()
        self.timer = Mock()
        self.log = io.StringIO()
        self.waited: list[float] = []
        self.resource = self.made()

    def made(self, **options: bool) -> PeeringResource:
        """Make the function anew."""
        lifecycle = cast("Lifecycle", SimpleNamespace(serve=self._serve))
        return PeeringResource(lifecycle, Registry(self.table, self.time.clock), **options)

    def _serve(self, request: "Request", run: "Run") -> None:
        self.served.append((request, run))
        self.serve(run)

    def deliver(self, url: str, response: dict[str, Any], deadline: Deadline, *, once: bool) -> None:
        """Take the response, or refuse it."""
        self.delivered.append((url, response, deadline.remaining, once))
        if self.refusal:
            raise self.refusal

    def send(
        self,
        request_type: str = "Create",
        request_id: str = "request-1",
        *,
        seconds: float = SECONDS,
        **more: Any,  # noqa: ANN401  # the event's
    ) -> dict[str, Any]:
        """Send an event, and return what the invocation returns."""
        event = request(request_type, request_id, **more).model_dump(by_alias=True, exclude_unset=True)
        return self.resource(event, Context(self.time.now, self.time.now() + seconds))

    def hang(self, call: int = -1) -> None:
        """Let the timer of an invocation run out."""
        _, run_out = self.timer.call_args_list[call].args
        run_out()

    @property
    def lines(self) -> list[Line]:
        """What was logged."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    @property
    def told(self) -> list[tuple[str, str, object]]:
        """What was logged: level, message, and what it is about."""
        return [(line["level"], line["message"], line.get("reason") or line.get("response")) for line in self.lines]

    @property
    def measured(self) -> dict[str, bool]:
        """What the last request counts as."""
        return cast("dict[str, bool]", self.measure.call_args.kwargs)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Sandbox:
    """Make a sandbox. pytest undoes what crhelper does to the levels of everybody's loggers."""
    for name in ("", "boto", "boto3", "botocore", "urllib3"):
        caplog.set_level(logging.INFO, name)
    sandbox = Sandbox()
    (to_stdout,) = logger.handlers
    monkeypatch.setattr(to_stdout, "stream", sandbox.log)
    monkeypatch.setattr(handler.cfn, "deliver", sandbox.deliver)
    monkeypatch.setattr(handler.cfn, "measure", sandbox.measure)
    monkeypatch.setattr(resource_helper, "threading", SimpleNamespace(Timer=sandbox.timer))
    monkeypatch.setattr(CfnResource._wait_for_cwlogs, "__defaults__", (sandbox.waited.append,))  # noqa: SLF001  # its seam
    return sandbox


def fail(_run: "Run") -> None:
    """Fail as the properties of a request make it."""
    raise InvalidRequest("it cannot be.", "Ask for something else.")


def identify(run: "Run") -> None:
    """Find or make the connection, and nothing else."""
    run.progress.identified("pcx-new", new=True)


def identify_and_fail(run: "Run") -> None:
    """Fail with the connection known."""
    identify(run)
    fail(run)


# What is answered.


def test_success_says_all_that_cloudformation_asks_for(sandbox: Sandbox) -> None:
    """It ignores an answer whose ids are not those of its event, and the stack hangs; Data is for Fn::GetAtt."""

    def serve(run: "Run") -> None:
        identify(run)
        run.progress.attributes = {"Id": "pcx-new"}

    sandbox.serve = serve

    response = sandbox.send()

    assert {"Status": "SUCCESS", "PhysicalResourceId": "pcx-new", **IDS, "Data": {"Id": "pcx-new"}} == response
    assert [(RESPONSE_URL, response, SECONDS, False)] == sandbox.delivered


def test_failure_says_why_and_has_no_attributes(sandbox: Sandbox) -> None:
    """What the resource has become by then is no matter of a template."""

    def serve(run: "Run") -> None:
        run.progress.attributes = {"Id": "pcx-new"}
        fail(run)

    sandbox.serve = serve
    reason = "InvalidRequest: it cannot be. Ask for something else."

    assert {"Status": "FAILED", "PhysicalResourceId": NOT_YET_KNOWN, **IDS, "Reason": reason} == sandbox.send()


def test_bug_is_answered_as_one(sandbox: Sandbox) -> None:
    """The message of an exception that nobody foresaw says what it was; of the request before, nothing is said."""
    sandbox.serve = fail
    sandbox.send()
    sandbox.serve = Mock(side_effect=KeyError("VpcPeeringConnection"))

    reason = sandbox.send(request_id="request-2")["Reason"]

    assert "InternalFailure: 'VpcPeeringConnection'. Report this with the function's log." == reason


def test_answer_fits(sandbox: Sandbox) -> None:
    """CloudFormation ignores a longer one: what is recorded and delivered is the one that was made to fit."""

    def serve(run: "Run") -> None:
        run.progress.attributes = {"PeerSkippedRoutes": "10.8.0.0/16," * BODY_LIMIT}

    sandbox.serve = serve

    response = sandbox.send()

    assert len(json.dumps(response)) <= BODY_LIMIT
    assert response == sandbox.delivered[0][1] == sandbox.table.item.requests[-1].answer


@pytest.mark.parametrize(
    ("request_type", "serve", "answered"),
    [
        ("Create", identify, "pcx-new"),
        ("Create", identify_and_fail, "pcx-new"),
        ("Create", fail, NOT_YET_KNOWN),
        ("Update", identify, "pcx-new"),
        ("Update", identify_and_fail, PCX),
        ("Update", fail, PCX),
        ("Delete", identify, PCX),
        ("Delete", identify_and_fail, PCX),
    ],
)
def test_id(sandbox: Sandbox, request_type: str, serve: Callable[["Run"], None], answered: str) -> None:
    """Another id in an Update is a replacement, whose clean-up comes; a Delete or a failed Update must ask for none."""
    sandbox.serve = serve
    known = {} if request_type == "Create" else {"PhysicalResourceId": PCX}

    assert answered == sandbox.send(request_type, **known)["PhysicalResourceId"]


def test_delete_that_brings_no_id_is_answered(sandbox: Sandbox) -> None:
    """CloudFormation always sends one; an answer without any would be ignored."""
    assert NOT_YET_KNOWN == sandbox.send("Delete")["PhysicalResourceId"]


def test_progress_begins_with_the_id_of_the_event(sandbox: Sandbox) -> None:
    """An Update that finds its connection in place answers with that."""
    response = sandbox.send("Update", PhysicalResourceId=PCX)

    assert ("SUCCESS", PCX) == (response["Status"], response["PhysicalResourceId"])


def test_delete_does_not_wait(sandbox: Sandbox) -> None:
    """Unless it is told otherwise, crhelper sleeps for two minutes before it answers."""
    assert "SUCCESS" == sandbox.send("Delete", PhysicalResourceId=PCX)["Status"]
    assert [] == sandbox.waited


# What is secret, what is logged, what is counted.


def test_secrets_are_those_of_the_request(sandbox: Sandbox) -> None:
    """Nothing else is struck out: neither a reference to a secret, which is none, nor the secrets of the last event."""
    reference = "{{resolve:secretsmanager:peering/external-id}}"
    url = RESPONSE_URL + "?more"

    sandbox.send(
        ResponseURL=url,
        ResourceProperties={"ExternalId": "new-id", "PeerExternalId": "new-peer-id", "VpcId": "vpc-hub"},
        OldResourceProperties={"ExternalId": "old-id", "PeerExternalId": "old-peer-id"},
    )
    assert {url, "X-Amz-Signature=s?more", "new-id", "new-peer-id", "old-id", "old-peer-id"} == redactor.secrets

    sandbox.send(ResourceProperties={"ExternalId": reference, "PeerExternalId": 4711})
    assert {RESPONSE_URL, "X-Amz-Signature=s", "4711"} == redactor.secrets


def test_reason_tells_no_secret(sandbox: Sandbox) -> None:
    """Whoever may see the stack's events reads it, the remedy too; the kind of the failure and its room stay."""

    def serve(_run: "Run") -> None:
        failure = InvalidRequest("hub-id is wrong." + " " * 400, "Replace hub-id.")
        failure.limit = 500
        raise failure

    sandbox.serve = serve

    reason = sandbox.send(ResourceProperties={"ExternalId": "hub-id"})["Reason"]

    assert f"InvalidRequest: *** is wrong.{' ' * 400} Replace ***." == reason


def test_lines_of_a_success(sandbox: Sandbox) -> None:
    """Each leads to the resource and its request; crhelper, which would log its events and its ids, has no word."""
    sandbox.serve = lambda _run: logger.info("served")

    response = sandbox.send()

    assert [("INFO", "served", None), ("INFO", "response", response)] == sandbox.told
    assert [KEYS, KEYS] == [{name: line[name] for name in KEYS} for line in sandbox.lines]


def test_lines_of_a_failure(sandbox: Sandbox) -> None:
    """It is an error, told once, and the answer that it led to."""
    sandbox.serve = fail

    response = sandbox.send()

    assert [("ERROR", response["Reason"], None), ("INFO", "response", response)] == sandbox.told


def test_lines_name_the_connection_of_the_event(sandbox: Sandbox) -> None:
    """From the first one on; a physical id that is no connection's is none."""
    sandbox.serve = lambda _run: logger.info("served")

    sandbox.send("Update", PhysicalResourceId=PCX)
    sandbox.send("Update", "request-2", PhysicalResourceId=NOT_YET_KNOWN)

    assert [PCX, PCX, "", ""] == [line["connection_id"] for line in sandbox.lines]
    assert ["Update"] * 4 == [line["request_type"] for line in sandbox.lines]


def test_metrics_of_a_success(sandbox: Sandbox) -> None:
    """They are what came of the request: the seconds that it took, and the changes that were made."""
    change = CreateRoute(key())

    def serve(run: "Run") -> None:
        sandbox.time.sleep(12)
        run.progress.applied(change)

    sandbox.serve = serve

    sandbox.send()

    sandbox.measure.assert_called_once_with(
        "Create", "SUCCESS", 12.0, [change], left_behind=False, unregistered=False, undelivered=False
    )


def test_metrics_of_a_delete_that_left_something(sandbox: Sandbox) -> None:
    """An alarm tells of it: CloudFormation is told of a success."""

    def serve(run: "Run") -> None:
        run.progress.left_behind = True

    sandbox.serve = serve

    sandbox.send("Delete", PhysicalResourceId=PCX)

    sandbox.measure.assert_called_once_with(
        "Delete", "SUCCESS", 0.0, [], left_behind=True, unregistered=False, undelivered=False
    )


# In which time.


@pytest.mark.parametrize(("seconds", "margin"), [(900, MARGIN_SECONDS), (60, MARGIN_SECONDS), (40, 10), (8, 2)])
def test_work_ends_before_the_function(sandbox: Sandbox, seconds: float, margin: float) -> None:
    """A margin is kept for the answer, of which a short time-out loses not more than a quarter."""
    left: list[float] = []
    sandbox.serve = lambda run: left.append(run.deadline.remaining)

    sandbox.send(seconds=seconds)

    assert [seconds - margin] == left
    assert [seconds] == [remaining for _, _, remaining, _ in sandbox.delivered]


def test_work_ends_before_cloudformation_gives_up(sandbox: Sandbox) -> None:
    """It has waited since it sent the event: what was spent in Lambda's queue is gone."""
    left: list[float] = []
    sandbox.serve = lambda run: left.append(run.deadline.remaining)

    sandbox.send(sent=BEGAN - 20, ResourceProperties={"ServiceTimeout": "120"})

    assert [100 - MARGIN_SECONDS] == left
    assert [100] == [remaining for _, _, remaining, _ in sandbox.delivered]


@pytest.mark.parametrize(("seconds", "within"), [(16, 16 - DELIVERY_SECONDS), (8, 4)])
def test_recording_leaves_time_to_deliver(sandbox: Sandbox, seconds: float, within: float) -> None:
    """A table that hangs must not take it: seven seconds, or half of what is left."""
    sandbox.send(seconds=seconds)

    assert within == sandbox.table.within[-1]


def test_nothing_is_done_after_the_answer(sandbox: Sandbox) -> None:
    """A thread of the work that nobody waits for must not make its next call once the answer is out."""
    sandbox.send()
    (_, run), *_ = sandbox.served

    with pytest.raises(NotStabilized):
        run.deadline.check("a route was being made")


# Whom the request belongs to.


def test_work_is_that_of_the_lease(sandbox: Sandbox) -> None:
    """The lifecycle gets the request and the hold on its resource; each check of the time renews the lease."""

    def serve(run: "Run") -> None:
        sandbox.time.sleep(RENEWED_EVERY)
        run.deadline.check("a route was being made")
        leases.append(sandbox.table.item.lease)

    leases: list[Any] = []
    sandbox.serve = serve

    sandbox.send()

    ((served, run),) = sandbox.served
    assert ("request-1", KEY) == (served.request_id, run.tenure.key)
    assert [(run.tenure.claim.holder, BEGAN + RENEWED_EVERY + LEASE_SECONDS)] == [
        (at.holder, at.until) for at in leases
    ]
    assert sandbox.table.item.lease is None


def test_answer_that_was_given_is_given_again(sandbox: Sandbox) -> None:
    """Lambda sent the event again: nothing is done of which another answer could be made, whatever fails now."""
    sandbox.serve = identify
    first = sandbox.send()
    sandbox.serve = fail

    assert first == sandbox.send()
    sandbox.table.unreadable = [None, UNREACHED]
    assert first == sandbox.send()
    assert 1 == len(sandbox.served)
    assert [first] * 3 == [response for _, response, _, _ in sandbox.delivered]


def test_lease_that_was_lost_leaves_the_answer_to_another(sandbox: Sandbox) -> None:
    """It serves the request by now: nothing is recorded, nothing delivered, and Lambda asks once more."""
    sandbox.serve = Mock(side_effect=LeaseLost)

    with pytest.raises(Undelivered, match=r"^another invocation of the function has this request\.$") as raised:
        sandbox.send()

    assert [] == sandbox.delivered
    assert sandbox.table.item.requests[-1].answer is None
    assert ("WARNING", str(raised.value), None) == sandbox.told[-1]
    assert {"left_behind": False, "unregistered": False, "undelivered": True} == sandbox.measured


def test_lease_that_was_lost_is_forgotten(sandbox: Sandbox) -> None:
    """The sandbox serves the next request as any other does."""
    sandbox.serve = Mock(side_effect=LeaseLost)
    with pytest.raises(Undelivered):
        sandbox.send()
    sandbox.serve = identify

    assert "SUCCESS" == sandbox.send(request_id="request-2")["Status"]


# Where the registry cannot be used.


@pytest.mark.parametrize("known", [("Create", {}), ("Update", {"PhysicalResourceId": PCX})])
def test_nothing_is_made_without_the_registry(sandbox: Sandbox, known: tuple[str, dict[str, str]]) -> None:
    """What is made without a record may be lost."""
    request_type, more = known
    sandbox.table.unreadable = [UNREACHED]

    response = sandbox.send(request_type, **more)

    assert ("FAILED", UNREACHED.reason) == (response["Status"], response["Reason"])
    assert [] == sandbox.served
    assert sandbox.measured["unregistered"] is False


def test_delete_goes_on_without_the_registry(sandbox: Sandbox) -> None:
    """The owner tags tell what is ours. Without a record of the answer, the alarm of `Unregistered` is due."""
    sandbox.table.unreadable = [UNREACHED] * 3

    response = sandbox.send("Delete", PhysicalResourceId=PCX)

    ((served, run),) = sandbox.served
    assert ("request-1", True) == (served.request_id, run.tenure.unknown)
    assert [
        ("WARNING", "the registry cannot be used; the owner tags alone tell what is ours", UNREACHED.reason),
        ("WARNING", "the registry still cannot be used", UNREACHED.reason),
        ("ERROR", "the response could not be recorded", UNREACHED.reason),
        ("INFO", "response", response),
    ] == sandbox.told
    assert {"left_behind": False, "unregistered": True, "undelivered": False} == sandbox.measured
    assert [(RESPONSE_URL, response, SECONDS, False)] == sandbox.delivered


def test_delete_is_served_again_with_the_registry(sandbox: Sandbox) -> None:
    """Meanwhile a Create may have gone on that knew nothing of it; all is well then, and no alarm is due."""
    sandbox.table.unreadable = [UNREACHED]

    response = sandbox.send("Delete", PhysicalResourceId=PCX)

    assert [True, False] == [run.tenure.unknown for _, run in sandbox.served]
    assert {"left_behind": False, "unregistered": False, "undelivered": False} == sandbox.measured
    assert response == sandbox.table.item.requests[-1].answer


@pytest.mark.parametrize("failure", [Superseded, NotStabilized])
@pytest.mark.parametrize("reached", [True, False])
def test_delete_that_is_not_to_be_served_fails(sandbox: Sandbox, failure: type[PeeringError], reached: bool) -> None:
    """The registry can be used, and says that another one works on the resource: at once, or at the second look."""
    told = failure("a later request is served.", "Look at that.")
    sandbox.table.unreadable = [told] if reached else [UNREACHED, told]

    response = sandbox.send("Delete", PhysicalResourceId=PCX)

    assert ("FAILED", told.reason) == (response["Status"], response["Reason"])
    assert len(sandbox.served) == (0 if reached else 1)


def test_delete_does_not_go_on_over_what_a_newer_version_has_written(sandbox: Sandbox) -> None:
    """The registry can be used: it holds what this version must not act on."""
    newer = NewerItem("a newer version has written the item.", "Deploy it.")
    sandbox.table.unreadable = [newer]

    response = sandbox.send("Delete", PhysicalResourceId=PCX)

    assert (newer.reason, []) == (response["Reason"], sandbox.served)


def test_answer_that_cannot_be_recorded_is_delivered(sandbox: Sandbox) -> None:
    """CloudFormation waits for it; a second event would be served from the beginning, and the alarm says so."""
    sandbox.serve = lambda _run: sandbox.table.unwritable.append(UNREACHED)

    response = sandbox.send()

    assert SUCCESS == response
    assert [(RESPONSE_URL, response, SECONDS, False)] == sandbox.delivered
    assert ("ERROR", "the response could not be recorded", UNREACHED.reason) in sandbox.told
    assert {"left_behind": False, "unregistered": True, "undelivered": False} == sandbox.measured


def test_answer_of_a_lease_that_ran_out_is_not_delivered(sandbox: Sandbox) -> None:
    """It cannot be recorded either, and another invocation may have the request: that one answers."""

    def serve(_run: "Run") -> None:
        sandbox.time.sleep(LEASE_SECONDS + 1)
        sandbox.table.unwritable.append(UNREACHED)

    sandbox.serve = serve

    with pytest.raises(Undelivered, match="another invocation"):
        sandbox.send()

    assert [] == sandbox.delivered
    assert sandbox.measured["unregistered"] is False


# A call that hung.


def test_call_that_hung_is_answered_once(sandbox: Sandbox) -> None:
    """By the timer, with the id that is known by then; what the call comes to later changes no answer."""

    def serve(run: "Run") -> None:
        identify(run)
        sandbox.hang()
        run.progress.attributes = {"Id": "pcx-new"}

    sandbox.serve = serve

    response = sandbox.send()

    reason = "NotStabilized: a call hung until the function's time-out. Deploy again."
    assert {"Status": "FAILED", "PhysicalResourceId": "pcx-new", **IDS, "Reason": reason} == response
    assert [(RESPONSE_URL, response, SECONDS, False)] == sandbox.delivered


def test_call_that_hung_keeps_its_lease(sandbox: Sandbox) -> None:
    """It may still take effect: what comes next waits until the lease has ended. The request after it ends its own."""
    sandbox.serve = lambda _run: sandbox.hang()
    sandbox.send()
    assert sandbox.table.item.lease

    sandbox.serve = identify
    sandbox.send(request_id="request-2")
    assert sandbox.table.item.lease is None
    assert BEGAN + LEASE_SECONDS <= sandbox.time.now()


@pytest.mark.parametrize("call", [0, 1])
def test_timer_has_no_word_after_its_answer(sandbox: Sandbox, call: int) -> None:
    """One that had gone off before it could be cancelled answers neither for its own request again nor for the next."""
    sandbox.send()
    sandbox.serve = lambda _run: sandbox.hang(0)
    sandbox.send(request_id="request-2")
    sandbox.hang(call)

    assert ["SUCCESS", "SUCCESS"] == [response["Status"] for _, response, _, _ in sandbox.delivered]


# What CloudFormation does not take.


def test_refused_answer_fails_the_invocation(sandbox: Sandbox) -> None:
    """Lambda keeps the event and sends it again; the log has the answer, which may be sent by hand."""
    sandbox.refusal = REFUSED

    with pytest.raises(Undelivered, match=f"^{re.escape(str(REFUSED))}$"):
        sandbox.send()

    assert [("INFO", "response", SUCCESS), ("ERROR", str(REFUSED), SUCCESS)] == sandbox.told
    assert {"left_behind": False, "unregistered": False, "undelivered": True} == sandbox.measured


def test_refused_answer_stands(sandbox: Sandbox) -> None:
    """The event that Lambda sends again is answered as it was the first time."""
    sandbox.refusal = REFUSED
    with pytest.raises(Undelivered):
        sandbox.send()
    sandbox.refusal, sandbox.serve = None, fail

    assert SUCCESS == sandbox.send()
    assert sandbox.measured["undelivered"] is False


def test_local_one_shows_what_nobody_took(sandbox: Sandbox) -> None:
    """`sam local invoke` has no CloudFormation: one attempt, and the response is what is returned."""
    sandbox.refusal = REFUSED
    sandbox.resource = sandbox.made(local=True)

    response = sandbox.send()

    assert SUCCESS == response
    assert [(RESPONSE_URL, SUCCESS, SECONDS, True)] == sandbox.delivered
    assert sandbox.measured["undelivered"] is True


def test_answer_that_never_left_fails_the_invocation(sandbox: Sandbox) -> None:
    """What breaks in the sending is caught by crhelper: it must not pass for a delivery, nor may the one before it."""
    sandbox.send()
    sandbox.refusal = RuntimeError("no entropy")

    with pytest.raises(Undelivered, match=r"^no response was sent$"):
        sandbox.send(request_id="request-2")

    assert sandbox.measured["undelivered"] is True
