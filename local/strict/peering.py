"""The life of a connection: create, accept, reject, delete, options. Each raises EC2's own errors."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.utils import random_vpc_peering_connection_id

from local.strict.connections import (
    ACTIVE,
    FAILED,
    PROVISIONING,
    Connection,
    End,
    Lagging,
    Place,
    Role,
    State,
    Status,
    backend_of,
    blocks_of,
    vpc_at,
)

DNS = "AllowDnsResolutionFromRemoteVpc"
MULTIPATH, MODE = "AllowMultipathResilience", "MultipathResilienceMode"
CLASSIC_LINK = ("AllowEgressFromLocalClassicLinkToRemoteVpc", "AllowEgressFromLocalVpcToRemoteClassicLink")


def create(state: State, requester: End, accepter: End, options: Mapping[str, Any]) -> Connection:
    """Request a peering; the same ordered pair gets the connection that it has, or had a moment ago.

    What is wrong with the accepter's end is no error here: the connection turns `failed`.
    """
    backend_of(requester.place).get_vpc(requester.vpc_id)
    if requester == accepter:
        raise EC2ClientError("InvalidParameterValue", f"A VPC cannot be peered with itself: {requester.vpc_id}")
    _check_multipath(options, inter_region=requester.region != accepter.region)
    existing = _same_pair(state, requester, accepter)
    return existing or _request(state, requester, accepter, multipath=bool(options.get(MULTIPATH)))


def _same_pair(state: State, requester: End, accepter: End) -> Connection | None:
    twins = [c for c in state.connections.values() if (c.requester, c.accepter) == (requester, accepter)]
    for twin in twins:
        if twin.live:
            return twin
    for twin in reversed(twins):
        if twin.dying:
            twin.dying -= 1
            return twin
    return None


def _request(state: State, requester: End, accepter: End, *, multipath: bool) -> Connection:
    _check_quotas(state, requester, accepter)
    initiating = Status("initiating-request", f"Initiating Request to {accepter.account}")
    pending = Status("pending-acceptance", f"Pending Acceptance by {accepter.account}")
    settings, now = state.settings, state.clock()
    connection = Connection(random_vpc_peering_connection_id(), requester, accepter, Lagging(pending), now)
    if multipath:
        connection.options["Requester"] = Lagging({MULTIPATH: True})
    if _overlap_or_absent(requester, accepter):
        state.end(connection, FAILED, requester.place)
    connection.status.change(
        connection.status.value, via=initiating, places=connection.places, reads=settings.initiating_reads
    )
    connection.tagged.change(True, via=False, places=[requester.place], reads=settings.tags_reads)
    connection.hidden = {
        (accepter.place, False): settings.hidden_reads_accepter,
        (accepter.place, True): settings.hidden_writes_accepter,
        (requester.place, False): settings.hidden_reads_requester,
        (requester.place, True): settings.hidden_writes_requester,
    }
    state.connections[connection.id] = connection
    for place in {requester.place} if connection.status.value == FAILED else connection.places:
        backend_of(place).vpc_pcxs[connection.id] = connection
    return connection


def _overlap_or_absent(requester: End, accepter: End) -> bool:
    ours, theirs = vpc_at(requester), vpc_at(accepter)
    if ours is None or theirs is None:
        return True
    return any(
        ip_network(mine).overlaps(ip_network(other))
        for ipv6 in (False, True)
        for mine in blocks_of(ours, ipv6=ipv6)
        for other in blocks_of(theirs, ipv6=ipv6)
    )


def _count(state: State, end: End, code: str) -> int:
    connections = [c for c in state.connections.values() if end in (c.requester, c.accepter)]
    return sum(connection.status.value.code == code for connection in connections)


def _check_quotas(state: State, requester: End, accepter: End) -> None:
    settings = state.settings
    limits = (
        ("VpcPeeringConnectionsPerVpcLimitExceeded", requester, "active", settings.active_peerings_per_vpc),
        (
            "OutstandingVpcPeeringConnectionLimitExceeded",
            requester,
            "pending-acceptance",
            settings.outstanding_requests_per_vpc,
        ),
        ("PendingVpcPeeringConnectionLimitExceeded", accepter, "pending-acceptance", settings.pending_requests_per_vpc),
    )
    for code, end, status, limit in limits:
        if _count(state, end, status) >= limit:
            raise EC2ClientError(code, f"You have reached the limit of {limit} {status} connections of {end.vpc_id}")


def _for_accepter(state: State, place: Place, connection_id: str, verb: str) -> Connection:
    account, region = place
    known = state.connections.get(connection_id)
    if known and known.accepter.account == account and region == known.requester.region != known.accepter.region:
        raise EC2ClientError(
            "OperationNotPermitted",
            f"Incorrect region ({region}) specified for this request. "
            f"VPC peering connection {connection_id} must be {verb}ed in region {known.accepter.region}",
        )
    connection = state.find(place, connection_id)
    if place != connection.accepter.place:
        raise EC2ClientError("OperationNotPermitted", f"User ({account}) cannot {verb} peering {connection_id}")
    if connection.status.seen(place).code != "pending-acceptance":
        raise _wrong_state(connection, place, verb)
    return connection


def _wrong_state(connection: Connection, place: Place, verb: str) -> EC2ClientError:
    return EC2ClientError(
        "InvalidStateTransition",
        f"Invalid state transition for {connection.id}: cannot {verb} from {connection.status.seen(place).code}",
    )


def accept(state: State, place: Place, connection_id: str) -> Connection:
    """Accept, as the accepter's account in the accepter's Region."""
    connection = _for_accepter(state, place, connection_id, "accept")
    ends = {connection.requester, connection.accepter}
    for other in state.connections.values():
        if other.status.value == ACTIVE and {other.requester, other.accepter} == ends:
            raise EC2ClientError(
                "VpcPeeringConnectionAlreadyExists", f"A VPC peering connection already exists: {other.id}"
            )
    limit = state.settings.active_peerings_per_vpc
    for end in ends:
        if _count(state, end, "active") >= limit:
            raise EC2ClientError(
                "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
                f"You have reached the limit of {limit} active connections of {end.vpc_id}",
            )
    reads = state.settings.provisioning_reads
    connection.status.change(ACTIVE, via=PROVISIONING, places=connection.places, reads=reads)
    connection.cidrs.change(True, via=False, places=connection.places, reads=state.settings.cidr_reads)
    if connection.options["Requester"].value.get(MULTIPATH):
        connection.options["Accepter"] = Lagging({MULTIPATH: True})
    return connection


def reject(state: State, place: Place, connection_id: str) -> None:
    """Refuse, as the accepter."""
    connection = _for_accepter(state, place, connection_id, "reject")
    state.end(connection, Status("rejected", f"Rejected by {place[0]}"), place)


def delete(state: State, place: Place, connection_id: str) -> None:
    """Either side ends an active connection, the requester alone a pending one."""
    connection = state.find(place, connection_id)
    code = connection.status.seen(place).code
    if code == "pending-acceptance" and place != connection.requester.place:
        raise EC2ClientError("OperationNotPermitted", f"User ({place[0]}) cannot delete peering {connection_id}")
    if not connection.live or code not in {"pending-acceptance", "provisioning", "active"}:
        raise _wrong_state(connection, place, "delete")
    deleted = Status("deleted", f"Deleted by {place[0]}")
    via = Status("deleting", f"Deleting by {place[0]}") if connection.inter_region else None
    state.end(connection, deleted, place, via=via)
    connection.dying = state.settings.dying_creates


def modify(state: State, place: Place, connection_id: str, wanted: Mapping[Role, dict[str, Any]]) -> Connection:
    """Options of the caller's own side or sides, of an active connection."""
    connection = state.find(place, connection_id)
    if not wanted:
        raise EC2ClientError("MissingParameter", "The request must contain peering options of at least one side")
    if connection.status.seen(place) != ACTIVE:
        raise EC2ClientError(
            "OperationNotPermitted",
            f"Peering {connection_id} is not active. Peering options can be added only to active peerings.",
        )
    own = {"Requester": connection.requester.place, "Accepter": connection.accepter.place}
    for role, options in wanted.items():
        if own[role] != place:
            raise EC2ClientError(
                "OperationNotPermitted",
                f"User ({place[0]}) cannot modify {role.lower()} options of peering {connection_id} in {place[1]}",
            )
        _check_options(connection, options)
    for role, options in wanted.items():
        _set(state, connection, role, options)
    return connection


def _check_options(connection: Connection, options: dict[str, Any]) -> None:
    if any(member in options for member in CLASSIC_LINK):
        raise EC2ClientError("InvalidParameterValue", "ClassicLink peering options are not supported")
    _check_multipath(options, inter_region=connection.inter_region)
    if options.get(DNS) and not all(map(_has_dns, (connection.requester, connection.accepter))):
        raise EC2ClientError(
            "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled",
            "Both VPCs must have enableDnsSupport and enableDnsHostnames to enable DNS resolution over the peering",
        )


def _check_multipath(options: Mapping[str, Any], *, inter_region: bool) -> None:
    if options.get(MODE) and not options.get(MULTIPATH):
        raise EC2ClientError("InvalidParameterCombination", f"{MODE} needs {MULTIPATH}")
    if options.get(MULTIPATH) and not inter_region:
        raise EC2ClientError("InvalidParameterValue", f"{MULTIPATH} is supported for inter-Region peering only")


def _has_dns(end: End) -> bool:
    vpc = vpc_at(end)
    return vpc is not None and bool(vpc.enable_dns_support and vpc.enable_dns_hostnames)


def _set(state: State, connection: Connection, role: Role, options: dict[str, Any]) -> None:
    lagging = connection.options[role]
    value = {**lagging.value, **{name: options[name] for name in (DNS, MULTIPATH) if name in options}}
    lagging.change(value, via=lagging.value, places=connection.places, reads=state.settings.options_reads)
