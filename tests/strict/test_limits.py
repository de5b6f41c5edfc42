"""Quotas of connections, limits of tags, throttling, pages."""

import pytest

from local.world import Vpc
from tests.strict.lab import EU, US, A, B, Clock, Lab, Refused


def star(lab: Lab, rays: int) -> tuple[Vpc, list[Vpc]]:
    """Make a VPC, and others that it can be peered with."""
    return lab.vpc(), [lab.vpc(cidr=f"10.{number}.0.0/16") for number in range(1, rays + 1)]


def test_outstanding_requests_have_a_quota(lab: Lab) -> None:
    """25 by default; of the requester's VPC."""
    lab.aws.settings.outstanding_requests_per_vpc = 1
    hub, rays = star(lab, 2)
    lab.request(hub, rays[0])
    with Refused("OutstandingVpcPeeringConnectionLimitExceeded"):
        lab.request(hub, rays[1])


def test_pending_requests_have_a_quota(lab: Lab) -> None:
    """Of the accepter's VPC."""
    lab.aws.settings.pending_requests_per_vpc = 1
    hub, rays = star(lab, 2)
    lab.request(rays[0], hub)
    with Refused("PendingVpcPeeringConnectionLimitExceeded"):
        lab.request(rays[1], hub)


def test_active_connections_have_a_quota_at_accept(lab: Lab) -> None:
    """Requests made before the VPC was full fail then."""
    lab.aws.settings.active_peerings_per_vpc = 1
    hub, rays = star(lab, 2)
    first, second = (lab.request(hub, ray) for ray in rays)
    lab.accept(rays[0], first)
    with Refused("ActiveVpcPeeringConnectionPerVpcLimitExceeded"):
        lab.accept(rays[1], second)


def test_active_connections_have_a_quota_at_create(lab: Lab) -> None:
    """A full VPC can request no more."""
    lab.aws.settings.active_peerings_per_vpc = 1
    hub, rays = star(lab, 2)
    lab.peer(hub, rays[0])
    with Refused("VpcPeeringConnectionsPerVpcLimitExceeded"):
        lab.request(hub, rays[1])


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ({"Key": "k" * 128, "Value": ""}, "InvalidParameterValue"),
        ({"Key": "k", "Value": "v" * 257}, "InvalidParameterValue"),
        ({"Key": "aws:name", "Value": ""}, "InvalidParameterValue"),
        ({"Key": "", "Value": ""}, "InvalidParameterValue"),
    ],
)
def test_tags_beyond_the_limits_are_refused(lab: Lab, tag: dict[str, str], code: str) -> None:
    """At CreateTags and at Create, where nothing is left behind."""
    requester, accepter = lab.ends()
    with Refused(code):
        lab.ec2(requester).create_tags(Resources=[requester.id], Tags=[tag])
    with Refused(code):
        lab.request(requester, accepter, TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": [tag]}])
    assert lab.listed(requester) == []


def test_fifty_tags_are_the_limit(lab: Lab) -> None:
    """Together with those that are there; overwriting one is no new tag."""
    vpc = lab.vpc()
    ec2 = lab.ec2(vpc)
    ec2.create_tags(Resources=[vpc.id], Tags=[{"Key": f"k{number}", "Value": ""} for number in range(49)])
    ec2.create_tags(Resources=[vpc.id], Tags=[{"Key": "k0", "Value": "other"}])
    with Refused("TagLimitExceeded"):
        ec2.create_tags(Resources=[vpc.id], Tags=[{"Key": "one more", "Value": ""}])


def test_create_takes_tags_of_a_connection_only(lab: Lab) -> None:
    """Of no other resource type."""
    with Refused("InvalidParameterValue"):
        lab.request(*lab.ends(), TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "k", "Value": "v"}]}])


def test_tags_given_at_create_are_the_requesters(lab: Lab) -> None:
    """The accepter's side starts without any."""
    requester, accepter = lab.ends()
    tags = [{"Key": "Name", "Value": "one"}]
    connection = lab.request(
        requester, accepter, TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": tags}]
    )
    assert lab.describe(requester, connection)["Tags"] == tags
    assert lab.describe(accepter, connection)["Tags"] == []


def test_same_account_and_region_share_one_set(lab: Lab) -> None:
    """Tags and PeerTags must not disagree there."""
    requester, accepter = lab.vpc(), lab.vpc(cidr="10.1.0.0/16")
    connection = lab.request(requester, accepter)
    lab.ec2(accepter).create_tags(Resources=[connection], Tags=[{"Key": "Name", "Value": "one"}])
    assert lab.describe(requester, connection)["Tags"] == [{"Key": "Name", "Value": "one"}]


def test_delete_tags_with_a_value_deletes_only_a_match(lab: Lab) -> None:
    """How a handler deletes only what it wrote."""
    requester, accepter = lab.ends()
    connection, ec2 = lab.request(requester, accepter), lab.ec2(requester)
    ec2.create_tags(Resources=[connection], Tags=[{"Key": "Name", "Value": "one"}])
    ec2.delete_tags(Resources=[connection], Tags=[{"Key": "Name", "Value": "two"}])
    assert lab.describe(requester, connection)["Tags"] == [{"Key": "Name", "Value": "one"}]
    ec2.delete_tags(Resources=[connection], Tags=[{"Key": "Name", "Value": "one"}])
    assert lab.describe(requester, connection)["Tags"] == []


def test_tagging_an_unknown_connection_is_not_found(lab: Lab) -> None:
    """From a stranger's place too."""
    connection = lab.request(*lab.ends())
    with Refused("InvalidVpcPeeringConnectionID.NotFound"):
        lab.ec2((A, EU)).create_tags(Resources=[connection], Tags=[{"Key": "k", "Value": "v"}])


def test_buckets_refill(lab: Lab, clock: Clock) -> None:
    """Twenty Describe calls a second, per API, account and Region."""
    lab.aws.settings.throttled = True
    ec2 = lab.ec2((A, US))
    for _ in range(100):
        ec2.describe_subnets()
    with Refused("RequestLimitExceeded", 503):
        ec2.describe_subnets()
    ec2.describe_vpcs()
    lab.ec2((A, EU)).describe_subnets()
    lab.ec2((B, US)).describe_subnets()
    clock.now = 0.05
    ec2.describe_subnets()
    with Refused("RequestLimitExceeded", 503):
        ec2.describe_subnets()


def test_fifty_routes_are_free_then_five_a_second(lab: Lab, clock: Clock) -> None:
    """The floor for N routes on one side is (N - 50) / 5 seconds."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    lab.aws.settings.throttled = True
    for third in range(50):
        lab.route(requester, connection, f"10.1.{third}.0/24")
    with Refused("RequestLimitExceeded", 503):
        lab.route(requester, connection, "10.1.50.0/24")
    clock.now = 0.2
    lab.route(requester, connection, "10.1.50.0/24")


def test_pages_come_unasked_too(lab: Lab) -> None:
    """A caller without MaxResults must follow NextToken as well."""
    lab.aws.settings.page_size = 5
    subnets = list(lab.ec2((A, US)).get_paginator("describe_subnets").paginate())
    assert [len(page["Subnets"]) for page in subnets] == [5, 1]


def test_page_sizes_have_limits(lab: Lab) -> None:
    """Up to 1,000; boto3 itself refuses fewer than 5."""
    with Refused("InvalidParameterValue"):
        lab.ec2((A, US)).describe_vpcs(MaxResults=1001)


def test_foreign_page_token_is_refused(lab: Lab) -> None:
    """Tokens are EC2's own."""
    with Refused("InvalidPaginationToken"):
        lab.ec2((A, US)).describe_vpcs(NextToken="no token")
