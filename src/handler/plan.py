"""The plan: which changes lead from what was observed to what is desired. Pure, and total over every state of EC2.

A converged world gives an empty plan. What would be unsafe is a refusal, to be raised before the first write.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from handler.changes import (
    AcceptConnection,
    Change,
    CreateConnection,
    DeleteConnection,
    ModifyOptions,
    Stage,
    TagConnection,
    UntagConnection,
)
from handler.errors import AlreadyExists, InvalidRequest, NotFound, PeeringError, ResourceConflict
from handler.model import REPLACES, Connection, Desired, Observed, RouteKey, Side, Status, overlaps
from handler.routes import RoutePlan, plan_removal, plan_routes


@dataclass(frozen=True)
class Plan:
    """An ordered list of changes. `connection` is the live one of this resource, None while it must be made.

    `active` says that the connection is, or will be, active: false while it is left to the other party to accept.
    `routes` are the desired ones that the plan leaves on the connection, `skipped` those left to another target.
    """

    changes: tuple[Change, ...] = ()
    refusals: tuple[PeeringError, ...] = ()
    connection: Connection | None = None
    active: bool = False
    routes: frozenset[RouteKey] = frozenset()
    skipped: tuple[RouteKey, ...] = ()

    def raise_if_unsafe(self) -> None:
        """Raise the refusal; several become one, with all their causes and the remedy of the first."""
        if not self.refusals:
            return
        first, *more = self.refusals
        raise type(first)(" ".join(r.cause for r in (first, *more)), first.remedy)

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
    connection = _ours(desired, observed)
    refusals = [*_missing_vpcs(desired, observed), *_foreign_connections(desired, observed)]
    if connection is None:
        refusals += _overlaps(observed)
    active = desired.auto_accept or (connection is not None and connection.status is Status.ACTIVE)
    routes = RoutePlan() if refusals else plan_routes(desired, observed, connection)
    if not active:
        routes = RoutePlan(refusals=routes.refusals)
    changes = [
        *_plan_connection(desired, observed, connection),
        *(plan_connection_settings(desired, observed, connection, active=active)),
        *routes.changes,
    ]
    return Plan(
        changes=tuple(sorted(changes, key=lambda change: change.stage)),
        refusals=(*refusals, *routes.refusals),
        connection=connection,
        active=active,
        routes=routes.kept,
        skipped=routes.skipped,
    )


def _plan_absence(desired: Desired, observed: Observed) -> Plan:
    connection = _to_delete(desired, observed)
    if connection is not None and not desired.owner.owns(connection):
        return Plan(refusals=(_not_ours(connection),))
    connection_id = connection.connection_id if connection else desired.connection_id
    changes: list[Change] = []
    if connection_id is not None:
        changes += plan_removal(desired, observed, connection_id)
    if connection is not None and connection.status is not Status.DELETING:
        changes.append(DeleteConnection(connection.connection_id))
    return Plan(changes=tuple(sorted(changes, key=lambda change: change.stage)), connection=connection)


def _ours(desired: Desired, observed: Observed) -> Connection | None:
    ours = [c for c in _pair(desired, observed) if desired.owns(c)]
    return min(ours, key=lambda c: c.status is not Status.ACTIVE, default=None)


def _pair(desired: Desired, observed: Observed) -> Iterator[Connection]:
    """Yield the live connections of the two VPCs, in both directions, as the requester's side sees them."""
    pair = {desired.ends, desired.ends[::-1]}
    return (c for c in observed.requester.connections if c.ends in pair and c.status.live)


def _to_delete(desired: Desired, observed: Observed) -> Connection | None:
    """Find the connection to delete: by its id where CloudFormation knows it, else by owner tags and pair.

    An id from CloudFormation is never widened to the pair: after the connection was re-made, the Delete of the
    old id has the same properties as the living one.
    """
    if desired.connection_id is None:
        candidates = [c for c in observed.requester.connections if desired.owns(c)]
    else:
        candidates = [c for c in observed.requester.connections if c.connection_id == desired.connection_id]
    ending = [c for c in candidates if c.status.live or c.status is Status.DELETING]
    return min(ending, key=lambda c: not c.status.live, default=None)


def _not_ours(connection: Connection) -> PeeringError:
    return ResourceConflict(
        f"{connection.connection_id} carries no owner tags of this resource ({_owner(connection)}).",
        "Put its vpc-peering: tags back, or retain the resource in the stack and delete the connection by hand.",
    )


def _owner(connection: Connection) -> str:
    stack_id = connection.tags.get("vpc-peering:stack-id")
    return f"owned by {stack_id}" if stack_id else "no owner tags"


def _missing_vpcs(desired: Desired, observed: Observed) -> Iterator[PeeringError]:
    for side, view in observed.sides():
        end, prefix = desired.side(side).end, side.prefix
        if view.vpc is None:
            yield NotFound(
                f"{prefix}VpcId {end.vpc_id} is not in {end.region} of account {end.account}.",
                f"Check {prefix}VpcId, {prefix}Region and {prefix}RoleArn.",
            )
        elif view.vpc.account != end.account:
            yield InvalidRequest(
                f"{prefix}VpcId {end.vpc_id} belongs to account {view.vpc.account}, not to {end.account}.",
                f"Only its owner can peer a VPC: give {prefix}RoleArn of a role in {view.vpc.account}.",
            )


def _foreign_connections(desired: Desired, observed: Observed) -> Iterator[PeeringError]:
    for connection in _pair(desired, observed):
        if desired.owns(connection):
            continue
        if connection.connection_id == desired.connection_id and connection.ends != desired.ends:
            yield AlreadyExists(
                f"VpcId and PeerVpcId are swapped: {connection.connection_id} of this resource joins the same VPCs.",
                "Swap them back, or delete the resource first: two VPCs have one peering at a time.",
            )
        elif connection.connection_id == desired.connection_id:
            yield _not_ours(connection)
        else:
            requester, accepter = connection.ends
            yield AlreadyExists(
                f"{connection.connection_id} ({connection.status}) already joins {requester.vpc_id} to "
                f"{accepter.vpc_id} ({_owner(connection)}).",
                "Delete it, or give another VPC: two VPCs have one peering at a time.",
            )


def _overlaps(observed: Observed) -> Iterator[PeeringError]:
    if observed.requester.vpc is None or observed.accepter is None or observed.accepter.vpc is None:
        return
    for block in observed.requester.vpc.cidr_blocks:
        for peer_block in observed.accepter.vpc.cidr_blocks:
            if overlaps(block, peer_block):
                yield InvalidRequest(
                    f"CIDR block {block} of {observed.requester.vpc.vpc_id} overlaps {peer_block} of "
                    f"{observed.accepter.vpc.vpc_id}.",
                    "EC2 peers only VPCs without any overlap: use other VPCs.",
                )


def _plan_connection(desired: Desired, observed: Observed, connection: Connection | None) -> Iterator[Change]:
    if connection is None:
        replaces = {REPLACES: desired.connection_id} if desired.connection_id else {}
        yield CreateConnection({**_tags(desired, observed, Side.REQUESTER), **replaces})
    if desired.auto_accept and (
        connection is None or connection.status in {Status.INITIATING_REQUEST, Status.PENDING_ACCEPTANCE}
    ):
        yield AcceptConnection()


def plan_connection_settings(
    desired: Desired, observed: Observed, connection: Connection | None, *, active: bool
) -> Iterator[Change]:
    """Plan the tags and options of both sides; a connection that is still to be made has none but its own tags."""
    for side, view in observed.sides():
        seen = view.connection(connection.connection_id) if connection else None
        if side is Side.REQUESTER or active:
            yield from _plan_tags(desired, observed, side, seen)
        allow_dns = desired.side(side).allow_dns
        if active and allow_dns is not None and allow_dns != (seen is not None and seen.allow_dns.get(side, False)):
            yield ModifyOptions(side, allow_dns)


def _plan_tags(desired: Desired, observed: Observed, side: Side, seen: Connection | None) -> Iterator[Change]:
    wanted = _tags(desired, observed, side)
    present = seen.tags if seen else {}
    if seen is None and side is Side.REQUESTER:
        return  # the request itself carries them
    if missing := dict(sorted(wanted.items() - present.items())):
        yield TagConnection(side, missing)
    if desired.previous and desired.previous.ends == desired.ends:
        earlier = _given_tags(desired.previous, side)
        if stale := {k: v for k, v in earlier.items() if k not in wanted and present.get(k) == v}:
            yield UntagConnection(side, stale)


def _given_tags(desired: Desired, side: Side) -> dict[str, str]:
    """Return the tags that the properties give one side; where both sides share one set, the requester has all."""
    if not desired.shared_tags:
        return dict(desired.side(side).tags)
    return {**desired.accepter.tags, **desired.requester.tags} if side is Side.REQUESTER else {}


def _tags(desired: Desired, observed: Observed, side: Side) -> dict[str, str]:
    given = _given_tags(desired, side)
    if side is Side.REQUESTER:
        return {"Name": _name(desired, observed), **given, **desired.owner.tags}
    return given if desired.shared_tags else {"Name": _name(desired, observed), **given}


def _name(desired: Desired, observed: Observed) -> str:
    """Return the automatic Name, `<requester name>-to-<accepter name>`, within EC2's 256 characters."""
    names = []
    for side in Side:
        view = observed.side(side)
        vpc = view.vpc if view else None
        names.append((vpc.name if vpc else None) or desired.side(side).end.vpc_id)
    return "-to-".join(name[:126] for name in names)
