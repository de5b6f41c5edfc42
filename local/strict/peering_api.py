"""The peering operations of EC2's interface."""

from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

from local.strict import peering, views
from local.strict.api import StrictApi
from local.strict.connections import PROVISIONING, Connection, End, Role, Status
from local.strict.filters import along, select, tag_values, unknown
from local.strict.tags import checked

FILTERS = {
    "accepter-vpc-info.cidr-block": ("AccepterVpcInfo", "CidrBlock"),
    "accepter-vpc-info.owner-id": ("AccepterVpcInfo", "OwnerId"),
    "accepter-vpc-info.vpc-id": ("AccepterVpcInfo", "VpcId"),
    "expiration-time": ("ExpirationTime",),
    "requester-vpc-info.cidr-block": ("RequesterVpcInfo", "CidrBlock"),
    "requester-vpc-info.owner-id": ("RequesterVpcInfo", "OwnerId"),
    "requester-vpc-info.vpc-id": ("RequesterVpcInfo", "VpcId"),
    "status-code": ("Status", "Code"),
    "status-message": ("Status", "Message"),
    "vpc-peering-connection-id": ("VpcPeeringConnectionId",),
}


def _values(answer: Mapping[str, Any], name: str) -> Iterable[str]:
    tags = tag_values({tag["Key"]: tag["Value"] for tag in answer["Tags"]}, name)
    if tags is not None:
        return tags
    if name not in FILTERS:
        raise unknown(name)
    return along(answer, FILTERS[name])


class PeeringApi(StrictApi):
    """CreateVpcPeeringConnection and its kin."""

    def create_vpc_peering_connection(self) -> ActionResult:
        """Request, and tag the requester's side unless the connection already existed."""
        for parameter in ("VpcId", "PeerVpcId"):
            if not self._get_param(parameter):
                raise EC2ClientError("MissingParameter", f"The request must contain the parameter {parameter}")
        tags = self._tags_at_create()
        account, region = self.place
        requester = End(account, region, self._get_param("VpcId"))
        accepter = End(
            self._get_param("PeerOwnerId") or account,
            self._get_param("PeerRegion") or region,
            self._get_param("PeerVpcId"),
        )
        options = self._get_param("RequesterPeeringConnectionOptions", {})
        known = set(self.state.connections)
        connection = peering.create(self.state, requester, accepter, options)
        if connection.id in known:
            return self._answered(connection, connection.status.seen(self.place))
        self.own_tags[connection.id] = tags
        return self._answered(
            connection, Status("initiating-request", f"Initiating Request to {connection.accepter.account}")
        )

    def accept_vpc_peering_connection(self) -> ActionResult:
        """Accept; the answer shows `provisioning`, whatever the next Describe shows."""
        return self._answered(peering.accept(self.state, self.place, self._connection_id), PROVISIONING)

    def reject_vpc_peering_connection(self) -> ActionResult:
        """Refuse, as the accepter."""
        peering.reject(self.state, self.place, self._connection_id)
        return ActionResult({"Return": True})

    def delete_vpc_peering_connection(self) -> ActionResult:
        """End it, as either side."""
        peering.delete(self.state, self.place, self._connection_id)
        return ActionResult({"Return": True})

    def describe_vpc_peering_connections(self) -> ActionResult:
        """Show what this side sees; each connection that is returned counts as read."""
        ids: list[str] = self._get_param("VpcPeeringConnectionIds", [])
        found = [self.state.find(self.place, each, write=False) for each in ids] or self.state.listed(self.place)
        answers = [views.described(self.state, each, self.place) for each in found]
        selected = select(answers, self.filters, _values)
        items, following = self.paged(selected)
        for item in items:
            views.consume(self.state.connections[item["VpcPeeringConnectionId"]], self.place)
        return ActionResult({"VpcPeeringConnections": items, "NextToken": following})

    def modify_vpc_peering_connection_options(self) -> ActionResult:
        """Set options; the answer has them, a Describe may lag behind."""
        roles: tuple[Role, Role] = ("Requester", "Accepter")
        sent = {role: self._get_param(f"{role}PeeringConnectionOptions") for role in roles}
        wanted = {role: options for role, options in sent.items() if options}
        connection = peering.modify(self.state, self.place, self._connection_id, wanted)
        return ActionResult({f"{role}PeeringConnectionOptions": views.options_of(connection, role) for role in wanted})

    def _tags_at_create(self) -> dict[str, str]:
        tags: dict[str, str] = {}
        for specification in self._get_param("TagSpecifications", []):
            if (kind := specification.get("ResourceType")) != "vpc-peering-connection":
                raise EC2ClientError(
                    "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
                )
            tags |= {tag["Key"]: tag.get("Value", "") for tag in specification.get("Tags", [])}
        return checked(tags)

    @property
    def _connection_id(self) -> str:
        connection_id: str = self._get_param("VpcPeeringConnectionId")
        return connection_id

    def _answered(self, connection: Connection, status: Status) -> ActionResult:
        return ActionResult({"VpcPeeringConnection": views.show(self.state, connection, self.place, status)})
