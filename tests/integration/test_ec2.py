"""What only a race can show: the calls of one side by themselves."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from handler.calls import VISIBLE_WITHIN, call
from handler.clock import Deadline
from handler.ec2 import Ec2
from handler.errors import InvalidRequest, NotFound, NotStabilized, ResourceConflict
from handler.item import Superseded
from handler.model import End, RouteKey, Side
from handler.routes import Taken
from handler.sessions import Access
from local.strict import Fault
from local.world import Vpc
from tests.harness import EXTERNAL_ID, World, internet_gateway, sessions, writes


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


@pytest.fixture
def ec2(world: World) -> Ec2:
    """Open the requester's side."""
    end = End("vpc-unused", world.topology.account, world.topology.region)
    return sessions().open(Access("", end, end), "test", Deadline(world.time.clock, 60))


def test_a_route_that_somebody_made_since_we_looked(world: World, ec2: Ec2) -> None:
    """CreateRoute then says RouteAlreadyExists: the failure names table, destination and present target."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer, Routes=None))["PhysicalResourceId"]
    table, gateway = vpc.route_table_ids[0], internet_gateway(world, vpc)
    world.ec2(vpc).create_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway)

    with pytest.raises(ResourceConflict, match=f"{table} routes 10.8.0.0/16 to {gateway} already"):
        ec2.create_route(RouteKey(Side.REQUESTER, table, "10.8.0.0/16"), pcx)


def test_a_newer_request_is_no_conflict(world: World, ec2: Ec2) -> None:
    """It ends the work before the call, whatever route is there: nothing more is read, and it is told as it is."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]
    deadline = Deadline(world.time.clock, 900)
    deadline.guard = Mock(side_effect=[Superseded("A later request waits.", "Look there."), None])

    with pytest.raises(Superseded):
        ec2.until(deadline).create_route(RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16"), pcx)


def test_the_identical_route_is_fine(world: World, ec2: Ec2) -> None:
    """A repeated CreateRoute whose first reply was lost finds its own route."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]

    with world.counted() as calls:
        ec2.create_route(RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16"), pcx)

    assert ["CreateRoute"] == writes(calls)


NO_ROUTE = Fault(
    "ReplaceRoute",
    code="InvalidParameterValue",
    message="There is no route defined for '10.8.0.0/16' in the route table.",
    status=400,
)


def test_a_vanished_route_whose_first_reply_is_lost(world: World, ec2: Ec2) -> None:
    """It is made anew, and made again for want of a reply: the second try finds the route of the first."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer, Routes=None))["PhysicalResourceId"]
    world.aws.faults.extend([replace(NO_ROUTE), Fault("CreateRoute", "lost")])

    with world.counted() as calls:
        ec2.replace_route(RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16"), pcx)

    assert ["ReplaceRoute", "CreateRoute", "CreateRoute"] == writes(calls)
    assert {"10.8.0.0/16": pcx} == world.routes(vpc)[vpc.route_table_ids[0]]


def test_a_vanished_route_that_somebody_has_made_elsewhere(world: World, ec2: Ec2) -> None:
    """What leads to another target by now is told, with table, destination and target."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer, Routes=None))["PhysicalResourceId"]
    table, gateway = vpc.route_table_ids[0], internet_gateway(world, vpc)
    world.ec2(vpc).create_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway)
    world.aws.faults.append(replace(NO_ROUTE))

    with pytest.raises(Taken, match=f"{table} routes 10.8.0.0/16 to {gateway} already"):
        ec2.replace_route(RouteKey(Side.REQUESTER, table, "10.8.0.0/16"), pcx)


def test_a_target_of_an_unknown_kind(world: World, ec2: Ec2) -> None:
    """EC2 may add one: no call is guessed, and a person is told which route waits for which target."""
    vpc = world.vpc("hub", "10.0.0.0/16")
    table = vpc.route_table_ids[0]

    with world.counted() as calls, pytest.raises(InvalidRequest) as refused:
        ec2.replace_route(RouteKey(Side.REQUESTER, table, "10.8.0.0/16"), "xgw-1")

    assert [] == calls
    assert (
        f"InvalidRequest: 10.8.0.0/16 in {table} cannot be led to xgw-1: this version of the function does not know "
        "that kind of target. Lead it there by hand, then deploy again."
    ) == refused.value.reason


def test_deleting_twice(world: World, ec2: Ec2) -> None:
    """A connection that is gone, and routes that are gone, count as deleted."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]
    route = RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16")

    for _ in range(2):
        ec2.delete_route(route, pcx)
        ec2.delete_connection(pcx)
    world.aws.forget(pcx)
    ec2.delete_connection(pcx)

    assert [] == world.live(vpc)


@pytest.mark.parametrize("code", ["InvalidRoute.NotFound", "InvalidRouteTableID.NotFound"])
def test_route_that_ec2_does_not_find_though_it_shows_it(world: World, ec2: Ec2, code: str) -> None:
    """A route that is taken for gone would stay behind: what is still shown is deleted again."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]
    route = RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16")
    world.aws.faults.append(Fault("DeleteRoute", code=code, status=400))

    ec2.delete_route(route, pcx)

    assert {} == world.routes(vpc)[vpc.route_table_ids[0]]


def test_route_that_ec2_never_finds_though_it_shows_it(world: World, ec2: Ec2) -> None:
    """A minute at most: then EC2's own words say why, while there is time left to answer and to undo."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]
    lost = Fault("DeleteRoute", code="InvalidRoute.NotFound", status=400)
    world.aws.faults.extend(replace(lost) for _ in range(1000))
    began = world.time.now()

    with pytest.raises(NotFound, match=r"DeleteRoute with InvalidRoute\.NotFound"):
        ec2.until(Deadline(world.time.clock, 900)).delete_route(
            RouteKey(Side.REQUESTER, vpc.route_table_ids[0], "10.8.0.0/16"), pcx
        )

    assert VISIBLE_WITHIN <= world.time.now() - began < VISIBLE_WITHIN + 10


def test_route_that_somebody_has_pointed_elsewhere(world: World, ec2: Ec2) -> None:
    """What is shown there now is not ours to delete again."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    gateway = internet_gateway(world, vpc)
    world.stack().create(world.properties(vpc, peer))
    table_id = vpc.route_table_ids[0]
    destination = {"RouteTableId": table_id, "DestinationCidrBlock": "10.8.0.0/16"}
    world.ec2(vpc).replace_route(**destination, GatewayId=gateway)
    world.aws.faults.append(Fault("DeleteRoute", code="InvalidRoute.NotFound", status=400))

    ec2.delete_route(RouteKey(Side.REQUESTER, table_id, "10.8.0.0/16"), "pcx-other")

    assert {"10.8.0.0/16": gateway} == world.routes(vpc)[table_id]


TRANSITIONS = pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        ("AcceptVpcPeeringConnection", "pending-acceptance", "active"),
        ("DeleteVpcPeeringConnection", "active", "deleted"),
    ],
)


def refusals(operation: str, count: int) -> list[Fault]:
    """Return as many refusals of what was done already."""
    said = "Invalid state transition for pcx-1"
    return [Fault(operation, code="InvalidStateTransition", message=said, status=400) for _ in range(count)]


@TRANSITIONS
def test_transition_that_was_done_and_does_not_show(
    world: World, ec2: Ec2, operation: str, before: str, after: str
) -> None:
    """The reply was lost, the repeated call is refused, and Describe lags behind: that is no reason to fail."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    pcx = world.peer(vpc, peer, accept=before == "active")
    world.aws.faults.extend(refusals(operation, 3))
    end = End(peer.id, peer.account, peer.region)
    role = world.roles[peer.account]
    access = Access("Peer", end, End(vpc.id, vpc.account, vpc.region), role, EXTERNAL_ID)
    accepter = sessions().open(access, "test", Deadline(world.time.clock, 300))

    if before == "active":
        ec2.delete_connection(pcx)
    else:
        accepter.accept_connection(pcx)

    assert after == world.status(vpc, pcx)
    assert 0 < world.time.now() < 5


def transition(world: World, pair: tuple[Vpc, Vpc], before: str, faults: Iterable[Fault]) -> dict[str, Any]:
    """Return the answer of the request that makes a transition, whose calls are refused, from the state `before`."""
    stack = world.stack()
    if before == "active":
        stack.create(world.properties(*pair))
    world.aws.faults.extend(faults)
    return stack.delete() if before == "active" else stack.create(world.properties(*pair))


@TRANSITIONS
def test_transition_that_is_refused_for_a_minute(
    world: World, pair: tuple[Vpc, Vpc], operation: str, before: str, after: str
) -> None:
    """Then it was not done, and EC2's own words say why."""
    response = transition(world, pair, before, refusals(operation, 60))

    assert f"{operation} with InvalidStateTransition" in response["Reason"]
    assert VISIBLE_WITHIN <= world.time.now() < VISIBLE_WITHIN + 10
    assert before == world.status(pair[0], response["PhysicalResourceId"]) != after


@TRANSITIONS
def test_transition_of_what_ec2_never_finds(
    world: World, pair: tuple[Vpc, Vpc], operation: str, before: str, after: str
) -> None:
    """Though it shows it: that is told within minutes, and not after all the time that the function has."""
    lost = Fault(operation, code="InvalidVpcPeeringConnectionID.NotFound", status=400)

    response = transition(world, pair, before, (replace(lost) for _ in range(1000)))

    assert f"{operation} with InvalidVpcPeeringConnectionID.NotFound" in response["Reason"]
    assert VISIBLE_WITHIN <= world.time.now() < 2 * VISIBLE_WITHIN + 10
    assert before == world.status(pair[0], response["PhysicalResourceId"]) != after


def test_transition_that_is_refused_for_what_does_not_show(
    world: World, ec2: Ec2, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What EC2 neither shows nor changes has a minute too."""
    pcx = world.peer(*pair, accept=False)
    monkeypatch.setattr(Ec2, "connection", lambda _ec2, _connection_id: None)
    world.aws.faults.extend(refusals("AcceptVpcPeeringConnection", 1000))

    with pytest.raises(InvalidRequest, match="AcceptVpcPeeringConnection with InvalidStateTransition"):
        ec2.until(Deadline(world.time.clock, 900)).accept_connection(pcx)

    assert VISIBLE_WITHIN <= world.time.now() < VISIBLE_WITHIN + 10


@pytest.mark.parametrize(("count", "expected"), [(3, "SUCCESS"), (60, "FAILED")])
def test_options_of_what_is_not_active_yet(world: World, pair: tuple[Vpc, Vpc], count: int, expected: str) -> None:
    """Describe showed it active, and the call that sets options asks another part of EC2: a minute at most."""
    said = "Peering pcx-1 is not active. Peering options can be added only to active peerings."
    not_active = Fault("ModifyVpcPeeringConnectionOptions", code="OperationNotPermitted", message=said, status=400)
    world.aws.faults.extend(replace(not_active) for _ in range(count))

    created = world.stack().create(world.properties(*pair, AllowDnsResolutionFromRemoteVpc="true"))

    assert expected == created["Status"], created
    assert 0 < world.time.now() < VISIBLE_WITHIN + 10


def test_options_that_are_not_permitted(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Any other refusal is final."""
    world.aws.faults.append(
        Fault("ModifyVpcPeeringConnectionOptions", code="OperationNotPermitted", message="No.", status=400)
    )

    created = world.stack().create(world.properties(*pair, AllowDnsResolutionFromRemoteVpc="true"))

    assert ("FAILED", []) == (created["Status"], world.time.slept)


def test_empty_page_is_not_the_end(
    world: World, ec2: Ec2, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 may answer a filter with an empty page and go on: what comes later is not gone."""
    pcx = world.peer(*pair)

    def empty_first(client: Any, operation: str, *rest: Any, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        if operation != "describe_vpc_peering_connections" or parameters.pop("NextToken", None):
            return call(client, operation, *rest, **parameters)
        return {"VpcPeeringConnections": [], "NextToken": "more"}

    monkeypatch.setattr("handler.ec2.call", empty_first)

    assert "active" == getattr(ec2.wait("ConnectionActive", pcx), "status", None)
    with pytest.raises(NotStabilized):
        ec2.wait("ConnectionDeleted", pcx)


@pytest.mark.parametrize(("empty", "seconds"), [(2, 3), (1000, VISIBLE_WITHIN)])
def test_tables_that_do_not_show_yet(
    world: World, ec2: Ec2, monkeypatch: pytest.MonkeyPatch, empty: int, seconds: float
) -> None:
    """Every VPC has a main table: to take an empty list for the truth would make no route, or leave all of them."""
    vpc, answers, read = world.vpc("hub", "10.0.0.0/16"), [[]] * empty, Ec2._all  # noqa: SLF001

    def late(ec2: Ec2, operation: str, shape: str, filters: Any) -> Any:  # noqa: ANN401
        return answers.pop() if operation == "route_tables" and answers else read(ec2, operation, shape, filters)

    monkeypatch.setattr(Ec2, "_all", late)
    began = world.time.now()

    if empty == 2:
        assert [*vpc.route_table_ids] == [table.table_id for table in ec2.route_tables(vpc.id)]
    else:
        with pytest.raises(
            NotStabilized, match=f"EC2 showed no route table of {vpc.id}, not even its main one"
        ) as late:
            ec2.until(Deadline(world.time.clock, 900)).route_tables(vpc.id)
        assert late.value.reason.endswith("Deploy again; if it recurs, ask AWS Support.")
    assert world.time.now() - began <= seconds


def test_a_participant_of_a_shared_vpc(world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees the VPC, and no table that nobody shared with it: what is wrong is told at once, with the remedy."""
    stack, (vpc, _) = world.stack(), pair
    read = Ec2._all  # noqa: SLF001

    def shared(ec2: Ec2, operation: str, shape: str, filters: Any) -> Any:  # noqa: ANN401
        found = read(ec2, operation, shape, filters)
        if ec2._place.account != vpc.account:  # noqa: SLF001  # which side it is
            return found
        if operation == "vpcs":
            return [{**each, "OwnerId": "999999999999"} for each in found]
        return [] if operation == "route_tables" else found

    monkeypatch.setattr(Ec2, "_all", shared)

    with world.counted() as calls:
        refused = stack.create(world.properties(*pair))
        assert "SUCCESS" == stack.delete()["Status"]

    assert (
        f"VpcId {vpc.id} belongs to account 999999999999, not to {vpc.account}. Only its owner, no participant of a "
        "shared VPC, can peer it: give RoleArn of a role in 999999999999."
    ) in refused["Reason"]
    assert ([], []) == (writes(calls), world.time.slept)


def test_tables_of_a_vpc_that_is_gone(world: World, ec2: Ec2) -> None:
    """There is nothing to wait for."""
    assert () == ec2.route_tables("vpc-0123456789abcdef0")
    assert [] == world.time.slept
