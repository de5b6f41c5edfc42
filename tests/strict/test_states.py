"""The states of a connection, paced by the reads of each side."""

from collections.abc import Callable

import pytest

from local.strict import Settings
from local.world import Vpc
from tests.strict.lab import EU, US, A, B, C, Clock, Lab, Refused

DNS = "AllowDnsResolutionFromRemoteVpc"


@pytest.mark.parametrize("region", [US, EU])
@pytest.mark.parametrize("account", [A, B])
def test_every_topology_becomes_active(lab: Lab, account: str, region: str) -> None:
    """Same or other account, same or other Region: all four are valid."""
    requester, accepter = lab.vpc(), lab.vpc(account, region, "10.1.0.0/16")
    connection = lab.peer(requester, accepter)
    assert (lab.status(requester, connection), lab.status(accepter, connection)) == ("active", "active")


def test_create_answers_initiating_request(lab: Lab) -> None:
    """The first state is never the last; the message names the accepter."""
    requester, accepter = lab.ends()
    answer = lab.ec2(requester).create_vpc_peering_connection(
        VpcId=requester.id, PeerVpcId=accepter.id, PeerOwnerId=B, PeerRegion=EU
    )["VpcPeeringConnection"]
    assert answer["Status"] == {"Code": "initiating-request", "Message": f"Initiating Request to {B}"}


def test_each_side_reads_at_its_own_pace(lab: Lab) -> None:
    """Handlers must wait for both sides: one may see the past while the other sees the present."""
    lab.aws.settings.initiating_reads = 2
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    seen = [lab.status(requester, connection) for _ in range(3)]
    assert seen == ["initiating-request", "initiating-request", "pending-acceptance"]
    assert lab.status(accepter, connection) == "initiating-request"


def test_a_side_accepts_only_what_it_sees_pending(lab: Lab) -> None:
    """Accept too early is an invalid transition."""
    lab.aws.settings.initiating_reads = 1
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    with Refused("InvalidStateTransition"):
        lab.accept(accepter, connection)
    lab.status(accepter, connection)
    lab.accept(accepter, connection)
    assert lab.status(accepter, connection) == "active"


def test_reads_by_filter_count_only_if_they_return_the_connection(lab: Lab) -> None:
    """A Describe that filters the connection out must not move it on."""
    lab.aws.settings.initiating_reads = 1
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    assert lab.listed(requester, status_code="active") == []
    assert lab.status(requester, connection) == "initiating-request"


def _wrong_vpc(_: Vpc) -> dict[str, str]:
    return {"PeerVpcId": "vpc-00000000000000000", "PeerOwnerId": B, "PeerRegion": EU}


def _wrong_account(accepter: Vpc) -> dict[str, str]:
    return {"PeerVpcId": accepter.id, "PeerOwnerId": C, "PeerRegion": EU}


def _wrong_region(accepter: Vpc) -> dict[str, str]:
    return {"PeerVpcId": accepter.id, "PeerOwnerId": B, "PeerRegion": US}


def _no_region(accepter: Vpc) -> dict[str, str]:
    return {"PeerVpcId": accepter.id, "PeerOwnerId": B, "PeerRegion": "xx-none-1"}


@pytest.mark.parametrize("wrong", [_wrong_vpc, _wrong_account, _wrong_region, _no_region])
def test_wrong_accepter_is_no_error_of_create(lab: Lab, wrong: Callable[[Vpc], dict[str, str]]) -> None:
    """EC2 says it a moment later, in the connection's status."""
    requester, accepter = lab.ends()
    created = lab.ec2(requester).create_vpc_peering_connection(VpcId=requester.id, **wrong(accepter))
    status = lab.describe(requester, created["VpcPeeringConnection"]["VpcPeeringConnectionId"])["Status"]
    assert (status["Code"], "incorrect VPC-ID" in status["Message"]) == ("failed", True)
    assert lab.listed(accepter) == []


@pytest.mark.parametrize("secondary", [["10.5.0.0/16"]])
def test_overlap_of_secondary_blocks_fails(lab: Lab, secondary: list[str]) -> None:
    """Any block of either VPC counts, not only the primary ones."""
    requester = lab.vpc(cidr="10.0.0.0/16", secondary=secondary)
    accepter = lab.vpc(B, EU, "10.1.0.0/16", secondary=["10.5.1.0/24"])
    assert lab.status(requester, lab.request(requester, accepter)) == "failed"


def test_unknown_requester_vpc_is_an_error_of_create(lab: Lab) -> None:
    """Only the caller's own end is checked at once."""
    accepter = lab.vpc(B, EU)
    with Refused("InvalidVpcID.NotFound"):
        lab.ec2((A, US)).create_vpc_peering_connection(VpcId="vpc-00000000000000000", PeerVpcId=accepter.id)


def test_self_peering_is_refused(lab: Lab) -> None:
    """It can never work; which code EC2 answers is not known."""
    vpc = lab.vpc()
    with Refused("InvalidParameterValue"):
        lab.request(vpc, vpc)


def test_accept_by_the_requester_is_not_permitted(lab: Lab) -> None:
    """Only the accepter's account may."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    with Refused("OperationNotPermitted"):
        lab.accept(requester, connection)


def test_accept_in_the_requesters_region_is_not_permitted(lab: Lab) -> None:
    """Not even by the accepter's account."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    with Refused("OperationNotPermitted") as refusal:
        lab.ec2((B, US)).accept_vpc_peering_connection(VpcPeeringConnectionId=connection)
    assert "Incorrect region" in refusal.message


def test_accept_works_once(lab: Lab) -> None:
    """The second time the connection is not pending any more."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    with Refused("InvalidStateTransition"):
        lab.accept(accepter, connection)


def test_inter_region_delete_passes_through_deleting(lab: Lab) -> None:
    """Handlers wait for it, or the next Create gets the dying id."""
    lab.aws.settings.deleting_reads = 1
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    lab.delete(requester, connection)
    assert [lab.status(requester, connection) for _ in range(2)] == ["deleting", "deleted"]


def test_delete_within_a_region_is_immediate(lab: Lab) -> None:
    """There is no `deleting` without another Region."""
    lab.aws.settings.deleting_reads = 1
    requester, accepter = lab.vpc(), lab.vpc(B, US, "10.1.0.0/16")
    connection = lab.peer(requester, accepter)
    lab.delete(accepter, connection)
    assert lab.describe(requester, connection)["Status"] == {"Code": "deleted", "Message": f"Deleted by {B}"}


def test_a_pending_request_is_the_requesters_to_delete(lab: Lab) -> None:
    """The accepter may only accept or reject."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    with Refused("OperationNotPermitted"):
        lab.delete(accepter, connection)
    lab.delete(requester, connection)
    assert lab.status(requester, connection) == "deleted"


def test_terminal_states_cannot_be_deleted(lab: Lab) -> None:
    """failed, rejected and expired are the end: a handler must count them as gone."""
    requester, accepter = lab.ends()
    expired = lab.request(requester, accepter)
    lab.aws.expire(expired)
    rejected = lab.request(requester, accepter)
    lab.ec2(accepter).reject_vpc_peering_connection(VpcPeeringConnectionId=rejected)
    failed = lab.request(requester, accepter)
    lab.aws.fail(failed, "because of the test")
    assert [lab.status(requester, each) for each in (expired, rejected, failed)] == ["expired", "rejected", "failed"]
    for each in (expired, rejected, failed):
        with Refused("InvalidStateTransition"):
            lab.delete(requester, each)


def test_active_connection_cannot_be_rejected(lab: Lab) -> None:
    """Reject is for pending requests."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    with Refused("InvalidStateTransition"):
        lab.ec2(accepter).reject_vpc_peering_connection(VpcPeeringConnectionId=connection)


def test_requests_expire_after_seven_days(lab: Lab, clock: Clock) -> None:
    """168 hours, fixed."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    clock.now = 168 * 3600 - 1
    assert lab.status(requester, connection) == "pending-acceptance"
    clock.now += 1
    assert lab.status(requester, connection) == "expired"


def test_what_is_forgotten_is_not_found_and_its_routes_stay(lab: Lab) -> None:
    """After its time a deleted connection is unknown, but routes still name it."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    lab.route(requester, connection, "10.1.0.0/16")
    lab.delete(requester, connection)
    lab.aws.forget(connection)
    with Refused("InvalidVpcPeeringConnectionID.NotFound"):
        lab.describe(requester, connection)
    assert [route["State"] for route in lab.routes(requester)] == ["blackhole"]


def test_same_pair_returns_the_live_connection_with_its_own_tags(lab: Lab) -> None:
    """The connection may be somebody else's: the tags of the second Create are dropped."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    tags = [{"ResourceType": "vpc-peering-connection", "Tags": [{"Key": "owner", "Value": "second"}]}]
    assert connection == lab.request(requester, accepter, TagSpecifications=tags)
    assert lab.describe(requester, connection)["Tags"] == []


def test_same_pair_after_the_end_gets_a_new_connection(lab: Lab) -> None:
    """Only live connections are found again."""
    requester, accepter = lab.ends()
    first = lab.peer(requester, accepter)
    lab.delete(requester, first)
    assert first != lab.request(requester, accepter)


def test_reverse_pair_is_a_second_connection_that_cannot_be_accepted(lab: Lab) -> None:
    """EC2 finds out only at Accept."""
    requester, accepter = lab.ends()
    first = lab.peer(requester, accepter)
    second = lab.request(accepter, requester)
    assert first != second
    assert lab.status(accepter, second) == "pending-acceptance"
    with Refused("VpcPeeringConnectionAlreadyExists"):
        lab.accept(requester, second)


def test_create_after_delete_can_return_the_dying_id(lab: Lab) -> None:
    """Handlers must describe what Create returned."""
    lab.aws.settings.dying_creates = 1
    requester, accepter = lab.ends()
    first = lab.peer(requester, accepter)
    lab.delete(requester, first)
    assert first == lab.request(requester, accepter)
    assert lab.status(requester, first) == "deleted"
    assert first != lab.request(requester, accepter)


def test_strangers_see_nothing(lab: Lab) -> None:
    """Neither another account, nor an owner in a third Region."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    for stranger in ((C, US), (A, EU), (B, US), (A, "ap-south-1")):
        assert lab.listed(stranger) == []
        with Refused("InvalidVpcPeeringConnectionID.NotFound"):
            lab.describe(stranger, connection)


def test_not_found_after_create(lab: Lab) -> None:
    """Eventually consistent, on each side by itself, in lists too."""
    lab.aws.settings.hidden_reads_requester = 1
    lab.aws.settings.hidden_reads_accepter = 2
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    assert lab.listed(requester) == []
    assert lab.status(requester, connection) == "pending-acceptance"
    for _ in range(2):
        with Refused("InvalidVpcPeeringConnectionID.NotFound"):
            lab.describe(accepter, connection)
    assert lab.status(accepter, connection) == "pending-acceptance"


def test_accept_not_found_even_after_describe_showed_it(lab: Lab) -> None:
    """Reported by users of other tools: retry, do not trust the Describe."""
    lab.aws.settings.hidden_writes_accepter = 2
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    assert lab.status(accepter, connection) == "pending-acceptance"
    for _ in range(2):
        with Refused("InvalidVpcPeeringConnectionID.NotFound"):
            lab.accept(accepter, connection)
    lab.accept(accepter, connection)


def test_other_sides_cidrs_show_only_while_active(lab: Lab) -> None:
    """They are no source for routes before that."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    shown = lab.describe(requester, connection)
    assert ("CidrBlock" in shown["RequesterVpcInfo"], "CidrBlock" in shown["AccepterVpcInfo"]) == (True, False)
    lab.accept(accepter, connection)
    assert lab.describe(requester, connection)["AccepterVpcInfo"]["CidrBlock"] == "10.1.0.0/16"
    lab.delete(requester, connection)
    assert "CidrBlock" not in lab.describe(requester, connection)["AccepterVpcInfo"]


def test_cidrs_can_be_missing_for_a_moment_after_active(lab: Lab) -> None:
    """Reported by users of other tools."""
    lab.aws.settings.cidr_reads = 1
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    shown = [lab.describe(requester, connection) for _ in range(2)]
    assert ["CidrBlock" in each["AccepterVpcInfo"] for each in shown] == [False, True]


def test_info_names_owner_vpc_and_region_of_both_ends(lab: Lab) -> None:
    """A handler checks them before it accepts."""
    requester, accepter = lab.ends()
    shown = lab.describe(accepter, lab.peer(requester, accepter))
    ends = [shown["RequesterVpcInfo"], shown["AccepterVpcInfo"]]
    assert [(end["OwnerId"], end["Region"], end["VpcId"]) for end in ends] == [
        (A, US, requester.id),
        (B, EU, accepter.id),
    ]
    assert [end["PeeringOptions"][DNS] for end in ends] == [False, False]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requester_vpc_info__owner_id", A),
        ("requester_vpc_info__cidr_block", "10.0.*"),
        ("accepter_vpc_info__owner_id", B),
        ("accepter_vpc_info__cidr_block", "10.1.0.0/1?"),
        ("status_code", "act*"),
        ("tag:Name", "one"),
        ("tag_key", "Name"),
    ],
)
def test_connections_are_found_by_filter(lab: Lab, name: str, value: str) -> None:
    """By either end, by status, by tags of the caller's own side, with wildcards."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    lab.request(requester, lab.vpc(C, EU, "10.9.0.0/16"))
    lab.ec2(requester).create_tags(Resources=[connection], Tags=[{"Key": "Name", "Value": "one"}])
    found = lab.listed(requester, **{name: value})
    assert connection in found
    assert (len(found) == 1) == (not name.startswith("requester"))


def test_reset_repeats_the_identifiers(lab: Lab) -> None:
    """Tests stay deterministic whatever ran before them."""
    first = lab.vpc().id
    lab.aws.reset(Settings())
    assert first == lab.vpc().id
