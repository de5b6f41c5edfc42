"""What has become of a request: what is told while it is served, and then answered."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from handler.changes import Change
from handler.errors import PeeringError
from handler.model import Desired, Side, is_prefix_list, overlaps
from handler.plan import Plan
from handler.reconcile import Outcome
from handler.routes import recorded_routes
from handler.telemetry import logger


@dataclass
class Progress:
    """What has become of a request so far; it stands, whatever fails later.

    `found` tells whether a connection of ours is known, `new` whether it became so by this request, `changes` all that
    EC2 has made, `refusals` why others could not be made (maintenance), and `left_behind` whether something remained on
    an accepter's side that could not be reached.
    """

    physical_id: str
    attributes: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    refusals: list[PeeringError] = field(default_factory=list)
    found: bool = False
    new: bool = False
    left_behind: bool = False

    def planned(self, plan: Plan) -> None:
        """Log a plan that is about to be applied, or refused."""
        logger.info(
            "plan",
            counts=plan.counts,
            changes=[str(change) for change in plan.changes],
            refusals=[str(r) for r in plan.refusals],
        )

    def identified(self, connection_id: str, *, new: bool) -> None:
        """Take note of the connection, the moment that it is known to be ours."""
        self.found, self.new = True, new
        self.physical_id = connection_id
        logger.append_keys(connection_id=connection_id)

    def applied(self, change: Change) -> None:
        """Take note of a change that EC2 has made."""
        self.changes.append(change)

    def refused(self, failure: PeeringError) -> None:
        """Take note of why a change could not be made, where the others go on."""
        self.refusals.append(failure)

    def reached(self, outcome: Outcome) -> None:
        """Take note of what a Create or an Update led to."""
        self.attributes = attributes(outcome)
        for route in outcome.plan.skipped:
            logger.warning("a route was left to another target (OnConflict: Skip)", route=str(route))
        for side, destination in _outside(outcome):
            logger.warning(
                "a destination lies outside of the other VPC, and EC2 drops what is sent there",
                property=f"{side.prefix}Routes",
                destination=destination,
            )

    def left(self, desired: Desired, outcome: Outcome, *, unreached: bool) -> None:
        """Name what had to be left: on a connection that lost its owner tags, and on the accepter's side."""
        if outcome.plan.left:
            logger.warning(
                "an adopted connection has lost its owner tags: recorded routes are removed, its tags and options stay",
                connection_id=outcome.plan.left.connection_id,
            )
        recorded = recorded_routes(outcome.observed, self.physical_id)
        routes = sorted(str(key) for key in recorded if outcome.observed.side(key.side) is None)
        if routes or unreached or outcome.refused:
            self.left_behind = True
            end = desired.accepter.end
            logger.warning(
                "routes of this resource may remain on the accepter's side, as blackholes if the connection has ended",
                vpc_id=end.vpc_id,
                account=end.account,
                region=end.region,
                routes=routes,
                reason=outcome.refused.reason if outcome.refused else "the side could not be reached",
            )


def _outside(outcome: Outcome) -> Iterator[tuple[Side, str]]:
    """Yield the destinations of routes that no block of the other VPC shares an address with."""
    shown = outcome.connection.cidr_blocks if outcome.connection else {}
    for side, destination in sorted({(key.side, key.destination) for key in outcome.plan.routes}):
        vpc = outcome.observed.view(side.other).vpc
        blocks = vpc.cidr_blocks if vpc else shown.get(side.other, ())
        if blocks and not is_prefix_list(destination) and not any(overlaps(destination, block) for block in blocks):
            yield side, destination


def attributes(outcome: Outcome) -> dict[str, str]:
    """Return the attributes of Fn::GetAtt; lists are joined by commas."""
    connection = outcome.connection
    if connection is None:
        return {}
    values = {
        "Id": connection.connection_id,
        "VpcPeeringConnectionId": connection.connection_id,
        "Status": connection.status.value,
    }
    for side, count in ((Side.REQUESTER, "RouteCount"), (Side.ACCEPTER, "PeerRouteCount")):
        vpc, end = outcome.observed.view(side).vpc, connection.end(side)
        blocks = vpc.cidr_blocks if vpc else connection.cidr_blocks.get(side, ())
        values |= {
            f"{side.title()}VpcId": end.vpc_id,
            f"{side.title()}OwnerId": end.account,
            f"{side.title()}Region": end.region,
            f"{side.title()}CidrBlocks": ",".join(blocks),
            count: str(sum(route.side is side for route in outcome.plan.routes)),
            f"{side.prefix}SkippedRoutes": ",".join(str(key) for key in outcome.plan.skipped if key.side is side),
        }
    return values
