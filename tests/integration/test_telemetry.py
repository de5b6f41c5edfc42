import io
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

import handler.sessions
from handler.clock import Deadline
from handler.errors import InvalidRequest
from handler.lifecycle import Lifecycle, Run
from handler.registry import MemoryStore
from handler.request import Request
from handler.response import Undelivered
from handler.telemetry import logger
from local.embedded import ROOT
from local.strict import Fault
from local.world import Vpc
from tests.harness import EXTERNAL_ID, HUB, Stack, World, operations, writes

Line = dict[str, Any]
PRESIGNED = "presigned-secret"
COUNTS = {"Succeeded", "Failed", "Undelivered", "Changes", "RoutesCreated", "RoutesReplaced", "RoutesDeleted"} | {
    "AccepterLeftBehind",
    "Unregistered",
}


@dataclass
class Telemetry:
    """What the function has written since it was last asked."""

    log: io.StringIO
    output: pytest.CaptureFixture[str]

    def lines(self) -> list[Line]:
        """Return the log lines."""
        lines = [json.loads(line) for line in self.text().splitlines()]
        assert lines, "nothing was logged"
        return lines

    def text(self) -> str:
        """Return the log as it was written."""
        text = self.log.getvalue()
        self.log.seek(0)
        self.log.truncate()
        return text

    def metric_sets(self) -> list[Line]:
        """Return the metric sets, in CloudWatch's embedded format."""
        return [json.loads(line) for line in self.output.readouterr().out.splitlines()]

    def metrics(self) -> dict[str, float]:
        """Return the values of the only metric set, without those that are zero."""
        (written,) = self.metric_sets()
        return {name: written[name][0] for name in (*COUNTS, "Duration") if written[name] != [0]}


@pytest.fixture
def telemetry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Telemetry:
    """Collect logs, which one handler writes for Powertools, crhelper and botocore, and metrics, which are printed."""
    (handler,) = logger.handlers
    log = io.StringIO()
    monkeypatch.setattr(handler, "stream", log)
    return Telemetry(log, capsys)


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


def keys(stack: Stack) -> dict[str, str]:
    """Return what every line of the last request must say."""
    last = stack.world.bucket.responses[-1]
    return {"stack_id": last["StackId"], "logical_id": "Peering", "request_id": last["RequestId"]}


def said(line: Line) -> dict[str, str]:
    """Return what a line says of its request."""
    return {name: line[name] for name in ("stack_id", "logical_id", "request_id")}


# Logs: every line is JSON and leads to the stack, the resource, the request and the connection.


def test_lines_of_a_create(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """The connection stands on each line from the moment that it is known."""
    stack = world.stack()

    pcx = stack.create(world.properties(*pair))["PhysicalResourceId"]

    lines = telemetry.lines()
    assert [keys(stack)] * len(lines) == [said(line) for line in lines]
    told = [line["connection_id"] for line in lines]
    assert sorted(told) == told
    assert ["", pcx] == sorted(set(told))
    assert ["plan", "response"] == [line["message"] for line in lines]
    assert pcx == lines[-1]["response"]["PhysicalResourceId"]


@pytest.mark.parametrize("change", [{}, {"VpcId": "vpc-nonsense"}, {"OnExistingConnection": "Adopt"}])
def test_lines_of_an_update(
    world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry, change: dict[str, object]
) -> None:
    """The event brings the connection, so it stands on the first line, also of an Update that is refused unread."""
    stack = world.stack()
    pcx = stack.create(world.properties(*pair))["PhysicalResourceId"]
    telemetry.text()

    stack.update(world.properties(*pair, **change))

    lines = telemetry.lines()
    assert [{**keys(stack), "connection_id": pcx}] * len(lines) == [
        {**said(line), "connection_id": line["connection_id"]} for line in lines
    ]


@pytest.mark.parametrize("external_id", [EXTERNAL_ID, "changed-meanwhile"])
def test_lines_of_a_delete(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry, external_id: str) -> None:
    """So it does when the accepter's side cannot be reached, and what stays there is named."""
    stack = world.stack()
    properties = world.properties(*pair)
    pcx = stack.create(properties)["PhysicalResourceId"]
    telemetry.text()

    stack.delete(pcx, {**properties, "PeerExternalId": external_id})

    lines = telemetry.lines()
    assert [{**keys(stack), "connection_id": pcx}] * len(lines) == [
        {**said(line), "connection_id": line["connection_id"]} for line in lines
    ]
    left = [line for line in lines if line.get("vpc_id") == pair[1].id]
    assert (external_id != EXTERNAL_ID) == bool(left)


def test_a_destination_outside_of_the_other_vpc(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """EC2 takes such a route and drops what goes there: a mistyped block is a stack that succeeds and does not work."""
    blocks = ["10.9.0.0/16", "10.8.0.0/24"]
    rule = {"MainRouteTable": "true", "DestinationCidrBlocks": blocks}

    response = world.stack().create(world.properties(*pair, Routes=rule))

    told = [line for line in telemetry.lines() if line["level"] == "WARNING"]
    assert "SUCCESS" == response["Status"]
    assert [("Routes", "10.9.0.0/16")] == [(line["property"], line["destination"]) for line in told]


def test_all_that_is_wrong_with_the_properties(world: World, telemetry: Telemetry) -> None:
    """A reason that has no room for all says that the log has the rest, and so it must."""
    names = [f"UnknownProperty{number}" for number in range(60)]

    response = world.stack().create({"ServiceToken": "t", **dict.fromkeys(names, "x")})

    (line,) = [line for line in telemetry.lines() if line["message"] == "properties"]
    assert "more in the function's log." in response["Reason"]
    assert [] == [name for name in names if f"{name} is unknown; " not in line["problems"]]


def test_lines_of_a_failure(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """What crhelper logs goes the same way; a failure of ours says all in its text, without a trace."""
    world.aws.faults.append(Fault("AcceptVpcPeeringConnection", code="UnauthorizedOperation", status=403))
    stack = world.stack()

    failed = stack.create(world.properties(*pair))

    lines = telemetry.lines()
    assert [keys(stack)] * len(lines) == [said(line) for line in lines]
    (error,) = (line for line in lines if line["level"] == "ERROR")
    assert "crhelper.resource_helper" == error["name"]
    assert failed["Reason"] == error["message"]
    assert failed["PhysicalResourceId"] == error["connection_id"]
    assert "exception" not in error


def test_dashboard_finds_a_failure(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """Its query names fields of the log, and the failure of a request is one row of it."""
    world.aws.faults.append(Fault("AcceptVpcPeeringConnection", code="UnauthorizedOperation", status=403))

    failed = world.stack().create(world.properties(*pair))

    assert failed["Reason"] == row_of("Latest failures", telemetry)["response.Reason"]


def test_dashboard_finds_a_finding(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """So is what maintenance has found, with what was done."""
    world.maintained = True
    stack = world.stack()
    stack.create(world.properties(*pair))
    table, destination = pair[0].route_table_ids[0], pair[1].cidr_blocks[0]
    world.ec2(pair[0]).delete_route(RouteTableId=table, DestinationCidrBlock=destination)
    world.time.sleep(600)
    telemetry.text()

    world.maintenance().keep((keys(stack)["stack_id"], "Peering"), None, Deadline(world.time.clock, 800))

    row = row_of("Latest findings", telemetry)
    assert (f"{table} lacks the route to {destination}.", True) == (row["text"], row["done"])


def row_of(title: str, telemetry: Telemetry) -> Line:
    """Return the one line that the query of a widget finds; it has all fields that the query shows."""
    widgets = re.findall(r'"title": "([^"]+)"[^\n]*\n\s*"query": "(.+?)"', (ROOT / "template.yaml").read_text("utf-8"))
    _, fields, condition, *_ = dict(widgets)[title].split(" | ")
    wanted = dict(re.findall(r"([\w.]+) = '(\w+)'", condition))
    (row,) = (line for line in map(flat, telemetry.lines()) if wanted.items() <= line.items())
    shown = fields.removeprefix("fields ").split(", ")
    assert [] == [name for name in shown if name not in row and not name.startswith("@")]
    return row


def flat(line: Line, prefix: str = "") -> Line:
    """Return a line as CloudWatch Logs Insights finds its fields."""
    found: Line = {}
    for name, value in line.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def test_lines_of_an_unforeseen_exception(world: World, monkeypatch: pytest.MonkeyPatch, telemetry: Telemetry) -> None:
    """A bug of ours comes with its trace, on one line."""
    monkeypatch.setattr(Lifecycle, "serve", lambda *_: {}["missing"])
    stack = world.stack()

    stack.create({})

    lines = telemetry.lines()
    assert [keys(stack)] * len(lines) == [said(line) for line in lines]
    assert ["KeyError"] == [line["exception_name"] for line in lines if line["level"] == "ERROR"]


def test_keys_do_not_reach_the_next_request(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """A sandbox serves many stacks: a line never names another's connection."""
    first = world.stack()
    first.create(world.properties(*pair))
    telemetry.text()
    second = Stack(world, "second", first.resource)

    second.create({"VpcId": "vpc-nonsense"})

    lines = telemetry.lines()
    assert [{**keys(second), "connection_id": ""}] * len(lines) == [
        {**said(line), "connection_id": line["connection_id"]} for line in lines
    ]
    assert "stack/second/" in keys(second)["stack_id"]


# Secrets: in no line, no metric and no reason.


def everything(stack: Stack, telemetry: Telemetry) -> str:
    """Return all that left the function for others to read."""
    written = telemetry.text() + json.dumps(telemetry.metric_sets()) + json.dumps(stack.world.bucket.responses)
    assert "Peering" in written
    return written


def test_no_secret_in_a_whole_life(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """Neither the presigned query nor an external id, at success nor at failure nor where nobody takes the answer."""
    stack = world.stack()
    properties = world.properties(*pair)
    world.bucket.statuses += [403]
    stack.create(properties)
    stack.update({**properties, "PeerExternalId": "changed-meanwhile", "ExternalId": "not a valid one!"})
    stack.update({**properties, "PeerExternalId": "changed-meanwhile"})
    stack.delete()
    world.bucket.statuses += [403] * 1000
    with pytest.raises(Undelivered) as raised:
        stack.delete()

    written = everything(stack, telemetry) + str(raised.value)
    secrets = (PRESIGNED, "X-Amz-Signature", EXTERNAL_ID, "changed-meanwhile", "not a valid one!")
    assert [] == [secret for secret in secrets if secret in written]


@pytest.mark.parametrize("ours", [True, False])
def test_no_secret_of_an_exception(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch, telemetry: Telemetry, ours: bool
) -> None:
    """Whatever an exception says, its text, its cause, its trace and the reason are struck through."""
    secret = f"{world.bucket.url} {EXTERNAL_ID}"
    failure = InvalidRequest(f"cannot {secret}.", f"Change {secret}.") if ours else RuntimeError(secret)

    def serve(*_: object) -> None:
        raise failure from ValueError(secret)

    monkeypatch.setattr(Lifecycle, "serve", serve)
    stack = world.stack()

    stack.create(world.properties(*pair))

    written = everything(stack, telemetry)
    assert [] == [part for part in (PRESIGNED, EXTERNAL_ID) if part in written]
    assert "***" in world.bucket.responses[-1]["Reason"]


@pytest.mark.parametrize("before", range(190, 240, 7))
def test_no_part_of_a_secret_where_the_reason_is_cut(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch, telemetry: Telemetry, before: int
) -> None:
    """A secret that the limit cuts in two is struck out before."""

    def serve(*_: object) -> None:
        raise InvalidRequest("x" * before + EXTERNAL_ID + "y" * 100, "Do.")

    monkeypatch.setattr(Lifecycle, "serve", serve)
    stack = world.stack()

    stack.create(world.properties(*pair))

    assert EXTERNAL_ID[:4] not in everything(stack, telemetry)


def test_no_credentials(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch, telemetry: Telemetry
) -> None:
    """AWS's SignatureDoesNotMatch quotes the request that it got, with the session token in it."""
    credentials = handler.sessions._credentials  # noqa: SLF001  # where the token is known
    tokens: list[str] = []

    def refused(answer: dict[str, str]) -> dict[str, Any]:
        tokens.append(answer["SessionToken"])
        quoted = f"'POST\n/\n\nhost:ec2\nx-amz-security-token:{tokens[-1]}\n\nhost;x-amz-date'"
        message = f"The Canonical String for this request should have been {quoted}"
        world.aws.faults.append(Fault("DescribeVpcs", code="SignatureDoesNotMatch", message=message, status=403))
        return credentials(answer)

    monkeypatch.setattr(handler.sessions, "_credentials", refused)
    stack = world.stack()

    assert "FAILED" == stack.create(world.properties(*pair))["Status"]

    written = everything(stack, telemetry)
    assert "SignatureDoesNotMatch" in written
    assert "x-amz-security-token:***" in written
    assert [] == [token for token in tokens if token[:8] in written]


@pytest.mark.parametrize(
    "text",
    [
        "https://bucket/key?X-Amz-Credential=top-secret%2F20261123&X-Amz-Signature=top-secret&x=1",
        "X-Amz-Security-Token=top-secret",
        "{'SessionToken': 'top-secret', 'SecretAccessKey': 'top-secret'}",
        '{"aws_session_token": "top-secret", "aws_secret_access_key":"top-secret"}',
    ],
)
def test_what_aws_names_a_secret_is_one(
    world: World, monkeypatch: pytest.MonkeyPatch, telemetry: Telemetry, text: str
) -> None:
    """Secrets that the request did not bring are known by their names."""

    def serve(*_: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(Lifecycle, "serve", serve)
    stack = world.stack()

    stack.create({})

    assert "top-secret" not in everything(stack, telemetry)


@pytest.mark.parametrize("external_id", [HUB, "network", "Peering", ",:", ":{", '"', '":', ",", "\\", "e"])
def test_external_id_that_stands_everywhere(
    world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry, external_id: str
) -> None:
    """An account's or a stack's name given as external id is public: it must not make lines unreadable."""
    stack = world.stack()

    stack.create(world.properties(*pair, ExternalId=external_id, PeerExternalId=external_id))

    lines = telemetry.lines()
    assert [keys(stack)] * len(lines) == [said(line) for line in lines]
    assert {"level", "message", "timestamp", "service"} <= set(lines[0])


def test_event_that_is_none_tells_no_secret(world: World) -> None:
    """Lambda logs the exception of an event that is not CloudFormation's."""
    stack = world.stack()

    with pytest.raises(ValidationError) as raised:
        stack.send("Repair", {"ExternalId": EXTERNAL_ID})

    assert [] == [secret for secret in (PRESIGNED, EXTERNAL_ID) if secret in str(raised.value)]


# Metrics: one set a request, which tells what EC2 really did.


def test_metric_set(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """CloudWatch finds the documented names, with units, under the service, and there by the type of the request."""
    world.stack().create(world.properties(*pair))

    (written,) = telemetry.metric_sets()

    (declared,) = written["_aws"]["CloudWatchMetrics"]
    assert "VpcPeering" == declared["Namespace"]
    assert [{"request_type", "service"}, {"service"}] == [set(dimensions) for dimensions in declared["Dimensions"]]
    assert ("Create", "vpc-peering") == (written["request_type"], written["service"])
    assert {**dict.fromkeys(COUNTS, "Count"), "Duration": "Seconds"} == {
        metric["Name"]: metric["Unit"] for metric in declared["Metrics"]
    }


def test_metrics_count_what_was_done(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """Changes are the calls that changed something, and the kinds of route add up, request by request."""
    vpc, _ = pair
    stack = world.stack()
    properties = world.properties(*pair)
    with world.counted() as calls:
        stack.create(properties)
    created = {"Succeeded": 1, "Changes": len(writes(calls)), "RoutesCreated": 4}
    assert created == telemetry.metrics()

    stack.update(properties)
    assert {"Succeeded": 1} == telemetry.metrics()

    with world.counted() as calls:
        stack.update({**properties, "Routes": {"RouteTableIds": [vpc.route_table_ids[0]]}})
    assert ["DeleteRoute"] == writes(calls)
    assert {"Succeeded": 1, "Changes": 1, "RoutesDeleted": 1} == telemetry.metrics()

    with world.counted() as calls:
        stack.delete()
    assert {"Succeeded": 1, "Changes": len(writes(calls)), "RoutesDeleted": 3} == telemetry.metrics()


def test_metrics_of_a_replacement(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """Routes that move to the successor are replaced, not created."""
    vpc, peer = pair
    other = world.peer_vpc("other", "10.8.0.0/16")
    stack = world.stack()
    old = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    telemetry.metrics()

    with world.counted() as calls:
        new = stack.update(world.properties(vpc, other))["PhysicalResourceId"]

    assert old != new
    assert 2 == operations(calls).count("ReplaceRoute")
    assert {
        "Succeeded": 1,
        "Changes": len(writes(calls)),
        "RoutesCreated": operations(calls).count("CreateRoute"),
        "RoutesReplaced": 2,
    } == telemetry.metrics()


def test_metrics_of_a_failure(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """Routes that were planned and not made do not count: the number is what stands in the tables."""
    vpc, peer = pair
    world.aws.faults.append(Fault("CreateRoute", code="UnauthorizedOperation", status=403, nth=2))

    with world.counted() as calls:
        world.stack().create(world.properties(vpc, peer))

    made = sum(len(routes) for end in pair for routes in world.routes(end).values())
    assert 1 <= made < 4
    assert {"Failed": 1, "Changes": len(writes(calls)) - 1, "RoutesCreated": made} == telemetry.metrics()


def test_metrics_of_a_refusal(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """What is refused before the first write changes nothing, whatever the plan was."""
    vpc, peer = pair
    world.ec2(vpc).create_route(
        RouteTableId=vpc.route_table_ids[0],
        DestinationCidrBlock="10.8.0.0/16",
        GatewayId=_internet_gateway(world, vpc),
    )

    world.stack().create(world.properties(vpc, peer))

    assert {"Failed": 1} == telemetry.metrics()


def _internet_gateway(world: World, vpc: Vpc) -> str:
    ec2 = world.ec2(vpc)
    gateway: str = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc.id)
    return gateway


def test_metrics_of_a_delete_without_the_accepter(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """What had to be left on the accepter's side is a number that an alarm can watch."""
    stack = world.stack()
    properties = world.properties(*pair)
    pcx = stack.create(properties)["PhysicalResourceId"]
    telemetry.metrics()

    with world.counted() as calls:
        stack.delete(pcx, {**properties, "PeerExternalId": "changed-meanwhile"})

    assert {
        "Succeeded": 1,
        "Changes": len(writes(calls)),
        "RoutesDeleted": 2,
        "AccepterLeftBehind": 1,
    } == telemetry.metrics()


def test_duration(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """From the event to the answer, its delivery included, by the function's own clock."""
    world.aws.settings.provisioning_reads = 3
    world.bucket.statuses += [503]
    world.time.sleep(1000)
    began = world.time.now()

    world.stack().create(world.properties(*pair))

    assert world.time.now() - began > 1
    assert pytest.approx(world.time.now() - began) == telemetry.metrics()["Duration"]


def test_one_metric_set_where_nobody_takes_the_answer(
    world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry
) -> None:
    """The invocation that Lambda repeats has a set that says so, and the repetition has its own."""
    stack = world.stack()
    world.bucket.statuses += [403] * 1000
    with pytest.raises(Undelivered):
        stack.create(world.properties(*pair))
    (undelivered,) = telemetry.metric_sets()
    assert [1] == undelivered["Undelivered"]
    world.bucket.statuses.clear()

    stack.create(world.properties(*pair))

    assert {"Succeeded": 1} == telemetry.metrics()


def test_one_metric_set_of_an_answer_by_the_timer(
    world: World, monkeypatch: pytest.MonkeyPatch, telemetry: Telemetry
) -> None:
    """The outcome is the one that CloudFormation was told."""
    stack = world.stack()

    def serve(_life: Lifecycle, _request: Request, _run: Run) -> None:
        stack.resource._timeout()  # noqa: SLF001  # what crhelper's timer calls

    monkeypatch.setattr(Lifecycle, "serve", serve)

    stack.create({})

    assert {"Failed": 1} == telemetry.metrics()


def without_accepter(world: World, pair: tuple[Vpc, Vpc]) -> dict[str, Any]:
    """Return properties that ask nothing of the accepter's side, and name no role there."""
    return world.properties(*pair, AutoAccept="false", PeerRoutes=None, PeerRoleArn=None, PeerExternalId=None)


def left_behind(telemetry: Telemetry) -> list[Line]:
    """Return the lines that name what remains."""
    return [line for line in telemetry.lines() if "may remain on the accepter's side" in line["message"]]


def test_update_that_drops_the_accepters_role(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """The old role takes back what it has made; nothing is left, and nothing more is said at the Delete."""
    stack = world.stack()
    stack.create(world.properties(*pair))

    assert "SUCCESS" == stack.update(without_accepter(world, pair))["Status"]
    assert [{}, {}] == list(world.routes(pair[1]).values())
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == left_behind(telemetry)
    assert [[0], [0], [0]] == [each["AccepterLeftBehind"] for each in telemetry.metric_sets()]


def test_update_that_drops_a_role_that_has_gone(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """Nothing more is asked there, and so nothing fails; but what stays is named, as the Delete does later."""
    stack = world.stack()
    pcx = stack.create(world.properties(*pair))["PhysicalResourceId"]
    world.aws.faults.append(Fault("AssumeRole", code="AccessDenied", status=403))

    assert "SUCCESS" == stack.update(without_accepter(world, pair))["Status"]
    updated = left_behind(telemetry)
    assert "SUCCESS" == stack.delete()["Status"]
    deleted = left_behind(telemetry)

    remain = sorted(f"10.0.0.0/16 in {table}" for table in pair[1].route_table_ids)
    assert [(remain, pair[1].id)] == [(line["routes"], line["vpc_id"]) for line in updated]
    assert [(remain, pcx)] == [(line["routes"], line["connection_id"]) for line in deleted]
    assert [[0], [1], [1]] == [each["AccepterLeftBehind"] for each in telemetry.metric_sets()]


def test_update_that_drops_a_role_without_the_record(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """The item was lost: that routes were asked for is known from the old properties."""
    stack = world.stack()
    stack.create(world.properties(*pair))
    stack.resource = world.resource(MemoryStore())
    world.aws.faults.append(Fault("AssumeRole", code="AccessDenied", status=403))

    assert "SUCCESS" == stack.update(without_accepter(world, pair))["Status"]

    assert [[]] == [line["routes"] for line in left_behind(telemetry)]


def test_update_that_drops_a_role_of_no_routes(world: World, pair: tuple[Vpc, Vpc], telemetry: Telemetry) -> None:
    """Nothing was asked there that could remain: nobody need look."""
    stack = world.stack()
    stack.create(world.properties(*pair, PeerRoutes=None))
    world.aws.faults.append(Fault("AssumeRole", code="AccessDenied", status=403))

    assert "SUCCESS" == stack.update(without_accepter(world, pair))["Status"]
    assert [] == left_behind(telemetry)
