"""The rules of a route table, on moto's own tables; EC2's messages where they are known."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, NamedTuple

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.managed_prefixes import ManagedPrefixList
from moto.ec2.models.route_tables import Route, RouteTable

from local.strict.connections import ACTIVE, Connection, Place, State, backend_of
from local.strict.networks import canonical, prefix_list_of

DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
TARGETS = {
    "GatewayId": "gateway_id",
    "InstanceId": "instance_id",
    "NatGatewayId": "nat_gateway_id",
    "EgressOnlyInternetGatewayId": "egress_only_igw_id",
    "TransitGatewayId": "transit_gateway_id",
    "NetworkInterfaceId": "interface_id",
    "VpcPeeringConnectionId": "vpc_peering_connection_id",
    "CarrierGatewayId": "carrier_gateway_id",
    "VpcEndpointId": "vpc_endpoint_id",
}
SHOWN_TARGETS = {
    "CarrierGatewayId": "carrier_gateway_id",
    "EgressOnlyInternetGatewayId": "egress_only_internet_gateway_id",
    "GatewayId": "gateway_id",
    "InstanceId": "instance_id",
    "NatGatewayId": "nat_gateway_id",
    "NetworkInterfaceId": "network_interface_id",
    "TransitGatewayId": "transit_gateway_id",
    "VpcPeeringConnectionId": "vpc_peering_connection_id",
}
"""Members of a route in answers, and moto's own names of them."""
MIDDLEBOXES = {"InstanceId", "NetworkInterfaceId", "VpcEndpointId"}
"""Targets that a route more specific than the local one may have."""
RESERVED = [ip_network("169.254.168.0/22"), ip_network("fd00:ec2::/32")]


class Destination(NamedTuple):
    """One of the three kinds of destination, by its parameter's name."""

    kind: str
    value: str

    @property
    def ipv6(self) -> bool:
        """Whether it is an IPv6 CIDR block."""
        return self.kind == "DestinationIpv6CidrBlock"


class Propagated(Route):
    """A route that a virtual private gateway propagates: it blocks nothing and cannot be touched."""

    @property
    def origin(self) -> str:
        """EC2's word for it."""
        return "EnableVgwRoutePropagation"


def destination_of(params: Mapping[str, Any]) -> Destination:
    """Exactly as it was sent. Raises MissingParameter or InvalidParameterCombination."""
    given = [Destination(kind, params[kind]) for kind in DESTINATIONS if params.get(kind)]
    if not given:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter destinationCidrBlock")
    if len(given) > 1:
        raise EC2ClientError("InvalidParameterCombination", "The request must contain exactly one destination")
    return given[0]


def canonical_destination(destination: Destination) -> Destination:
    """Return the CIDR block without host bits, of the right family."""
    kind, value = destination
    if kind == "DestinationPrefixListId":
        return destination
    network = canonical(value, kind)
    if (":" in network) != destination.ipv6:
        raise EC2ClientError("InvalidParameterValue", f"Value ({value}) for parameter {kind} is invalid")
    return Destination(kind, network)


def _goes_to(route: Route, destination: Destination) -> bool:
    return destination.value in (
        route.destination_cidr_block,
        route.destination_ipv6_cidr_block,
        route.destination_prefix_list_id,
    )


def static_route(table: RouteTable, destination: Destination) -> Route | None:
    """Find the route to exactly this destination that a call can touch; None: there is none."""
    routes = (route for route in table.routes if not isinstance(route, Propagated))
    return next((route for route in routes if _goes_to(route, destination)), None)


def put(state: State, place: Place, table: RouteTable, destination: Destination, params: Mapping[str, Any]) -> None:
    """Write the route, over one that may exist, if its target and destination are allowed."""
    target = _target_of(params)
    _check_destination(place, table, destination, target)
    if target == "VpcPeeringConnectionId":
        _check_connection(state, place, table, params[target])
    aside = {key: route for key, route in table._routes.items() if _goes_to(route, destination)}  # noqa: SLF001
    try:
        _write(place, table, destination, {TARGETS[target]: params[target]}, aside)
    except EC2ClientError:
        table._routes |= aside  # noqa: SLF001
        raise


def _write(
    place: Place, table: RouteTable, destination: Destination, target: dict[str, str], aside: dict[str, Route]
) -> None:
    """Let moto write the route, without its own opinion about what is there already."""
    for key in aside:
        del table._routes[key]  # noqa: SLF001 - moto has no other door
    backend_of(place).create_route(
        table.id,
        destination.value if destination.kind == "DestinationCidrBlock" else None,
        destination_ipv6_cidr_block=destination.value if destination.ipv6 else None,
        destination_prefix_list_id=destination.value if destination.kind == "DestinationPrefixListId" else None,
        **target,
    )
    table._routes |= {key: route for key, route in aside.items() if isinstance(route, Propagated)}  # noqa: SLF001


def _target_of(params: Mapping[str, Any]) -> str:
    given = [target for target in TARGETS if params.get(target)]
    if len(given) != 1:
        raise EC2ClientError("InvalidParameterCombination", "The request must contain exactly one target")
    return given[0]


def _check_destination(place: Place, table: RouteTable, destination: Destination, target: str) -> None:
    if destination.kind == "DestinationPrefixListId":
        prefix_list_of(place, destination.value)
        return
    network: Any = ip_network(destination.value)
    if any(network.version == reserved.version and network.subnet_of(reserved) for reserved in RESERVED):
        raise EC2ClientError("InvalidParameterValue", f"The destination CIDR block {network} is reserved")
    for route in table.routes:
        local: Any = ip_network(_cidr(route)) if route.local else None
        if local and local.version == network.version and network.subnet_of(local) and target not in MIDDLEBOXES:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"The destination CIDR block {network} is equal to or more specific than one of this VPC's CIDR "
                "blocks. This route can target only an interface or an instance.",
            )


def _cidr(route: Route) -> str:
    return route.destination_cidr_block or route.destination_ipv6_cidr_block or ""


def associations(table: RouteTable) -> list[dict[str, Any]]:
    """List a table's associations as EC2 shows them; moto names internet gateways, but not virtual private ones."""
    gateways = {each: target for each, target in table._associations.items() if target.startswith("vgw-")}  # noqa: SLF001
    return [
        association | {"GatewayId": gateways[association["RouteTableAssociationId"]]}
        if association["RouteTableAssociationId"] in gateways
        else association
        for association in table.associations
    ]


def _check_connection(state: State, place: Place, table: RouteTable, connection_id: str) -> None:
    connection = state.find(place, connection_id)
    if any("GatewayId" in association for association in associations(table)):
        raise EC2ClientError(
            "InvalidParameterValue",
            f"route table {table.id} is associated with a gateway and takes no vpc peering connection as target",
        )
    if (*place, table.vpc_id) not in (connection.requester, connection.accepter):
        raise EC2ClientError(
            "InvalidParameterValue",
            f"route table {table.id} and network gateway {connection_id} belong to different networks",
        )
    if not connection.live:
        raise EC2ClientError(
            "InvalidVpcPeeringConnectionID.NotFound",
            f"The vpcPeeringConnection ID '{connection_id}' does not exist",
        )


def check_quota(table: RouteTable, destination: Destination, limit: int, place: Place) -> None:
    """Raise RouteLimitExceeded if one more route of that family does not fit."""
    ipv6, wanted = destination.ipv6, 1
    if destination.kind == "DestinationPrefixListId":
        ipv6, wanted = _weight(prefix_list_of(place, destination.value))
    used = 0
    for route in table.routes:
        if route.local or isinstance(route, Propagated):
            continue
        prefix_list = route.destination_prefix_list
        family, weight = _weight(prefix_list) if prefix_list else (bool(route.destination_ipv6_cidr_block), 1)
        used += weight if family == ipv6 else 0
    if used + wanted > limit:
        raise EC2ClientError("RouteLimitExceeded", f"The maximum number of routes has been reached: {limit}")


def _weight(prefix_list: ManagedPrefixList) -> tuple[bool, int]:
    return prefix_list.address_family == "IPv6", int(prefix_list.max_entries or 1)


def _table(table_id: str) -> RouteTable:
    """Find a table wherever it is. Raises KeyError."""
    backends: list[Any] = [backend for _, _, backend in ec2_backends.iter_backends()]
    tables: dict[str, RouteTable] = {key: table for each in backends for key, table in each.route_tables.items()}
    return tables[table_id]


def working(table_id: str) -> dict[str, str]:
    """Return the target of each static route, by destination, without those to a dead connection. Raises KeyError."""
    found = {}
    for route in _table(table_id).routes:
        pcx: Any = route.vpc_pcx
        dead = isinstance(pcx, Connection) and pcx.status.value != ACTIVE
        if not (route.local or dead or isinstance(route, Propagated)):
            target = next(filter(None, (getattr(route, name) for name in SHOWN_TARGETS.values())), "")
            found[_cidr(route) or str(route.destination_prefix_list_id)] = target
    return found


def plant(table_id: str, cidr: str, gateway_id: str) -> None:
    """Add a propagated route, beside a static one to the same destination if there is one. Raises KeyError."""
    table, network = _table(table_id), canonical(cidr, "DestinationCidrBlock")
    v4, v6 = (None, network) if ":" in network else (network, None)
    make: Any = Propagated  # abstract, but to mypy alone
    route: Route = make(table, v4, v6, vpc_endpoint_id=gateway_id)
    table._routes[f"{route.id}~{gateway_id}"] = route  # noqa: SLF001 - moto has no other door
