"""Route tables: what EC2 takes, what it refuses, what it shows."""

from collections.abc import Callable
from typing import Any

import pytest

from local.world import Vpc
from tests.strict.lab import EU, A, B, Lab, Refused


@pytest.fixture
def ends(lab: Lab) -> tuple[Vpc, Vpc, str]:
    """Two VPCs and their active connection."""
    requester, accepter = lab.ends()
    return requester, accepter, lab.peer(requester, accepter)


def prefix_list(lab: Lab, vpc: Vpc, entries: int) -> str:
    """Make a managed prefix list of IPv4 blocks."""
    answer = lab.ec2(vpc).create_managed_prefix_list(PrefixListName="l", MaxEntries=entries, AddressFamily="IPv4")
    found: str = answer["PrefixList"]["PrefixListId"]
    return found


def test_identical_route_already_exists(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """Even with the same target: a repeated CreateRoute after a lost reply sees this."""
    lab.route(ends[0], ends[2], "10.1.0.0/16")
    with Refused("RouteAlreadyExists"):
        lab.route(ends[0], ends[2], "10.1.0.0/16")


def test_same_network_in_other_words_already_exists(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """EC2 compares networks."""
    lab.route(ends[0], ends[2], "10.1.0.0/16")
    with Refused("RouteAlreadyExists"):
        lab.route(ends[0], ends[2], "10.1.7.7/16")


def test_table_of_another_vpc_belongs_to_a_different_network(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """A connection is a target only for the tables of its own ends."""
    with Refused("InvalidParameterValue") as refusal:
        lab.route(lab.vpc(cidr="10.7.0.0/16"), ends[2], "10.1.0.0/16")
    assert "belong to different networks" in refusal.message


def test_route_within_the_local_one_is_refused(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """More specific than local cannot go over a peering."""
    with Refused("InvalidParameterValue") as refusal:
        lab.route(ends[0], ends[2], "10.0.5.0/24")
    assert "more specific" in refusal.message


@pytest.mark.parametrize("cidr", ["169.254.168.0/22", "169.254.169.253/32", "fd00:ec2::/32", "fd00:ec2::253/128"])
def test_reserved_destinations_are_refused(lab: Lab, ends: tuple[Vpc, Vpc, str], cidr: str) -> None:
    """Equal to or inside EC2's own ranges."""
    with Refused("InvalidParameterValue"):
        lab.route(ends[0], ends[2], cidr)


@pytest.mark.parametrize("cidr", ["10.1.0.0", "10.1.0.0/33", "office"])
def test_what_is_no_network_is_refused(lab: Lab, ends: tuple[Vpc, Vpc, str], cidr: str) -> None:
    """A bare address is one: EC2 wants a prefix."""
    with Refused("InvalidParameterValue"):
        lab.route(ends[0], ends[2], cidr)


def test_unknown_target_is_not_found(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """The code has the spelling of EC2."""
    with Refused("InvalidVpcPeeringConnectionID.NotFound"):
        lab.route(ends[0], "pcx-00000000000000000", "10.1.0.0/16")


def test_unknown_table_is_not_found(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """Somebody may delete a table between read and write."""
    with Refused("InvalidRouteTableID.NotFound"):
        lab.ec2(ends[0]).create_route(
            RouteTableId="rtb-00000000000000000",
            DestinationCidrBlock="10.1.0.0/16",
            VpcPeeringConnectionId=ends[2],
        )


def test_replace_moves_a_live_route(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """From one connection to the next, without a gap; nothing else changes."""
    requester, _, first = ends
    lab.route(requester, first, "10.1.0.0/16")
    second = lab.peer(requester, lab.vpc(B, EU, "10.3.0.0/16"))
    lab.route(requester, second, "10.1.0.0/16", "replace")
    assert [
        {
            "DestinationCidrBlock": "10.1.0.0/16",
            "VpcPeeringConnectionId": second,
            "Origin": "CreateRoute",
            "State": "active",
        }
    ] == lab.routes(requester)


def test_refused_replace_leaves_the_route_alone(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """It is atomic."""
    lab.route(ends[0], ends[2], "10.1.0.0/16")
    before = lab.routes(ends[0])
    with Refused("InvalidInternetGatewayID.NotFound"):
        lab.ec2(ends[0]).replace_route(
            RouteTableId=ends[0].route_table_ids[0], DestinationCidrBlock="10.1.0.0/16", GatewayId="igw-00000000"
        )
    assert before == lab.routes(ends[0])


@pytest.mark.parametrize("cidr", ["10.1.0.0/16", "2600:1f00::/56"])
def test_replace_of_a_missing_route_is_an_invalid_value(lab: Lab, ends: tuple[Vpc, Vpc, str], cidr: str) -> None:
    """Not InvalidRoute.NotFound."""
    with Refused("InvalidParameterValue") as refusal:
        lab.route(ends[0], ends[2], cidr, "replace")
    assert "There is no route defined for" in refusal.message


def test_ipv6_routes_are_replaced_and_deleted(lab: Lab) -> None:
    """Moto's own ReplaceRoute does not find them."""
    requester, accepter = lab.ends(ipv6=True)
    connection, block = lab.peer(requester, accepter), accepter.cidr_blocks[-1]
    lab.route(requester, connection, block)
    lab.route(requester, connection, block, "replace")
    lab.unroute(requester, block)
    assert lab.routes(requester) == []


def test_delete_of_a_missing_route_is_not_found(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """A repeated DeleteRoute after a lost reply sees this."""
    with Refused("InvalidRoute.NotFound"):
        lab.unroute(ends[0], "10.1.0.0/16")


def test_delete_wants_the_canonical_form(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """The one that Describe shows."""
    lab.route(ends[0], ends[2], "10.1.7.7/16")
    with Refused("InvalidRoute.NotFound"):
        lab.unroute(ends[0], "10.1.7.7/16")
    lab.unroute(ends[0], "10.1.0.0/16")
    assert lab.routes(ends[0]) == []


def test_routes_to_a_pending_connection_are_blackholes_until_it_is_active(lab: Lab) -> None:
    """They may be created early."""
    requester, accepter = lab.ends()
    connection = lab.request(requester, accepter)
    lab.route(requester, connection, "10.1.0.0/16")
    assert [route["State"] for route in lab.routes(requester)] == ["blackhole"]
    lab.accept(accepter, connection)
    assert [route["State"] for route in lab.routes(requester)] == ["active"]


def test_propagated_route_blocks_nothing_and_stays(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """Only static routes conflict."""
    table = ends[0].route_table_ids[0]
    lab.aws.plant_propagated_route(table, "10.1.0.0/16", "vgw-0123456789abcdef0")
    with Refused("InvalidRoute.NotFound"):
        lab.unroute(ends[0], "10.1.0.0/16")
    lab.route(ends[0], ends[2], "10.1.0.0/16")
    assert [route["Origin"] for route in lab.routes(ends[0])] == ["CreateRoute", "EnableVgwRoutePropagation"]
    lab.unroute(ends[0], "10.1.0.0/16")
    assert [route["GatewayId"] for route in lab.routes(ends[0])] == ["vgw-0123456789abcdef0"]


def test_prefix_lists_count_their_maximum(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """Against the quota of their address family."""
    lab.aws.settings.routes_per_table = 10
    route: dict[str, Any] = {"RouteTableId": ends[0].route_table_ids[0], "VpcPeeringConnectionId": ends[2]}
    lab.ec2(ends[0]).create_route(DestinationPrefixListId=prefix_list(lab, ends[0], 10), **route)
    with Refused("RouteLimitExceeded"):
        lab.route(ends[0], ends[2], "10.1.0.0/16")
    lab.route(ends[0], ends[2], "2600:1f00::/56")


def test_unknown_prefix_list_is_not_found(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """Prefix lists are Region-bound."""
    with Refused("InvalidPrefixListID.NotFound"):
        lab.ec2(ends[0]).create_route(
            RouteTableId=ends[0].route_table_ids[0],
            DestinationPrefixListId=prefix_list(lab, ends[1], 1),
            VpcPeeringConnectionId=ends[2],
        )


def test_filters_take_any_of_their_values(lab: Lab) -> None:
    """Moto wants all of a table's values among them."""
    vpc = lab.vpc(tables=3, subnets=3)
    filters = [{"Name": "association.subnet-id", "Values": [vpc.subnet_ids[1], "subnet-00000000"]}]
    found = lab.ec2(vpc).describe_route_tables(Filters=filters)["RouteTables"]
    assert [table["RouteTableId"] for table in found] == [vpc.route_table_ids[1]]


def test_main_table_is_found_by_filter(lab: Lab) -> None:
    """Subnets without an association use it."""
    vpc = lab.vpc(tables=2)
    filters = [{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [vpc.id]}]
    found = lab.ec2(vpc).describe_route_tables(Filters=filters)["RouteTables"]
    assert [table["RouteTableId"] for table in found] == [vpc.route_table_ids[0]]


def test_tables_that_point_at_a_connection_are_found(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """How stale routes are looked for; unknown table ids as a filter raise nothing."""
    lab.route(ends[0], ends[2], "10.1.0.0/16")
    ec2 = lab.ec2(ends[0])
    found = ec2.describe_route_tables(Filters=[{"Name": "route.vpc-peering-connection-id", "Values": [ends[2]]}])
    assert [table["RouteTableId"] for table in found["RouteTables"]] == list(ends[0].route_table_ids)
    assert ec2.describe_route_tables(Filters=[{"Name": "route-table-id", "Values": ["rtb-0"]}])["RouteTables"] == []


def test_a_call_takes_two_hundred_filter_values(lab: Lab) -> None:
    """Longer lists must be split by the caller."""
    filters = [{"Name": "route-table-id", "Values": [f"rtb-{number}" for number in range(201)]}]
    with Refused("FilterLimitExceeded"):
        lab.ec2((A, EU)).describe_route_tables(Filters=filters)


def internet_gateway(lab: Lab, vpc: Vpc) -> str:
    """Make one, and attach it."""
    gateway: str = lab.ec2(vpc).create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    lab.ec2(vpc).attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc.id)
    return gateway


def vpn_gateway(lab: Lab, vpc: Vpc) -> str:
    """Make one, and attach it."""
    gateway: str = lab.ec2(vpc).create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    lab.ec2(vpc).attach_vpn_gateway(VpnGatewayId=gateway, VpcId=vpc.id)
    return gateway


@pytest.mark.parametrize("make_gateway", [internet_gateway, vpn_gateway])
def test_a_gateways_table_takes_no_route_to_a_connection(
    lab: Lab, ends: tuple[Vpc, Vpc, str], make_gateway: Callable[[Lab, Vpc], str]
) -> None:
    """A table for ingress knows targets inside the VPC only; EC2's own words for it are not known."""
    vpc, _, connection = ends
    lab.route(vpc, connection, "10.1.0.0/16")
    gateway = make_gateway(lab, vpc)
    lab.ec2(vpc).associate_route_table(GatewayId=gateway, RouteTableId=vpc.route_table_ids[0])
    for verb, cidr in (("create", "10.1.0.0/24"), ("replace", "10.1.0.0/16")):
        with Refused("InvalidParameterValue") as refusal:
            lab.route(vpc, connection, cidr, verb)
        assert "associated with a gateway" in refusal.message
    filters = [{"Name": "association.gateway-id", "Values": [gateway]}]
    found = lab.ec2(vpc).describe_route_tables(Filters=filters)["RouteTables"]
    assert [table["RouteTableId"] for table in found] == list(vpc.route_table_ids)


def test_truth_about_a_table_names_every_target(lab: Lab, ends: tuple[Vpc, Vpc, str]) -> None:
    """What a watcher compares: static routes only, whatever their destination and target are."""
    vpc, peer, connection = ends
    ec2, table = lab.ec2(vpc), vpc.route_table_ids[0]
    subnet = ec2.create_subnet(VpcId=vpc.id, CidrBlock="10.0.0.0/28")["Subnet"]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    egress = ec2.create_egress_only_internet_gateway(VpcId=vpc.id)["EgressOnlyInternetGateway"]
    offices, gateway = prefix_list(lab, vpc, 1), internet_gateway(lab, vpc)
    routes = {
        "0.0.0.0/0": ("DestinationCidrBlock", "GatewayId", gateway),
        "10.8.0.0/16": ("DestinationCidrBlock", "NetworkInterfaceId", interface),
        "::/0": ("DestinationIpv6CidrBlock", "EgressOnlyInternetGatewayId", egress["EgressOnlyInternetGatewayId"]),
        offices: ("DestinationPrefixListId", "VpcPeeringConnectionId", connection),
    }
    for destination, (kind, parameter, target) in routes.items():
        ec2.create_route(RouteTableId=table, **{kind: destination, parameter: target})
    lab.aws.plant_propagated_route(table, "10.7.0.0/16", "vgw-0123456789abcdef0")
    assert lab.aws.routes_of(table) == {destination: target for destination, (_, _, target) in routes.items()}
    lab.delete(peer, connection)
    assert offices not in lab.aws.routes_of(table)
