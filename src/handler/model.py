"""The values that the whole code speaks in: what is desired, and what was observed. Pure: no AWS, no clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_network
from typing import Any, Final

RESERVED_BLOCKS: Final = ("169.254.168.0/22", "fd00:ec2::/32")
"""Destinations that EC2 keeps for its own services: a route equal to one or inside it is refused."""


OWNER_TAGS: Final = "vpc-peering:"
"""What all owner tags begin with."""

REPLACES: Final = "vpc-peering:replaces"
"""The owner tag of a connection that was made in place of another one of its resource: that one's id."""

ADOPTED: Final = "vpc-peering:adopted"
"""The owner tag of a connection that its resource has not made: what was there before, see `adopted_tag`."""


def canonical(cidr_block: str) -> str:
    """Return a CIDR block as EC2 stores it: host bits cleared, IPv6 compressed (`100.68.0.18/18` is `100.68.0.0/18`).

    Raises `ValueError` for what is not a CIDR block.
    """
    return str(ip_network(cidr_block, strict=False))


def inside(cidr_block: str, other: str) -> bool:
    """Tell whether a CIDR block is equal to another, or a part of it."""
    inner, outer = ip_network(cidr_block), ip_network(other)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def overlaps(cidr_block: str, other: str) -> bool:
    """Tell whether two CIDR blocks share an address."""
    return inside(cidr_block, other) or inside(other, cidr_block)


def is_prefix_list(destination: str) -> bool:
    """Tell whether a destination is a managed prefix list, and no CIDR block."""
    return destination.startswith("pl-")


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
    UNKNOWN = "unknown"
    """Any other: what EC2 may add. It counts as live, since what is taken for absent would be made again."""

    @classmethod
    def _missing_(cls, value: object) -> "Status":  # noqa: ARG003  # enum's
        return cls.UNKNOWN

    @property
    def live(self) -> bool:
        """Whether the connection carries packets, or still may."""
        return self not in {Status.DELETING, Status.DELETED, Status.REJECTED, Status.FAILED, Status.EXPIRED}


class OnConflict(StrEnum):
    """What to do with a static route of another target to a desired destination."""

    FAIL = "Fail"
    SKIP = "Skip"
    REPLACE = "Replace"


class Mode(StrEnum):
    """What maintenance does with what it finds."""

    REPAIR = "Repair"
    REPORT = "Report"
    OFF = "Off"

    @classmethod
    def _missing_(cls, value: object) -> "Mode | None":
        """Take what YAML 1.1 makes of an Off without quotes, as CloudFormation sends it."""
        return cls.OFF if value == "false" else None


@dataclass(frozen=True)
class Owner:
    """Who a connection belongs to; written as tags on the side of `VpcId`, at creation or at adoption."""

    stack_id: str
    logical_id: str
    managed_by: str

    @property
    def account(self) -> str:
        """The account of the stack."""
        return self.stack_id.split(":")[4]

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


class Option(StrEnum):
    """EC2's peering options, which each side has for itself."""

    DNS = "AllowDnsResolutionFromRemoteVpc"
    MULTIPATH = "AllowMultipathResilience"


Query = tuple[tuple[str, str | None], ...]
"""Tags to look for, which must all match; None matches any value. Without any, nothing is looked for."""


def matches(query: Query, tags: Mapping[str, str]) -> bool:
    """Tell whether tags are what a query looks for."""
    return bool(query) and all(key in tags and value in (None, tags[key]) for key, value in query)


@dataclass(frozen=True)
class RouteRule:
    """`Routes` or `PeerRoutes`: which tables get routes to which destinations. CIDR blocks are canonical."""

    route_table_ids: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    route_table_tags: Query = ()
    subnet_tags: Query = ()
    all_route_tables: bool = False
    main_route_table: bool = False
    exclude_route_table_ids: tuple[str, ...] = ()
    destination_cidr_blocks: tuple[str, ...] | None = None
    destination_subnet_ids: tuple[str, ...] = ()
    destination_prefix_list_ids: tuple[str, ...] = ()
    exclude_cidr_blocks: tuple[str, ...] = ()
    on_conflict: OnConflict = OnConflict.FAIL

    @property
    def to_whole_vpc(self) -> bool:
        """Whether no destination is given: then it is every block of the other VPC."""
        return self.destination_cidr_blocks is None and not (
            self.destination_subnet_ids or self.destination_prefix_list_ids
        )


@dataclass(frozen=True)
class DesiredSide:
    """What the properties ask for on one side.

    `managed` is false for a side that is left to the other party. One that is `given_up` was managed before: what the
    resource has put there is taken back, and nothing else is asked of it. `vpc_tags` look for the VPC whose id `end`
    has then not yet. `options` has only those that are managed.
    """

    end: End
    managed: bool = True
    given_up: bool = False
    vpc_tags: Query = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[Option, bool] = field(default_factory=dict)
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
class Guard:
    """What the installation permits; as it stands here, everything.

    `account` is the function's own, and `vpc_ids` are of VPCs in it, or `*`. `peer_accounts` are others, or `*`;
    `role_pattern` is of names with their paths.
    """

    account: str = ""
    vpc_ids: tuple[str, ...] = ("*",)
    peer_accounts: tuple[str, ...] = ("*",)
    organization: str = ""
    role_pattern: str = "*"
    opt_in: bool = False


@dataclass(frozen=True)
class Desired:
    """The state that a request asks for; `present` is false for Delete.

    `previous` is what the resource asked for before (Update), of the same pair or another. `connection_id` is the
    physical id where it is a connection's: the one that this resource has had so far. `foreign_id` is that of a
    connection which somebody else requested, and of which only the accepter's side is ours: then nothing is known of
    the requester's end but what was given to check it, the rest is empty. `restores` says that the resource has had
    this state already, and is to have it again (a rollback), or still (maintenance). `checks_dns` asks whether the VPCs
    still have on what DNS resolution needs; None: only where it is not on yet.
    """

    owner: Owner
    requester: DesiredSide
    accepter: DesiredSide
    auto_accept: bool = True
    wait_for_acceptance: bool = False
    adopt: bool = False
    preflight: bool = True
    checks_dns: bool | None = None
    present: bool = True
    previous: "Desired | None" = None
    connection_id: str | None = None
    foreign_id: str | None = None
    restores: bool = False
    guard: Guard = Guard()

    @property
    def lead(self) -> Side:
        """The side that is ours in every mode: its account shows whose connection it is."""
        return Side.ACCEPTER if self.foreign_id else Side.REQUESTER

    def side(self, side: Side) -> DesiredSide:
        """Return the requester's or the accepter's part."""
        return self.requester if side is Side.REQUESTER else self.accepter

    @property
    def ends(self) -> tuple[End, End]:
        """The pair: the requester's end, the accepter's end."""
        return self.requester.end, self.accepter.end

    @property
    def same_pair(self) -> "Desired | None":
        """What was asked for before, if that was of the same pair."""
        return self.previous if self.previous and self.previous.ends == self.ends else None

    def owns(self, connection: "Connection") -> bool:
        """Tell whether a connection is this resource's: of this very pair, made or adopted with its owner tags."""
        if self.foreign_id:
            return connection.connection_id == self.foreign_id
        if connection.reversed != connection.tags.get(ADOPTED, "").startswith(Side.ACCEPTER):
            return False  # ours the other way round: VpcId and PeerVpcId are swapped
        return connection.ends == self.ends and self.owner.owns(connection)

    def facing(self, connection: "Connection") -> "Connection":
        """Return a connection with the ends in the order of this pair; one that others requested stays as it is."""
        return connection if self.foreign_id else connection.facing(self.ends)

    def keeps(self, connection: "Connection", observed: "Observed") -> bool:
        """Tell whether a connection outlives this resource, which has not made it: by its tag, or by the registry."""
        return (
            self.foreign_id is not None
            or ADOPTED in connection.tags
            or bool(observed.stood.get(connection.connection_id))
        )

    def completed(self, connection: "Connection | None") -> "Desired":
        """Return the same with what a foreign connection tells of its requester's end, where nothing was given."""
        if not self.foreign_id or connection is None:
            return self
        given, found = self.requester.end, connection.requester
        end = End(given.vpc_id or found.vpc_id, given.account or found.account, given.region or found.region)
        previous = self.previous
        if previous and previous.foreign_id == self.foreign_id:
            previous = previous.completed(connection)
        return replace(self, requester=replace(self.requester, end=end), previous=previous)

    @property
    def shared_tags(self) -> bool:
        """Whether both sides are ours and see one set of tags: EC2 keeps one set an account and Region."""
        requester, accepter = self.ends
        return not self.foreign_id and (requester.account, requester.region) == (accepter.account, accepter.region)


@dataclass(frozen=True)
class Vpc:
    """A VPC as DescribeVpcs shows it: only blocks that are associated, canonical, IPv4 before IPv6."""

    vpc_id: str
    account: str
    cidr_blocks: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """The value of its tag Name."""
        return self.tags.get("Name")

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
    subnet_ids: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)

    def static_route(self, destination: str) -> Route | None:
        """Return the static route to exactly this destination: the only kind that another one can conflict with."""
        return next((r for r in self.routes if r.destination == destination and r.origin == "CreateRoute"), None)


@dataclass(frozen=True)
class Subnet:
    """A subnet: its CIDR blocks, canonical, IPv4 before IPv6."""

    subnet_id: str
    cidr_blocks: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PrefixList:
    """A managed prefix list. EC2 counts its `max_entries` as so many routes of its address family."""

    prefix_list_id: str
    ipv6: bool
    max_entries: int


class Quota(StrEnum):
    """Quotas of the VPC service by their codes in Service Quotas."""

    ROUTES_PER_TABLE = "L-93826ACB"
    PEERINGS_PER_VPC = "L-7E9ECCDB"


@dataclass(frozen=True)
class Connection:
    """A connection as one side sees it: that side's tags, and of the options what EC2 shows there.

    `reversed` says that the requester of this value, the VPC of `VpcId`, is the accepter to EC2.
    """

    connection_id: str
    status: Status
    requester: End
    accepter: End
    message: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[Side, frozenset[Option]] = field(default_factory=dict)
    cidr_blocks: Mapping[Side, tuple[str, ...]] = field(default_factory=dict)
    reversed: bool = False

    @property
    def turned(self) -> "Connection":
        """The same seen with the ends in the other order."""
        return replace(
            self,
            requester=self.accepter,
            accepter=self.requester,
            options={side.other: options for side, options in self.options.items()},
            cidr_blocks={side.other: blocks for side, blocks in self.cidr_blocks.items()},
            reversed=not self.reversed,
        )

    def facing(self, ends: tuple[End, End]) -> "Connection":
        """Return the same with the ends in the order of a pair, where it joins that pair the other way round."""
        return self.turned if self.ends == ends[::-1] else self

    @property
    def as_adopted(self) -> "Connection":
        """The same as its resource sees it, where the tag of adoption tells that EC2 has it the other way round."""
        return self.turned if self.tags.get(ADOPTED, "").startswith(Side.ACCEPTER) else self

    def allows(self, side: Side, option: Option) -> bool:
        """Tell whether an option of a side is on."""
        return option in self.options.get(side, ())

    @property
    def ends(self) -> tuple[End, End]:
        """The pair: the requester's end, the accepter's end."""
        return self.requester, self.accepter

    def end(self, side: Side) -> End:
        """Return the requester's or the accepter's end."""
        return self.requester if side is Side.REQUESTER else self.accepter


def adopted_tag(connection: Connection, stood: Iterable[str]) -> str:
    """Return the value of the tag `ADOPTED`: what was there when a connection was adopted.

    First the role that the VPC of `VpcId` has to EC2; then the names of the properties of which something `stood`
    there already (`Routes`, `PeerRoutes`, `Tags`, `PeerTags`), and of the options that were on:
    `requester+Routes+AllowDnsResolutionFromRemoteVpc`.
    """
    role = Side.ACCEPTER if connection.reversed else Side.REQUESTER
    options = [f"{side.prefix}{option}" for side in Side for option in Option if connection.allows(side, option)]
    return "+".join([role, *stood, *options])


@dataclass(frozen=True)
class ObservedSide:
    """What one side's account shows in its Region. `vpc` is None where the VPC is not there.

    Read only where something rests on it: `subnets` and `prefix_lists`; `dns_off`, the DNS attributes of the VPC that
    are off; `peerings`, how many active connections the VPC has with whomever; `quotas`, where permitted.
    """

    vpc: Vpc | None = None
    tables: tuple[RouteTable, ...] = ()
    connections: tuple[Connection, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    prefix_lists: tuple[PrefixList, ...] = ()
    dns_off: tuple[str, ...] = ()
    peerings: int | None = None
    quotas: Mapping[Quota, int] = field(default_factory=dict)

    def connection(self, connection_id: str | None) -> Connection | None:
        """Return a connection by its id."""
        return next((c for c in self.connections if c.connection_id == connection_id), None)


@dataclass(frozen=True)
class RouteRecord:
    """A route that we made: the connection it was made for, and the target that it took the place of.

    `found` marks one that we have not made: it led to a connection that somebody else made before that became ours.
    """

    key: RouteKey
    connection_id: str
    former: str | None = None
    found: bool = False


@dataclass(frozen=True)
class Stood:
    """What a side of a connection had before this resource wrote there: its tags, and the options that were on."""

    tags: Mapping[str, str] = field(default_factory=dict)
    options: frozenset[Option] = frozenset()


@dataclass(frozen=True)
class Observed:
    """The world as it is; a side is None where it is not ours to act on, or could not be reached (Delete).

    `gone` are the connections that routes still name though they live no more. The rest is the registry's: `records`;
    `stood`, by connection what its sides had before, nothing where we have made it; `living`, the ids of this resource.
    """

    requester: ObservedSide | None
    accepter: ObservedSide | None
    records: tuple[RouteRecord, ...] = ()
    gone: frozenset[str] = frozenset()
    stood: Mapping[str, Mapping[Side, Stood]] = field(default_factory=dict)
    living: frozenset[str] = frozenset()

    def made(self, connection_id: str) -> bool:
        """Tell whether the registry has a connection as one that this resource has made."""
        return self.stood.get(connection_id) == {}

    def side(self, side: Side) -> ObservedSide | None:
        """Return the requester's or the accepter's part."""
        return self.requester if side is Side.REQUESTER else self.accepter

    def view(self, side: Side) -> ObservedSide:
        """Return what is known of a side, which may be nothing."""
        return self.side(side) or ObservedSide()

    def with_side(self, side: Side, **fresh: Any) -> "Observed":  # noqa: ANN401  # the fields of ObservedSide
        """Return the same with a part of one side read anew."""
        view = replace(self.view(side), **fresh)
        return replace(self, requester=view) if side is Side.REQUESTER else replace(self, accepter=view)

    def sides(self) -> Iterator[tuple[Side, ObservedSide]]:
        """Yield the sides that could be observed."""
        yield from ((side, view) for side in Side if (view := self.side(side)) is not None)
