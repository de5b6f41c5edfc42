"""Requests that overtake each other, processes that die between two lines, a table that comes and goes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from handler.calls import VISIBLE_WITHIN
from handler.clock import Deadline
from handler.ec2 import Ec2
from handler.errors import AccessDenied, NetworkFailure
from handler.lifecycle import Lifecycle, Run
from handler.model import RouteKey, Side
from handler.registry import Key, MemoryStore, Revision, Tenure
from handler.request import Request
from handler.response import Undelivered
from local.strict import Fault
from local.world import Vpc
from tests.harness import Context, Stack, World

BLOCK = "10.8.0.0/16"
INVENTED = "network-Peering-1ABCDEFGHIJK"


class Table(MemoryStore):
    """A table that can be out of reach, to read or only to write; others of the same `rows` may reach it."""

    def __init__(self, rows: dict[Key, Revision] | None = None) -> None:
        super().__init__()
        self._revisions = {} if rows is None else rows
        self.readable = self.writable = True

    @property
    def rows(self) -> dict[Key, Revision]:
        """What it holds."""
        return self._revisions

    def load(self, key: Key, deadline: Deadline) -> Revision | None:
        """Read, or fail."""
        if not self.readable:
            raise NetworkFailure("the table is away.", "Wait.")
        return super().load(key, deadline)

    def save(self, key: Key, over: str | None, revision: Revision, deadline: Deadline) -> bool:
        """Write, or fail."""
        if not (self.readable and self.writable):
            raise NetworkFailure("the table is away.", "Wait.")
        return super().save(key, over, revision, deadline)


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture
def table(world: World) -> Table:
    """Let every process of the function use a table that can go away."""
    table = Table()
    world.store = table
    return table


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


def serve(stack: Stack, event: dict[str, Any], store: Table | None = None) -> dict[str, Any]:
    """Send an event to a fresh process of the function."""
    time = stack.world.time
    stack.world.resource(store)(event, Context(time.now, time.now() + 900))
    return stack.world.bucket.responses[-1]


@contextmanager
def meanwhile(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, happens: Callable[[], object]) -> Iterator[None]:
    """Let something happen just before a method is called for the first time."""
    original, happened = getattr(owner, name), []

    def wrapped(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # the method's
        if not happened:
            happened.append(True)
            happens()
        return original(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, wrapped)
        yield


def statuses(world: World) -> list[str]:
    """Return those of all responses."""
    return [response["Status"] for response in world.bucket.responses]


def test_update_that_comes_after_its_rollback(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A cancelled Update that Lambda had queued must not undo the rollback."""
    stack = world.stack()
    old, new = world.properties(*pair), world.properties(*pair, PeerRoutes=None)
    stack.create(old)
    given = {"PhysicalResourceId": stack.physical_id}
    forward = stack.event("Update", new, OldResourceProperties=old, **given)
    world.time.sleep(5)
    assert "SUCCESS" == serve(stack, stack.event("Update", old, OldResourceProperties=new, **given))["Status"]
    before = world.snapshot(*pair)

    assert "FAILED" == serve(stack, forward)["Status"]
    assert before == world.snapshot(*pair)


def test_resource_that_was_retained_and_comes_again(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """DeletionPolicy: Retain keeps the first one; the Delete that overtakes the second Create ends that one."""
    stack = world.stack()
    stack.create(world.properties(*pair))
    vpc, peer = world.vpc("hub2", "10.1.0.0/16"), world.peer_vpc("spoke2", "10.9.0.0/16")
    create = stack.event("Create", world.properties(vpc, peer))
    world.time.sleep(5)
    assert "SUCCESS" == stack.delete(INVENTED, world.properties(vpc, peer))["Status"]

    assert "FAILED" == serve(stack, create)["Status"]
    assert 1 == len(world.live(vpc))  # the first one's, in the same account


def test_new_deployment_after_a_failed_clean_up(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Create and the Delete after it fail, a second Delete succeeds: the next Create is no late one."""
    stack = world.stack()
    assert "FAILED" == stack.create(world.properties(*pair, PeerVpcId="vpc-00000000"))["Status"]
    for _ in range(2):
        stack.delete()
    world.time.sleep(5)

    assert "SUCCESS" == stack.create(world.properties(*pair))["Status"]


def test_connection_that_is_adopted_twice(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Its id was deleted once, as CloudFormation sees it; it lives, and can be updated."""
    world.peer(*pair)
    stack, properties = world.stack(), world.properties(*pair, OnExistingConnection="Adopt")
    assert ["SUCCESS"] * 3 == [
        stack.create(properties)["Status"],
        stack.delete()["Status"],
        stack.create(properties)["Status"],
    ]

    assert "SUCCESS" == stack.update({**properties, "Tags": [{"Key": "Env", "Value": "test"}]})["Status"]


def test_route_of_a_user_where_one_of_ours_was(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process died after it had taken the route off: the record of it must not make the user's ours."""
    vpc, _ = pair
    stack = world.stack()
    stack.create(world.properties(*pair))
    world.time.sleep(600)
    fewer = world.properties(*pair, Routes={"RouteTableIds": [vpc.route_table_ids[0]]})
    update = stack.event("Update", fewer, PhysicalResourceId=stack.physical_id, OldResourceProperties=stack.current)

    original = Ec2.delete_route

    def die(ec2: Ec2, route: RouteKey, connection_id: str) -> None:
        original(ec2, route, connection_id)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Ec2, "delete_route", die)
        with pytest.raises(Killed):
            serve(stack, update)
    assert {} == world.routes(vpc)[vpc.route_table_ids[1]]
    assert "SUCCESS" == serve(stack, update)["Status"]
    stack.current = fewer
    world.route(vpc, 1, BLOCK, str(stack.physical_id))

    assert "SUCCESS" == stack.update({**fewer, "Tags": [{"Key": "Env", "Value": "test"}]})["Status"]
    assert {BLOCK: stack.physical_id} == world.routes(vpc)[vpc.route_table_ids[1]]


def test_route_that_was_taken_off_beside_one_that_could_not_be(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has been done is forgotten, though the Update fails."""
    vpc, peer = pair
    stack = world.stack()
    stack.create(world.properties(*pair))
    original = Ec2.delete_route

    def refuse(ec2: Ec2, route: RouteKey, connection_id: str) -> None:
        original(ec2, route, connection_id)
        if route.side is Side.REQUESTER:
            raise AccessDenied("no.", "Allow it.")

    fewer = world.properties(
        *pair,
        Routes={"RouteTableIds": [vpc.route_table_ids[0]]},
        PeerRoutes={"RouteTableIds": [peer.route_table_ids[0]]},
    )
    with monkeypatch.context() as patch:
        patch.setattr(Ec2, "delete_route", refuse)
        assert "FAILED" == stack.update(fewer)["Status"]
    world.time.sleep(600)
    assert "SUCCESS" == stack.update(fewer)["Status"]
    world.route(vpc, 1, BLOCK, str(stack.physical_id))

    assert "SUCCESS" == stack.update({**fewer, "Tags": [{"Key": "Env", "Value": "test"}]})["Status"]
    assert {BLOCK: stack.physical_id} == world.routes(vpc)[vpc.route_table_ids[1]]


def test_delete_without_the_table_ends_a_create_that_has_it(
    world: World, pair: tuple[Vpc, Vpc], table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table comes back before the Delete answers: it is looked again what the Create has made meanwhile."""
    stack = world.stack()
    create = stack.event("Create", world.properties(*pair))
    away = Table(table.rows)

    def delete() -> None:
        away.readable = False
        event = stack.event("Delete", create["ResourceProperties"], PhysicalResourceId=INVENTED)
        with meanwhile(monkeypatch, Ec2, "connections_between", lambda: setattr(away, "readable", True)):
            serve(stack, event, away)

    with meanwhile(monkeypatch, Ec2, "create_connection", delete):
        serve(stack, create)

    assert [] == world.live(pair[0])


def test_delete_that_could_read_the_table_but_not_write(world: World, pair: tuple[Vpc, Vpc], table: Table) -> None:
    """What was read of it counts: the routes that its properties do not tell are taken off."""
    stack = world.stack()
    stack.create(world.properties(*pair))
    table.writable = False

    deleted = stack.delete(stack.physical_id, world.properties(*pair, Routes=None, PeerRoutes=None))

    assert "SUCCESS" == deleted["Status"]
    assert not any(world.routes(pair[0]).values())


def test_lease_that_was_lost_to_a_repeated_event(
    world: World, pair: tuple[Vpc, Vpc], table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has lost it says nothing, though the table be away: the other one has answered."""
    stack = world.stack()
    create = stack.event("Create", world.properties(*pair))
    slow = Table(table.rows)

    def overtake() -> None:
        world.time.sleep(61)
        serve(stack, create)

    with (
        meanwhile(monkeypatch, Ec2, "create_connection", overtake),
        meanwhile(monkeypatch, Tenure, "finish", lambda: setattr(slow, "readable", False)),
        pytest.raises(Undelivered),
    ):
        serve(stack, create, slow)

    assert ["SUCCESS"] == statuses(world)


def test_answer_of_the_timer_keeps_the_lease(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that hangs may still take effect: the Delete that follows waits for the end of the lease."""
    stack, properties = world.stack(), world.properties(*pair)

    def hang(_life: Lifecycle, _request: Request, _run: Run) -> None:
        stack.resource._timeout()  # noqa: SLF001  # what crhelper's timer calls

    with monkeypatch.context() as patch:
        patch.setattr(Lifecycle, "serve", hang)
        stack.create(properties)
    began = world.time.now()
    world.stack().delete(INVENTED, properties)

    assert ["FAILED", "SUCCESS"] == statuses(world)
    assert 45 < world.time.now() - began < 75


def killed_after(monkeypatch: pytest.MonkeyPatch, name: str, stack: Stack, event: dict[str, Any]) -> None:
    """Serve an event by a process that dies after a call of EC2."""
    original = getattr(Ec2, name)

    def die(*arguments: Any, **named: Any) -> None:  # noqa: ANN401  # the method's
        original(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Ec2, name, die)
        with pytest.raises(Killed):
            serve(stack, event)


def test_create_that_is_repeated_after_a_delete_without_the_table(
    world: World, pair: tuple[Vpc, Vpc], table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry knows the Create and not the Delete; EC2 still shows what the Create had made, as deleted."""
    stack = world.stack()
    create = stack.event("Create", world.properties(*pair))
    killed_after(monkeypatch, "create_connection", stack, create)
    assert 1 == len(world.live(pair[0]))
    table.readable = False
    assert "SUCCESS" == stack.delete(INVENTED, create["ResourceProperties"])["Status"]
    assert [] == world.live(pair[0])
    table.readable = True
    world.time.sleep(61)

    repeated = serve(stack, create)

    assert ("FAILED", True) == (repeated["Status"], "was deleted meanwhile" in repeated["Reason"])
    assert [] == world.live(pair[0])


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("adopt", ["Adopt", "Fail"])
def test_delete_that_died_after_it_had_let_go(  # noqa: PLR0913  # one argument a case
    world: World, pair: tuple[Vpc, Vpc], table: Table, monkeypatch: pytest.MonkeyPatch, *, lost: bool, adopt: str
) -> None:
    """No tag tells any more that the connection was adopted: the record does, also one that an Update made anew."""
    pcx = world.peer(*pair)
    for side in pair:
        world.ec2(side).create_tags(Resources=[pcx], Tags=[{"Key": "Name", "Value": "theirs"}])
    before = world.snapshot(*pair)
    stack = world.stack()
    assert "SUCCESS" == stack.create(world.properties(*pair, OnExistingConnection="Adopt"))["Status"]
    if lost:
        table.rows.clear()
    assert "SUCCESS" == stack.update(world.properties(*pair, OnExistingConnection=adopt))["Status"]
    delete = stack.event("Delete", stack.current, PhysicalResourceId=pcx)
    killed_after(monkeypatch, "untag", stack, delete)
    assert before == world.snapshot(*pair)
    world.time.sleep(61)

    assert "SUCCESS" == serve(stack, delete)["Status"]
    assert before == world.snapshot(*pair)


def test_create_that_is_repeated_after_an_earlier_generation(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 shows the connection of a resource that was deleted before: that is no reason against a new one."""
    stack, properties = world.stack(), world.properties(*pair)
    stack.create(properties)
    stack.delete()
    create = stack.event("Create", properties)
    killed_after(monkeypatch, "create_connection", stack, create)
    world.time.sleep(61)

    assert "SUCCESS" == serve(stack, create)["Status"]


@pytest.mark.parametrize("answered", [False, True])
def test_delete_that_may_not_look(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """With an id that is no connection's, a refusal to look is no reason to believe that there is nothing."""
    stack, properties = world.stack(), world.properties(*pair)
    create = stack.event("Create", properties)
    if answered:
        serve(stack, create)
    else:
        killed_after(monkeypatch, "create_connection", stack, create)
    world.time.sleep(61)
    world.aws.faults.append(Fault("DescribeVpcPeeringConnections", code="UnauthorizedOperation", status=403))

    refused = stack.delete(INVENTED, properties)

    assert ("FAILED", True) == (refused["Status"], refused["Reason"].startswith("AccessDenied: "))
    assert "SUCCESS" == stack.delete(INVENTED, properties)["Status"]
    assert [] == world.live(pair[0])


def test_delete_waits_for_what_was_requested_just_now(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 does not show yet what a Create that died has requested: nothing found is no reason to answer SUCCESS."""
    stack = world.stack()
    create = stack.event("Create", world.properties(*pair))
    world.aws.settings.hidden_reads_requester = 3
    killed_after(monkeypatch, "create_connection", stack, create)

    assert "SUCCESS" == stack.delete(INVENTED, create["ResourceProperties"])["Status"]

    assert [] == world.live(pair[0])
    assert world.time.now() < 90


def unanswered(world: World, pair: tuple[Vpc, Vpc]) -> Stack:
    """Let EC2 fail whatever is requested of it, so that nobody knows what has become of the request."""
    stack = world.stack()
    stack.seconds = 60
    world.aws.faults.extend(Fault("CreateVpcPeeringConnection") for _ in range(200))
    assert "FAILED" == stack.create(world.properties(*pair))["Status"]
    world.aws.faults.clear()
    stack.seconds = 900
    return stack


def test_delete_waits_for_a_request_a_minute_at_most(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """EC2 never answered: after a minute it is sure that there is nothing, and the next Delete need not wait."""
    stack = unanswered(world, pair)
    began = world.time.now()

    assert "SUCCESS" == stack.delete()["Status"]
    waited = world.time.now()
    assert "SUCCESS" == stack.delete()["Status"]

    assert VISIBLE_WITHIN <= waited - began < VISIBLE_WITHIN + 20
    assert waited == world.time.now()


def test_delete_that_has_no_time_to_wait(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """It does not say that nothing is there before it can know."""
    stack = unanswered(world, pair)
    stack.seconds = 30

    deleted = stack.delete()

    assert ("FAILED", True) == (deleted["Status"], "EC2 did not show the connection" in deleted["Reason"])


def test_rollback_of_a_refused_create_is_immediate(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Nothing was requested: there is nothing to wait for."""
    stack = world.stack()
    stack.create(world.properties(*pair, PeerVpcId="vpc-0123456789abcdef0"))

    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.time.slept


def test_delete_that_may_not_look_for_what_was_requested(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The Create was answered without knowing what became of its request: a refusal to look is no reason to stop."""
    stack = unanswered(world, pair)
    world.aws.faults.append(Fault("DescribeVpcPeeringConnections", code="UnauthorizedOperation", status=403))

    assert "FAILED" == stack.delete()["Status"]
    assert "SUCCESS" == stack.delete()["Status"]
