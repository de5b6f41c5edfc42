"""The values that the whole code speaks in: what is desired, and what was observed. Pure: no AWS, no clock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_network
from typing import Any, Final

RESERVED_BLOCKS: Final = ("169.254.168.0/22", "fd00:ec2::/32")
"""Destinations that EC2 keeps for its own services: a route equal to one or inside it is refused."""


REPLACES: Final = "vpc-peering:replaces"
"""The owner tag of a connection that was made in place of another one of its resource: that one's id."""


def canonical(cidr_block: str) -> str:
    """Return a CIDR block as EC2 stores it: host bits cleared, IPv6 compressed (`100.68.0.18/18` is `100.68.0.0/18`).

    Raises `ValueError` for what is no CIDR block.
    """
    return str(ip_network(cidr_block, strict=False))


def inside(cidr_block: str, other: str) -> bool:
    """Tell whether a CIDR block is equal to another, or a part of it."""
    inner, outer = ip_network(cidr_block), ip_network(other)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def overlaps(cidr_block: str, other: str) -> bool:
    """Tell whether two CIDR blocks share an address."""
    return inside(cidr_block, other) or inside(other, cidr_block)


class Side(StrEnum):
    """An end of a peering connection: who requests it, and who accepts it."""

    REQUESTER = "requester"
    ACCEPTER = "accepter"

    @property
    def other(self) -> "Side":
        """The opposite side."""
        return Side.ACCEPTER if self is Side.REQUESTER else Side.REQUESTER

    @property
    def prefix(self) -> str:
        """What the names of this side's properties begin with."""
        return "" if self is Side.REQUESTER else "Peer"


class Status(StrEnum):
    """EC2's `VpcPeeringConnectionStateReason.Code`."""

    INITIATING_REQUEST = "initiating-request"
    PENDING_ACCEPTANCE = "pending-acceptance"
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    DELETING = "deleting"
    DELETED = "deleted"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def live(self) -> bool:
        """Whether the connection carries packets, or still may."""
        return self in {Status.INITIATING_REQUEST, Status.PENDING_ACCEPTANCE, Status.PROVISIONING, Status.ACTIVE}


class OnConflict(StrEnum):
    """What to do with a static route of another target to a desired destination."""

    FAIL = "Fail"
    SKIP = "Skip"
    REPLACE = "Replace"


@dataclass(frozen=True)
class Owner:
    """Who a connection belongs to; written on its requester's side as tags, at creation."""

    stack_id: str
    logical_id: str
    managed_by: str

    @property
    def tags(self) -> dict[str, str]:
        """The owner tags."""
        return {
            "vpc-peering:stack-id": self.stack_id,
            "vpc-peering:logical-id": self.logical_id,
            "vpc-peering:managed-by": self.managed_by,
        }

    def owns(self, connection: "Connection") -> bool:
        """Tell whether a connection, as seen from the requester's side, carries these owner tags."""
        return self.tags.items() <= connection.tags.items()


@dataclass(frozen=True)
class End:
    """Where an end of a connection lies. Two connections of the same ends, in the same order, are the same pair."""

    vpc_id: str
    account: str
    region: str


@dataclass(frozen=True)
class RouteRule:
    """`Routes` or `PeerRoutes`: which tables get routes to which destinations. CIDR blocks are canonical."""

    route_table_ids: tuple[str, ...] = ()
    all_route_tables: bool = False
    main_route_table: bool = False
    exclude_route_table_ids: tuple[str, ...] = ()
    destination_cidr_blocks: tuple[str, ...] | None = None
    exclude_cidr_blocks: tuple[str, ...] = ()
    on_conflict: OnConflict = OnConflict.FAIL


@dataclass(frozen=True)
class DesiredSide:
    """What the properties ask for on one side.

    `managed` is false for a side that is left to the other party; `allow_dns` is None where the option is not managed.
    """

    end: End
    managed: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    allow_dns: bool | None = None
    routes: RouteRule | None = None


@dataclass(frozen=True, order=True)
class RouteKey:
    """A place for one route: a destination (canonical CIDR block) in a table of a side."""

    side: Side
    table_id: str
    destination: str

    def __str__(self) -> str:
        return f"{self.destination} in {self.table_id}"


@dataclass(frozen=True)
class Desired:
    """The state that a request asks for; `present` is false for Delete.

    `previous` is what the resource asked for before (Update), of the same pair or another. `connection_id` is the
    physical id where it is a connection's: the one that this resource has had so far.
    """

    owner: Owner
    requester: DesiredSide
    accepter: DesiredSide
    auto_accept: bool = True
    present: bool = True
    previous: "Desired | None" = None
    connection_id: str | None = None

    def side(self, side: Side) -> DesiredSide:
        """Return the requester's or the accepter's part."""
        return self.requester if side is Side.REQUESTER else self.accepter

    @property
    def ends(self) -> tuple[End, End]:
        """The pair: the requester's end, the accepter's end."""
        return self.requester.end, self.accepter.end

    def owns(self, connection: "Connection") -> bool:
        """Tell whether a connection is this resource's: of this very pair, with its owner tags."""
        return connection.ends == self.ends and self.owner.owns(connection)

    @property
    def shared_tags(self) -> bool:
        """Whether both sides see one set of tags: EC2 keeps one set an account and Region."""
        requester, accepter = self.ends
        return (requester.account, requester.region) == (accepter.account, accepter.region)


@dataclass(frozen=True)
class Vpc:
    """A VPC as DescribeVpcs shows it: only blocks that are associated, canonical, IPv4 before IPv6."""

    vpc_id: str
    account: str
    cidr_blocks: tuple[str, ...]
    name: str | None = None

    @property
    def has_ipv6(self) -> bool:
        """Whether an IPv6 block is associated."""
        return any(":" in block for block in self.cidr_blocks)


@dataclass(frozen=True)
class Route:
    """A route; `origin` is EC2's: `CreateRouteTable` (local), `CreateRoute` (static), or propagated."""

    destination: str
    target: str
    origin: str = "CreateRoute"
    blackhole: bool = False


@dataclass(frozen=True)
class RouteTable:
    """A route table of a VPC of the pair; `gateway` for one of an internet or virtual private gateway.

    EC2 refuses routes to a peering connection in a gateway's table.
    """

    table_id: str
    main: bool
    routes: tuple[Route, ...] = ()
    gateway: bool = False

    def static_route(self, destination: str) -> Route | None:
        """Return the static route to exactly this destination: the only kind that another one can conflict with."""
        return next((r for r in self.routes if r.destination == destination and r.origin == "CreateRoute"), None)


@dataclass(frozen=True)
class Connection:
    """A connection as one side sees it: that side's tags, and of the options what EC2 shows there."""

    connection_id: str
    status: Status
    requester: End
    accepter: End
    message: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    allow_dns: Mapping[Side, bool] = field(default_factory=dict)
    cidr_blocks: Mapping[Side, tuple[str, ...]] = field(default_factory=dict)

    @property
    def ends(self) -> tuple[End, End]:
        """The pair: the requester's end, the accepter's end."""
        return self.requester, self.accepter

    def end(self, side: Side) -> End:
        """Return the requester's or the accepter's end."""
        return self.requester if side is Side.REQUESTER else self.accepter


@dataclass(frozen=True)
class ObservedSide:
    """What one side's account shows in its Region. `vpc` is None where the VPC is not there."""

    vpc: Vpc | None = None
    tables: tuple[RouteTable, ...] = ()
    connections: tuple[Connection, ...] = ()

    def connection(self, connection_id: str | None) -> Connection | None:
        """Return a connection by its id."""
        return next((c for c in self.connections if c.connection_id == connection_id), None)


@dataclass(frozen=True)
class RouteRecord:
    """A route that we made: the connection it was made for, and the target that it took the place of."""

    key: RouteKey
    connection_id: str
    former: str | None = None


@dataclass(frozen=True)
class Observed:
    """The world as it is; a side is None where it is not ours to act on, or could not be reached (Delete).

    `records` are the registry's; `gone` are the connections that routes still name though they live no more.
    """

    requester: ObservedSide
    accepter: ObservedSide | None
    records: tuple[RouteRecord, ...] = ()
    gone: frozenset[str] = frozenset()

    def side(self, side: Side) -> ObservedSide | None:
        """Return the requester's or the accepter's part."""
        return self.requester if side is Side.REQUESTER else self.accepter

    def with_side(self, side: Side, **fresh: Any) -> "Observed":  # noqa: ANN401  # the fields of ObservedSide
        """Return the same with a part of one side read anew."""
        view = replace(self.side(side) or ObservedSide(), **fresh)
        return replace(self, requester=view) if side is Side.REQUESTER else replace(self, accepter=view)

    def sides(self) -> Iterator[tuple[Side, ObservedSide]]:
        """Yield the sides that could be observed."""
        yield Side.REQUESTER, self.requester
        if self.accepter is not None:
            yield Side.ACCEPTER, self.accepter
