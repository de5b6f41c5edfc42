"""The route operations of EC2's interface."""

from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.route_tables import Route, RouteTable
from moto.ec2.responses.route_tables import RouteTables

from local.strict import routes
from local.strict.api import StrictApi
from local.strict.connections import ACTIVE, Connection
from local.strict.filters import along, select, tag_values, unknown

FILTERS = {
    "association.gateway-id": ("Associations", "GatewayId"),
    "association.main": ("Associations", "Main"),
    "association.route-table-association-id": ("Associations", "RouteTableAssociationId"),
    "association.route-table-id": ("Associations", "RouteTableId"),
    "association.subnet-id": ("Associations", "SubnetId"),
    "owner-id": ("OwnerId",),
    "route-table-id": ("RouteTableId",),
    "route.destination-cidr-block": ("Routes", "DestinationCidrBlock"),
    "route.destination-ipv6-cidr-block": ("Routes", "DestinationIpv6CidrBlock"),
    "route.destination-prefix-list-id": ("Routes", "DestinationPrefixListId"),
    "route.egress-only-internet-gateway-id": ("Routes", "EgressOnlyInternetGatewayId"),
    "route.gateway-id": ("Routes", "GatewayId"),
    "route.instance-id": ("Routes", "InstanceId"),
    "route.nat-gateway-id": ("Routes", "NatGatewayId"),
    "route.origin": ("Routes", "Origin"),
    "route.state": ("Routes", "State"),
    "route.transit-gateway-id": ("Routes", "TransitGatewayId"),
    "route.vpc-peering-connection-id": ("Routes", "VpcPeeringConnectionId"),
    "vpc-id": ("VpcId",),
}
MEMBERS = {
    "DestinationCidrBlock": "destination_cidr_block",
    "DestinationIpv6CidrBlock": "destination_ipv6_cidr_block",
    "DestinationPrefixListId": "destination_prefix_list_id",
    **routes.SHOWN_TARGETS,
    "Origin": "origin",
}


def _values(table: Mapping[str, Any], name: str) -> Iterable[str]:
    tags = tag_values({tag["Key"]: tag["Value"] for tag in table["Tags"]}, name)
    if tags is not None:
        return tags
    if name not in FILTERS:
        raise unknown(name)
    return along(table, FILTERS[name])


class RouteApi(StrictApi, RouteTables):
    """CreateRoute and its kin."""

    def create_route(self) -> ActionResult:
        """Add a route; RouteAlreadyExists even if the target is the same."""
        table = self._route_table
        destination = routes.canonical_destination(routes.destination_of(self.params))
        existing = routes.static_route(table, destination)
        if existing and not existing.local:
            raise EC2ClientError("RouteAlreadyExists", f"The route identified by {destination.value} already exists.")
        routes.check_quota(table, destination, self.state.settings.routes_per_table, self.place)
        routes.put(self.state, self.place, table, destination, self.params)
        return ActionResult({"Return": True})

    def replace_route(self) -> ActionResult:
        """Give a route that exists another target."""
        table, destination = self._route_table, routes.destination_of(self.params)
        if routes.static_route(table, destination) is None:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"There is no route defined for '{destination.value}' in the route table. Use CreateRoute instead.",
            )
        routes.put(self.state, self.place, table, destination, self.params)
        return EmptyResult()

    def delete_route(self) -> ActionResult:
        """Delete by the exact, canonical destination."""
        table, destination = self._route_table, routes.destination_of(self.params)
        route = routes.static_route(table, destination)
        if route is None:
            raise EC2ClientError(
                "InvalidRoute.NotFound",
                f"no route with destination-cidr-block {destination.value} in route table {table.id}",
            )
        if route.local:
            raise EC2ClientError(
                "InvalidParameterValue", f"cannot remove local route {destination.value} in route table {table.id}"
            )
        del table._routes[route.id]  # noqa: SLF001 - moto has no other door
        return EmptyResult()

    def describe_route_tables(self) -> ActionResult:
        """Filter, and answer in pages, with the true state of each route."""
        found = self.ec2_backend.describe_route_tables(self._get_param("RouteTableIds", []))
        selected = select([self._table_answer(table) for table in found], self.filters, _values)
        items, following = self.paged(selected)
        return ActionResult({"RouteTables": items, "NextToken": following})

    @property
    def _route_table(self) -> RouteTable:
        table: RouteTable = self.ec2_backend.get_route_table(self._get_param("RouteTableId"))
        return table

    def _table_answer(self, table: RouteTable) -> dict[str, Any]:
        return {
            "RouteTableId": table.id,
            "VpcId": table.vpc_id,
            "OwnerId": table.owner_id,
            "Associations": routes.associations(table),
            "Routes": [self._route_answer(route) for route in table.routes],
            "Tags": [{"Key": key, "Value": value} for key, value in self.own_tags.get(table.id, {}).items()],
        }

    def _route_answer(self, route: Route) -> dict[str, Any]:
        members = {name: getattr(route, attribute) for name, attribute in MEMBERS.items()}
        target: Any = route.vpc_pcx
        dead = isinstance(target, Connection) and target.status.seen(self.place) != ACTIVE
        shown = {name: value for name, value in members.items() if value is not None}
        return shown | {"State": "blackhole" if dead else "active"}
