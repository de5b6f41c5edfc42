from typing import Any, Final

import botocore.session
import pytest

from handler import shapes
from handler.model import Connection, End, Option, PrefixList, Route, RouteTable, Side, Status, Subnet, Vpc
from handler.shapes import TARGETS, tag_list, target_parameter

CONNECTION: Final[dict[str, Any]] = {
    "VpcPeeringConnectionId": "pcx-0a1b2c3d4e5f60718",
    "Status": {"Code": "active", "Message": "Active"},
    "RequesterVpcInfo": {
        "VpcId": "vpc-hub",
        "OwnerId": "111111111111",
        "Region": "us-east-1",
        "CidrBlock": "10.0.0.0/16",
        "CidrBlockSet": [{"CidrBlock": "10.0.0.0/16"}, {"CidrBlock": "10.1.0.0/16"}],
        "Ipv6CidrBlockSet": [{"Ipv6CidrBlock": "2001:0db8:0:0::/56"}],
        "PeeringOptions": {"AllowDnsResolutionFromRemoteVpc": True},
    },
    "AccepterVpcInfo": {"VpcId": "vpc-spoke", "OwnerId": "222222222222", "Region": "eu-west-1"},
    "Tags": [{"Key": "Name", "Value": "hub-to-spoke"}],
}
ENDS: Final = (End("vpc-hub", "111111111111", "us-east-1"), End("vpc-spoke", "222222222222", "eu-west-1"))


def test_connection() -> None:
    """What EC2 does not show of the other side is empty, never an error."""
    assert Connection(
        "pcx-0a1b2c3d4e5f60718",
        Status.ACTIVE,
        *ENDS,
        message="Active",
        tags={"Name": "hub-to-spoke"},
        options={Side.REQUESTER: frozenset({Option.DNS}), Side.ACCEPTER: frozenset()},
        cidr_blocks={Side.REQUESTER: ("10.0.0.0/16", "10.1.0.0/16", "2001:db8::/56"), Side.ACCEPTER: ()},
    ) == shapes.connection(CONNECTION)


def test_bare_connection() -> None:
    """The answer to Create, and a pending connection, have no options, blocks, tags or message."""
    bare = {name: CONNECTION[name] for name in ("VpcPeeringConnectionId", "AccepterVpcInfo")}
    requester = {name: CONNECTION["RequesterVpcInfo"][name] for name in ("VpcId", "OwnerId", "Region")}
    nothing: dict[Side, tuple[str, ...]] = {Side.REQUESTER: (), Side.ACCEPTER: ()}

    assert Connection(
        "pcx-0a1b2c3d4e5f60718",
        Status.PENDING_ACCEPTANCE,
        *ENDS,
        options=dict.fromkeys(Side, frozenset()),
        cidr_blocks=nothing,
    ) == shapes.connection({**bare, "RequesterVpcInfo": requester, "Status": {"Code": "pending-acceptance"}})


def test_status_knows_every_code_of_ec2() -> None:
    """The plan is total over the states: one that botocore knows and we do not would break it."""
    model = botocore.session.get_session().get_service_model("ec2")

    known = sorted(set(Status) - {Status.UNKNOWN})
    assert known == sorted(model.shape_for("VpcPeeringConnectionStateReasonCode").enum)  # type: ignore[attr-defined]


def test_vpc() -> None:
    """Only blocks that are associated count, in canonical form, IPv4 first."""
    blocks = ("10.0.0.0/16", "10.1.0.0/16", "2001:db8::/56")
    assert Vpc("vpc-hub", "111111111111", blocks, {"Team": "net", "Name": "hub"}) == shapes.vpc(
        {
            "VpcId": "vpc-hub",
            "OwnerId": "111111111111",
            "CidrBlockAssociationSet": [
                {"CidrBlock": "10.0.0.0/16", "CidrBlockState": {"State": "associated"}},
                {"CidrBlock": "10.1.0.0/16", "CidrBlockState": {"State": "associated"}},
                {"CidrBlock": "10.2.0.0/16", "CidrBlockState": {"State": "associating"}},
                {"CidrBlock": "10.3.0.0/16", "CidrBlockState": {"State": "disassociated"}},
            ],
            "Ipv6CidrBlockAssociationSet": [
                {"Ipv6CidrBlock": "2001:0DB8::/56", "Ipv6CidrBlockState": {"State": "associated"}},
                {"Ipv6CidrBlock": "2001:db8:1::/56", "Ipv6CidrBlockState": {"State": "disassociating"}},
            ],
            "Tags": [{"Key": "Team", "Value": "net"}, {"Key": "Name", "Value": "hub"}],
        }
    )


def test_bare_vpc() -> None:
    """A VPC without tags has no name."""
    assert Vpc("vpc-hub", "111111111111", ()) == shapes.vpc({"VpcId": "vpc-hub", "OwnerId": "111111111111"})


@pytest.mark.parametrize(
    ("associations", "main", "gateway"),
    [
        ([], False, False),
        ([{"Main": True}], True, False),
        ([{"Main": False, "SubnetId": "subnet-1"}], False, False),
        ([{"Main": False, "SubnetId": "subnet-1"}, {"Main": True}], True, False),
        ([{"Main": False, "GatewayId": "igw-1"}], False, True),
    ],
)
def test_route_table(associations: list[dict[str, object]], main: bool, gateway: bool) -> None:
    """A table is known by its associations: the main one, a subnet's, a gateway's."""
    shape = {"RouteTableId": "rtb-1", "Associations": associations, "Tags": [{"Key": "Tier", "Value": "app"}]}
    subnet_ids = frozenset(str(a["SubnetId"]) for a in associations if "SubnetId" in a)

    assert RouteTable("rtb-1", main, (), gateway, subnet_ids, {"Tier": "app"}) == shapes.route_table(shape)


def test_subnet() -> None:
    """Blocks that are being disassociated do not count, and an IPv6-only subnet has no IPv4 block."""
    blocks = [
        {"Ipv6CidrBlock": "2001:db8:0:1::/64", "Ipv6CidrBlockState": {"State": "associated"}},
        {"Ipv6CidrBlock": "2001:db8:0:2::/64", "Ipv6CidrBlockState": {"State": "disassociating"}},
    ]
    shape = {"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/24", "Ipv6CidrBlockAssociationSet": blocks}

    assert Subnet("subnet-1", ("10.0.0.0/24", "2001:db8:0:1::/64")) == shapes.subnet(shape)
    assert Subnet("subnet-1", ("2001:db8:0:1::/64",)) == shapes.subnet({**shape, "CidrBlock": ""})


def test_prefix_list() -> None:
    """AWS's own lists show no maximum of entries."""
    shape = {"PrefixListId": "pl-1", "AddressFamily": "IPv6", "MaxEntries": 20}

    assert PrefixList("pl-1", ipv6=True, max_entries=20) == shapes.prefix_list(shape)
    assert PrefixList("pl-1", ipv6=False, max_entries=1) == shapes.prefix_list({"PrefixListId": "pl-1"})


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("10.8.0.0/16", {"DestinationCidrBlock": "10.8.0.0/16"}),
        ("2001:db8::/56", {"DestinationIpv6CidrBlock": "2001:db8::/56"}),
        ("pl-0a1b2c3d", {"DestinationPrefixListId": "pl-0a1b2c3d"}),
    ],
)
def test_destination_parameter(destination: str, expected: dict[str, str]) -> None:
    """EC2 takes each kind of destination by a parameter of its own, one in a call (aws-cdk #5321)."""
    assert expected == shapes.destination_parameter(destination)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (
            {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable"},
            Route("10.0.0.0/16", "local", "CreateRouteTable"),
        ),
        ({"DestinationCidrBlock": "10.8.0.0/16", "VpcPeeringConnectionId": "pcx-1"}, Route("10.8.0.0/16", "pcx-1")),
        (
            {"DestinationIpv6CidrBlock": "2001:0DB8::/56", "EgressOnlyInternetGatewayId": "eigw-1"},
            Route("2001:db8::/56", "eigw-1"),
        ),
        ({"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1"}, Route("pl-1", "vpce-1")),
        (
            {"DestinationCidrBlock": "0.0.0.0/0", "InstanceId": "i-1", "NetworkInterfaceId": "eni-1"},
            Route("0.0.0.0/0", "eni-1"),
        ),
        (
            {"DestinationCidrBlock": "10.8.0.0/16", "GatewayId": "vgw-1", "Origin": "EnableVgwRoutePropagation"},
            Route("10.8.0.0/16", "vgw-1", "EnableVgwRoutePropagation"),
        ),
        (
            {"DestinationCidrBlock": "10.8.0.0/16", "NatGatewayId": "nat-1", "State": "blackhole"},
            Route("10.8.0.0/16", "nat-1", blackhole=True),
        ),
        ({"DestinationCidrBlock": "10.8.0.0/16", "State": "blackhole"}, Route("10.8.0.0/16", "", blackhole=True)),
    ],
)
def test_route(shape: dict[str, str], expected: Route) -> None:
    """A route has a destination of three kinds and a target of many; EC2 may show none where that is gone."""
    assert (expected,) == shapes.route_table({"RouteTableId": "rtb-1", "Routes": [shape]}).routes


def test_every_target_of_ec2_is_known() -> None:
    """A target that is not read would show as none: a conflict without a name, and a route that cannot be put back."""
    model = botocore.session.get_session().get_service_model("ec2")
    members = set(model.shape_for("Route").members)  # type: ignore[attr-defined]  # it has this shape
    others = {"DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId", "State", "Origin"}

    assert set() == members - others - {"InstanceOwnerId", "IpAddress"} - set(TARGETS.values())


def test_every_target_can_be_put_back() -> None:
    """A target that was read must be one that ReplaceRoute takes, by the same member."""
    model = botocore.session.get_session().get_service_model("ec2")

    assert set() == set(TARGETS.values()) - set(model.operation_model("ReplaceRoute").input_shape.members)  # type: ignore[union-attr]


@pytest.mark.parametrize("member", sorted(set(TARGETS.values())))
def test_target_of_a_route(member: str) -> None:
    """A conflict is told with the present target, whatever kind it is."""
    shape = {"DestinationCidrBlock": "10.8.0.0/16", member: "the-target"}

    assert (Route("10.8.0.0/16", "the-target"),) == shapes.route_table(
        {"RouteTableId": "rtb-1", "Routes": [shape]}
    ).routes


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("pcx-1", {"VpcPeeringConnectionId": "pcx-1"}),
        ("igw-1", {"GatewayId": "igw-1"}),
        ("vgw-1", {"GatewayId": "vgw-1"}),
        ("tgw-1", {"TransitGatewayId": "tgw-1"}),
        ("nat-1", {"NatGatewayId": "nat-1"}),
        ("eni-1", {"NetworkInterfaceId": "eni-1"}),
        ("i-1", {"InstanceId": "i-1"}),
        ("eigw-1", {"EgressOnlyInternetGatewayId": "eigw-1"}),
        ("lgw-1", {"LocalGatewayId": "lgw-1"}),
        ("cagw-1", {"CarrierGatewayId": "cagw-1"}),
        ("vpce-1", {"VpcEndpointId": "vpce-1"}),
        (
            "arn:aws:odb:us-east-1:111111111111:odb-network/odbnet_1",
            {"OdbNetworkArn": "arn:aws:odb:us-east-1:111111111111:odb-network/odbnet_1"},
        ),
        (
            "arn:aws:networkmanager::111111111111:core-network/core-network-1",
            {"CoreNetworkArn": "arn:aws:networkmanager::111111111111:core-network/core-network-1"},
        ),
        ("xgw-1", None),
    ],
)
def test_target_parameter(target: str, expected: dict[str, str] | None) -> None:
    """A route is put back by the parameter that its target's id belongs to; EC2 may add kinds of targets."""
    assert expected == target_parameter(target)


def test_tag_list() -> None:
    """Tags go out in EC2's form, in the order given."""
    assert [{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}] == tag_list({"b": "1", "a": ""})


@pytest.mark.parametrize(
    "shape", [{}, {"Status": {}, "RequesterVpcInfo": {"VpcId": "vpc-1"}}, {"Status": {"Code": "new"}}]
)
def test_connection_that_tells_little(shape: dict[str, Any]) -> None:
    """All connections of a VPC are read: one odd stranger must not fail what has nothing to do with it."""
    seen = shapes.connection({"VpcPeeringConnectionId": "pcx-1", **shape})

    assert ("pcx-1", Status.UNKNOWN, End("", "", "")) == (seen.connection_id, seen.status, seen.accepter)
    assert seen.status.live
