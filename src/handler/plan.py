"""The plan: which changes lead from what was observed to what is desired. Pure, and total over every state of EC2.

A converged world gives an empty plan. What would be unsafe is a refusal, to be raised before the first write.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from handler.changes import (
    AcceptConnection,
    AdoptConnection,
    Change,
    CreateConnection,
    DeleteConnection,
    Stage,
)
from handler.errors import InvalidRequest, NotFound, PeeringError, several
from handler.guard import forbidden_ends, without_consent
from handler.model import (
    ADOPTED,
    REPLACES,
    Connection,
    Desired,
    Observed,
    RouteKey,
    Side,
    Status,
    Stood,
    adopted_tag,
    overlaps,
)
from handler.ownership import doomed, not_ours, not_to_touch, released, stripped, subject, taken_over
from handler.preflight import findings
from handler.routes import RoutePlan, plan_removal, plan_routes, recorded_routes
from handler.rules import desired_routes
from handler.settings import plan_release, plan_settings, tags, to_record


@dataclass(frozen=True)
class Plan:
    """An ordered list of changes. `connection` is the live one of this resource, None while it must be made.

    `active` says that the connection is, or will be, active: false while it is left to the other party to accept.
    `routes` are the desired ones that the plan leaves on the connection, `skipped` those left to another target.
    `found` are those that led to a connection before it becomes ours by this plan, `stood` what else to record of it.
    `left` is an adopted one that lives on with what is ours there, since its owner tags are gone.
    """

    changes: tuple[Change, ...] = ()
    refusals: tuple[PeeringError, ...] = ()
    connection: Connection | None = None
    active: bool = False
    routes: frozenset[RouteKey] = frozenset()
    found: frozenset[RouteKey] = frozenset()
    skipped: tuple[RouteKey, ...] = ()
    stood: Mapping[str, Mapping[Side, Stood]] = field(default_factory=dict)
    left: Connection | None = None

    def raise_if_unsafe(self) -> None:
        """Raise the refusal; several become one, which has all of them."""
        if self.refusals:
            raise several(self.refusals)

    def of(self, *stages: Stage) -> tuple[Change, ...]:
        """Return the changes of some stages, in their order."""
        return tuple(change for change in self.changes if change.stage in stages)

    @property
    def counts(self) -> dict[str, int]:
        """How many changes there are of each kind."""
        return dict(Counter(type(change).__name__ for change in self.changes))


def plan(desired: Desired, observed: Observed) -> Plan:
    """Plan the way from the observed to the desired state."""
    return _plan_presence(desired, observed) if desired.present else _plan_absence(desired, observed)


def _plan_presence(desired: Desired, observed: Observed) -> Plan:
    connection = subject(desired, observed)
    if connection is not None and not connection.status.live:
        return Plan(connection=connection)
    stood = to_record(desired, observed, connection)
    observed = replace(observed, stood={**observed.stood, **stood})
    absent = [*_missing_vpcs(desired, observed)]
    refusals = [*forbidden_ends(desired), *absent, *not_to_touch(desired, observed)]
    if connection is None:
        refusals += _overlaps(observed)
    active = (
        desired.auto_accept
        or desired.wait_for_acceptance
        or (connection is not None and connection.status is Status.ACTIVE)
    )
    routes = RoutePlan() if absent else plan_routes(desired, observed, connection)
    if not active:
        routes = RoutePlan(refusals=routes.refusals, found=routes.found)
    changes = [
        *_plan_connection(desired, observed, connection, routes),
        *plan_settings(desired, observed, connection, active=active),
        *routes.changes,
    ]
    return Plan(
        changes=tuple(sorted(changes, key=lambda change: change.stage)),
        refusals=(
            *refusals,
            *routes.refusals,
            *findings(desired, observed, changes, active=active),
            *without_consent(desired, observed, changes),
        ),
        connection=connection,
        active=active,
        routes=routes.kept,
        found=_found(desired, observed, connection, routes),
        skipped=routes.skipped,
        stood=stood,
    )


def _found(
    desired: Desired, observed: Observed, connection: Connection | None, routes: RoutePlan
) -> frozenset[RouteKey]:
    """Return the routes that led to somebody's connection before this resource asked for them."""
    if connection is None or observed.made(connection.connection_id):
        return frozenset()
    if connection.connection_id != desired.connection_id and (desired.foreign_id or not desired.owns(connection)):
        return routes.found
    if desired.same_pair is None:
        return frozenset()
    asked = desired_routes(desired.same_pair, observed, connection)
    return routes.found - asked - recorded_routes(observed, connection.connection_id)


def _plan_absence(desired: Desired, observed: Observed) -> Plan:
    connection = doomed(desired, observed)
    if connection is not None and (taken_over(desired, connection) or released(desired, observed, connection)):
        return Plan()
    if connection is not None and not (desired.foreign_id or desired.owner.owns(connection)):
        if stripped(observed, connection):
            return Plan(tuple(plan_removal(desired, observed, connection.connection_id)), left=connection)
        return Plan(refusals=(not_ours(desired, connection),))
    connection_id = connection.connection_id if connection else desired.connection_id or desired.foreign_id
    changes: list[Change] = []
    if connection_id is not None:
        changes += plan_removal(desired, observed, connection_id)
    if connection is not None:
        changes += _plan_end(desired, observed, connection)
    return Plan(changes=tuple(sorted(changes, key=lambda change: change.stage)), connection=connection)


def _plan_end(desired: Desired, observed: Observed, connection: Connection) -> Iterator[Change]:
    if connection.status is Status.DELETING:
        return
    if not desired.keeps(connection, observed):
        yield DeleteConnection(connection.connection_id)
    elif desired.connection_id or not desired.foreign_id:
        yield from plan_release(desired, observed, connection)


def _missing_vpcs(desired: Desired, observed: Observed) -> Iterator[PeeringError]:
    for side, view in observed.sides():
        end, prefix = desired.side(side).end, side.prefix
        if view.vpc is None and desired.side(side).vpc_tags:
            yield NotFound(
                f"{end.vpc_id}, which {prefix}VpcTags found for this resource, is not in {end.region} of account "
                f"{end.account} any more.",
                f"Give the id of the new VPC as {prefix}VpcId, or change {prefix}VpcTags: until then it stays.",
            )
        elif view.vpc is None:
            yield NotFound(
                f"{prefix}VpcId {end.vpc_id} is not in {end.region} of account {end.account}.",
                f"Check {prefix}VpcId, {prefix}Region and {prefix}RoleArn.",
            )
        elif view.vpc.account != end.account:
            yield InvalidRequest(
                f"{prefix}VpcId {end.vpc_id} belongs to account {view.vpc.account}, not to {end.account}.",
                f"Only its owner, no participant of a shared VPC, can peer it: give {prefix}RoleArn of a role in "
                f"{view.vpc.account}.",
            )


def _overlaps(observed: Observed) -> Iterator[PeeringError]:
    vpc, peer = observed.view(Side.REQUESTER).vpc, observed.view(Side.ACCEPTER).vpc
    if vpc is None or peer is None:
        return
    for block, peer_block in product(vpc.cidr_blocks, peer.cidr_blocks):
        if overlaps(block, peer_block):
            yield InvalidRequest(
                f"CIDR block {block} of {vpc.vpc_id} overlaps {peer_block} of {peer.vpc_id}.",
                "EC2 peers only VPCs without any overlap: use other VPCs.",
            )


def _plan_connection(
    desired: Desired, observed: Observed, connection: Connection | None, routes: RoutePlan
) -> Iterator[Change]:
    known = connection.connection_id if connection else None
    replaces = {REPLACES: desired.connection_id} if desired.connection_id and desired.connection_id != known else {}
    if connection is None:
        given = tags(desired, observed, Side.REQUESTER)
        yield CreateConnection({**given, **desired.owner.tags, **replaces})
    elif not desired.owns(connection):
        mark = {ADOPTED: _mark(desired, observed, connection, routes)}
        yield AdoptConnection(connection.connection_id, {**desired.owner.tags, **mark, **replaces})
    pending = {Status.INITIATING_REQUEST, Status.PENDING_ACCEPTANCE}
    if desired.auto_accept and (connection is None or connection.status in pending):
        yield AcceptConnection(Side.REQUESTER if connection and connection.reversed else Side.ACCEPTER)


def _mark(desired: Desired, observed: Observed, connection: Connection, routes: RoutePlan) -> str:
    """Return the mark of adoption; where the resource had the connection already, what it made does not count."""
    again = connection.connection_id == desired.connection_id
    earlier = desired.same_pair if again else None
    made = recorded_routes(observed, connection.connection_id)
    if earlier:
        found = {record.key for record in observed.records if record.found}
        made |= desired_routes(earlier, observed, connection) - found
    stood, options = [], {}
    for side, view in observed.sides():
        seen = view.connection(connection.connection_id)
        given = tags(earlier, observed, side).items() if earlier else set()
        if any(key.side is side for key in routes.found - made):
            stood.append(f"{side.prefix}Routes")
        if seen and (tags(desired, observed, side).items() - given) & seen.tags.items():
            stood.append(f"{side.prefix}Tags")
    for side in Side:
        ours = earlier.side(side).options if earlier else {}
        options[side] = connection.options.get(side, frozenset()) - {option for option, on in ours.items() if on}
    return adopted_tag(replace(connection, options=options), stood)
