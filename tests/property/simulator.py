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
    Stage,
    TagConnection,
    UntagConnection,
)
from handler.model import Connection, Desired, Observed, Option, Route, RouteKey, RouteRecord, RouteTable, Side, Status
from handler.plan import Plan, plan
from tests.property.strategies import BLOCKS

NEW = "pcx-new"
ESTABLISHING = (Stage.REQUEST, Stage.ADOPT, Stage.ACCEPT)


def subject(desired: Desired, planned: Plan) -> str:
    """Return the id of the connection that a plan is about."""
    if planned.connection:
        return planned.connection.connection_id
    return NEW if desired.present else desired.connection_id or desired.foreign_id or NEW


def converge(desired: Desired, observed: Observed, planned: Plan) -> Observed:
    """Return the world after a whole plan, with the records that the registry then keeps."""
    *_, last = worlds(desired, _noted(observed, planned), planned)
    last = _noted(last, plan(desired, last))  # of what was requested by then
    ahead = _remembered(observed, planned, subject(desired, planned))
    return replace(last, records=_kept(ahead, planned, subject(desired, planned)))


def run(desired: Desired, observed: Observed) -> list[Observed]:
    """Return the world after each step of a whole run, with the records that the registry has by then.

    A run plans again once the connection is active: only then may the blocks of a VPC that is closed to us show.
    """
    first = plan(desired, observed)
    assert () == first.refusals
    connection_id = subject(desired, first)
    world = _noted(replace(observed, records=_remembered(observed, replace(first, changes=()), connection_id)), first)
    steps = [world]
    for change in first.of(*ESTABLISHING):
        steps.append(apply(desired, steps[-1], change, connection_id))
    world = activated(steps[-1], connection_id) if first.active else steps[-1]
    rest = plan(desired, world)
    assert () == rest.refusals
    assert () == rest.of(*ESTABLISHING)
    world = _noted(world, rest)
    steps.append(replace(world, records=_remembered(world, rest, connection_id)))
    for change in rest.changes:
        steps.append(apply(desired, steps[-1], change, connection_id))
    return [*steps, replace(steps[-1], records=_kept(steps[-1].records, rest, connection_id))]


def _noted(observed: Observed, planned: Plan) -> Observed:
    """Return the world with the record of what stood, once a plan is written ahead."""
    return replace(observed, stood={**observed.stood, **planned.stood})


def _remembered(observed: Observed, planned: Plan, connection_id: str) -> tuple[RouteRecord, ...]:
    """Return the records once a plan is written ahead; an earlier one of the same route stays."""
    found = [RouteRecord(key, connection_id, found=True) for key in planned.found]
    records = [*observed.records, *found, *written_ahead(planned.changes, connection_id)]
    return tuple({(r.connection_id, r.key): r for r in reversed(records)}.values())


def _kept(records: tuple[RouteRecord, ...], planned: Plan, connection_id: str) -> tuple[RouteRecord, ...]:
    off = taken_off(planned.changes)
    return tuple(r for r in records if r.connection_id != connection_id or r.key not in off)


def worlds(desired: Desired, observed: Observed, planned: Plan) -> Iterator[Observed]:
    """Yield the world before the changes and after each, all of them made on a connection that is provisioned."""
    connection_id = subject(desired, planned)
    established = planned.of(*ESTABLISHING)
    yield observed
    for change in established:
        observed = apply(desired, observed, change, connection_id)
        yield observed
    if planned.active:
        observed = activated(observed, connection_id)
    for change in planned.changes[len(established) :]:
        observed = apply(desired, observed, change, connection_id)
        yield observed


def activated(observed: Observed, connection_id: str) -> Observed:
    """Return the world in which a connection is accepted and provisioned: it shows the blocks of both VPCs."""
    views = {side: observed.view(side) for side in Side}
    blocks = {side: view.vpc.cidr_blocks if view.vpc else BLOCKS[side][:1] for side, view in views.items()}
    observed = _changed(observed, connection_id, tuple(Side), status=Status.ACTIVE)
    shown = next((seen.cidr_blocks for view in views.values() if (seen := view.connection(connection_id))), {})
    return _changed(observed, connection_id, tuple(Side), cidr_blocks={**blocks, **shown})


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
