"""What a run remembers of routes that were there before it, where it sees them only half way."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from handler.clock import Deadline
from handler.errors import ResourceConflict
from handler.model import (
    Connection,
    Desired,
    End,
    PrefixList,
    RouteKey,
    RouteRecord,
    RouteTable,
    Side,
    Status,
    Subnet,
    Vpc,
)
from handler.progress import Progress
from handler.reconcile import Reconciler
from handler.registry import MemoryStore, Registry
from handler.routes import Taken
from tests.harness import VirtualTime
from tests.unit.given import ALL, BLOCK, BLOCKS, ENDS, PCX, PEER_BLOCKS, desired, peer_key, request, table, to


@dataclass
class Ec2:
    """The accepter's side of somebody's request, which shows the requester's blocks once it is active."""

    seen: Connection
    tables: tuple[RouteTable, ...]
    made: list[RouteKey] = field(default_factory=list)
    refusal: ResourceConflict | None = None
    """Of every route that is to be made."""

    def vpc(self, vpc_id: str) -> Vpc:
        """Return our VPC."""
        return Vpc(vpc_id, ENDS[1].account, PEER_BLOCKS, {"Name": "spoke"})

    def route_tables(self, _vpc_id: str) -> tuple[RouteTable, ...]:
        """Return its tables."""
        return self.tables

    def subnets(self, _vpc_id: str) -> tuple[Subnet, ...]:
        """Return no subnets."""
        return ()

    def prefix_lists(self, _ids: object) -> tuple[PrefixList, ...]:
        """Return no lists."""
        return ()

    def connections_of(self, _vpc_id: str) -> tuple[Connection, ...]:
        """Return the one connection that there is."""
        return (self.seen,)

    def connection(self, _connection_id: str) -> Connection:
        """Return it again."""
        return self.seen

    def live_among(self, connection_ids: frozenset[str]) -> frozenset[str]:
        """Tell that all of them live."""
        return connection_ids

    def accept_connection(self, _connection_id: str) -> None:
        """Accept it: from now on it shows the blocks."""
        blocks = {Side.REQUESTER: BLOCKS, Side.ACCEPTER: PEER_BLOCKS}
        self.seen = replace(self.seen, status=Status.ACTIVE, cidr_blocks=blocks)

    def wait(self, _waiter: str, _connection_id: str) -> Connection:
        """Return it at once."""
        return self.seen

    def tag(self, _connection_id: str, tags: dict[str, str]) -> None:
        """Write tags."""
        self.seen = replace(self.seen, tags={**self.seen.tags, **tags})

    def create_route(self, route: RouteKey, _connection_id: str) -> None:
        """Take note of a route, or refuse it."""
        if self.refusal:
            raise self.refusal
        self.made.append(route)


def one_side() -> Desired:
    """Return what manages the accepter's side of somebody's request."""
    wanted = desired(ends=(End("", "", ""), ENDS[1]), foreign_id=PCX)
    return replace(
        wanted,
        requester=replace(wanted.requester, managed=False),
        accepter=replace(wanted.accepter, routes=ALL),
    )


def test_found_routes_of_a_request_that_is_accepted() -> None:
    """Its blocks, and so the routes that are asked for, are known only then: what led there before is still found."""
    pending = Connection(PCX, Status.PENDING_ACCEPTANCE, *ENDS, tags={"Name": "theirs"})
    before = table(to(PCX, BLOCK, blackhole=True), table_id="rtb-before")
    ec2 = Ec2(pending, (before, table(table_id="rtb-new")))
    sides: dict[Side, Any] = {Side.ACCEPTER: ec2}
    time = VirtualTime()
    tenure = Registry(MemoryStore(), time.clock).tenure(request("Create"))
    tenure.begin(Deadline(time.clock, 900))

    Reconciler(sides, tenure, Deadline(time.clock, 900), Progress("none")).reconcile(one_side())

    assert [peer_key(table_id="rtb-new")] == ec2.made
    assert {
        RouteRecord(peer_key(table_id="rtb-before"), PCX, found=True),
        RouteRecord(peer_key(table_id="rtb-new"), PCX),
    } == set(tenure.records)


@pytest.mark.parametrize(
    "refusal", [ResourceConflict("RouteAlreadyExists.", "Wait."), Taken("To igw-1.", "Remove it.")]
)
def test_a_route_that_may_have_been_made_stays_recorded(refusal: ResourceConflict) -> None:
    """EC2 says that it is there, and shows it late: only one that is seen to lead elsewhere was surely not made."""
    ec2 = Ec2(Connection(PCX, Status.PENDING_ACCEPTANCE, *ENDS), (table(table_id="rtb-new"),), refusal=refusal)
    sides: dict[Side, Any] = {Side.ACCEPTER: ec2}
    time = VirtualTime()
    tenure = Registry(MemoryStore(), time.clock).tenure(request("Create"))
    tenure.begin(Deadline(time.clock, 900))

    with pytest.raises(type(refusal)):
        Reconciler(sides, tenure, Deadline(time.clock, 900), Progress("none")).reconcile(one_side())

    recorded = [] if isinstance(refusal, Taken) else [RouteRecord(peer_key(table_id="rtb-new"), PCX)]
    assert recorded == list(tenure.records)


def test_maintenance_knows_the_requester_of_a_request_that_it_accepts() -> None:
    """Nothing but the connection tells of its end: what follows the acceptance is planned with it too."""
    pending = Connection(PCX, Status.PENDING_ACCEPTANCE, *ENDS)
    ec2 = Ec2(pending, ())
    sides: dict[Side, Any] = {Side.ACCEPTER: ec2}
    time = VirtualTime()
    tenure = Registry(MemoryStore(), time.clock).tenure(request("Create"))
    tenure.begin(Deadline(time.clock, 900))
    asked = replace(one_side(), connection_id=PCX)
    asked = replace(asked, previous=asked)

    Reconciler(sides, tenure, Deadline(time.clock, 900), Progress(PCX), upkeep=True).keep(asked)

    assert {"Name": "vpc-hub-to-spoke"} == ec2.seen.tags
