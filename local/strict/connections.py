"""A peering connection and what each side sees of it, paced by that side's own reads."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends

from local.strict.settings import Settings

T = TypeVar("T")
Place = tuple[str, str]
"""Account and Region."""
Role = Literal["Requester", "Accepter"]

HOUR = 3600.0
EXPIRES_AFTER = 168 * HOUR
SHOWN_TO_DELETER, SHOWN_TO_OTHER = 2 * HOUR, 48 * HOUR


class Status(NamedTuple):
    """EC2's status code and message."""

    code: str
    message: str


FAILED = Status("failed", "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range")
ACTIVE = Status("active", "Active")
PROVISIONING = Status("provisioning", "Provisioning")
EXPIRED = Status("expired", "Expired")
LIVE = {"pending-acceptance", "active"}


class End(NamedTuple):
    """One end of a connection."""

    account: str
    region: str
    vpc_id: str

    @property
    def place(self) -> Place:
        """The account and Region from which this end is seen."""
        return self.account, self.region


class Lagging(Generic[T]):
    """A value whose change each place sees only after a number of its own reads."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._past = value
        self._left: dict[Place, int] = {}

    def change(self, value: T, *, via: T, places: Iterable[Place], reads: int) -> None:
        """From now on `value`, which each of the places sees as `via` for so many reads."""
        self.value, self._past = value, via
        self._left = dict.fromkeys(places, reads)

    def seen(self, place: Place) -> T:
        """Return what a place sees, without counting as a read."""
        return self._past if self._left.get(place, 0) > 0 else self.value

    def read(self, place: Place) -> T:
        """Return what a place sees, and count the read."""
        shown = self.seen(place)
        self._left[place] = max(0, self._left.get(place, 0) - 1)
        return shown


@dataclass
class Connection:
    """One connection; moto keeps it among its own, by `id`, as the target of routes and the owner of tags."""

    id: str
    requester: End
    accepter: End
    status: Lagging[Status]
    created: float
    options: dict[Role, Lagging[dict[str, bool]]] = field(
        default_factory=lambda: {"Requester": Lagging({}), "Accepter": Lagging({})}
    )
    cidrs: Lagging[bool] = field(default_factory=lambda: Lagging(value=True))
    tagged: Lagging[bool] = field(default_factory=lambda: Lagging(value=True))
    hidden: dict[tuple[Place, bool], int] = field(default_factory=dict)
    """Calls left that get NotFound, by place and whether the call is a write."""
    dying: int = 0
    ended: tuple[float, Place] | None = None
    """When it was deleted, rejected, failed or expired, and where."""

    @property
    def places(self) -> set[Place]:
        """Where it can be seen: one place if both VPCs share account and Region."""
        return {self.requester.place, self.accepter.place}

    @property
    def live(self) -> bool:
        """Whether it occupies the pair of VPCs."""
        return self.status.value.code in LIVE

    @property
    def inter_region(self) -> bool:
        """Whether the ends are in different Regions."""
        return self.requester.region != self.accepter.region

    def shown(self, place: Place, now: float) -> bool:
        """Whether a place can see it at all: strangers never, the ended only for their time."""
        if place not in self.places or (self.status.value == FAILED and place != self.requester.place):
            return False
        if self.ended is None:
            return True
        when, by = self.ended
        return now - when < (SHOWN_TO_DELETER if place == by else SHOWN_TO_OTHER)

    def hides(self, place: Place, *, write: bool) -> bool:
        """Whether eventual consistency hides it from this call; counts."""
        left = self.hidden.get((place, write), 0)
        self.hidden[place, write] = max(0, left - 1)
        return left > 0


@dataclass
class State:
    """All that the overlay knows beside moto."""

    settings: Settings
    clock: Callable[[], float]
    connections: dict[str, Connection] = field(default_factory=dict)

    def find(self, place: Place, connection_id: str, *, write: bool = True) -> Connection:
        """Return the connection if that place sees it. Raises InvalidVpcPeeringConnectionID.NotFound."""
        self.expire_the_old()
        connection = self.connections.get(connection_id)
        if connection is None or not connection.shown(place, self.clock()) or connection.hides(place, write=write):
            raise EC2ClientError(
                "InvalidVpcPeeringConnectionID.NotFound",
                f"The vpcPeeringConnection ID '{connection_id}' does not exist",
            )
        return connection

    def listed(self, place: Place) -> list[Connection]:
        """All that a place sees now; counts against what hides them."""
        self.expire_the_old()
        shown = [connection for connection in self.connections.values() if connection.shown(place, self.clock())]
        return [connection for connection in shown if not connection.hides(place, write=False)]

    def expire_the_old(self) -> None:
        """Expire the requests that nobody accepted for seven days."""
        now = self.clock()
        for connection in self.connections.values():
            if connection.status.value.code == "pending-acceptance" and now - connection.created >= EXPIRES_AFTER:
                self.end(connection, EXPIRED, connection.requester.place)

    def end(self, connection: Connection, status: Status, by: Place, *, via: Status | None = None) -> None:
        """Into a terminal state; `via` is what is seen for `deleting_reads`."""
        reads = self.settings.deleting_reads if via else 0
        connection.status.change(status, via=via or status, places=connection.places, reads=reads)
        connection.ended = (self.clock(), by)


def backend_of(place: Place) -> Any:  # noqa: ANN401 - moto's EC2Backend is untyped where it matters
    """Moto's EC2 of an account and Region."""
    account, region = place
    return ec2_backends[account][region]


def vpc_at(end: End) -> Any | None:  # noqa: ANN401 - moto's VPC
    """Moto's VPC at an end; None: no such account, Region or VPC."""
    if not (end.account.isdigit() and end.region in ec2_backends[end.account]):
        return None
    return backend_of(end.place).vpcs.get(end.vpc_id)


def blocks_of(vpc: Any, *, ipv6: bool) -> list[str]:  # noqa: ANN401 - moto's VPC
    """List the associated CIDR blocks of a VPC, the primary one first."""
    return [
        block["cidr_block"]
        for block in vpc.get_cidr_block_association_set(ipv6=ipv6)
        if block["cidr_block_state"]["state"] == "associated"
    ]
