"""Apply: write what was planned. Nothing here decides."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import zip_longest
from typing import Final

from handler.changes import (
    AdoptConnection,
    Change,
    CreateRoute,
    DeleteConnection,
    DeleteRoute,
    ModifyOptions,
    ReleaseConnection,
    ReplaceRoute,
    RouteChange,
    TagConnection,
    UntagConnection,
)
from handler.errors import AccessDenied, InvalidRequest, NotFound, PeeringError
from handler.model import RouteKey, RouteRecord, Side
from handler.observe import Sides
from handler.parallel import run
from handler.telemetry import logger

NEVER: Final = ("gateway.notattached", "invalidparameter", "invalidinstanceid", "natgatewaynotfound")
"""How codes of EC2 begin that no retry of ReplaceRoute changes: the target is gone, detached, or of another network."""

Applied = Callable[[Change], None]
"""Told each change that EC2 has made."""

Refused = Callable[[Change, PeeringError], bool]
"""Told each change that failed; tells whether the others go on as if it had not."""


def apply(
    changes: Collection[Change],
    sides: Sides,
    connection_id: str,
    applied: Applied,
    refused: Refused = lambda _change, _failure: False,
) -> None:
    """Apply changes of one stage to a connection, all side by side.

    Raises:
        PeeringError: the first failure; what had begun by then is done, the rest is not.

    """

    def carry_out(change: Change) -> None:
        try:
            _task(change, sides, connection_id)()
        except PeeringError as failure:
            if not refused(change, failure):
                raise
        else:
            applied(change)

    run(partial(carry_out, change) for change in _alternating(changes))


def _alternating(changes: Collection[Change]) -> Iterator[Change]:
    """Yield the changes of both sides in turn: each side has token buckets of its own, which fill at the same time."""
    by_side: dict[Side, list[Change]] = {side: [] for side in Side}
    for change in changes:
        if isinstance(change, RouteChange):
            by_side[change.side].append(change)
        else:
            yield change
    yield from (change for pair in zip_longest(*by_side.values()) for change in pair if change)


def written_ahead(changes: Iterable[Change], connection_id: str) -> list[RouteRecord]:
    """Return what must be recorded of the routes that these changes make, before they are made."""
    records = []
    for change in changes:
        match change:
            case CreateRoute(route=route):
                records.append(RouteRecord(route, connection_id))
            case ReplaceRoute(route=route, former=former, target=None):
                records.append(RouteRecord(route, connection_id, former))
    return records


def taken_off(changes: Iterable[Change]) -> list[RouteKey]:
    """Return the routes that these changes take off the connection."""
    return [
        change.route
        for change in changes
        if isinstance(change, DeleteRoute) or (isinstance(change, ReplaceRoute) and change.target is not None)
    ]


def _task(  # noqa: PLR0911  # one return a kind of change
    change: Change, sides: Sides, connection_id: str
) -> Callable[[], None]:
    match change:
        case RouteChange():
            return _route_task(change, sides, connection_id)
        case ModifyOptions(side=side, options=options, reversed=reversed_):
            return partial(sides[side].modify_options, connection_id, side.other if reversed_ else side, options)
        case TagConnection(side=side, tags=tags):
            return partial(sides[side].tag, connection_id, tags)
        case UntagConnection(side=side, tags=tags):
            return partial(sides[side].untag, connection_id, tags)
        case AdoptConnection(tags=tags):
            return partial(sides[Side.REQUESTER].tag, connection_id, tags)
        case ReleaseConnection(tags=tags):
            return partial(sides[Side.REQUESTER].untag, connection_id, tags)
        case DeleteConnection(connection_id=doomed):
            return partial(sides[Side.REQUESTER].delete_connection, doomed)
    raise TypeError(f"{type(change).__name__} is no change that is applied to a connection")


def _route_task(change: RouteChange, sides: Sides, connection_id: str) -> Callable[[], None]:
    ec2 = sides[change.side]
    match change:
        case CreateRoute(route=route):
            return partial(ec2.create_route, route, connection_id)
        case ReplaceRoute(route=route, target=None):
            return partial(ec2.replace_route, route, connection_id)
        case ReplaceRoute():
            return partial(_put_back, change, sides, connection_id)
    return partial(ec2.delete_route, change.route, connection_id)


def _put_back(change: ReplaceRoute, sides: Sides, connection_id: str) -> None:
    """Give a route back to its former target; where that is gone or cannot be had, delete it unless it is asked for.

    One that is only in another state (`IncorrectState` of an attachment, of an instance) gets it back with a retry.
    Without ReplaceRoute, which a role may have lost since, the route would outlive its connection as a blackhole.
    """
    ec2 = sides[change.route.side]
    try:
        ec2.replace_route(change.route, change.target or "")
    except (NotFound, InvalidRequest, AccessDenied) as failure:
        if isinstance(failure, InvalidRequest) and not failure.ec2_code.startswith(NEVER):
            raise
        logger.warning("a route could not be given back", route=str(change.route), reason=failure.reason)
        if not change.asked_for:
            ec2.delete_route(change.route, connection_id)
