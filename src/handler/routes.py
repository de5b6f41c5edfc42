"""The plan's part for routes: which belong to the connection, which stand in the way, which are stale. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from handler.changes import Change, CreateRoute, DeleteRoute, ReplaceRoute
from handler.errors import PeeringError, ResourceConflict
from handler.model import (
    ADOPTED,
    REPLACES,
    Connection,
    Desired,
    Observed,
    OnConflict,
    Route,
    RouteKey,
    Side,
    Status,
    is_prefix_list,
    overlaps,
)
from handler.rules import bad_rules, desired_routes, rule_of


@dataclass(frozen=True)
class RoutePlan:
    """The changes of routes, what forbids them, and which desired routes the connection has then or leaves to others.

    `found` are those among them that lead to the connection already.
    """

    changes: tuple[Change, ...] = ()
    refusals: tuple[PeeringError, ...] = ()
    kept: frozenset[RouteKey] = frozenset()
    found: frozenset[RouteKey] = frozenset()
    skipped: tuple[RouteKey, ...] = ()


class Taken(ResourceConflict):
    """Another target turned out to have the destination of a route that was to lead to the connection."""

    @classmethod
    def by(cls, key: RouteKey, present: Route) -> "Taken":
        """Return the refusal that the plan would have had, had it seen the route that is present."""
        told = conflict(key, present)
        taken = cls(*told.args)
        taken.side = told.side
        return taken


def plan_routes(desired: Desired, observed: Observed, connection: Connection | None) -> RoutePlan:
    """Plan the routes of both sides of a connection, present or still to be made."""
    refusals = [*bad_rules(desired, observed, connection)]
    wanted = desired_routes(desired, observed, connection)
    changes: list[Change] = []
    found: list[RouteKey] = []
    skipped: list[RouteKey] = []
    own = {c.connection_id for _, view in observed.sides() for c in view.connections if c.ends == desired.ends}
    moving = _moving(desired, observed, connection)
    formers = _formers(observed, connection.connection_id) if connection else {}
    for key in sorted(wanted):
        route = _present(observed, key)
        on_conflict = rule_of(desired, key.side).on_conflict
        if route is None:
            changes.append(CreateRoute(key))
        elif connection and route.target == connection.connection_id:
            former = formers.get(key)
            if former and former not in observed.gone and _left_to_others_now(desired, key.side):
                changes.append(ReplaceRoute(key, former=route.target, target=former, asked_for=True))
                skipped.append(key)
            else:
                found.append(key)
        elif (
            route.target in own | observed.gone
            or (route.target == desired.connection_id and (moving is None or key in moving))
            or (on_conflict is OnConflict.REPLACE and (route.target or route.blackhole))
        ):
            changes.append(ReplaceRoute(key, former=route.target))
        elif on_conflict is OnConflict.SKIP:
            skipped.append(key)
        else:
            refusals.append(conflict(key, route))
    if connection:
        changes += _stale(desired, observed, connection, wanted)
    kept = wanted - set(skipped)
    return RoutePlan(tuple(changes), tuple(refusals), kept, frozenset(found), tuple(skipped))


def _left_to_others_now(desired: Desired, side: Side) -> bool:
    """Tell whether conflicts are skipped now that were decided for us before: what was taken goes back."""
    before = rule_of(desired.same_pair, side).on_conflict if desired.same_pair else None
    return rule_of(desired, side).on_conflict is OnConflict.SKIP and before is OnConflict.REPLACE


def _moving(desired: Desired, observed: Observed, connection: Connection | None) -> frozenset[RouteKey] | None:
    """Return the routes that follow from the connection that is replaced; None where all of them do.

    One that we have requested goes, with whatever leads to it. One that lives on keeps the routes of others.
    """
    old, previous = observed.view(desired.lead).connection(desired.connection_id), desired.previous
    if previous is None or not (previous.foreign_id or (old and previous.keeps(old, observed))):
        return None
    return recorded_routes(observed, desired.connection_id or "") | desired_routes(previous, observed, connection)


def plan_removal(desired: Desired, observed: Observed, connection_id: str) -> Iterator[Change]:
    """Plan the removal of our routes to a connection: those of the rules, and those that the registry recorded."""
    connection = observed.view(desired.lead).connection(connection_id)
    recorded = recorded_routes(observed, connection_id)
    claimed = _claimed(observed, connection_id, connection, desired_routes(desired, observed, connection))
    proven = desired.foreign_id or connection is None or not connection.status.live or desired.owner.owns(connection)
    if (desired.foreign_id and desired.connection_id is None) or not proven:
        claimed = frozenset()  # it never came to the first write, or no tag tells that it did: the record alone does
    formers = _formers(observed, connection_id)
    if connection:
        formers = {**_formers_by_tag(desired, observed, connection, claimed - recorded), **formers}
    yield from _remove(observed, claimed | recorded, connection_id, formers)


def _stale(
    desired: Desired, observed: Observed, connection: Connection, wanted: frozenset[RouteKey]
) -> Iterator[Change]:
    """Plan the removal of the routes that were ours and are desired no more."""
    earlier = recorded_routes(observed, connection.connection_id)
    if desired.same_pair:
        asked = desired_routes(desired.same_pair, observed, connection)
        earlier |= _claimed(observed, connection.connection_id, connection, asked)
    formers = _formers(observed, connection.connection_id)
    yield from _remove(observed, earlier - wanted, connection.connection_id, formers)


def _claimed(
    observed: Observed, connection_id: str, connection: Connection | None, keys: frozenset[RouteKey]
) -> frozenset[RouteKey]:
    """Return those of some desired routes that count as ours though nothing recorded them.

    Not those that were there before the connection became ours. Where the record of them is lost, the tag of an adopted
    connection still tells of each side whether there were any: then none is taken for ours.
    """
    found = {record.key for record in observed.records if record.connection_id == connection_id and record.found}
    before = connection.tags.get(ADOPTED, "").split("+") if connection else []
    return frozenset(key for key in keys - found if f"{key.side.prefix}Routes" not in before)


def _formers(observed: Observed, connection_id: str) -> dict[RouteKey, str]:
    """Return the recorded targets that routes had before they were ours."""
    return {r.key: r.former for r in observed.records if r.connection_id == connection_id and r.former}


def _formers_by_tag(
    desired: Desired, observed: Observed, connection: Connection, keys: frozenset[RouteKey]
) -> dict[RouteKey, str]:
    """Return the former targets that the owner tag of a replacement tells, where this process recorded nothing.

    The rollback of a replacement is a Delete of the new connection while the one that it replaced lives: that one
    gets the destinations back that lie in its other VPC.
    """
    predecessor = observed.view(desired.lead).connection(connection.tags.get(REPLACES))
    if predecessor is None or predecessor.status is not Status.ACTIVE or not desired.owner.owns(predecessor):
        return {}
    return {
        key: predecessor.connection_id
        for key in keys
        if predecessor.end(key.side) == desired.side(key.side).end
        and (
            is_prefix_list(key.destination)
            or any(overlaps(key.destination, block) for block in predecessor.cidr_blocks.get(key.side.other, ()))
        )
    }


def _remove(
    observed: Observed, keys: frozenset[RouteKey], connection_id: str, formers: Mapping[RouteKey, str]
) -> Iterator[Change]:
    """Take routes off a connection, only where they still target it; a former target that lives gets them back."""
    for key in sorted(keys):
        route = _present(observed, key)
        if route is None or route.target != connection_id:
            continue
        former = formers.get(key)
        if former is None or former in observed.gone:
            yield DeleteRoute(key)
        else:
            yield ReplaceRoute(key, former=connection_id, target=former)


def recorded_routes(observed: Observed, connection_id: str) -> frozenset[RouteKey]:
    """Return the routes to a connection that the registry recorded as made by us."""
    return frozenset(r.key for r in observed.records if r.connection_id == connection_id and not r.found)


def lost_routes(observed: Observed, connection_id: str) -> frozenset[RouteKey]:
    """Return the recorded routes to a connection that their tables show no more: gone, or led elsewhere by others.

    One that leads to another connection it is recorded for was moved by us, and may come back.
    """
    shown = {table.table_id for _, view in observed.sides() for table in view.tables}
    ours = {(record.key, record.connection_id) for record in observed.records}
    return frozenset(
        key
        for key in recorded_routes(observed, connection_id)
        if key.table_id in shown and ((route := _present(observed, key)) is None or (key, route.target) not in ours)
    )


def still_stands(observed: Observed, change: Change, connection_id: str) -> bool:
    """Tell whether a planned change is still to be made: not where its route was taken off the connection meanwhile.

    Raises:
        Taken: another target has the route that the change was to move to the connection.

    """
    match change:
        case ReplaceRoute(route=key, former=former, target=None):
            route = _present(observed, key)
            if route and route.target not in {former, connection_id}:
                raise Taken.by(key, route)
        case ReplaceRoute(route=key) | DeleteRoute(route=key):
            route = _present(observed, key)
            return route is not None and route.target == connection_id
    return True


def _present(observed: Observed, key: RouteKey) -> Route | None:
    table = next((t for t in observed.view(key.side).tables if t.table_id == key.table_id), None)
    return table.static_route(key.destination) if table else None


def conflict(key: RouteKey, route: Route) -> PeeringError:
    """Return the refusal to take a destination from another target."""
    prefix = key.side.prefix
    target = f"{route.target} (a blackhole)" if route.blackhole else route.target
    if route.target:
        failure = ResourceConflict(
            f"{key.table_id} routes {key.destination} to {target} already.",
            f"Remove that route, exclude the table, or set {prefix}Routes.OnConflict to Skip or Replace.",
        )
    else:
        failure = ResourceConflict(
            f"{key.table_id} routes {key.destination} to a target of a kind that could not be given back.",
            f"Remove that route, exclude the table, or set {prefix}Routes.OnConflict to Skip.",
        )
    failure.side = key.side
    return failure
