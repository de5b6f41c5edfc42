"""Each defect of crhelper 2.0.12, shown on a handler in the usual way, and that ours does not have it.

A pair of tests a row: `test_row_NN_crhelper_...` and `test_row_NN_ours_...`. Where the defect is a loop or a wait, the
time that would pass is counted instead.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from crhelper import CfnResource, resource_helper, utils
from pydantic import ValidationError

import handler.cfn
from handler.cfn import DELIVERY_SECONDS, MARGIN_SECONDS, PeeringResource
from handler.clock import Deadline
from handler.errors import InvalidRequest
from handler.item import Answer
from handler.progress import Progress
from handler.registry import MemoryStore, Registry, Tenure
from handler.request import Request
from handler.response import BODY_LIMIT, Undelivered
from tests.harness import Context, Stack, World, operations, writes

if TYPE_CHECKING:
    from handler.lifecycle import Lifecycle, Run

Event = dict[str, Any]
Serve = Callable[[Request, "Run"], None]
SECONDS = 900.0


class Timer:
    """A timer that runs out when the test says so."""

    def __init__(self, seconds: float, run_out: Callable[[], None]) -> None:
        self.seconds = seconds
        self.run_out = run_out

    def start(self) -> None:
        """Do not run."""

    def cancel(self) -> None:
        """Nothing runs."""


class StoppedByTheTest(BaseException):
    """Ends a loop that has no end; `except Exception` does not hold it."""


@pytest.fixture(autouse=True)
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Timer]:
    """Collect crhelper's timers instead of running them."""
    made: list[Timer] = []

    def make(seconds: float, run_out: Callable[[], None]) -> Timer:
        made.append(Timer(seconds, run_out))
        return made[-1]

    monkeypatch.setattr(resource_helper, "threading", SimpleNamespace(Timer=make))
    return made


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    """Undo what crhelper does to the levels of everybody's loggers."""
    loggers = [logging.getLogger(name) for name in ("", "boto", "boto3", "botocore", "urllib3")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Collect what crhelper logs."""
    told: list[str] = []
    collector = logging.Handler()
    collector.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("crhelper")
    logger.addHandler(collector)
    yield told
    logger.removeHandler(collector)


@pytest.fixture
def stack(world: World) -> Stack:
    """Return a stack that makes events; what serves them, each test brings."""
    return world.stack()


def plain(serve: Callable[[Event, Context], object], **options: Any) -> CfnResource:  # noqa: ANN401  # crhelper's
    """Return crhelper with one handler, as its README has it."""
    helper = CfnResource(**options)
    for register in (helper.create, helper.update, helper.delete):
        register(serve)
    return helper


def ours(world: World, serve: Serve) -> PeeringResource:
    """Return ours around a life of another kind."""
    return PeeringResource(cast("Lifecycle", SimpleNamespace(serve=serve)), Registry(MemoryStore(), world.time.clock))


def context(world: World) -> Context:
    """Return the context of an invocation that has just begun."""
    return Context(world.time.now, world.time.now() + SECONDS)


def succeed(*_: object) -> str:
    """Serve anything."""
    return "pcx-0123456789abcdef0"


def fail(*_: object) -> str:
    """Fail whatever is asked."""
    raise InvalidRequest("it cannot be.", "Ask for something else.")


# Row 1: any HTTP status counts as delivered.


def test_row_01_crhelper_takes_any_status_for_a_delivery(stack: Stack) -> None:
    """S3 refuses the response with 403, and nobody learns of it: the stack hangs for an hour."""
    stack.world.bucket.statuses += [403]

    plain(succeed)(stack.event("Create", {}), context(stack.world))

    assert 1 == len(stack.world.bucket.puts)


def test_row_01_ours_repeats_a_refused_response(stack: Stack) -> None:
    """The same answer is sent until it is taken."""
    stack.world.bucket.statuses += [403, 503]

    response = ours(stack.world, succeed)(stack.event("Create", {}), context(stack.world))

    assert [response] * 3 == stack.world.bucket.responses


# Row 2: the PUT is repeated for ever, and without a socket timeout.


def test_row_02_crhelper_repeats_the_put_for_ever(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket out of reach burns the whole invocation, and each connection may hang without an end."""
    opened: list[dict[str, object]] = []
    slept: list[float] = []

    class Unreachable:
        def __init__(self, _host: str, **options: object) -> None:
            opened.append(options)

        def request(self, **_: object) -> None:
            raise ConnectionRefusedError

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if sum(slept) > SECONDS:
            raise StoppedByTheTest

    monkeypatch.setattr(utils, "HTTPSConnection", Unreachable)
    monkeypatch.setattr(utils, "time", SimpleNamespace(sleep=sleep))

    with pytest.raises(StoppedByTheTest):
        plain(succeed)(stack.event("Create", {}), context(stack.world))

    assert len(opened) > 100
    assert [] == [options for options in opened if "timeout" in options]


def test_row_02_ours_gives_up_before_the_function_does(stack: Stack) -> None:
    """Attempts and pauses have an end; that each has a timeout is shown where the sender is tested."""
    stack.world.bucket.statuses += [500] * 1000

    with pytest.raises(Undelivered):
        ours(stack.world, succeed)(stack.event("Create", {}), context(stack.world))

    assert 1 < len(stack.world.bucket.puts)
    assert SECONDS - 8 <= stack.world.time.now() < SECONDS


# Row 3: the timer sends FAILED with an empty id.


def test_row_03_crhelper_times_out_with_an_empty_id(stack: Stack, timers: list[Timer]) -> None:
    """CloudFormation answers "Invalid PhysicalResourceId", invents one, and the resource is lost."""

    def serve(*_: object) -> str:
        timers[-1].run_out()
        return succeed()

    plain(serve)(stack.event("Create", {}), context(stack.world))

    first = stack.world.bucket.responses[0]
    assert ("FAILED", "") == (first["Status"], first["PhysicalResourceId"])


@pytest.mark.parametrize(("request_type", "known"), [("Create", {}), ("Update", {"PhysicalResourceId": "pcx-old"})])
@pytest.mark.parametrize("identified", [False, True])
def test_row_03_ours_times_out_with_the_id_known_by_then(
    stack: Stack, timers: list[Timer], request_type: str, known: dict[str, str], identified: bool
) -> None:
    """Should the timer ever run out, the id is the connection's, or the one that a later Delete brings again."""
    event = stack.event(request_type, {}, **known)

    def serve(_request: Request, run: "Run") -> None:
        if identified:
            run.progress.identified("pcx-new", new=True)
        timers[-1].run_out()

    ours(stack.world, serve)(event, context(stack.world))

    (response,) = stack.world.bucket.responses
    before = known.get("PhysicalResourceId", Request.model_validate(event).deterministic_id)
    last = "pcx-new" if identified and request_type == "Create" else before
    assert ("FAILED", last) == (response["Status"], response["PhysicalResourceId"])


def test_row_03_ours_keeps_a_timer_to_its_request(stack: Stack, timers: list[Timer]) -> None:
    """A timer that had gone off before it could be cancelled must not answer for the event that came next."""

    def serve(*_: object) -> None:
        if len(timers) > 1:
            timers[0].run_out()

    function = ours(stack.world, serve)
    for _ in range(2):
        function(stack.event("Create", {}), context(stack.world))

    assert ["SUCCESS", "SUCCESS"] == [response["Status"] for response in stack.world.bucket.responses]


@pytest.mark.parametrize("late", [0, SECONDS - MARGIN_SECONDS, SECONDS - 1])
def test_row_02_ours_keeps_time_to_deliver(stack: Stack, monkeypatch: pytest.MonkeyPatch, late: float) -> None:
    """A registry that hangs while the answer is recorded must not take the time in which it is delivered."""
    world, left = stack.world, []

    def finish(_tenure: Tenure, answer: Answer, deadline: Deadline, **_: object) -> Answer:
        left.append(SECONDS - world.time.now() - deadline.remaining)
        return answer

    monkeypatch.setattr(Tenure, "finish", finish)

    ours(world, lambda *_: world.time.sleep(late))(stack.event("Create", {}), context(world))

    assert [min(DELIVERY_SECONDS, (SECONDS - late) / 2)] == left


def test_row_03_ours_has_an_id_before_anything_runs(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invocation with no time left: the timer runs out before the handler is called."""
    monkeypatch.setattr(Timer, "start", lambda timer: timer.run_out())
    event = stack.event("Create", {})

    ours(stack.world, succeed)(event, context(stack.world))

    (response,) = stack.world.bucket.responses
    assert Request.model_validate(event).deterministic_id == response["PhysicalResourceId"]


def test_row_03_ours_answers_before_the_timer(stack: Stack, timers: list[Timer]) -> None:
    """A connection that never becomes active is answered with what was not yet stable, well before the time-out."""
    world = stack.world
    world.aws.settings.provisioning_reads = 10**6
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")

    response = stack.create(world.properties(vpc, peer))

    assert response["Reason"].startswith("NotStabilized: ")
    assert response["PhysicalResourceId"].startswith("pcx-")
    assert [SECONDS - 0.5] == [timer.seconds for timer in timers]
    assert world.time.now() <= SECONDS - MARGIN_SECONDS


# Row 4: the timer does not stop the handler, and a second response contradicts the first.


def test_row_04_crhelper_sends_a_second_contradictory_response(stack: Stack, timers: list[Timer]) -> None:
    """FAILED, then SUCCESS: CloudFormation rolls back while the handler goes on making things."""
    made: list[str] = []

    def serve(*_: object) -> str:
        timers[-1].run_out()
        made.append("a route, after the answer")
        return succeed()

    plain(serve)(stack.event("Create", {}), context(stack.world))

    assert ["FAILED", "SUCCESS"] == [response["Status"] for response in stack.world.bucket.responses]
    assert ["a route, after the answer"] == made


def test_row_04_ours_answers_once_and_changes_nothing_afterwards(
    stack: Stack, timers: list[Timer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer stands; the connection that was just requested is neither accepted nor routed to."""
    world = stack.world
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    identified = Progress.identified

    def run_out_then(progress: Progress, connection_id: str, *, new: bool) -> None:
        identified(progress, connection_id, new=new)
        if new:
            timers[-1].run_out()

    monkeypatch.setattr(Progress, "identified", run_out_then)

    with world.counted() as calls:
        response = stack.create(world.properties(vpc, peer))

    assert [response] == world.bucket.responses
    assert "NotStabilized: a call hung until the function's time-out. Deploy again." == response["Reason"]
    assert ["CreateVpcPeeringConnection"] == writes(calls)
    assert [response["PhysicalResourceId"]] == world.live(vpc)
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(vpc)


def test_row_04_ours_does_not_end_before_the_answer_is_out(
    stack: Stack, timers: list[Timer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda freezes the process when the invocation ends: the timer's response must not be on its way then."""
    sending, ended = threading.Event(), threading.Event()
    ended_while_sending: list[bool] = []

    def deliver(*_: object, **__: object) -> None:
        sending.set()
        ended_while_sending.append(ended.wait(0.1))

    def serve(*_: object) -> None:
        threads.append(threading.Thread(target=timers[-1].run_out))
        threads[-1].start()
        sending.wait()

    threads: list[threading.Thread] = []
    monkeypatch.setattr(handler.cfn, "deliver", deliver)

    ours(stack.world, serve)(stack.event("Create", {}), context(stack.world))
    ended.set()
    threads[0].join()

    assert [False] == ended_while_sending


# Row 5: a failed Create gets a random id, another one at each retry.


def test_row_05_crhelper_invents_an_id_at_each_failed_create(stack: Stack) -> None:
    """Lambda's retry of the same event answers for another resource."""
    helper, event = plain(fail), stack.event("Create", {})

    helper(event, context(stack.world))
    helper(event, context(stack.world))

    first, second = (response["PhysicalResourceId"] for response in stack.world.bucket.responses)
    assert first != second


def test_row_05_ours_fails_with_the_same_id_in_every_sandbox(stack: Stack) -> None:
    """The id follows from stack and resource, and differs between resources."""
    event = stack.event("Create", {})
    other = {**event, "LogicalResourceId": "Other"}

    ids = [ours(stack.world, fail)(sent, context(stack.world))["PhysicalResourceId"] for sent in (event, event, other)]

    assert ids[0] == ids[1] != ids[2]
    assert ids[0].startswith("vpc-peering-")


# Row 6: at its default level, DEBUG, it logs the presigned ResponseURL.


def test_row_06_crhelper_logs_the_presigned_url(stack: Stack, lines: list[str]) -> None:
    """Who reads the log can answer in the function's place."""
    plain(succeed)(stack.event("Create", {}), context(stack.world))

    assert any(line.startswith(f"CFN response URL: {stack.world.bucket.url}") for line in lines)


def test_row_06_ours_logs_no_url(stack: Stack, lines: list[str]) -> None:
    """Crhelper stays at INFO, and its sender is not used; test_telemetry.py looks at all other lines."""
    ours(stack.world, succeed)(stack.event("Create", {}), context(stack.world))

    assert [] == [line for line in lines if "X-Amz-Signature" in line or "presigned-secret" in line]


# Row 7: it sleeps 120 s before it answers a Delete.


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect the seconds of crhelper's wait for CloudWatch, bound as a default when it was defined."""
    seconds: list[float] = []
    monkeypatch.setattr(CfnResource._wait_for_cwlogs, "__defaults__", (seconds.append,))  # noqa: SLF001  # its seam
    return seconds


def test_row_07_crhelper_waits_two_minutes_before_it_answers_a_delete(stack: Stack, waited: list[float]) -> None:
    """Each deletion takes two minutes longer, for logs that nobody waits for."""
    plain(succeed)(stack.event("Delete", {}, PhysicalResourceId="pcx-1"), context(stack.world))

    assert [120] == waited


def test_row_07_ours_answers_a_delete_at_once(stack: Stack, waited: list[float]) -> None:
    """No wait that is not for EC2."""
    ours(stack.world, succeed)(stack.event("Delete", {}, PhysicalResourceId="pcx-1"), context(stack.world))

    assert ([], [], 0) == (waited, stack.world.time.slept, stack.world.time.now())


# Row 8: no check of the 4,096 bytes.

LONG = ",".join(f"10.{n}.0.0/16" for n in range(256)) + "," + ",".join(f"172.16.{n}.0/24" for n in range(256))


def test_row_08_crhelper_sends_a_body_that_is_too_long(stack: Stack) -> None:
    """CloudFormation ignores it, and the stack hangs."""
    helper = plain(lambda *_: helper.Data.update(List=LONG))

    helper(stack.event("Create", {}), context(stack.world))

    assert len(stack.world.bucket.puts[0][1]) > BODY_LIMIT


def test_row_08_ours_keeps_to_the_limit(stack: Stack) -> None:
    """The longest list is cut, and the rest stays."""

    def serve(_request: Request, run: "Run") -> None:
        run.progress.attributes = {"Id": "pcx-1", "List": LONG}

    ours(stack.world, serve)(stack.event("Create", {}), context(stack.world))

    assert len(stack.world.bucket.puts[0][1]) <= BODY_LIMIT
    data = stack.world.bucket.responses[0]["Data"]
    assert ("pcx-1", "10.0.0.0/16") == (data["Id"], data["List"].split(",")[0])


# Row 9: three clients are made at start, which nothing but polling uses.


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the clients that are made."""
    made: list[str] = []
    monkeypatch.setattr(boto3, "client", lambda service, **_: made.append(service))
    return made


def test_row_09_crhelper_makes_three_clients(clients: list[str]) -> None:
    """About 95 ms and 16 MiB of every cold start."""
    CfnResource()

    assert ["lambda", "events", "logs"] == clients


def test_row_09_ours_makes_none(world: World, clients: list[str]) -> None:
    """And still runs as in Lambda: a `local` one is told so, it is no matter of this."""
    resource = ours(world, succeed)

    assert [] == clients
    assert not any(hasattr(resource, f"_{name}_client") for name in ("lambda", "events", "logs"))


# Row 10: it swallows exceptions, so Lambda neither retries nor keeps the event.


def test_row_10_crhelper_lets_lambda_believe_that_all_is_well(stack: Stack) -> None:
    """A handler that failed and a response that nobody took: the invocation succeeds."""
    stack.world.bucket.statuses += [403]

    plain(fail)(stack.event("Create", {}), context(stack.world))


def test_row_10_ours_fails_where_a_retry_helps(stack: Stack) -> None:
    """What CloudFormation did not take is worth another invocation: the event is replayable."""
    stack.world.bucket.statuses += [403] * 1000

    with pytest.raises(Undelivered):
        ours(stack.world, succeed)(stack.event("Create", {}), context(stack.world))


def test_row_10_ours_succeeds_where_a_retry_does_not_help(stack: Stack) -> None:
    """A failure that CloudFormation was told is settled: a retry would only contradict it."""
    response = ours(stack.world, fail)(stack.event("Create", {}), context(stack.world))

    assert [response] == stack.world.bucket.responses
    assert ("FAILED", "InvalidRequest: it cannot be. Ask for something else.") == (
        response["Status"],
        response["Reason"],
    )


def test_row_10_ours_answers_an_unforeseen_exception(stack: Stack) -> None:
    """A bug of ours is told too, as such, and does not leave the stack hanging."""

    def serve(*_: object) -> None:
        raise KeyError("VpcPeeringConnection")

    response = ours(stack.world, serve)(stack.event("Create", {}), context(stack.world))

    assert "InternalFailure: 'VpcPeeringConnection'. Report this with the function's log." == response["Reason"]


def test_row_10_ours_fails_when_sending_itself_breaks(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crhelper catches everything around the sender: what was never sent must not pass for sent."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no entropy")

    monkeypatch.setattr(handler.cfn, "deliver", broken)

    with pytest.raises(Undelivered):
        ours(stack.world, succeed)(stack.event("Create", {}), context(stack.world))


# Row 11: polling puts the ResponseURL into a rule, and needs permissions on everything.

POLLED = {
    "CrHelperPoll": True,
    "CrHelperData": {"Id": "pcx-foreign"},
    "CrHelperRule": "arn:aws:events:us-east-1:111111111111:rule/Peering12345678",
    "CrHelperPermission": "Peering12345678",
}


class Recorder:
    """Any client: keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., dict[str, str]]:
        def call(**parameters: Any) -> dict[str, str]:  # noqa: ANN401  # of any operation
            self.calls.append((operation, parameters))
            return {"RuleArn": POLLED["CrHelperRule"]}

        return call


def test_row_11_crhelper_polls_with_the_url_in_a_rule(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The presigned URL lies in EventBridge, and the function must be allowed to grant itself invocations."""
    recorder = Recorder()
    monkeypatch.setattr(boto3, "client", lambda *_, **__: recorder)
    helper = plain(succeed)
    helper.poll_create(succeed)
    invoked = context(stack.world)
    invoked.function_name = "vpc-peering"  # type: ignore[attr-defined]

    helper(stack.event("Create", {}), invoked)

    assert ["put_rule", "add_permission", "put_targets"] == [operation for operation, _ in recorder.calls]
    (target,) = recorder.calls[-1][1]["Targets"]
    assert json.loads(target["Input"])["ResponseURL"].startswith(stack.world.bucket.url)
    assert [] == stack.world.bucket.puts


def test_row_11_crhelper_believes_an_event_that_says_it_is_polled(stack: Stack) -> None:
    """Who can invoke the function makes it answer SUCCESS with data of their choice, having done nothing."""
    served: list[object] = []

    plain(lambda *given: served.append(given))(stack.event("Create", {}, **POLLED), context(stack.world))

    (response,) = stack.world.bucket.responses
    assert ("SUCCESS", POLLED["CrHelperData"], []) == (response["Status"], response["Data"], served)


def test_row_11_ours_never_polls(stack: Stack) -> None:
    """The wait is inside the invocation; an event with crhelper's marks is served like any other."""
    world = stack.world
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")

    with world.counted() as calls:
        response = stack.send("Create", world.properties(vpc, peer), **POLLED)

    assert "SUCCESS" == response["Status"]
    assert [response["Data"]["Id"]] == world.live(vpc)
    assert 1 == operations(calls).count("CreateVpcPeeringConnection")
    assert [response] == world.bucket.responses


# Row 12: NoEcho and the ResponseURL survive from one invocation to the next.


def test_row_12_crhelper_keeps_no_echo(stack: Stack) -> None:
    """What one stack hides is hidden from the next one's owner."""

    def serve(event: Event, _context: Context) -> str:
        helper.NoEcho = helper.NoEcho or event["LogicalResourceId"] == "Hidden"
        return succeed()

    helper = plain(serve)
    helper({**stack.event("Create", {}), "LogicalResourceId": "Hidden"}, context(stack.world))
    helper(stack.event("Create", {}), context(stack.world))

    assert [True, True] == [response["NoEcho"] for response in stack.world.bucket.responses]


def test_row_12_crhelper_answers_to_the_url_of_the_request_before(stack: Stack) -> None:
    """An event without a URL is answered at the last one's: another stack gets a response that is not its own."""
    helper, broken = plain(succeed), stack.event("Create", {})
    helper(stack.event("Create", {}), context(stack.world))
    del broken["ResponseURL"]

    helper(broken, context(stack.world))

    assert broken["RequestId"] == stack.world.bucket.responses[1]["RequestId"]


def test_row_12_ours_forgets_no_echo(stack: Stack) -> None:
    """Nothing that a request left on the helper reaches the next; the attributes are no secrets."""
    resource = ours(stack.world, succeed)
    resource.NoEcho = True

    resource(stack.event("Create", {}), context(stack.world))
    resource(stack.event("Create", {}), context(stack.world))

    assert [False, False] == [response["NoEcho"] for response in stack.world.bucket.responses]


def test_row_12_ours_answers_nobody_for_an_event_without_a_url(stack: Stack) -> None:
    """It is none of CloudFormation's, so Lambda is told."""
    resource, broken = ours(stack.world, succeed), stack.event("Create", {})
    resource(stack.event("Create", {}), context(stack.world))
    del broken["ResponseURL"]

    with pytest.raises(ValidationError, match="ResponseURL"):
        resource(broken, context(stack.world))

    assert 1 == len(stack.world.bucket.puts)


# Row 13: Reason keeps only the last 240 characters.

CAUSE, REMEDY = "rtb-0aaa routes 10.8.0.0/16 to tgw-0bbb already" + " and so on" * 40, "Remove that route."


def test_row_13_crhelper_cuts_the_cause_off(stack: Stack) -> None:
    """The beginning of a message says what is wrong, and that is what goes."""

    def serve(*_: object) -> str:
        raise ValueError(f"{CAUSE} {REMEDY}")

    plain(serve)(stack.event("Create", {}), context(stack.world))

    reason = stack.world.bucket.responses[0]["Reason"]
    assert reason.startswith("ERROR: (truncated)")
    assert "rtb-0aaa" not in reason


def test_row_13_ours_begins_with_the_cause_and_ends_with_the_remedy(stack: Stack) -> None:
    """The middle is what can be spared."""

    def serve(*_: object) -> str:
        raise InvalidRequest(CAUSE, REMEDY)

    reason = ours(stack.world, serve)(stack.event("Create", {}), context(stack.world))["Reason"]

    assert len(reason) <= 240
    assert reason.startswith("InvalidRequest: rtb-0aaa routes 10.8.0.0/16 to tgw-0bbb already")
    assert reason.endswith(f"… {REMEDY}")
