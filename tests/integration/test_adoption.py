"""OnExistingConnection: a connection that somebody else has made, in all topologies and both directions."""

from typing import Any

import pytest

from local.strict import Call, Fault
from local.strict.connections import backend_of
from local.world import Vpc
from tests.harness import TOPOLOGIES, World, operations, writes

topologies = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)
directions = pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])

DNS = {"AllowDnsResolutionFromRemoteVpc": "true", "PeerAllowDnsResolutionFromRemoteVpc": "true"}
TAGS = {"Tags": [{"Key": "team", "Value": "net"}]}
DELETE = "DeleteVpcPeeringConnection"


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


def made_by_hand(world: World, pair: tuple[Vpc, Vpc], *, backwards: bool, accept: bool = True) -> str:
    """Peer the two in one of the directions."""
    first, second = pair[::-1] if backwards else pair
    return world.peer(first, second, accept=accept)


def adopting(world: World, pair: tuple[Vpc, Vpc], **more: object) -> dict[str, Any]:
    """Return properties that take over what is there."""
    return world.properties(*pair, OnExistingConnection="Adopt", **more)


@topologies
@directions
def test_adopt_and_release(world: World, pair: tuple[Vpc, Vpc], *, backwards: bool) -> None:
    """Options, tags and routes follow the stack; after Delete everything is as before, to the byte."""
    vpc, peer = pair
    pcx = made_by_hand(world, pair, backwards=backwards)
    world.route(vpc, 0, "10.8.0.0/16", pcx)
    world.ec2(peer).create_tags(Resources=[pcx], Tags=[{"Key": "owner", "Value": "somebody"}])
    before = world.snapshot(*pair)
    stack = world.stack()

    with world.counted() as calls:
        created = stack.create(adopting(world, pair, **DNS, **TAGS))

    assert ("SUCCESS", pcx) == (created["Status"], created["PhysicalResourceId"])
    assert (vpc.id, peer.id) == (created["Data"]["RequesterVpcId"], created["Data"]["AccepterVpcId"])
    assert ("10.0.0.0/16", "10.8.0.0/16") == (
        created["Data"]["RequesterCidrBlocks"],
        created["Data"]["AccepterCidrBlocks"],
    )
    assert {t: {"10.8.0.0/16": pcx} for t in vpc.route_table_ids} == world.routes(vpc)
    assert {t: {"10.0.0.0/16": pcx} for t in peer.route_table_ids} == world.routes(peer)
    assert world.tags(vpc, pcx).items() >= {"Name": "hub-to-spoke", "team": "net"}.items()
    for info in ("RequesterVpcInfo", "AccepterVpcInfo"):
        assert world.connection(vpc, pcx)[info]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"]
    assert "CreateTags" == writes(calls)[0]
    assert operations(calls).count("CreateRoute") == 3

    with world.counted() as calls:
        assert "SUCCESS" == stack.update({**stack.current})["Status"]
    assert [] == writes(calls)

    with world.counted() as calls:
        assert "SUCCESS" == stack.delete()["Status"]
    assert DELETE not in operations(calls)
    assert before == world.snapshot(*pair)


@topologies
@directions
@pytest.mark.parametrize("auto_accept", ["true", "false"])
def test_a_pending_request(world: World, pair: tuple[Vpc, Vpc], *, backwards: bool, auto_accept: str) -> None:
    """It is accepted by whichever side EC2 has as the accepter; with AutoAccept: false it stays pending."""
    pcx = made_by_hand(world, pair, backwards=backwards, accept=False)
    stack = world.stack()

    created = stack.create(adopting(world, pair, AutoAccept=auto_accept))

    status = "active" if auto_accept == "true" else "pending-acceptance"
    assert ("SUCCESS", pcx, status) == (created["Status"], created["PhysicalResourceId"], created["Data"]["Status"])
    assert "SUCCESS" == stack.delete()["Status"]
    assert [pcx] == world.live(pair[0])
    assert status == world.status(pair[0], pcx)


@topologies
@directions
def test_no_route_is_ever_absent(world: World, pair: tuple[Vpc, Vpc], *, backwards: bool) -> None:
    """After each single call of adoption, update and release the routes that were there still work."""
    vpc, peer = pair
    pcx = made_by_hand(world, pair, backwards=backwards)
    world.route(vpc, 0, "10.8.0.0/16", pcx)
    world.route(peer, 1, "10.0.0.0/16", pcx)
    seen: list[bool] = []

    def watch(_call: Call) -> None:
        there = world.aws.routes_of(vpc.route_table_ids[0]), world.aws.routes_of(peer.route_table_ids[1])
        seen.append(({"10.8.0.0/16": pcx}, {"10.0.0.0/16": pcx}) == there)

    world.aws.watchers.append(watch)
    stack = world.stack()
    stack.create(adopting(world, pair, **DNS))
    stack.update(adopting(world, pair, **TAGS, Routes={"MainRouteTable": "true"}, PeerRoutes=None))
    assert "SUCCESS" == stack.delete()["Status"]

    assert len(seen) > 30
    assert all(seen)


def test_another_stacks_connection(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Whoever made it: a stack that let it go, say. Its tags give way to ours, and its late Delete touches nothing."""
    theirs, ours = world.stack("theirs"), world.stack("ours")
    pcx = theirs.create(world.properties(*pair))["PhysicalResourceId"]

    assert pcx == ours.create(adopting(world, pair))["PhysicalResourceId"]
    before = world.snapshot(*pair)

    with world.counted() as calls:
        assert "SUCCESS" == theirs.delete()["Status"]
    assert [] == writes(calls)
    assert before == world.snapshot(*pair)
    with world.counted() as calls:
        assert "SUCCESS" == ours.delete()["Status"]
    assert DELETE not in operations(calls)
    assert [pcx] == world.live(pair[0])


@topologies
@directions
def test_fail_names_what_is_there(world: World, pair: tuple[Vpc, Vpc], *, backwards: bool) -> None:
    """The id, its state, its direction and its owner: and nothing was written."""
    pcx = made_by_hand(world, pair, backwards=backwards)
    first, second = pair[::-1] if backwards else pair

    with world.counted() as calls:
        refused = world.stack().create(world.properties(*pair))

    way = f"{pcx} (active) already joins {first.id} to {second.id} (no owner tags)."
    assert refused["Reason"].startswith(f"AlreadyExists: {way} Set OnExistingConnection: Adopt")
    assert "AllowAdoption=true" in refused["Reason"]
    assert [] == writes(calls)


def test_fail_names_the_other_stack(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """All of its owner tags, uncut: they are how to find it."""
    world.stack("theirs").create(world.properties(*pair))

    reason = world.stack("ours").create(world.properties(*pair))["Reason"]

    assert "stack/theirs/5d9c2f30-0000, logical-id Peering, managed-by installation)" in reason
    assert "have that stack retain it" in reason


def test_an_adoption_that_fails_half_way(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The rollback's Delete comes with the id, and leaves what was there, also from another sandbox."""
    pcx = made_by_hand(world, pair, backwards=False)
    world.route(pair[0], 0, "10.8.0.0/16", pcx)
    before = world.snapshot(*pair)
    for fresh in (False, True):
        stack = world.stack()
        denied = Fault("CreateRoute", code="UnauthorizedOperation", status=403, account=pair[1].account)
        world.aws.faults.append(denied)

        created = stack.create(adopting(world, pair))
        if fresh:
            stack.resource = world.resource()

        assert ("FAILED", pcx) == (created["Status"], created["PhysicalResourceId"])
        assert "SUCCESS" == stack.delete()["Status"]
        assert before == world.snapshot(*pair)


def test_adoption_must_be_allowed(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The permission to claim a connection is off by default: the message says where to turn it on."""
    pcx = made_by_hand(world, pair, backwards=False)
    world.aws.faults.append(Fault("CreateTags", code="UnauthorizedOperation", status=403))
    stack = world.stack()

    created = stack.create(adopting(world, pair))

    assert "AllowAdoption=true" in created["Reason"]
    assert "ec2:CreateTags" in created["Reason"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert [pcx] == world.live(pair[0])


def test_two_that_adopt_at_once(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The tags are read back: whoever finds the other's there has lost, and touches nothing more."""
    vpc, _ = pair
    pcx = made_by_hand(world, pair, backwards=False)

    def overwrite(call: Call) -> None:
        if call.operation == "CreateTags":
            backend_of((vpc.account, vpc.region)).tags[pcx]["vpc-peering:stack-id"] = "arn:rival"

    world.aws.watchers.append(overwrite)
    stack = world.stack()

    with world.counted() as calls:
        created = stack.create(adopting(world, pair))

    assert created["Reason"].startswith(f"AlreadyExists: {pcx}, which does not show this resource's owner tags")
    assert ["CreateTags"] == writes(calls)
    assert "SUCCESS" == stack.delete()["Status"]
    assert "arn:rival" in str(world.connection(vpc, pcx)["Tags"])


def test_a_replacement_by_adoption_and_its_rollback(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Routes move to the connection that is there, and back again; it lives on."""
    vpc, _ = pair
    other = world.peer_vpc("other", "10.8.0.0/17")
    rule = {"Routes": {"AllRouteTables": "true", "DestinationCidrBlocks": ["10.8.0.0/17"]}, "PeerRoutes": None}
    stack = world.stack()
    old = stack.create(world.properties(*pair, **rule))["PhysicalResourceId"]
    found = world.peer(vpc, other)
    first = dict(stack.current)

    with world.counted() as calls:
        moved = stack.update(world.properties(vpc, other, OnExistingConnection="Adopt", **rule))

    assert ("SUCCESS", found) == (moved["Status"], moved["PhysicalResourceId"])
    assert {"ReplaceRoute"} == {o for o in writes(calls) if "Route" in o}
    stack.resource = world.resource()
    with world.counted() as calls:
        assert "SUCCESS" == stack.delete(found, stack.current)["Status"]
    assert DELETE not in operations(calls)
    assert {t: {"10.8.0.0/17": old} for t in vpc.route_table_ids} == world.routes(vpc)
    assert "SUCCESS" == stack.delete(old, first)["Status"]
    assert [found] == world.live(vpc)


def test_a_replacement_by_adoption_that_fails(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """It is taken back at once: the old id is answered, and the connection that was found is let go."""
    vpc, peer = pair
    other = world.peer_vpc("other", "10.12.0.0/16")
    stack = world.stack()
    old = stack.create(world.properties(*pair))["PhysicalResourceId"]
    found = world.peer(vpc, other)
    before = world.snapshot(vpc, peer, other)
    denied = Fault("CreateRoute", code="UnauthorizedOperation", status=403, account=peer.account)
    world.aws.faults.append(denied)

    failed = stack.update(world.properties(vpc, other, OnExistingConnection="Adopt"))

    assert ("FAILED", old) == (failed["Status"], failed["PhysicalResourceId"])
    assert sorted([old, found]) == sorted(world.live(vpc))
    assert before == world.snapshot(vpc, peer, other)


@directions
def test_a_repeated_delete(world: World, pair: tuple[Vpc, Vpc], *, backwards: bool) -> None:
    """The first one let go, and its answer was lost: the second finds nothing of ours, and says so."""
    pcx = made_by_hand(world, pair, backwards=backwards)
    stack = world.stack()
    stack.create(adopting(world, pair, **TAGS))
    assert "SUCCESS" == stack.delete()["Status"]
    after = world.snapshot(*pair)

    with world.counted() as calls:
        assert "SUCCESS" == stack.delete()["Status"]
    assert [] == writes(calls)
    assert after == world.snapshot(*pair)
    assert [pcx] == world.live(pair[0])


def test_a_name_that_was_given_goes(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """It is a tag of ours as every other one."""
    pcx = made_by_hand(world, pair, backwards=False)
    before = world.snapshot(*pair)
    stack = world.stack()
    stack.create(adopting(world, pair, Tags=[{"Key": "Name", "Value": "mine"}]))
    assert "mine" == world.tags(pair[1], pcx)["Name"]

    assert "SUCCESS" == stack.delete()["Status"]
    assert before == world.snapshot(*pair)


def test_tags_that_stood_stay(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A migration repeats the tags of the tool before: its rollback must not strip them."""
    pcx = made_by_hand(world, pair, backwards=False)
    for side in pair:
        world.ec2(side).create_tags(Resources=[pcx], Tags=[{"Key": "team", "Value": "net"}])
    stack = world.stack()
    stack.create(adopting(world, pair, **TAGS))

    assert "SUCCESS" == stack.delete()["Status"]
    assert ["net", "net"] == [world.tags(side, pcx)["team"] for side in pair]


def test_what_another_stack_has_claimed_is_not_taken_back(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Adopt is for a connection that is not ours yet: two stacks must not pull at one by turns."""
    made_by_hand(world, pair, backwards=False)
    first, second = world.stack("first"), world.stack("second")
    first.create(adopting(world, pair))
    second.create(adopting(world, pair))

    with world.counted() as calls:
        refused = first.update(adopting(world, pair, **TAGS))
    assert "carries no owner tags of this resource (owner tags: stack-id " in refused["Reason"]
    assert [] == writes(calls)


@topologies
@directions
def test_leaving_an_adopted_connection(world: World, pair: tuple[Vpc, Vpc], *, backwards: bool) -> None:
    """Another VPC: the routes follow, and do not go back to the connection that was left when the resource goes."""
    vpc, _ = pair
    other = world.peer_vpc("other", "10.8.0.0/17")
    rule = {"Routes": {"AllRouteTables": "true", "DestinationCidrBlocks": ["10.8.0.0/17"]}, "PeerRoutes": None}
    found = made_by_hand(world, pair, backwards=backwards)
    stack = world.stack()
    stack.create(adopting(world, pair, **rule))
    old = dict(stack.current)

    new = stack.update(world.properties(vpc, other, **rule))["PhysicalResourceId"]
    assert "SUCCESS" == stack.delete(found, old)["Status"]
    assert {t: {"10.8.0.0/17": new} for t in vpc.route_table_ids} == world.routes(vpc)
    assert "SUCCESS" == stack.delete()["Status"]
    assert {t: {} for t in vpc.route_table_ids} == world.routes(vpc)
    assert [found] == world.live(vpc)


@directions
def test_the_rollback_of_leaving_one(world: World, pair: tuple[Vpc, Vpc], *, backwards: bool) -> None:
    """As a Delete of the new id, where nothing is recorded: the adopted one gets its routes back, without a gap."""
    vpc, _ = pair
    other = world.peer_vpc("other", "10.8.0.0/17")
    rule = {"Routes": {"AllRouteTables": "true", "DestinationCidrBlocks": ["10.8.0.0/17"]}, "PeerRoutes": None}
    found = made_by_hand(world, pair, backwards=backwards)
    stack = world.stack()
    stack.create(adopting(world, pair, **rule))
    stack.update(world.properties(vpc, other, **rule))
    stack.resource = world.resource()

    with world.counted() as calls:
        assert "SUCCESS" == stack.delete()["Status"]
    assert ["ReplaceRoute"] * 2 == [o for o in writes(calls) if "Route" in o]
    assert {t: {"10.8.0.0/17": found} for t in vpc.route_table_ids} == world.routes(vpc)


def test_the_accepters_connections_may_not_be_read(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Delete converges all the same: what remains there is named, and nothing else holds it up."""
    pcx = made_by_hand(world, pair, backwards=False)
    stack = world.stack()
    stack.create(adopting(world, pair))
    for _ in range(3):
        denied = Fault("DescribeVpcPeeringConnections", code="UnauthorizedOperation", status=403)
        denied.account = pair[1].account
        world.aws.faults.append(denied)

    assert "SUCCESS" == stack.delete()["Status"]
    assert "vpc-peering:" not in str(world.connection(pair[0], pcx).get("Tags"))


def test_multipath_is_not_switched_on_in_two_steps(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Adopted while pending, accepted later: the consent costs as much then."""
    asked = {"RequesterPeeringConnectionOptions": {"AllowMultipathResilience": True}}
    pcx = world.peer(*pair, accept=False, **asked)
    stack = world.stack()
    assert "SUCCESS" == stack.create(adopting(world, pair, AutoAccept="false"))["Status"]

    assert f"{pcx} asks for multipath resilience" in stack.update(adopting(world, pair))["Reason"]
    assert "pending-acceptance" == world.status(pair[0], pcx)


@topologies
@directions
def test_tags_that_are_dropped_leave_what_stood(world: World, pair: tuple[Vpc, Vpc], *, backwards: bool) -> None:
    """An Update takes away the tag that it had added, and not the one that somebody relies on."""
    pcx = made_by_hand(world, pair, backwards=backwards)
    for side in pair:
        world.ec2(side).create_tags(Resources=[pcx], Tags=TAGS["Tags"])
    before = [world.tags(side, pcx) for side in pair]
    stack = world.stack()
    stack.create(adopting(world, pair, Tags=[*TAGS["Tags"], {"Key": "new", "Value": "x"}]))

    assert "SUCCESS" == stack.update(adopting(world, pair))["Status"]
    assert ["net", "net"] == [world.tags(side, pcx)["team"] for side in pair]
    assert "new" not in world.tags(pair[0], pcx) | world.tags(pair[1], pcx)
    assert "SUCCESS" == stack.delete()["Status"]
    assert before == [world.tags(side, pcx) for side in pair]


@topologies
def test_the_other_partys_request_was_accepted_instead(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Ours can never be accepted then: theirs is taken over, and the clean-up withdraws ours."""
    vpc, peer = pair
    stack = world.stack()
    pending = {"AutoAccept": "false", "PeerRoutes": None, "PeerRoleArn": None, "PeerExternalId": None}
    ours = stack.create(world.properties(*pair, **pending))["PhysicalResourceId"]
    old = dict(stack.current)
    found = world.peer(peer, vpc)

    refused = stack.update(world.properties(*pair, **pending, **TAGS))
    assert f"{found} (active) already joins {peer.id} to {vpc.id}" in refused["Reason"]

    taken = stack.update(adopting(world, pair, **pending))
    assert ("SUCCESS", found, "active") == (taken["Status"], taken["PhysicalResourceId"], taken["Data"]["Status"])
    assert "SUCCESS" == stack.delete(ours, old)["Status"]
    assert [found] == world.live(vpc)
    assert {t: {"10.8.0.0/16": found} for t in vpc.route_table_ids} == world.routes(vpc)
    with world.counted() as calls:
        assert "SUCCESS" == stack.update({**stack.current})["Status"]
    assert [] == writes(calls)
    assert "SUCCESS" == stack.delete()["Status"]
    assert [found] == world.live(vpc)
    assert {t: {} for t in vpc.route_table_ids} == world.routes(vpc)


# Owner tags that somebody has removed


def strip(world: World, vpc: Vpc, pcx: str) -> dict[str, str]:
    """Remove the owner tags, as a tag cleaner does, and return them."""
    tags = world.connection(vpc, pcx)["Tags"]
    owner = {tag["Key"]: tag["Value"] for tag in tags if tag["Key"].startswith("vpc-peering:")}
    world.ec2(vpc).delete_tags(Resources=[pcx], Tags=[{"Key": key} for key in owner])
    return owner


@topologies
@directions
def test_routes_of_an_adopted_connection_without_owner_tags_go(
    world: World, pair: tuple[Vpc, Vpc], caplog: pytest.LogCaptureFixture, *, backwards: bool
) -> None:
    """The registry knows them; what no tag proves any more stays, and is told."""
    vpc, peer = pair
    pcx = made_by_hand(world, pair, backwards=backwards)
    world.route(vpc, 0, "10.8.0.0/16", pcx)
    stack = world.stack()
    stack.create(adopting(world, pair))
    strip(world, vpc, pcx)

    assert "SUCCESS" == stack.delete()["Status"]

    assert [{"10.8.0.0/16": pcx}, {}] == list(world.routes(vpc).values())
    assert [{}, {}] == list(world.routes(peer).values())
    assert "an adopted connection has lost its owner tags" in caplog.text
    assert [pcx] == world.live(vpc)


@topologies
def test_a_connection_of_ours_without_owner_tags_is_not_left_in_silence(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Adopt in the template does not make it somebody else's: refused, until the tags are back."""
    vpc, _ = pair
    stack = world.stack()
    pcx = stack.create(adopting(world, pair))["PhysicalResourceId"]
    owner = strip(world, vpc, pcx)

    refused = stack.delete()
    assert f"{pcx} carries no owner tags of this resource" in refused["Reason"]
    assert all(f"{key} {value}" in refused["Reason"] for key, value in owner.items())
    assert [pcx] == world.live(vpc)

    world.ec2(vpc).create_tags(Resources=[pcx], Tags=[{"Key": k, "Value": v} for k, v in owner.items()])
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(vpc)


@topologies
def test_a_connection_of_ours_is_not_adopted(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """IAM lets the function adopt nothing that it has made: before the first write the reason tells the tags."""
    vpc, peer = pair
    stack = world.stack()
    pcx = stack.create(adopting(world, pair))["PhysicalResourceId"]
    owner = strip(world, vpc, pcx)

    with world.counted() as calls:
        refused = stack.update(adopting(world, pair, **TAGS))

    assert [] == writes(calls)
    assert f"{pcx} carries no owner tags of this resource" in refused["Reason"]
    assert all(f"{key} {value}" in refused["Reason"] for key, value in owner.items())
    world.ec2(vpc).create_tags(Resources=[pcx], Tags=[{"Key": k, "Value": v} for k, v in owner.items()])
    assert "SUCCESS" == stack.update(adopting(world, pair, **TAGS))["Status"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(vpc)
    assert [{}, {}] == list(world.routes(vpc).values()) == list(world.routes(peer).values())


@topologies
@directions
@pytest.mark.parametrize("without_mark", [False, True])
def test_an_adopted_connection_that_is_adopted_again(
    world: World, pair: tuple[Vpc, Vpc], *, backwards: bool, without_mark: bool
) -> None:
    """Our own tags, routes and options did not stand before: Delete leaves everything as it was, to the byte."""
    vpc, _ = pair
    pcx = made_by_hand(world, pair, backwards=backwards)
    before = world.snapshot(*pair)
    stack = world.stack()
    stack.create(adopting(world, pair, **DNS, **TAGS))
    owner = strip(world, vpc, pcx)

    if without_mark:  # put back by hand, and not all of them
        kept = [{"Key": k, "Value": v} for k, v in owner.items() if backwards or k != "vpc-peering:adopted"]
        world.ec2(vpc).create_tags(Resources=[pcx], Tags=kept)
    assert "SUCCESS" == stack.update(adopting(world, pair, **DNS, **TAGS, Preflight="Off"))["Status"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert before == world.snapshot(*pair)
