"""The list of where moto 5.2.5 is more lenient than EC2: one test for each entry."""

import pytest

from local.strict import StrictAws
from local.world import client
from tests.strict.lab import EU, US, A, B, Clock, Lab, Refused

ABSENT = "pcx-0123456789abcdef0"


def test_not_found_is_spelled_as_ec2_does(lab: Lab) -> None:
    """Moto spells the code with `Id`; handlers compare it."""
    with Refused("InvalidVpcPeeringConnectionID.NotFound"):
        lab.delete(lab.vpc(), ABSENT)


def test_duplicate_pair_gets_the_live_connection(lab: Lab) -> None:
    """Moto makes a second connection; EC2 silently returns the first."""
    ends = lab.ends()
    assert lab.request(*ends) == lab.request(*ends)


def test_there_is_a_failed_state(lab: Lab) -> None:
    """Moto accepts overlapping CIDR blocks."""
    requester, accepter = lab.vpc(), lab.vpc(B, EU)
    assert lab.status(requester, lab.request(requester, accepter)) == "failed"


def test_there_is_a_provisioning_state(lab: Lab) -> None:
    """Moto is active at once, everywhere."""
    requester, accepter = lab.ends()
    answer = lab.accept(accepter, lab.request(requester, accepter))
    assert answer["Status"]["Code"] == "provisioning"


def test_there_is_delay(lab: Lab) -> None:
    """Moto has none; here each side needs its own reads to see a change."""
    lab.aws.settings.provisioning_reads = 1
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    assert [lab.status(requester, connection) for _ in range(2)] == ["provisioning", "active"]
    assert [lab.status(accepter, connection) for _ in range(2)] == ["provisioning", "active"]


def test_options_before_active_are_refused(lab: Lab) -> None:
    """Moto takes them."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    with Refused("OperationNotPermitted") as refusal:
        lab.ec2(requester).modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=connection,
            RequesterPeeringConnectionOptions={"AllowDnsResolutionFromRemoteVpc": True},
        )
    assert "is not active" in refusal.message


def test_options_of_the_other_side_are_refused(lab: Lab) -> None:
    """Moto lets each side set both."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    with Refused("OperationNotPermitted"):
        lab.ec2(requester).modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=connection,
            AccepterPeeringConnectionOptions={"AllowDnsResolutionFromRemoteVpc": True},
        )


def test_dry_run_does_not_mutate(lab: Lab) -> None:
    """Moto does the work nevertheless."""
    requester, accepter = lab.ends()
    with Refused("DryRunOperation", 412):
        lab.request(requester, accepter, DryRun=True)
    assert lab.listed(requester) == []


def test_routes_of_a_deleted_connection_are_blackholes(lab: Lab) -> None:
    """Moto shows them as active for ever."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    lab.route(requester, connection, "10.1.0.0/16")
    lab.delete(requester, connection)
    assert [route["State"] for route in lab.routes(requester)] == ["blackhole"]


def test_tags_of_the_accepters_side_show_there(lab: Lab) -> None:
    """Moto shows the requester's set on both sides."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    lab.ec2(accepter).create_tags(Resources=[connection], Tags=[{"Key": "side", "Value": "accepter"}])
    assert lab.describe(accepter, connection)["Tags"] == [{"Key": "side", "Value": "accepter"}]
    assert lab.describe(requester, connection)["Tags"] == []


def test_cidr_sets_are_shown(lab: Lab) -> None:
    """Moto knows only the primary IPv4 block."""
    requester, accepter = lab.vpc(), lab.vpc(B, EU, "10.1.0.0/16", secondary=["10.2.0.0/16"], ipv6=True)
    shown = lab.describe(requester, lab.peer(requester, accepter))["AccepterVpcInfo"]
    assert shown["CidrBlock"] == "10.1.0.0/16"
    assert shown["CidrBlockSet"] == [{"CidrBlock": "10.1.0.0/16"}, {"CidrBlock": "10.2.0.0/16"}]
    assert shown["Ipv6CidrBlockSet"] == [{"Ipv6CidrBlock": accepter.cidr_blocks[-1]}]


def test_filters_of_describe_connections_count(lab: Lab) -> None:
    """Moto ignores them."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    assert lab.listed(requester, status_code="active") == []
    assert lab.listed(requester, status_code="pending-acceptance") == [connection]


def test_there_are_quotas(lab: Lab) -> None:
    """Moto has none."""
    lab.aws.settings.routes_per_table = 1
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    lab.route(requester, connection, "10.1.0.0/24")
    with Refused("RouteLimitExceeded"):
        lab.route(requester, connection, "10.1.1.0/24")


def test_there_is_throttling(lab: Lab) -> None:
    """Moto has none."""
    lab.aws.settings.throttled = True
    ec2 = lab.ec2((A, US))
    for _ in range(100):
        ec2.describe_vpcs()
    with Refused("RequestLimitExceeded", 503):
        ec2.describe_vpcs()


def test_twelve_digit_key_means_the_account(aws: StrictAws) -> None:
    """Moto takes every unknown key for one default account."""
    assert client(aws.url, "sts", B, US).get_caller_identity()["Account"] == B


def test_cidr_with_host_bits_is_canonicalised(lab: Lab) -> None:
    """Moto stores it verbatim and answers 500 to every later CreateRoute in that table."""
    requester, accepter = lab.vpc(), lab.vpc(B, EU, "100.68.0.0/16")
    connection = lab.peer(requester, accepter)
    lab.route(requester, connection, "100.68.0.18/18")
    lab.route(requester, connection, "100.68.64.0/18")
    assert [route["DestinationCidrBlock"] for route in lab.routes(requester)] == ["100.68.0.0/18", "100.68.64.0/18"]


def test_vpc_with_host_bits_is_canonicalised(lab: Lab) -> None:
    """The same for the blocks of a VPC, whose local routes would break its tables."""
    assert lab.vpc(cidr="10.0.1.7/16", secondary=["10.5.1.7/16"]).cidr_blocks == ("10.0.0.0/16", "10.5.0.0/16")


def test_ipv6_duplicate_is_refused(lab: Lab) -> None:
    """Moto overwrites the route silently."""
    requester, accepter = lab.ends(ipv6=True)
    connection = lab.peer(requester, accepter)
    lab.route(requester, connection, accepter.cidr_blocks[-1])
    with Refused("RouteAlreadyExists"):
        lab.route(requester, connection, accepter.cidr_blocks[-1])


def test_prefix_list_duplicate_is_refused(lab: Lab) -> None:
    """Moto overwrites the route silently."""
    requester, accepter = lab.ends()
    ec2, connection = lab.ec2(requester), lab.peer(requester, accepter)
    prefix_list = ec2.create_managed_prefix_list(PrefixListName="l", MaxEntries=2, AddressFamily="IPv4")["PrefixList"]
    route = {
        "RouteTableId": requester.route_table_ids[0],
        "DestinationPrefixListId": prefix_list["PrefixListId"],
        "VpcPeeringConnectionId": connection,
    }
    ec2.create_route(**route)
    with Refused("RouteAlreadyExists"):
        ec2.create_route(**route)


def test_a_subnet_shows_its_ipv6_block(lab: Lab) -> None:
    """Moto shows the state within a state, so that no block is ever associated."""
    vpc = lab.vpc(ipv6=True)
    block = vpc.cidr_blocks[-1].replace("/56", "/64")
    ec2 = lab.ec2(vpc)
    subnet = ec2.create_subnet(VpcId=vpc.id, CidrBlock="10.0.0.0/28", Ipv6CidrBlock=block)["Subnet"]["SubnetId"]
    (shown,) = ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": [subnet]}])["Subnets"]
    (association,) = shown["Ipv6CidrBlockAssociationSet"]
    assert (block, "associated") == (association["Ipv6CidrBlock"], association["Ipv6CidrBlockState"]["State"])


def test_route_state_is_a_filter(lab: Lab) -> None:
    """Moto answers 500."""
    requester, accepter = lab.ends()
    lab.route(requester, lab.request(requester, accepter), "10.1.0.0/16")
    found = lab.ec2(requester).describe_route_tables(Filters=[{"Name": "route.state", "Values": ["blackhole"]}])
    assert [table["RouteTableId"] for table in found["RouteTables"]] == list(requester.route_table_ids)


@pytest.mark.parametrize("listing", ["route_tables", "vpcs", "subnets", "vpc_peering_connections"])
def test_unknown_filter_is_refused(lab: Lab, listing: str) -> None:
    """Moto answers 500 or ignores it."""
    ends = lab.ends()
    lab.request(*ends)
    with Refused("InvalidParameterValue"):
        getattr(lab.ec2((A, US)), f"describe_{listing}")(Filters=[{"Name": "no-such", "Values": ["x"]}])


@pytest.mark.parametrize(
    ("listing", "member"),
    [("route_tables", "RouteTables"), ("vpcs", "Vpcs"), ("subnets", "Subnets")],
)
def test_answers_come_in_pages(lab: Lab, listing: str, member: str) -> None:
    """Moto never pages."""
    for third in range(6):
        lab.vpc(cidr=f"10.{third}.0.0/16", subnets=1)
    pages = list(lab.ec2((A, US)).get_paginator(f"describe_{listing}").paginate(PaginationConfig={"PageSize": 5}))
    assert len(pages[0][member]) == 5
    assert len(pages) > 1


def test_connections_come_in_pages(lab: Lab) -> None:
    """Moto never pages."""
    requester = lab.vpc()
    for third in range(1, 7):
        lab.request(requester, lab.vpc(cidr=f"10.{third}.0.0/16"))
    paginator = lab.ec2(requester).get_paginator("describe_vpc_peering_connections")
    pages = list(paginator.paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["VpcPeeringConnections"]) for page in pages] == [5, 1]


def test_local_route_cannot_be_overwritten(lab: Lab) -> None:
    """Moto lets any route replace it."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    for verb in ("create", "replace"):
        with Refused("InvalidParameterValue"):
            lab.route(requester, connection, "10.0.0.0/16", verb)


def test_local_route_cannot_be_deleted(lab: Lab) -> None:
    """Moto deletes it."""
    vpc = lab.vpc()
    with Refused("InvalidParameterValue"):
        lab.unroute(vpc, "10.0.0.0/16")


def test_unknown_connection_is_no_empty_list(lab: Lab) -> None:
    """Moto describes it as nothing."""
    with Refused("InvalidVpcPeeringConnectionID.NotFound"):
        lab.describe((A, US), ABSENT)


def test_delete_works_once(lab: Lab) -> None:
    """Moto deletes again and again."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    lab.delete(requester, connection)
    with Refused("InvalidStateTransition"):
        lab.delete(requester, connection)


def test_rejected_connection_cannot_be_deleted(lab: Lab) -> None:
    """Moto deletes it."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    lab.ec2(accepter).reject_vpc_peering_connection(VpcPeeringConnectionId=connection)
    with Refused("InvalidStateTransition"):
        lab.delete(requester, connection)


def test_deleted_connections_vanish(lab: Lab, clock: Clock) -> None:
    """Moto shows them for ever; EC2 for two hours to the deleter, for two days to the other party."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    lab.delete(requester, connection)
    clock.now = 2 * 3600
    assert lab.listed(requester) == []
    assert lab.listed(accepter) == [connection]
    clock.now = 48 * 3600
    assert lab.listed(accepter) == []


def test_assume_role_wants_a_role(aws: StrictAws) -> None:
    """Moto gives credentials for any ARN."""
    with Refused("AccessDenied", 403):
        client(aws.url, "sts", A, US).assume_role(RoleArn=f"arn:aws:iam::{B}:role/absent", RoleSessionName="session")
