"""The plan's part for routes: which belong to the connection, which stand in the way, which are stale. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from handler.changes import Change, CreateRoute, DeleteRoute, ReplaceRoute
from handler.errors import InvalidRequest, NotFound, NotStabilized, PeeringError, ResourceConflict
from handler.model import (
    REPLACES,
    Connection,
    Desired,
    Observed,
    OnConflict,
    Route,
    RouteKey,
    RouteRule,
    RouteTable,
    Side,
    Status,
    inside,
    overlaps,
)


@dataclass(frozen=True)
class RoutePlan:
    """The changes of routes, what forbids them, and which desired routes the connection keeps or leaves to others."""

    changes: tuple[Change, ...] = ()
    refusals: tuple[PeeringError, ...] = ()
    kept: frozenset[RouteKey] = frozenset()
    skipped: tuple[RouteKey, ...] = ()


def plan_routes(desired: Desired, observed: Observed, connection: Connection | None) -> RoutePlan:
    """Plan the routes of both sides of a connection, present or still to be made."""
    refusals = [*_bad_rules(desired, observed, connection)]
    wanted = desired_routes(desired, observed, connection)
    changes: list[Change] = []
    skipped: list[RouteKey] = []
    own = {connection.connection_id if connection else None, desired.connection_id} - {None}
    for key in sorted(wanted):
        route = _present(observed, key)
        on_conflict = _rule(desired, key.side).on_conflict
        if route is None:
            changes.append(CreateRoute(key))
        elif connection and route.target == connection.connection_id:
            continue
        elif route.target in own | observed.gone or on_conflict is OnConflict.REPLACE:
            changes.append(ReplaceRoute(key, former=route.target))
        elif on_conflict is OnConflict.SKIP:
            skipped.append(key)
        else:
            refusals.append(conflict(key, route))
    if connection:
        changes += _stale(desired, observed, connection, wanted)
    return RoutePlan(tuple(changes), tuple(refusals), wanted - set(skipped), tuple(skipped))


def plan_removal(desired: Desired, observed: Observed, connection_id: str) -> Iterator[Change]:
    """Plan the removal of our routes to a connection: those of the rules, and those that the registry recorded."""
    connection = observed.requester.connection(connection_id)
    wanted = desired_routes(desired, observed, connection)
    recorded = _recorded(observed, connection_id)
    formers = _formers(observed, connection_id)
    if connection:
        formers = {**_formers_by_tag(desired, observed, connection, wanted - recorded), **formers}
    yield from _remove(observed, wanted | recorded, connection_id, formers)


def _stale(
    desired: Desired, observed: Observed, connection: Connection, wanted: frozenset[RouteKey]
) -> Iterator[Change]:
    """Plan the removal of the routes that were ours and are desired no more."""
    earlier = _recorded(observed, connection.connection_id)
    if desired.previous and desired.previous.ends == desired.ends:
        earlier |= desired_routes(desired.previous, observed, connection)
    formers = _formers(observed, connection.connection_id)
    yield from _remove(observed, earlier - wanted, connection.connection_id, formers)


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
    predecessor = observed.requester.connection(connection.tags.get(REPLACES))
    if predecessor is None or predecessor.status is not Status.ACTIVE or not desired.owner.owns(predecessor):
        return {}
    return {
        key: predecessor.connection_id
        for key in keys
        if predecessor.end(key.side) == desired.side(key.side).end
        and any(overlaps(key.destination, block) for block in predecessor.cidr_blocks.get(key.side.other, ()))
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


def _recorded(observed: Observed, connection_id: str) -> frozenset[RouteKey]:
    return frozenset(record.key for record in observed.records if record.connection_id == connection_id)


def desired_routes(desired: Desired, observed: Observed, connection: Connection | None) -> frozenset[RouteKey]:
    """Return the routes that the rules of both sides ask for, in the world as it is observed."""
    return frozenset(
        RouteKey(side, table.table_id, destination)
        for side, view in observed.sides()
        if (rule := desired.side(side).routes)
        for table in _tables(rule, view.tables)
        for destination in _destinations(desired, observed, connection, side)
    )


def _tables(rule: RouteRule, tables: tuple[RouteTable, ...]) -> Iterator[RouteTable]:
    for table in tables:
        chosen = (
            (rule.all_route_tables and not table.gateway)
            or (rule.main_route_table and table.main)
            or table.table_id in rule.route_table_ids
        )
        if chosen and table.table_id not in rule.exclude_route_table_ids:
            yield table


def _destinations(desired: Desired, observed: Observed, connection: Connection | None, side: Side) -> tuple[str, ...]:
    rule = _rule(desired, side)
    blocks = rule.destination_cidr_blocks
    if blocks is None:
        blocks = _blocks_of_other(observed, connection, side)
    return tuple(b for b in blocks if not any(inside(b, excluded) for excluded in rule.exclude_cidr_blocks))


def _blocks_of_other(observed: Observed, connection: Connection | None, side: Side) -> tuple[str, ...]:
    """Return the blocks of the other VPC, from its account or else from the active connection.

    IPv6 blocks count only where this VPC has IPv6 too: EC2 carries IPv6 only between VPCs that both have it.
    """
    view, other = observed.side(side), observed.side(side.other)
    blocks: tuple[str, ...] = ()
    if other is not None and other.vpc is not None:
        blocks = other.vpc.cidr_blocks
    elif connection is not None:
        blocks = connection.cidr_blocks.get(side.other, ())
    has_ipv6 = view is not None and view.vpc is not None and view.vpc.has_ipv6
    return blocks if has_ipv6 else tuple(block for block in blocks if ":" not in block)


def _rule(desired: Desired, side: Side) -> RouteRule:
    return desired.side(side).routes or RouteRule()


def _present(observed: Observed, key: RouteKey) -> Route | None:
    view = observed.side(key.side)
    table = next((t for t in view.tables if t.table_id == key.table_id), None) if view else None
    return table.static_route(key.destination) if table else None


def conflict(key: RouteKey, route: Route) -> PeeringError:
    """Return the refusal to take a destination from another target."""
    prefix = key.side.prefix
    target = f"{route.target} (a blackhole)" if route.blackhole else route.target
    return ResourceConflict(
        f"{key.table_id} routes {key.destination} to {target} already.",
        f"Remove that route, exclude the table, or set {prefix}Routes.OnConflict to Skip or Replace.",
    )


def _bad_rules(desired: Desired, observed: Observed, connection: Connection | None) -> Iterator[PeeringError]:
    for side, view in observed.sides():
        rule, end, name = desired.side(side).routes, desired.side(side).end, f"{side.prefix}Routes"
        if rule is None:
            continue
        known = {table.table_id: table for table in view.tables}
        for table_id in rule.route_table_ids:
            if table_id in known and known[table_id].gateway:
                yield InvalidRequest(
                    f"{name}.RouteTableIds: {table_id} is the table of a gateway.",
                    "EC2 takes no route to a peering connection there: leave it out.",
                )
            if table_id not in known:
                yield NotFound(
                    f"{name}.RouteTableIds: {table_id} is no table of {end.vpc_id} ({end.region}, {end.account}).",
                    f"Give tables of {end.vpc_id} only.",
                )
        yield from _bad_destinations(desired, observed, connection, side)


def _bad_destinations(
    desired: Desired, observed: Observed, connection: Connection | None, side: Side
) -> Iterator[PeeringError]:
    rule, view, name = _rule(desired, side), observed.side(side), f"{side.prefix}Routes"
    blocks = rule.destination_cidr_blocks
    if blocks is None:
        blocks = _blocks_of_other(observed, connection, side)
        if not blocks and connection is not None and connection.status is Status.ACTIVE:
            yield NotStabilized(
                f"{connection.connection_id} does not show the blocks of {desired.side(side.other).end.vpc_id} yet.",
                f"Deploy again in a minute, or give {name}.DestinationCidrBlocks.",
            )
    for excluded in rule.exclude_cidr_blocks:
        for block in blocks:
            if excluded != block and inside(excluded, block):
                yield InvalidRequest(
                    f"{name}.ExcludeCidrBlocks: {excluded} is a part of destination {block}, and a route has no holes.",
                    f"Exclude {block} whole, or list smaller {name}.DestinationCidrBlocks.",
                )
    own_blocks = view.vpc.cidr_blocks if view and view.vpc else ()
    for destination in _destinations(desired, observed, connection, side):
        for own in own_blocks:
            if inside(destination, own):
                yield InvalidRequest(
                    f"{name}: destination {destination} lies inside {own} of {desired.side(side).end.vpc_id} itself.",
                    "EC2 keeps traffic inside a VPC local: give destinations of the other VPC.",
                )
