"""The only calls to EC2: one account, in one Region, for one side of the peering."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import WaiterError
from botocore.paginate import Paginator, PaginatorModel
from botocore.waiter import Waiter, WaiterModel

from handler import shapes
from handler.calls import CONNECTION_NOT_FOUND, VISIBLE_WITHIN, Place, call
from handler.clock import Deadline, backoff
from handler.errors import InvalidRequest, NotFound, NotStabilized, PeeringError, ResourceConflict
from handler.model import (
    Connection,
    End,
    Option,
    Owner,
    PrefixList,
    Query,
    Quota,
    Route,
    RouteKey,
    RouteTable,
    Side,
    Status,
    Subnet,
    Vpc,
    matches,
)
from handler.parallel import run
from handler.quotas import applied
from handler.routes import Taken

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

T = TypeVar("T")

FILTER_VALUES: Final = 200
"""Values that EC2 takes in the filters of one call."""

WAITERS: Final = WaiterModel(json.loads(Path(__file__).with_name("waiters.json").read_text(encoding="utf-8")))


class Reads:
    """What several resources look at together: one call for all their VPCs, of each kind, account and Region."""

    def __init__(self, vpc_ids: Collection[str]) -> None:
        self.vpc_ids = frozenset(vpc_ids)
        self._kept: dict[Any, Any] = {}
        self._locks: defaultdict[Any, Lock] = defaultdict(Lock)

    def once(self, name: Any, read: Callable[[], T]) -> T:  # noqa: ANN401  # whatever names the reading
        """Return what was read under a name, by whoever came first."""
        with self._locks[name]:
            if name not in self._kept:
                self._kept[name] = read()
            found: T = self._kept[name]
            return found


class Ec2:
    """EC2 as one side sees it. Every call is repeated until the deadline, and every failure explained."""

    def __init__(  # noqa: PLR0913, PLR0917  # what a side is reached with
        self,
        client: "EC2Client",
        paginators: PaginatorModel,
        place: Place,
        deadline: Deadline,
        quotas: Callable[[], Any],
        reads: "Reads | None" = None,
    ) -> None:
        self._client = client
        self._reads = reads
        self._paginators = paginators
        self._place = place
        self._deadline = deadline
        self._quotas = quotas

    def until(self, deadline: Deadline) -> "Ec2":
        """Return the same with another deadline."""
        return Ec2(self._client, self._paginators, self._place, deadline, self._quotas, self._reads)

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # EC2's shapes
        return call(self._client, operation, self._place, self._deadline, **parameters)

    def _all(self, operation: str, shape: str, filters: Mapping[str, Collection[str]]) -> list[dict[str, Any]]:
        """Describe everything that the filters match, over all pages."""
        method = "describe_" + operation
        name = self._client.meta.method_to_api_mapping[method]
        paginator: Paginator[dict[str, Any]] = Paginator(
            partial(self._call, method),  # type: ignore[arg-type]  # the stub takes its name
            self._paginators.get_paginator(name),
            self._client.meta.service_model.operation_model(name),
        )
        pages = paginator.paginate(Filters=[{"Name": key, "Values": list(values)} for key, values in filters.items()])
        return pages.build_full_result()[shape]  # type: ignore[no-any-return]

    def _of_vpc(self, operation: str, shape: str, vpc_id: str) -> list[dict[str, Any]]:
        """Describe what belongs to a VPC, or to all that are looked at together."""
        if self._reads is None or vpc_id not in self._reads.vpc_ids:
            return self._all(operation, shape, {"vpc-id": [vpc_id]})
        among = {"vpc-id": sorted(self._reads.vpc_ids)}
        found = self._reads.once((self._place, operation), partial(self._all, operation, shape, among))
        return [each for each in found if each["VpcId"] == vpc_id]

    def vpc(self, vpc_id: str) -> Vpc | None:
        """Return a VPC, or None where it is not in this account and Region."""
        found = self._of_vpc("vpcs", "Vpcs", vpc_id)
        return shapes.vpc(found[0]) if found else None

    def vpcs_tagged(self, query: Query) -> tuple[Vpc, ...]:
        """Return the VPCs that a query matches; EC2's own filter would take `*` and `?` in a value for wildcards."""
        found = self._all("vpcs", "Vpcs", {"tag-key": [key for key, _ in query]})
        return tuple(shapes.vpc(shape) for shape in found if matches(query, shapes.tags(shape)))

    def dns_off(self, vpc_id: str) -> tuple[str, ...]:
        """Return which of the two attributes that DNS resolution over a peering needs are off in a VPC."""
        names = ("enableDnsSupport", "enableDnsHostnames")
        answers = run(partial(self._call, "describe_vpc_attribute", VpcId=vpc_id, Attribute=name) for name in names)
        return tuple(
            name for name, a in zip(names, answers, strict=True) if not a[f"{name[0].upper()}{name[1:]}"]["Value"]
        )

    def subnets(self, vpc_id: str) -> tuple[Subnet, ...]:
        """Return all subnets of a VPC."""
        return tuple(map(shapes.subnet, self._of_vpc("subnets", "Subnets", vpc_id)))

    def prefix_lists(self, prefix_list_ids: Collection[str]) -> tuple[PrefixList, ...]:
        """Return those of some prefix lists that this account and Region know."""
        found = self._all("managed_prefix_lists", "PrefixLists", {"prefix-list-id": prefix_list_ids})
        return tuple(map(shapes.prefix_list, found))

    def route_tables(self, vpc_id: str) -> tuple[RouteTable, ...]:
        """Return all route tables of a VPC, with all their routes; none where the VPC is not there.

        Every VPC has a main table: where EC2 shows its owner none, it does not show them yet. A participant of a shared
        VPC may see none.

        Raises:
            NotStabilized: it shows none of a VPC of this account.

        """
        patience, pauses = self._deadline.within(0 if self._reads else VISIBLE_WITHIN), backoff(0.5, 5)
        while not (found := self._of_vpc("route_tables", "RouteTables", vpc_id)):
            vpc = self.vpc(vpc_id)
            if vpc is None or vpc.account != self._place.account:
                break
            pause = next(pauses)
            if pause >= patience.remaining:
                raise NotStabilized(
                    f"EC2 showed no route table of {vpc_id}, not even its main one, to its owner ({self._place}).",
                    "Deploy again; if it recurs, ask AWS Support.",
                )
            patience.clock.sleep(pause)
        return tuple(map(shapes.route_table, found))

    def connections_between(self, vpc_ids: Collection[str]) -> tuple[Connection, ...]:
        """Return the connections between two VPCs in both directions, those that have ended too."""
        roles = ("requester", "accepter")
        if self._reads is None or not self._reads.vpc_ids >= set(vpc_ids):
            return self._connections({f"{role}-vpc-info.vpc-id": vpc_ids for role in roles})
        among = {f"{role}-vpc-info.vpc-id": sorted(self._reads.vpc_ids) for role in roles}
        found = self._reads.once((self._place, "connections"), partial(self._connections, among))
        return tuple(c for c in found if {c.requester.vpc_id, c.accepter.vpc_id} <= set(vpc_ids))

    def connections_of(self, vpc_id: str) -> tuple[Connection, ...]:
        """Return all connections of a VPC, with whomever."""
        roles = ("requester", "accepter")
        requested, accepted = run(partial(self._connections, {f"{role}-vpc-info.vpc-id": [vpc_id]}) for role in roles)
        return requested + accepted

    def connections_owned(self, owner: Owner) -> tuple[Connection, ...]:
        """Return all connections that carry the owner tags of a resource."""
        return self._connections({f"tag:{key}": [value] for key, value in owner.tags.items()})

    def live_among(self, connection_ids: Collection[str]) -> frozenset[str]:
        """Return those of some connections that still live."""
        ids = sorted(connection_ids)
        asked = [ids[start : start + FILTER_VALUES] for start in range(0, len(ids), FILTER_VALUES)]
        found = [c for some in asked for c in self._connections({"vpc-peering-connection-id": some})]
        return frozenset(c.connection_id for c in found if c.status.live)

    def quotas(self, asked: Collection[Quota]) -> dict[Quota, int]:
        """Return those of some quotas that this account is told."""
        client = self._quotas()
        answers = {quota: applied(client, quota, self._place, self._deadline) for quota in sorted(asked)}
        return {quota: most for quota, most in answers.items() if most is not None}

    def connection(self, connection_id: str) -> Connection | None:
        """Return a connection by its id."""
        found = self._connections({"vpc-peering-connection-id": [connection_id]})
        return found[0] if found else None

    def _connections(self, filters: Mapping[str, Collection[str]]) -> tuple[Connection, ...]:
        found = self._all("vpc_peering_connections", "VpcPeeringConnections", filters)
        return tuple(map(shapes.connection, found))

    def create_connection(self, requester: End, accepter: End, tags: Mapping[str, str]) -> Connection:
        """Request a connection and return it as the answer shows it.

        EC2 has no client token here: for a pair that is peered already in this direction it returns that connection,
        whoever made it (terraform-provider-aws #27750). Only its owner tags tell.
        """
        answer = self._call(
            "create_vpc_peering_connection",
            VpcId=requester.vpc_id,
            PeerVpcId=accepter.vpc_id,
            PeerOwnerId=accepter.account,
            PeerRegion=accepter.region,
            TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": shapes.tag_list(tags)}],
        )
        return shapes.connection(answer["VpcPeeringConnection"])

    def accept_connection(self, connection_id: str) -> None:
        """Accept a connection; one that is accepted already is fine."""
        self._transition("accept_vpc_peering_connection", connection_id, {Status.ACTIVE, Status.PROVISIONING})

    def delete_connection(self, connection_id: str) -> None:
        """Delete a connection; one that is gone, or going, is fine."""
        gone = {None, *(status for status in Status if not status.live)}
        self._transition("delete_vpc_peering_connection", connection_id, gone)

    def _transition(self, operation: str, connection_id: str, done: Collection[Status | None]) -> None:
        """Make a call that EC2 refuses between two states, or while it does not find what it shows; both end soon.

        A call that was done though its reply was lost is refused when it is repeated, before Describe shows it done.
        """
        patience, pauses = self._deadline.within(VISIBLE_WITHIN), backoff(0.2, 5)
        while True:
            try:
                self._call(operation, VpcPeeringConnectionId=connection_id)
            except (InvalidRequest, NotFound) as failure:
                if failure.ec2_code not in {"invalidstatetransition", CONNECTION_NOT_FOUND}:
                    raise
                seen = self.connection(connection_id)
                status = seen.status if seen else None
                if status in done:
                    return
                ended = status is not None and not status.live
                vanished = status is None and failure.ec2_code == CONNECTION_NOT_FOUND
                between = status in {Status.INITIATING_REQUEST, Status.PROVISIONING}
                if ended or vanished or (not between and patience.remaining <= 0):
                    raise
                self._deadline.pause(next(pauses), f"{connection_id} was {status or 'not visible'} in {self._place}")
            else:
                return

    def modify_options(self, connection_id: str, role: Side, options: Mapping[Option, bool]) -> None:
        """Set some options of this side, which has the role to EC2; the others are left alone.

        EC2 may say for a while that what it has shown as active is not.
        """
        patience, pauses = self._deadline.within(VISIBLE_WITHIN), backoff(0.2, 5)
        asked = {f"{role.title()}PeeringConnectionOptions": {option.value: on for option, on in options.items()}}
        while True:
            try:
                self._call("modify_vpc_peering_connection_options", VpcPeeringConnectionId=connection_id, **asked)
            except InvalidRequest as failure:
                if "not active" not in failure.cause or patience.remaining <= 0:
                    raise
                self._deadline.pause(next(pauses), f"{connection_id} was not active yet to options in {self._place}")
            else:
                return

    def tag(self, connection_id: str, tags: Mapping[str, str]) -> None:
        """Write tags on this side's view of a connection."""
        self._call("create_tags", Resources=[connection_id], Tags=shapes.tag_list(tags))

    def untag(self, connection_id: str, tags: Mapping[str, str]) -> None:
        """Remove tags, each only while it has the value given."""
        self._call("delete_tags", Resources=[connection_id], Tags=shapes.tag_list(tags))

    def create_route(self, route: RouteKey, target: str) -> None:
        """Make a route; the identical one that is there already is fine (a reply may have been lost).

        Raises:
            Taken: when another target has the destination.

        """
        try:
            self._call("create_route", **_leading(route, target))
        except ResourceConflict as failure:
            if failure.ec2_code != "routealreadyexists":
                raise
            present = self._static_route(route)
            if present is None:
                raise
            if present.target != target:
                raise Taken.by(route, present) from failure

    def replace_route(self, route: RouteKey, target: str) -> None:
        """Point a route to another target without a gap; a route that has gone meanwhile is made anew.

        Raises:
            Taken: when another target has the destination of a route that had gone.

        """
        try:
            self._call("replace_route", **_leading(route, target))
        except InvalidRequest as failure:
            # "There is no route defined for '10.1.0.0/16' in the route table."
            if "no route defined" not in failure.cause.lower():
                raise
            self.create_route(route, target)

    def delete_route(self, route: RouteKey, connection_id: str) -> None:
        """Delete a route to a connection; one that is gone, with its table or without, is fine.

        EC2 may not find for a moment what it shows: a route that is still there is deleted again, for a minute.
        """
        patience, pauses = self._deadline.within(VISIBLE_WITHIN), backoff(0.2, 5)
        while True:
            try:
                self._call("delete_route", **_route(route))
            except PeeringError as failure:
                if not failure.ec2_code.endswith(".notfound"):
                    raise
                present = self._static_route(route)
                if present is None or present.target != connection_id:
                    return
                if patience.remaining <= 0:
                    raise
                self._deadline.pause(next(pauses), f"EC2 did not find the route {route}, which it shows")
            else:
                return

    def _static_route(self, route: RouteKey) -> Route | None:
        tables = self._all("route_tables", "RouteTables", {"route-table-id": [route.table_id]})
        return shapes.route_table(tables[0]).static_route(route.destination) if tables else None

    def wait(self, waiter: str, connection_id: str) -> Connection | None:
        """Wait by one of `waiters.json`, and return what was seen last; None where it is not shown any more.

        Raises:
            InvalidRequest: when the connection ended otherwise, with EC2's own message.
            NotStabilized: when the deadline came first.

        """
        describe = partial(self._all, "vpc_peering_connections", "VpcPeeringConnections")
        poll = _Poll(describe, connection_id, self._deadline, self._place)
        try:
            Waiter(waiter, WAITERS.get_waiter(waiter), poll).wait()  # type: ignore[arg-type]  # the stub wants a mapping
        except WaiterError as error:
            raise _ended(poll.seen) from error
        return poll.seen


class _Poll:
    """What a botocore waiter calls: a describe of all pages, paced by a back-off and ended by the deadline."""

    def __init__(
        self, describe: Callable[..., list[dict[str, Any]]], connection_id: str, deadline: Deadline, place: Place
    ) -> None:
        self._describe = describe
        self._connection_id = connection_id
        self._deadline = deadline
        self._place = place
        self._pauses: Iterator[float] | None = None
        self.seen: Connection | None = None

    def __call__(self) -> dict[str, Any]:
        if self._pauses is None:
            self._pauses = backoff(0.2, 5, factor=1.5)
        else:
            status = self.seen.status if self.seen else "not visible"
            self._deadline.pause(next(self._pauses), f"{self._connection_id} was {status} in {self._place}")
        shown = self._describe({"vpc-peering-connection-id": [self._connection_id]})
        self.seen = shapes.connection(shown[0]) if shown else None
        return {"VpcPeeringConnections": shown}


def _ended(connection: Connection | None) -> PeeringError:
    """Say why a connection ended: EC2 answers a wrong VPC or an overlap not when asked, but in the status."""
    if connection is None:
        return NotStabilized("the connection is not shown any more.", "Deploy again.")
    cause = f"{connection.connection_id} became {connection.status}: {connection.message or 'no message'}."
    if connection.status is Status.FAILED:
        return InvalidRequest(cause, "Check for overlapping CIDR blocks, PeerVpcId, PeerOwnerId and PeerRegion.")
    return ResourceConflict(cause, "Somebody ended it meanwhile: agree with the other party, then deploy again.")


def _leading(route: RouteKey, target: str) -> dict[str, str]:
    parameter = shapes.target_parameter(target)
    if parameter is None:
        raise InvalidRequest(
            f"{route} cannot be led to {target}: this version of the function does not know that kind of target.",
            "Lead it there by hand, then deploy again.",
        )
    return {**_route(route), **parameter}


def _route(route: RouteKey) -> dict[str, str]:
    return {"RouteTableId": route.table_id, **shapes.destination_parameter(route.destination)}
