"""What the two accounts hold: the VPCs of the demo, the connection as either side shows it, and every route."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.embedded import EmbeddedAws
from local.world import Vpc, cidr_blocks, make_vpc, routes

REQUESTER, ACCEPTER = "111111111111", "222222222222"

RouteKey = tuple[str, str]
"""Route table and destination."""
Target = tuple[str, str]
"""Target and state."""


@dataclass(frozen=True)
class Place:
    """The VPCs of the demo; the hub's tables are named by what they are for."""

    hub: Vpc
    spoke: Vpc
    new_spoke: Vpc
    gateway_id: str
    partner_gateway_id: str

    @property
    def vpcs(self) -> dict[str, Vpc]:
        """All VPCs by name."""
        return {"hub": self.hub, "spoke": self.spoke, "spoke-2": self.new_spoke}


def make_place(aws: EmbeddedAws) -> Place:
    """Make what a company has before it peers: VPCs with secondary blocks, several tables and routes of their own."""
    url = aws.strict.url
    blocks = ["10.9.0.0/16", "10.10.0.0/16"]
    hub = make_vpc(url, REQUESTER, "us-east-1", "hub", "10.0.0.0/16", secondary=["10.1.0.0/16"], tables=5)
    spoke = make_vpc(url, ACCEPTER, "eu-west-1", "spoke", "10.8.0.0/16", secondary=blocks[:1], tables=3)
    new_spoke = make_vpc(url, ACCEPTER, "eu-west-1", "spoke-2", "10.8.0.0/16", secondary=blocks, tables=2)
    ec2 = aws.client("ec2", hub.account, hub.region)
    gateway_id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=hub.id)
    ec2.create_route(RouteTableId=hub.route_table_ids[0], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway_id)
    partner_gateway_id = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    ec2.attach_vpn_gateway(VpnGatewayId=partner_gateway_id, VpcId=hub.id)
    partner_table_id = hub.route_table_ids[4]
    ec2.create_route(RouteTableId=partner_table_id, DestinationCidrBlock=blocks[0], GatewayId=partner_gateway_id)
    return Place(hub, spoke, new_spoke, gateway_id, partner_gateway_id)


@dataclass(frozen=True)
class SideView:
    """A connection as one side shows it, and the VPC there."""

    account: str
    region: str
    vpc_id: str
    cidr_blocks: tuple[str, ...]
    state: str
    allows_dns: bool
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Scene:
    """One moment. `sides` are empty without a connection; `routes` are by the VPC's name, without the local ones."""

    connection_id: str = ""
    sides: tuple[SideView, ...] = ()
    routes: Mapping[str, Mapping[RouteKey, Target]] = field(default_factory=dict)

    @property
    def flat(self) -> dict[RouteKey, Target]:
        """The routes of all VPCs."""
        return {key: target for found in self.routes.values() for key, target in found.items()}

    @property
    def peered(self) -> set[RouteKey]:
        """The routes to any peering connection."""
        return {key for key, (target, _) in self.flat.items() if target.startswith("pcx-")}


def observe(aws: EmbeddedAws, place: Place, connection_id: str) -> Scene:
    """Read both accounts; the connection, once it had an id, also when it is gone."""
    sides = tuple(_sides(aws, connection_id)) if connection_id else ()
    found = {name: _routes(aws, vpc) for name, vpc in place.vpcs.items()}
    return Scene(connection_id, sides, found)


def live_connections(aws: EmbeddedAws) -> list[str]:
    """List the connections that either account still has."""
    return [
        connection["VpcPeeringConnectionId"]
        for account, region in ((REQUESTER, "us-east-1"), (ACCEPTER, "eu-west-1"))
        for connection in aws.client("ec2", account, region).describe_vpc_peering_connections()["VpcPeeringConnections"]
        if connection["Status"]["Code"] != "deleted"
    ]


def _routes(aws: EmbeddedAws, vpc: Vpc) -> dict[RouteKey, Target]:
    return {
        (table_id, destination): (target, state)
        for table_id, table in routes(aws.strict.url, vpc).items()
        for destination, (target, state) in table.items()
        if target != "local"
    }


def _sides(aws: EmbeddedAws, connection_id: str) -> Iterator[SideView]:
    for account, region, side in ((REQUESTER, "us-east-1", "Requester"), (ACCEPTER, "eu-west-1", "Accepter")):
        ec2 = aws.client("ec2", account, region)
        reply = ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[connection_id])
        connection: dict[str, Any] = reply["VpcPeeringConnections"][0]
        info = connection[f"{side}VpcInfo"]
        yield SideView(
            account,
            region,
            info["VpcId"],
            cidr_blocks(ec2, info["VpcId"]),
            connection["Status"]["Code"],
            info.get("PeeringOptions", {}).get("AllowDnsResolutionFromRemoteVpc", False),
            {tag["Key"]: tag["Value"] for tag in connection.get("Tags", [])},
        )
