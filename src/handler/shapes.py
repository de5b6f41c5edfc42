"""From EC2's response shapes to the model's values."""

import re
from collections.abc import Mapping
from typing import Any, Final

from handler.model import (
    Connection,
    End,
    Option,
    PrefixList,
    Route,
    RouteTable,
    Side,
    Status,
    Subnet,
    Vpc,
    canonical,
    is_prefix_list,
)

Shape = Mapping[str, Any]

TARGETS: Final = {
    "pcx-": "VpcPeeringConnectionId",
    "nat-": "NatGatewayId",
    "tgw-": "TransitGatewayId",
    "eni-": "NetworkInterfaceId",
    "eigw-": "EgressOnlyInternetGatewayId",
    "lgw-": "LocalGatewayId",
    "cagw-": "CarrierGatewayId",
    "vpce-": "VpcEndpointId",
    "arn:[^:]*:networkmanager:": "CoreNetworkArn",
    "arn:[^:]*:odb:": "OdbNetworkArn",
    "i-": "InstanceId",
    "[iv]gw-": "GatewayId",
}
"""The member of EC2's route that names a target, by how the target's id or ARN begins (a regular expression)."""


def target_parameter(target: str) -> dict[str, str] | None:
    """Return the parameter of ReplaceRoute that names a target; None for a kind that this code does not know."""
    return next(({member: target} for pattern, member in TARGETS.items() if re.match(pattern, target)), None)


def destination_parameter(destination: str) -> dict[str, str]:
    """Return the parameter that names a destination: IPv4 blocks, IPv6 blocks and prefix lists have each their own."""
    if is_prefix_list(destination):
        return {"DestinationPrefixListId": destination}
    return {"DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock": destination}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags(shape: Shape) -> dict[str, str]:
    """Return the tags of any shape that has some."""
    return {tag["Key"]: tag["Value"] for tag in shape.get("Tags", [])}


def vpc(shape: Shape) -> Vpc:
    """Convert a `Vpc`; blocks that are being associated or disassociated do not count."""
    blocks = [
        association["CidrBlock"]
        for association in shape.get("CidrBlockAssociationSet", [])
        if association["CidrBlockState"]["State"] == "associated"
    ]
    return Vpc(
        vpc_id=shape["VpcId"],
        account=shape["OwnerId"],
        cidr_blocks=tuple(map(canonical, blocks + _ipv6_blocks(shape))),
        tags=tags(shape),
    )


def _ipv6_blocks(shape: Shape) -> list[str]:
    return [
        association["Ipv6CidrBlock"]
        for association in shape.get("Ipv6CidrBlockAssociationSet", [])
        if association["Ipv6CidrBlockState"]["State"] == "associated"
    ]


def subnet(shape: Shape) -> Subnet:
    """Convert a `Subnet`."""
    blocks = [shape["CidrBlock"]] if shape.get("CidrBlock") else []  # an IPv6-only subnet has none
    return Subnet(shape["SubnetId"], tuple(map(canonical, blocks + _ipv6_blocks(shape))), tags(shape))


def prefix_list(shape: Shape) -> PrefixList:
    """Convert a `ManagedPrefixList`; AWS's own name no maximum, and count as one entry at least."""
    return PrefixList(shape["PrefixListId"], shape.get("AddressFamily") == "IPv6", shape.get("MaxEntries") or 1)


def route_table(shape: Shape) -> RouteTable:
    """Convert a `RouteTable`."""
    return RouteTable(
        table_id=shape["RouteTableId"],
        main=any(association.get("Main", False) for association in shape.get("Associations", [])),
        routes=tuple(_route(route) for route in shape.get("Routes", [])),
        gateway=any("GatewayId" in association for association in shape.get("Associations", [])),
        subnet_ids=frozenset(a["SubnetId"] for a in shape.get("Associations", []) if "SubnetId" in a),
        tags=tags(shape),
    )


def _route(shape: Shape) -> Route:
    block = shape.get("DestinationCidrBlock") or shape.get("DestinationIpv6CidrBlock")
    # Of an instance EC2 shows its network interface as well; the interface is what can be put back.
    target = next((shape[member] for member in TARGETS.values() if shape.get(member)), "")
    return Route(
        destination=canonical(block) if block else shape["DestinationPrefixListId"],
        target=target,
        origin=shape.get("Origin", "CreateRoute"),
        blackhole=shape.get("State") == "blackhole",
    )


def connection(shape: Shape) -> Connection:
    """Convert a `VpcPeeringConnection`; of a stranger's, what it does not tell is empty."""
    infos = {Side.REQUESTER: shape.get("RequesterVpcInfo", {}), Side.ACCEPTER: shape.get("AccepterVpcInfo", {})}
    status = shape.get("Status", {})
    return Connection(
        connection_id=shape["VpcPeeringConnectionId"],
        status=Status(status.get("Code")),
        requester=_end(infos[Side.REQUESTER]),
        accepter=_end(infos[Side.ACCEPTER]),
        message=status.get("Message", ""),
        tags=tags(shape),
        options={side: _options(shape, side, info) for side, info in infos.items()},
        cidr_blocks={side: _blocks(info) for side, info in infos.items()},
    )


def _options(shape: Shape, side: Side, info: Shape) -> frozenset[Option]:
    """Return the options of a side that are on.

    Before it is active EC2 may show none: only the status tells then that the request allows multipath resilience.
    """
    shown = info.get("PeeringOptions", {})
    on = {option for option in Option if shown.get(option)}
    pending = shape.get("Status", {}).get("Code") in {Status.INITIATING_REQUEST, Status.PENDING_ACCEPTANCE}
    if pending and side is Side.REQUESTER and shape.get("MultipathResilienceStatus") == "pending":
        on.add(Option.MULTIPATH)
    return frozenset(on)


def _end(info: Shape) -> End:
    return End(*(info.get(member, "") for member in ("VpcId", "OwnerId", "Region")))


def _blocks(info: Shape) -> tuple[str, ...]:
    blocks = [block["CidrBlock"] for block in info.get("CidrBlockSet", [])]
    return tuple(map(canonical, blocks + [block["Ipv6CidrBlock"] for block in info.get("Ipv6CidrBlockSet", [])]))
