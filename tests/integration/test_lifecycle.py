from dataclasses import replace

import pytest

from local.strict import Fault
from tests.harness import TOPOLOGIES, World, writes

everywhere = pytest.mark.parametrize("world", TOPOLOGIES, indirect=True, ids=str)


@everywhere
def test_create_update_delete(world: World) -> None:
    """The main promise holds in every topology: routes on both sides, an empty update, and nothing left behind."""
    vpc = world.vpc("hub", "10.0.0.0/16", secondary=["10.1.0.0/16"], tables=3)
    peer = world.peer_vpc("spoke", "10.8.0.0/16", secondary=["10.9.0.0/16"], tables=2)
    stack = world.stack()
    properties = world.properties(vpc, peer)

    created = stack.create(properties)

    assert "SUCCESS" == created["Status"], created
    pcx = created["PhysicalResourceId"]
    assert {t: {"10.8.0.0/16": pcx, "10.9.0.0/16": pcx} for t in vpc.route_table_ids} == world.routes(vpc)
    assert {t: {"10.0.0.0/16": pcx, "10.1.0.0/16": pcx} for t in peer.route_table_ids} == world.routes(peer)
    assert {
        "Id": pcx,
        "VpcPeeringConnectionId": pcx,
        "Status": "active",
        "RequesterVpcId": vpc.id,
        "RequesterOwnerId": vpc.account,
        "RequesterRegion": vpc.region,
        "RequesterCidrBlocks": "10.0.0.0/16,10.1.0.0/16",
        "AccepterVpcId": peer.id,
        "AccepterOwnerId": peer.account,
        "AccepterRegion": peer.region,
        "AccepterCidrBlocks": "10.8.0.0/16,10.9.0.0/16",
        "RouteCount": "6",
        "PeerRouteCount": "4",
        "SkippedRoutes": "",
        "PeerSkippedRoutes": "",
    } == created["Data"]

    with world.counted() as calls:
        assert "SUCCESS" == stack.update(properties)["Status"]
    assert [] == writes(calls)

    assert "SUCCESS" == stack.delete()["Status"]
    assert {} == {t: r for v in (vpc, peer) for t, r in world.routes(v).items() if r}
    assert "deleted" == world.status(vpc, pcx)


@everywhere
def test_update_in_place(world: World) -> None:
    """Tags, options and routes change where they are; nothing is made again, and what a person added stays."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16", tables=3), world.peer_vpc("spoke", "10.8.0.0/16", tables=2)
    stack = world.stack()
    old = world.properties(vpc, peer, Tags=[{"Key": "team", "Value": "net"}, {"Key": "cost", "Value": "1"}])
    pcx = stack.create(old)["PhysicalResourceId"]
    world.ec2(vpc).create_tags(Resources=[pcx], Tags=[{"Key": "by-hand", "Value": "kept"}])
    kept, dropped = vpc.route_table_ids[0], vpc.route_table_ids[2]

    response = stack.update(
        {
            **old,
            "Tags": [{"Key": "team", "Value": "platform"}],
            "Routes": {"RouteTableIds": list(vpc.route_table_ids[:2]), "DestinationCidrBlocks": ["10.8.0.9/16"]},
            "PeerRoutes": {"MainRouteTable": "true"},
            "AllowDnsResolutionFromRemoteVpc": "true",
            "PeerAllowDnsResolutionFromRemoteVpc": "true",
        }
    )

    assert ("SUCCESS", pcx) == (response["Status"], response["PhysicalResourceId"])
    assert {"10.8.0.0/16": pcx} == world.routes(vpc)[kept]
    assert {} == world.routes(vpc)[dropped]
    assert {peer.route_table_ids[0]: {"10.0.0.0/16": pcx}, peer.route_table_ids[1]: {}} == world.routes(peer)
    assert {"Name": "hub-to-spoke", "team": "platform", "by-hand": "kept"} == world.tags(vpc, pcx)
    assert "platform" == world.tags(peer, pcx)["team"]
    for side, info in ((vpc, "RequesterVpcInfo"), (peer, "AccepterVpcInfo")):
        assert world.connection(side, pcx)[info]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"] is True


def test_dns_options_are_taken_back(world: World) -> None:
    """An option set to false is switched off, and one that is absent is left as it is."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    both = {"AllowDnsResolutionFromRemoteVpc": "true", "PeerAllowDnsResolutionFromRemoteVpc": "true"}
    pcx = stack.create(world.properties(vpc, peer, **both))["PhysicalResourceId"]

    assert "SUCCESS" == stack.update(world.properties(vpc, peer, AllowDnsResolutionFromRemoteVpc="false"))["Status"]

    options = {
        info: world.connection(side, pcx)[info]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"]
        for side, info in ((vpc, "RequesterVpcInfo"), (peer, "AccepterVpcInfo"))
    }
    assert {"RequesterVpcInfo": False, "AccepterVpcInfo": True} == options


def test_routes_that_users_add_to_the_connection_stay(world: World) -> None:
    """A route that a person points at our connection is theirs: neither Update nor Delete takes it."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    table = vpc.route_table_ids[0]
    world.ec2(vpc).create_route(RouteTableId=table, DestinationCidrBlock="10.99.0.0/16", VpcPeeringConnectionId=pcx)

    stack.update(world.properties(vpc, peer, Tags=[{"Key": "team", "Value": "net"}]))
    assert {"10.8.0.0/16": pcx, "10.99.0.0/16": pcx} == world.routes(vpc)[table]
    stack.delete()
    assert {"10.99.0.0/16": pcx} == world.routes(vpc)[table]


def test_ipv6_follows_where_both_have_it(world: World) -> None:
    """Every IPv6 block of the other VPC gets a route in a destination of its own kind (aws-cdk #5321)."""
    vpc = world.vpc("hub", "10.0.0.0/16", ipv6=True, tables=1)
    peer = world.peer_vpc("spoke", "10.8.0.0/16", ipv6=True, tables=1)

    pcx = world.stack().create(world.properties(vpc, peer))["PhysicalResourceId"]

    assert dict.fromkeys(peer.cidr_blocks, pcx) == world.routes(vpc)[vpc.route_table_ids[0]]
    assert dict.fromkeys(vpc.cidr_blocks, pcx) == world.routes(peer)[peer.route_table_ids[0]]


def test_a_request_left_pending_is_finished_once_it_was_accepted(world: World) -> None:
    """AutoAccept: false leaves the other side alone, and needs no role there; the next update does the rest."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    ours = {"AutoAccept": "false", "PeerRoleArn": None, "PeerExternalId": None, "PeerRoutes": None}
    properties = world.properties(vpc, peer, **ours, AllowDnsResolutionFromRemoteVpc="true")

    with world.counted() as calls:
        created = stack.create(properties)
    pcx = created["PhysicalResourceId"]

    assert ("SUCCESS", "pending-acceptance") == (created["Status"], created["Data"]["Status"])
    assert ("0", "") == (created["Data"]["RouteCount"], created["Data"]["AccepterCidrBlocks"])
    assert {vpc.account} == {call.account for call in calls}
    assert {} == world.routes(vpc)[vpc.route_table_ids[0]]

    world.ec2(peer).accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    updated = stack.update({**properties, "Tags": [{"Key": "accepted", "Value": "yes"}]})

    assert ("active", "10.8.0.0/16") == (updated["Data"]["Status"], updated["Data"]["AccepterCidrBlocks"])
    assert {"10.8.0.0/16": pcx} == world.routes(vpc)[vpc.route_table_ids[0]]
    assert "SUCCESS" == stack.delete()["Status"]


def test_peer_routes_are_taken_back_when_nothing_is_asked_of_the_accepter_any_more(world: World) -> None:
    """With AutoAccept switched off and PeerRoutes gone, the routes that we made over there still are ours to remove."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]

    assert "SUCCESS" == stack.update(world.properties(vpc, peer, AutoAccept="false", PeerRoutes=None))["Status"]

    assert [{}, {}] == list(world.routes(peer).values())
    assert {"10.8.0.0/16": pcx} == world.routes(vpc)[vpc.route_table_ids[0]]


def test_tags_are_taken_back_when_nothing_is_asked_of_the_accepter_any_more(world: World) -> None:
    """New ones are the requester's alone: over there, nobody would ever change or remove them again."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer, Tags=[{"Key": "team", "Value": "net"}]))["PhysicalResourceId"]
    world.ec2(peer).create_tags(Resources=[pcx], Tags=[{"Key": "by-hand", "Value": "kept"}])
    left = {"AutoAccept": "false", "PeerRoutes": None, "Tags": [{"Key": "team", "Value": "platform"}]}

    assert "SUCCESS" == stack.update(world.properties(vpc, peer, **left))["Status"]

    assert {"by-hand": "kept"} == world.tags(peer, pcx)
    assert {"Name": "hub-to-spoke", "team": "platform"} == world.tags(vpc, pcx)


def test_deleted_by_hand(world: World) -> None:
    """A connection that a colleague deleted: Delete succeeds, and takes the routes that were left as blackholes."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    world.ec2(peer).delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)

    assert "SUCCESS" == stack.delete()["Status"]
    assert [{}, {}] == list(world.routes(vpc).values())
    assert [{}, {}] == list(world.routes(peer).values())


def test_deleted_by_hand_is_made_again_by_an_update(world: World) -> None:
    """The routes move to the new connection without a gap; the Delete of the old id does not touch the new one."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    properties = world.properties(vpc, peer)
    old = stack.create(properties)["PhysicalResourceId"]
    world.ec2(peer).delete_vpc_peering_connection(VpcPeeringConnectionId=old)

    with world.counted() as calls:
        new = stack.update(properties)["PhysicalResourceId"]

    assert old != new
    assert "DeleteRoute" not in writes(calls)
    assert "CreateRoute" not in writes(calls)
    assert "SUCCESS" == stack.delete(physical_id=old)["Status"]
    assert "active" == world.status(vpc, new)
    assert {"10.8.0.0/16": new} == world.routes(vpc)[vpc.route_table_ids[0]]


@pytest.mark.parametrize("physical_id", ["vpc-peering-0123456789abcdef0", "network-Peering-1QX2INVENTED"])
def test_delete_of_something_never_created(world: World, physical_id: str) -> None:
    """A rollback deletes what never was, by our id or by one that CloudFormation invented: that is success."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")

    response = world.stack().delete(physical_id, world.properties(vpc, peer))

    assert ("SUCCESS", physical_id) == (response["Status"], response["PhysicalResourceId"])


@pytest.mark.parametrize("properties", [{"VpcId": "vpc-nonsense"}, {"VpcId": ["a"], "Region": "mars-1"}, {}])
def test_delete_after_a_create_that_was_refused(world: World, properties: dict[str, object]) -> None:
    """Properties that Create refused come again with the Delete of the rollback, which must not fail for them."""
    with world.counted() as calls:
        assert "SUCCESS" == world.stack().delete("vpc-peering-0123456789abcdef0", properties)["Status"]
    assert [] == calls


def test_delete_after_a_create_that_could_not_assume_its_role(world: World) -> None:
    """The same missing role that failed the Create must not fail the Delete that follows."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    created = stack.create(world.properties(vpc, peer, RoleArn=f"arn:aws:iam::{vpc.account}:role/missing"))
    assert "FAILED" == created["Status"]

    assert "SUCCESS" == stack.delete()["Status"]


def test_delete_of_something_half_created(world: World) -> None:
    """A Create that died left a pending request: Delete finds it by owner tags, whatever id it brings."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    world.aws.faults.append(Fault("AcceptVpcPeeringConnection", code="UnauthorizedOperation", status=403))
    assert "FAILED" == stack.create(world.properties(vpc, peer))["Status"]
    assert 1 == len(world.live(vpc))

    deleted = stack.delete("network-Peering-1QX2INVENTED")
    assert ("SUCCESS", "network-Peering-1QX2INVENTED") == (deleted["Status"], deleted["PhysicalResourceId"])
    assert [] == world.live(vpc)


def test_create_goes_on_where_an_earlier_attempt_ended(world: World) -> None:
    """Lambda sends the same Create again: it finds its own connection by the owner tags, and finishes it."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    world.aws.faults.append(Fault("AcceptVpcPeeringConnection", code="UnauthorizedOperation", status=403))
    failed = stack.create(world.properties(vpc, peer))

    again = stack.create(world.properties(vpc, peer))

    assert ("SUCCESS", failed["PhysicalResourceId"]) == (again["Status"], again["PhysicalResourceId"])
    assert [again["PhysicalResourceId"]] == world.live(vpc)


def test_delete_converges_without_the_accepters_role(world: World) -> None:
    """The accepter took its role away: the requester alone deletes, and says what stays behind on the other side."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    properties = world.properties(vpc, peer)
    pcx = stack.create(properties)["PhysicalResourceId"]

    response = stack.delete(pcx, {**properties, "PeerExternalId": "changed-meanwhile"})

    assert "SUCCESS" == response["Status"]
    assert "deleted" == world.status(vpc, pcx)
    assert {} == world.routes(vpc)[vpc.route_table_ids[0]]
    assert {"10.0.0.0/16": pcx} == world.routes(peer)[peer.route_table_ids[0]]


def test_delete_converges_where_the_accepter_keeps_its_routes(world: World) -> None:
    """The role may read but not delete routes any more: that must not keep the stack from being deleted."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    denied = Fault("DeleteRoute", code="UnauthorizedOperation", status=403, account=peer.account)
    world.aws.faults.extend(replace(denied) for _ in peer.route_table_ids)

    assert "SUCCESS" == stack.delete()["Status"]
    assert "deleted" == world.status(vpc, pcx)
    assert [{}, {}] == list(world.routes(vpc).values())


@pytest.mark.parametrize("code", ["RegionDisabledException", "Blocked", "PendingVerification"])
def test_delete_converges_without_the_accepters_account(world: World, code: str) -> None:
    """An account that was suspended, or that switched the Region off, counts as one whose role is gone."""
    vpc, peer = world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")
    stack = world.stack()
    pcx = stack.create(world.properties(vpc, peer))["PhysicalResourceId"]
    world.aws.faults.append(Fault("AssumeRole", code=code, status=403))

    assert "SUCCESS" == stack.delete()["Status"]
    assert "deleted" == world.status(vpc, pcx)


def test_two_resources_of_one_stack_do_not_meet(world: World) -> None:
    """A management VPC reaches staging and production; each peering keeps to its own routes."""
    vpc = world.vpc("management", "10.0.0.0/16")
    staging, production = world.peer_vpc("staging", "10.8.0.0/16"), world.peer_vpc("production", "10.9.0.0/16")
    first, second = world.stack("staging"), world.stack("production")
    to_staging = first.create(world.properties(vpc, staging))["PhysicalResourceId"]
    to_production = second.create(world.properties(vpc, production))["PhysicalResourceId"]

    assert {"10.8.0.0/16": to_staging, "10.9.0.0/16": to_production} == world.routes(vpc)[vpc.route_table_ids[0]]
    assert {"10.0.0.0/16": to_staging} == world.routes(staging)[staging.route_table_ids[0]]
    first.delete()
    assert {"10.9.0.0/16": to_production} == world.routes(vpc)[vpc.route_table_ids[0]]
    assert {"10.0.0.0/16": to_production} == world.routes(production)[production.route_table_ids[0]]
