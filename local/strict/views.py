"""How EC2 shows a connection, in the shape of its own answers."""

from datetime import timedelta
from typing import Any

from moto.core.utils import utcnow

from local.strict.connections import (
    ACTIVE,
    EXPIRES_AFTER,
    Connection,
    End,
    Place,
    Role,
    State,
    Status,
    backend_of,
    blocks_of,
    vpc_at,
)
from local.strict.peering import CLASSIC_LINK, DNS, MODE, MULTIPATH


def consume(connection: Connection, place: Place) -> None:
    """Count one Describe that returned the connection; the next one may show more."""
    connection.tagged.read(place)
    if connection.status.read(place) == ACTIVE:
        connection.cidrs.read(place)
    for options in connection.options.values():
        options.read(place)


def described(state: State, connection: Connection, place: Place) -> dict[str, Any]:
    """Show the connection as a Describe does, which may lag behind."""
    answer = show(state, connection, place, connection.status.seen(place))
    return answer if connection.tagged.seen(place) else {**answer, "Tags": []}


def show(state: State, connection: Connection, place: Place, status: Status) -> dict[str, Any]:
    """Show the connection in that status; the other side's CIDR blocks and the options only while active."""
    answer: dict[str, Any] = {
        "VpcPeeringConnectionId": connection.id,
        "Status": {"Code": status.code, "Message": status.message},
        "Tags": [{"Key": k, "Value": v} for k, v in backend_of(place).tags.get(connection.id, {}).items()],
        "RequesterVpcInfo": _info(connection, "Requester", place, status),
        "AccepterVpcInfo": _info(connection, "Accepter", place, status),
    }
    if status.code in {"initiating-request", "pending-acceptance"}:
        left = connection.created + EXPIRES_AFTER - state.clock()
        answer["ExpirationTime"] = utcnow() + timedelta(seconds=left)
    if connection.inter_region:
        allowed = [options.seen(place).get(MULTIPATH, False) for options in connection.options.values()]
        answer["MultipathResilienceStatus"] = "enabled" if all(allowed) else "pending" if any(allowed) else "disabled"
    return answer


def _info(connection: Connection, role: Role, place: Place, status: Status) -> dict[str, Any]:
    end = connection.requester if role == "Requester" else connection.accepter
    info: dict[str, Any] = {"OwnerId": end.account, "VpcId": end.vpc_id, "Region": end.region}
    if status == ACTIVE:
        info["PeeringOptions"] = options_of(connection, role, place)
    own = place == end.place and (role == "Requester" or place != connection.requester.place)
    if own or (status == ACTIVE and connection.cidrs.seen(place)):
        info |= _cidrs(end)
    return info


def options_of(connection: Connection, role: Role, place: Place | None = None) -> dict[str, Any]:
    """All options of a side as a place sees them; without a place: as they are."""
    lagging = connection.options[role]
    shown = lagging.seen(place) if place else lagging.value
    options: dict[str, Any] = {DNS: shown.get(DNS, False), **dict.fromkeys(CLASSIC_LINK, False)}
    if connection.inter_region:
        options[MULTIPATH] = shown.get(MULTIPATH, False)
    if shown.get(MULTIPATH):
        options[MODE] = "always-on"
    return options


def _cidrs(end: End) -> dict[str, Any]:
    vpc = vpc_at(end)
    if vpc is None:
        return {}
    cidrs: dict[str, Any] = {
        "CidrBlock": vpc.cidr_block,
        "CidrBlockSet": [{"CidrBlock": block} for block in blocks_of(vpc, ipv6=False)],
    }
    if ipv6 := blocks_of(vpc, ipv6=True):
        cidrs["Ipv6CidrBlockSet"] = [{"Ipv6CidrBlock": block} for block in ipv6]
    return cidrs
