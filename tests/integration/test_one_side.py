"""VpcPeeringConnectionId: our side of a connection that a vendor has requested from an account that we do not know."""

from typing import Any

import pytest

from local.strict import Fault
from local.world import Vpc
from tests.harness import HUB, TOPOLOGIES, World, operations, writes

topologies = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)
VENDOR = "999999999999"


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the requester's VPC, and ours."""
    return world.vpc("vendor", "10.0.0.0/16"), world.peer_vpc("ours", "10.8.0.0/16")


def one_side(world: World, pcx: str, peer: Vpc, **more: object) -> dict[str, Any]:
    """Return properties for the accepter's side alone."""
    given = world.properties(peer, peer, VpcId=None, Region=None, RoleArn=None, ExternalId=None, Routes=None)
    where = {"PeerRegion": peer.region, "PeerOwnerId": peer.account}
    given |= {**where, "VpcPeeringConnectionId": pcx, **more}
    return {name: value for name, value in given.items() if value is not None}


@topologies
@pytest.mark.parametrize("accepted", [False, True])
def test_life(world: World, pair: tuple[Vpc, Vpc], *, accepted: bool) -> None:
    """Accepted if pending, tagged, routed to; nothing is asked of the other side, and Delete leaves it as it was."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer, accept=accepted)
    before = world.snapshot(*pair)
    stack = world.stack()
    tags = [{"Key": "vendor", "Value": "atlas"}]
    properties = one_side(
        world,
        pcx,
        peer,
        PeerTags=tags,
        PeerAllowDnsResolutionFromRemoteVpc="true",
        Preflight="Off" if accepted else "On",
    )

    with world.counted() as calls:
        created = stack.create(properties)
        assert [] == [c for c in stack_writes(stack, properties) if c]

    assert ("SUCCESS", pcx, "active") == (created["Status"], created["PhysicalResourceId"], created["Data"]["Status"])
    assert {"ec2": {peer.account}, "sts": {HUB}}.items() >= places(calls).items()
    assert {t: {"10.0.0.0/16": pcx} for t in peer.route_table_ids} == world.routes(peer)
    assert {t: {} for t in vpc.route_table_ids} == world.routes(vpc)
    data = created["Data"]
    assert (vpc.id, vpc.account, vpc.region) == tuple(data[f"Requester{n}"] for n in ("VpcId", "OwnerId", "Region"))
    assert ("10.0.0.0/16", "0", "2") == (data["RequesterCidrBlocks"], data["RouteCount"], data["PeerRouteCount"])
    assert "atlas" == world.tags(peer, pcx)["vendor"]
    assert "vpc-peering:" not in str(world.connection(peer, pcx).get("Tags"))

    with world.counted() as calls:
        assert "SUCCESS" == stack.delete()["Status"]
    assert "DeleteVpcPeeringConnection" not in operations(calls)
    assert [pcx] == world.live(vpc)
    if accepted:
        assert before == world.snapshot(*pair)


def stack_writes(stack: Any, properties: dict[str, Any]) -> list[str]:  # noqa: ANN401  # a Stack
    """Update to the same, and return what was written."""
    with stack.world.counted() as calls:
        assert "SUCCESS" == stack.update({**properties})["Status"]
    return writes(calls)


def places(calls: list[Any]) -> dict[str, set[str]]:
    """Return the accounts of calls, by service."""
    found: dict[str, set[str]] = {}
    for call in calls:
        found.setdefault(call.service, set()).add(call.account)
    return found


def test_ends_that_were_told(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """What the vendor said is compared, and is no more than that: a later change of it changes nothing."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer, accept=False)
    stack = world.stack()
    told = {"VpcId": vpc.id, "OwnerId": vpc.account, "Region": vpc.region}

    assert pcx == stack.create(one_side(world, pcx, peer, **told))["PhysicalResourceId"]
    assert [] == stack_writes(stack, one_side(world, pcx, peer))
    assert [] == stack_writes(stack, one_side(world, pcx, peer, OwnerId=vpc.account))


@topologies
@pytest.mark.parametrize(
    ("wrong", "which"),
    [
        ({"OwnerId": VENDOR}, "requester"),
        ({"VpcId": "vpc-0a1b2c3d4e5f60718"}, "requester"),
        ({"Region": "us-west-2"}, "requester"),
        ({"PeerVpcId": "other"}, "accepter"),
    ],
    ids=["account", "VPC", "Region", "our VPC"],
)
def test_ends_that_are_others(world: World, pair: tuple[Vpc, Vpc], wrong: dict[str, str], which: str) -> None:
    """Peer phishing: nothing is accepted, and the Delete that follows takes nothing."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer, accept=False)
    world.route(peer, 0, "10.0.0.0/16", pcx)
    if "PeerVpcId" in wrong:
        wrong = {"PeerVpcId": world.peer_vpc("other", "10.12.0.0/16").id}
    stack = world.stack()

    with world.counted() as calls:
        refused = stack.create(one_side(world, pcx, peer, **wrong))
        assert "SUCCESS" == stack.delete()["Status"]

    assert f"the {which} of {pcx} is " in refused["Reason"]
    assert not refused["PhysicalResourceId"].startswith("pcx-")
    assert [] == writes(calls)
    assert {"10.0.0.0/16": pcx} == world.routes(peer)[peer.route_table_ids[0]]


def test_a_connection_that_is_not_there(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The reason says where was looked: a vendor's id is copied by hand."""
    refused = world.stack().create(one_side(world, "pcx-0a1b2c3d4e5f60718", pair[1]))

    place = f"{pair[1].region} of account {pair[1].account}"
    assert f"NotFound: VpcPeeringConnectionId pcx-0a1b2c3d4e5f60718 is not in {place}." in refused["Reason"]


@pytest.mark.parametrize("ended", ["reject", "delete"])
def test_a_connection_that_has_ended(world: World, pair: tuple[Vpc, Vpc], ended: str) -> None:
    """It cannot be revived: the vendor has to send another request."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer, accept=False)
    side = peer if ended == "reject" else vpc
    getattr(world.ec2(side), f"{ended}_vpc_peering_connection")(VpcPeeringConnectionId=pcx)

    reason = world.stack().create(one_side(world, pcx, peer))["Reason"]

    assert f"ResourceConflict: {pcx} is {ended.rstrip('e')}ed" in reason


def test_blocks_that_show_late(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The other VPC's blocks are known from the connection alone, which shows them a moment after it is active."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer, accept=False)
    world.aws.settings.cidr_reads = 4

    assert "2" == world.stack().create(one_side(world, pcx, peer))["Data"]["PeerRouteCount"]
    assert {"10.0.0.0/16": pcx} == world.routes(peer)[peer.route_table_ids[0]]


def test_left_to_somebody_else_to_accept(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """AutoAccept: false leaves it pending; the update after the acceptance does the rest."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer, accept=False)
    stack = world.stack()

    created = stack.create(one_side(world, pcx, peer, AutoAccept="false"))
    assert ("SUCCESS", "pending-acceptance") == (created["Status"], created["Data"]["Status"])
    assert {t: {} for t in peer.route_table_ids} == world.routes(peer)

    world.ec2(peer).accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    assert "active" == stack.update(one_side(world, pcx, peer, AutoAccept="false"))["Data"]["Status"]
    assert {"10.0.0.0/16": pcx} == world.routes(peer)[peer.route_table_ids[0]]


@topologies
def test_another_connection_is_a_replacement(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The vendor has peered anew: routes move without a gap, and back if the stack rolls back."""
    vpc, peer = pair
    first = world.peer(vpc, peer)
    stack = world.stack()
    stack.create(one_side(world, first, peer))
    old = dict(stack.current)
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=first)
    second = world.peer(vpc, peer)

    with world.counted() as calls:
        moved = stack.update(one_side(world, second, peer))

    assert second == moved["PhysicalResourceId"]
    assert ["ReplaceRoute"] * 2 == [o for o in writes(calls) if "Route" in o]
    assert "SUCCESS" == stack.delete(first, old)["Status"]
    assert {t: {"10.0.0.0/16": second} for t in peer.route_table_ids} == world.routes(peer)
    assert "SUCCESS" == stack.delete()["Status"]
    assert {t: {} for t in peer.route_table_ids} == world.routes(peer)


def test_a_replacement_that_is_rolled_back(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Both connections live: the routes go back to the one that they came from."""
    vpc, peer = pair
    other = world.vpc("other", "10.4.0.0/16")
    first, second = world.peer(vpc, peer), world.peer(other, peer)
    rule = {"PeerRoutes": {"AllRouteTables": "true", "DestinationCidrBlocks": ["10.0.0.0/8"]}}
    stack = world.stack()
    stack.create(one_side(world, first, peer, **rule))

    assert second == stack.update(one_side(world, second, peer, **rule))["PhysicalResourceId"]
    assert "SUCCESS" == stack.delete(second, stack.current)["Status"]

    assert {t: {"10.0.0.0/8": first} for t in peer.route_table_ids} == world.routes(peer)
    assert sorted([first, second]) == sorted(world.live(peer))


def test_a_replacement_that_fails(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """What had moved goes back at once, and the old id is answered."""
    vpc, peer = pair
    other = world.vpc("other", "10.4.0.0/16")
    first, second = world.peer(vpc, peer), world.peer(other, peer, accept=False)
    stack = world.stack()
    stack.create(one_side(world, first, peer))
    world.aws.faults.append(Fault("CreateRoute", code="UnauthorizedOperation", status=403, nth=2))

    failed = stack.update(one_side(world, second, peer))

    assert ("FAILED", first) == (failed["Status"], failed["PhysicalResourceId"])
    assert {t: {"10.0.0.0/16": first} for t in peer.route_table_ids} == world.routes(peer)


def test_our_own_connection_is_not_given_as_somebodys(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Its requester's side would have nobody then."""
    stack = world.stack()
    pcx = stack.create(world.properties(*pair))["PhysicalResourceId"]

    refused = stack.update(one_side(world, pcx, pair[1]))

    assert f"{pcx} is the connection that this resource has itself made." in refused["Reason"]


@topologies
def test_what_was_adopted_is_not_given_as_somebodys(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The reason does not claim that we have requested it, and says how to get there."""
    pcx = world.peer(*pair)
    stack = world.stack()
    stack.create(world.properties(*pair, OnExistingConnection="Adopt"))
    given = one_side(world, pcx, pair[1])

    refused = stack.update(given)
    assert f"{pcx} is the connection that this resource has adopted." in refused["Reason"]
    assert refused["Reason"].endswith("or delete the resource, which leaves it, and make another.")

    assert "SUCCESS" == stack.delete()["Status"]
    assert ("SUCCESS", pcx) == tuple(world.stack("new").create(given)[key] for key in ("Status", "PhysicalResourceId"))


def test_a_role_that_is_gone_fails_the_delete(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """There is no other side to end it from: success would leave routes that nobody knows of."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer)
    stack = world.stack()
    stack.create(one_side(world, pcx, peer))
    world.aws.faults.append(Fault("AssumeRole", code="AccessDenied", status=403))

    assert "AccessDenied: PeerRoleArn " in stack.delete()["Reason"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert {t: {} for t in peer.route_table_ids} == world.routes(peer)


def test_the_pair_is_found_by_tags(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """PeerVpcTags is for our VPC here too."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer, accept=False)
    stack = world.stack()
    query = {"PeerVpcId": None, "PeerVpcTags": [{"Key": "Name", "Value": "ours"}]}

    assert peer.id == stack.create(one_side(world, pcx, peer, **query))["Data"]["AccepterVpcId"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert {t: {} for t in peer.route_table_ids} == world.routes(peer)


def test_the_wrong_direction(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Ours is the requester's end: the optional checks change nothing about the refusal."""
    vpc, peer = pair
    for accept in (False, True):
        pcx = world.peer(peer, vpc, accept=accept)
        told = {"VpcId": vpc.id, "OwnerId": vpc.account, "Region": vpc.region}
        for more in ({}, told):
            with world.counted() as calls:
                refused = world.stack().create(one_side(world, pcx, peer, **more))
            assert f"the accepter of {pcx} is {vpc.id}" in refused["Reason"]
            assert [] == writes(calls)


def test_a_rollback_to_a_connection_that_has_ended(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The vendor has peered anew and the new id had a typo: the way back must not be blocked by the dead one."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer)
    stack = world.stack()
    stack.create(one_side(world, pcx, peer))
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    good, typo = dict(stack.current), one_side(world, "pcx-0a1b2c3d4e5f60718", peer)
    assert "FAILED" == stack.update(typo)["Status"]

    with world.counted() as calls:
        back = stack.send("Update", good, PhysicalResourceId=pcx, OldResourceProperties=typo)

    assert ("SUCCESS", pcx, "deleted") == (back["Status"], back["PhysicalResourceId"], back["Data"]["Status"])
    assert [] == writes(calls)
    assert "SUCCESS" == stack.delete()["Status"]


def test_a_users_route_stays_with_the_connection_that_is_left(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Only what the resource asked for follows it: the old connection lives on, and so do the routes of others."""
    vpc, peer = pair
    other = world.vpc("other", "10.4.0.0/16")
    first, second = world.peer(vpc, peer), world.peer(other, peer)
    destinations = {"DestinationCidrBlocks": ["10.0.0.0/8"]}
    main, own = peer.route_table_ids
    stack = world.stack()
    stack.create(one_side(world, first, peer, PeerRoutes={"RouteTableIds": [main], **destinations}))
    world.route(peer, 1, "10.0.0.0/8", first)

    refused = stack.update(one_side(world, second, peer, PeerRoutes={"AllRouteTables": "true", **destinations}))

    assert f"ResourceConflict: {own} routes 10.0.0.0/8 to {first} already." in refused["Reason"]
    assert {main: {"10.0.0.0/8": first}, own: {"10.0.0.0/8": first}} == world.routes(peer)


def test_routes_that_were_there_while_it_was_pending(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The blocks are known only once it is active: what led there by then was somebody else's."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer, accept=False)
    world.route(peer, 0, "10.0.0.0/16", pcx)
    stack = world.stack()
    stack.create(one_side(world, pcx, peer))

    assert "SUCCESS" == stack.delete()["Status"]
    first, second = peer.route_table_ids
    assert {first: {"10.0.0.0/16": pcx}, second: {}} == world.routes(peer)


@pytest.mark.parametrize(("days", "expected"), [(0, "is deleted: "), (3, "is not in ")])
def test_an_update_of_a_connection_that_has_ended(
    world: World, pair: tuple[Vpc, Vpc], days: int, expected: str
) -> None:
    """What was asked cannot be had: success would be a lie. The way back has nothing to do, and blocks nothing."""
    vpc, peer = pair
    pcx = world.peer(vpc, peer)
    stack = world.stack()
    before, wider = one_side(world, pcx, peer, PeerRoutes=None, PeerTags=[]), one_side(world, pcx, peer)
    assert "SUCCESS" == stack.create(before)["Status"]
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    world.time.sleep(days * 24 * 3600)

    with world.counted() as calls:
        refused = stack.update(wider)
        back = stack.send("Update", before, PhysicalResourceId=pcx, OldResourceProperties=wider)

    assert f"{pcx} {expected}" in refused["Reason"]
    assert ("FAILED", pcx) == (refused["Status"], refused["PhysicalResourceId"])
    assert ("SUCCESS", pcx, "deleted") == (back["Status"], back["PhysicalResourceId"], back["Data"]["Status"])
    assert [] == writes(calls)
    assert "SUCCESS" == stack.delete()["Status"]


@pytest.mark.parametrize("shown", [True, False])
def test_a_rollback_from_the_successor_of_a_connection_that_has_ended(
    world: World, pair: tuple[Vpc, Vpc], *, shown: bool
) -> None:
    """The move to the new id had succeeded, another resource of the stack failed: the old id is what stands again."""
    vpc, peer = pair
    first = world.peer(vpc, peer)
    stack = world.stack()
    stack.create(one_side(world, first, peer))
    world.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=first)
    world.time.sleep(0 if shown else 3 * 24 * 3600)
    second, old = world.peer(vpc, peer), dict(stack.current)
    assert second == stack.update(one_side(world, second, peer))["PhysicalResourceId"]
    new = dict(stack.current)

    back = stack.update(old)

    assert ("SUCCESS", first, "deleted") == (back["Status"], back["PhysicalResourceId"], back["Data"]["Status"])
    assert "SUCCESS" == stack.delete(second, new)["Status"]
    assert {t: {} for t in peer.route_table_ids} == world.routes(peer)
    assert [second] == world.live(vpc)


# What was there before


DNS_ON = {"AllowDnsResolutionFromRemoteVpc": True}


def with_settings(world: World, pair: tuple[Vpc, Vpc]) -> str:
    """Peer the two, with tags and DNS resolution that somebody relies on at our side."""
    pcx = world.peer(*pair)
    ec2 = world.ec2(pair[1])
    ec2.create_tags(Resources=[pcx], Tags=[{"Key": k, "Value": v} for k, v in (("team", "net"), ("Name", "atlas"))])
    ec2.modify_vpc_peering_connection_options(VpcPeeringConnectionId=pcx, AccepterPeeringConnectionOptions=DNS_ON)
    return pcx


def repeating(world: World, pcx: str, peer: Vpc, **more: object) -> dict[str, Any]:
    """Return properties that ask for what is there already, another Name, and one tag more."""
    tags = [{"Key": k, "Value": v} for k, v in (("team", "net"), ("Name", "vendor"), ("new", "x"))]
    return one_side(world, pcx, peer, PeerTags=tags, PeerAllowDnsResolutionFromRemoteVpc="true", **more)


@topologies
@pytest.mark.parametrize("fails", [False, True])
def test_what_stood_before_stays(world: World, pair: tuple[Vpc, Vpc], *, fails: bool) -> None:
    """A live vendor peering loses neither tags nor DNS with our stack, nor by the rollback of one that failed."""
    pcx = with_settings(world, pair)
    before = world.snapshot(*pair)
    stack = world.stack()
    if fails:
        world.aws.faults.append(Fault("CreateRoute", code="UnauthorizedOperation", status=403))

    created = stack.create(repeating(world, pcx, pair[1]))
    stack.resource = world.resource()

    assert ("FAILED" if fails else "SUCCESS", pcx) == (created["Status"], created["PhysicalResourceId"])
    assert "vendor" == world.tags(pair[1], pcx)["Name"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert before == world.snapshot(*pair)


def test_tags_that_are_dropped_leave_what_stood(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """An Update takes back what it had added, and the Name that it had overwritten."""
    pcx = with_settings(world, pair)
    stack = world.stack()
    stack.create(repeating(world, pcx, pair[1]))

    assert "SUCCESS" == stack.update(one_side(world, pcx, pair[1]))["Status"]
    assert {"team": "net", "Name": "atlas"} == world.tags(pair[1], pcx)


@pytest.mark.parametrize("world", [TOPOLOGIES[0]], indirect=True, ids=str)
def test_tags_of_the_stack_that_requested_it(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """In one account and Region both see one set: the accepter's stack takes nothing of it when it goes."""
    tags = [{"Key": "team", "Value": "net"}]
    requester, accepter = world.stack("requester"), world.stack("accepter")
    alone = {"AutoAccept": "false", "Routes": None, "PeerRoutes": None, "Tags": tags}
    pcx = requester.create(world.properties(*pair, **alone))["PhysicalResourceId"]
    before = world.connection(pair[0], pcx)["Tags"]

    assert "SUCCESS" == accepter.create(one_side(world, pcx, pair[1], PeerTags=tags))["Status"]
    assert "SUCCESS" == accepter.delete()["Status"]
    assert before == world.connection(pair[0], pcx)["Tags"]


def test_a_replacement_that_failed_leaves_no_record(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """What stands there at the next try may be another's since: it is looked at anew."""
    vpc, peer = pair
    other = world.vpc("other", "10.4.0.0/16")
    first, second = world.peer(vpc, peer), world.peer(other, peer)
    tags = [{"Key": "team", "Value": "net"}]
    stack = world.stack()
    stack.create(one_side(world, first, peer))
    world.aws.faults.append(Fault("CreateRoute", code="UnauthorizedOperation", status=403, nth=2))
    assert "FAILED" == stack.update(one_side(world, second, peer, PeerTags=tags))["Status"]
    assert {} == world.tags(peer, second)
    world.ec2(peer).create_tags(Resources=[second], Tags=tags)

    assert "SUCCESS" == stack.update(one_side(world, second, peer, PeerTags=tags))["Status"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert {"team": "net"} == world.tags(peer, second)
