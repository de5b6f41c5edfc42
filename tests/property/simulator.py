"""A world that obeys changes: what EC2 and the registry would make of a plan, as values."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from handler.apply import taken_off, written_ahead
from handler.changes import (
    AcceptConnection,
    AdoptConnection,
    Change,
    CreateConnection,
    CreateRoute,
    DeleteConnection,
    DeleteRoute,
    ModifyOptions,
    ReleaseConnection,
    ReplaceRoute,
    TagConnection,
    UntagConnection,
)
from handler.model import Connection, Desired, Observed, Option, Route, RouteKey, RouteRecord, RouteTable, Side, Status
from handler.plan import Plan

NEW = "pcx-new"


def subject(desired: Desired, plan: Plan) -> str:
    """Return the id of the connection that a plan is about."""
    if plan.connection:
        return plan.connection.connection_id
    return NEW if desired.present else desired.connection_id or desired.foreign_id or NEW


def converge(desired: Desired, observed: Observed, plan: Plan) -> Observed:
    """Return the world after a whole plan, with the records that the registry then keeps."""
    connection_id = subject(desired, plan)
    remembered = {(r.connection_id, r.key): r for r in written_ahead(plan.changes, connection_id)}
    remembered |= {(connection_id, key): RouteRecord(key, connection_id, found=True) for key in plan.found}
    remembered |= {(r.connection_id, r.key): r for r in observed.records}
    forgotten = {(connection_id, key) for key in taken_off(plan.changes)}
    *_, last = worlds(desired, observed, plan)
    return replace(last, records=tuple(r for place, r in remembered.items() if place not in forgotten))


def worlds(desired: Desired, observed: Observed, plan: Plan) -> Iterator[Observed]:
    """Yield the world before the changes and after each, all of them made on a connection that is provisioned."""
    connection_id = subject(desired, plan)
    if plan.active and plan.connection and plan.connection.status is Status.PROVISIONING:
        observed = activated(observed, connection_id)
    yield observed
    for change in plan.changes:
        observed = apply(desired, observed, change, connection_id)
        yield observed


def activated(observed: Observed, connection_id: str) -> Observed:
    """Return the world in which a connection is accepted and provisioned."""
    return _changed(observed, connection_id, tuple(Side), status=Status.ACTIVE)


def apply(  # noqa: C901, PLR0911  # one case a kind of change
    desired: Desired, observed: Observed, change: Change, connection_id: str
) -> Observed:
    """Return the world after one change."""
    match change:
        case CreateConnection(tags=tags):
            return _created(desired, observed, tags)
        case AcceptConnection():
            return activated(observed, connection_id)
        case AdoptConnection(tags=tags):
            return _tagged(desired, observed, connection_id, Side.REQUESTER, tags)
        case ReleaseConnection(tags=tags):
            return _tagged(desired, observed, connection_id, Side.REQUESTER, dict.fromkeys(tags))
        case ModifyOptions(side=side, options=options):
            return _changed(observed, connection_id, [side], options=_options(observed, connection_id, side, options))
        case TagConnection(side=side, tags=tags):
            return _tagged(desired, observed, connection_id, side, tags)
        case UntagConnection(side=side, tags=tags):
            return _tagged(desired, observed, connection_id, side, dict.fromkeys(tags))
        case CreateRoute(route=key):
            return _routed(observed, key, None, connection_id)
        case ReplaceRoute(route=key, former=former, target=target):
            return _routed(observed, key, former, target or connection_id)
        case DeleteRoute(route=key):
            return _routed(observed, key, connection_id, None)
        case DeleteConnection(connection_id=doomed):
            return replace(
                _changed(observed, doomed, tuple(Side), status=Status.DELETED), gone=observed.gone | {doomed}
            )
    raise TypeError(change)


def _created(desired: Desired, observed: Observed, tags: Mapping[str, str]) -> Observed:
    blocks = {side: view.vpc.cidr_blocks for side, view in observed.sides() if view.vpc}
    made = Connection(NEW, Status.PENDING_ACCEPTANCE, *desired.ends, tags=tags, cidr_blocks=blocks)
    for side, view in observed.sides():
        seen = made if side is Side.REQUESTER or desired.shared_tags else replace(made, tags={})
        observed = observed.with_side(side, connections=(*view.connections, seen))
    return observed


def _changed(observed: Observed, connection_id: str, sides: Collection[Side], **fresh: object) -> Observed:
    for side, view in observed.sides():
        if side in sides:
            assert view.connection(connection_id), f"{connection_id} is not there"
            changed = [replace(c, **fresh) if c.connection_id == connection_id else c for c in view.connections]  # type: ignore[arg-type]
            observed = observed.with_side(side, connections=tuple(changed))
    return observed


def _options(
    observed: Observed, connection_id: str, side: Side, settings: Mapping[Option, bool]
) -> dict[Side, frozenset[Option]]:
    view = observed.side(side)
    seen = view.connection(connection_id) if view else None
    assert seen is not None, f"{connection_id} is not there"
    assert seen.status is Status.ACTIVE, "EC2 takes options of an active connection only"
    on = {option for option in Option if settings.get(option, seen.allows(side, option))}
    return {**seen.options, side: frozenset(on)}


def _tagged(
    desired: Desired, observed: Observed, connection_id: str, side: Side, tags: Mapping[str, str | None]
) -> Observed:
    for each, view in observed.sides():
        if each is side or desired.shared_tags:
            seen = view.connection(connection_id)
            assert seen is not None, f"{connection_id} is not there"
            merged = {key: value for key, value in {**seen.tags, **tags}.items() if value is not None}
            observed = _changed(observed, connection_id, [each], tags=merged)
    return observed


def _routed(observed: Observed, key: RouteKey, former: str | None, target: str | None) -> Observed:
    """Point one route from its former target to another; None stands for no route at all."""
    view = observed.side(key.side)
    assert view is not None, "a side that is not ours to act on"
    tables = tuple(_retargeted(t, key, former, target) if t.table_id == key.table_id else t for t in view.tables)
    return observed.with_side(key.side, tables=tables)


def _retargeted(table: RouteTable, key: RouteKey, former: str | None, target: str | None) -> RouteTable:
    present = table.static_route(key.destination)
    assert former == (present.target if present else None), f"{key} does not target {former}"
    fresh = Route(key.destination, target) if target else None
    if present is None:
        return replace(table, routes=(*table.routes, *([fresh] if fresh else [])))
    kept = [fresh if route is present else route for route in table.routes]
    return replace(table, routes=tuple(route for route in kept if route))


def targets(observed: Observed) -> dict[RouteKey, str]:
    """Return the target of every static route, by its place."""
    return {
        RouteKey(side, table.table_id, route.destination): route.target
        for side, view in observed.sides()
        for table in view.tables
        for route in table.routes
        if route.origin == "CreateRoute"
    }
