"""Maintenance: what may be done of a plan between deployments, and what was found. Pure.

Maintenance makes and deletes no connection, and takes no route from another target that the stack's own policy does not
allow: it reports instead.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final

from handler.changes import (
    AcceptConnection,
    AdoptConnection,
    Change,
    CreateConnection,
    CreateRoute,
    DeleteRoute,
    ModifyOptions,
    ReplaceRoute,
    RouteChange,
    TagConnection,
    UntagConnection,
)
from handler.errors import (
    OPTIONS,
    ROUTES,
    NotFound,
    NotStabilized,
    PeeringError,
    ResourceConflict,
    RoleUnreachable,
)
from handler.model import Connection, Desired, Observed, RouteKey, Side, Status
from handler.ownership import not_ours
from handler.plan import Plan
from handler.preflight import AttributesOff, dns_off

REMEDY: Final = "Find out who ended it. To make it anew, deploy the stack with a change of this resource, a tag say."


REMEDY_OF_FOREIGN: Final = "Ask its requester for a new one, and deploy the stack with its id."


REMEDY_BESIDE: Final = "To have it adopted, deploy the stack with a change of this resource, a tag say."


CONTENDED: Final = "It was put right at the last look and taken again: leave it to one of the two who ask for it."

UNDONE: Final = "It was put right at the last look too: find out who undoes it."


OF_BOTH_SIDES: Final = (AcceptConnection, DeleteRoute, TagConnection, UntagConnection)
"""Changes that rest on what either side shows, as does a route that is given back."""


class Kind(StrEnum):
    """What a finding is about: `DRIFT` is of a route, `SETTINGS` of the connection."""

    DRIFT = "drift"
    SETTINGS = "settings"
    BLACKHOLE = "blackhole"
    CONFLICT = "conflict"
    ROLE = "role"
    CONNECTION = "connection"
    ATTRIBUTES = "attributes"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """Something that is not as the stack asks for it; `side` is empty where it is about both."""

    kind: Kind
    side: str
    text: str
    done: bool = False
    both: bool = field(default=False, compare=False)
    """Whether it rests on what either side shows, of whichever it is."""

    def __str__(self) -> str:
        return f"{self.text} ({'repaired' if self.done else 'not repaired'})"


def digests(found: Iterable[Finding]) -> tuple[str, ...]:
    """Return what the findings, repaired or not, are known by later: an item of the registry has to hold thousands.

    Each ends with the first letter of its side, or with `b` where both sides have to be seen for it.
    """
    return tuple(_digest(finding) for finding in found)


def _digest(finding: Finding) -> str:
    digest = f"{sha256(str(finding).encode()).hexdigest()[:16]} {'b' if finding.both else finding.side[:1]}"
    return f"{Kind.ATTRIBUTES} {digest}" if finding.kind is Kind.ATTRIBUTES else digest


def unseen(known: Iterable[str], unreached: Collection[Side]) -> tuple[str, ...]:
    """Return the known digests of what a look cannot have seen that has not reached some sides."""
    ends = {"b", *(side[0] for side in unreached)} if unreached else set()
    return tuple(digest for digest in known if digest.rpartition(" ")[2] in ends)


def of_attributes(known: Iterable[str]) -> bool:
    """Tell whether attributes of VPCs were off at the last look: the next one has to read them too."""
    return any(digest.startswith(Kind.ATTRIBUTES) for digest in known)


def certain(plan: Plan, observed: Observed) -> Plan:
    """Return the part of a plan that holds though a side could not be reached.

    Which routes are stale and how the connection is named rests on both sides, and so does all else until it is active.
    """
    lives = plan.connection is None or plan.connection.status is Status.ACTIVE
    refusals = (refusal for refusal in plan.refusals if not refusal.side or observed.side(Side(refusal.side)))
    return replace(
        plan,
        changes=tuple(change for change in plan.changes if lives and not _of_both_sides(change)),
        refusals=tuple(refusals),
    )


def _of_both_sides(change: Change) -> bool:
    return isinstance(change, OF_BOTH_SIDES) or (isinstance(change, ReplaceRoute) and change.target is not None)


def permitted(plan: Plan, observed: Observed, known: Collection[str] = ()) -> Plan:
    """Return the part of a plan that maintenance may carry out; of `known` findings, see `findings`.

    A conflict of one route leaves the others to be repaired, and what forbids only a part of the plan the rest. So does
    a table, a subnet or a prefix list that is gone, but then no route is taken off for being asked for no more.
    """
    lives = plan.connection is not None and plan.connection.status.live
    foreign = any(isinstance(change, CreateConnection | AdoptConnection) for change in plan.changes)
    if not lives or foreign:
        return replace(plan, refusals=(), changes=())
    changes = (change for change in plan.changes if not any(_forbids(refusal, change) for refusal in plan.refusals))
    return replace(
        plan, refusals=(), changes=tuple(change for change in changes if not _contended(observed, change, known))
    )


def _forbids(refusal: PeeringError, change: Change) -> bool:
    """Tell whether a refusal is about a change; that of a conflict is about a route for which there is none."""
    if isinstance(refusal, ResourceConflict):
        return False
    if isinstance(refusal, NotFound):
        return isinstance(change, DeleteRoute)
    if isinstance(change, RouteChange) and refusal.part:
        return refusal.side == change.side and refusal.part in {ROUTES, change.route.table_id}
    return not refusal.part or (refusal.part == OPTIONS and isinstance(change, ModifyOptions))


def findings(desired: Desired, observed: Observed, plan: Plan, known: Collection[str] = ()) -> Iterator[Finding]:
    """Yield what a plan, as it was before `permitted`, shows.

    `known` are the `digests` of the last look: a route that was taken from another target then, and leads there again,
    has two owners. It is told, rather than taken for ever. Whatever else was put right then and is not so again has
    somebody who undoes it: that is told beside, and it is put right again.
    """
    if lost := [*_lost(desired, observed, plan)]:
        yield from lost
        return
    known = frozenset(known)
    for change in plan.changes:
        found = _contended(observed, change, known) or _of_change(observed, change)
        yield found
        if found.kind in {Kind.DRIFT, Kind.SETTINGS} and _digest(replace(found, done=True)) in known:
            yield replace(found, kind=Kind.CONFLICT, text=f"{found.text} {UNDONE}")
    yield from dict.fromkeys(map(of_failure, (*plan.refusals, *dns_off(desired, observed))))


def _lost(desired: Desired, observed: Observed, plan: Plan) -> Iterator[Finding]:
    """Yield that the connection is gone, and what it has left; or that it is not ours any more."""
    known = desired.connection_id or desired.foreign_id or "the connection"
    seen: Connection | None = plan.connection or observed.view(desired.lead).connection(known)
    if seen and seen.status.live:
        if any(isinstance(change, CreateConnection | AdoptConnection) for change in plan.changes):
            refusal = not_ours(desired, seen)
            beside = (
                f"{seen.connection_id} joins the VPCs, and {known} can never be accepted beside it. {REMEDY_BESIDE}"
            )
            text = f"{refusal.cause} {refusal.remedy}" if seen.connection_id == known else beside
            yield Finding(Kind.CONNECTION, "", text)
        return
    ended = f"{seen.connection_id} is {seen.status}: {seen.message or 'no message'}." if seen else f"{known} is gone."
    yield Finding(Kind.CONNECTION, "", f"{ended} {REMEDY_OF_FOREIGN if desired.foreign_id else REMEDY}")
    for side, view in observed.sides():
        for table in view.tables:
            for route in table.routes:
                if route.target == known and route.blackhole:
                    yield _blackhole(RouteKey(side, table.table_id, route.destination), known)


def _blackhole(route: RouteKey, target: str) -> Finding:
    text = f"{route.table_id} routes {route.destination} to {target}, which has ended."
    return Finding(Kind.BLACKHOLE, route.side, text)


def _contended(observed: Observed, change: Change, known: Collection[str]) -> Finding | None:
    """Return what is to be said of a route that somebody takes again and again."""
    if not isinstance(change, ReplaceRoute) or change.target is not None or change.former in observed.gone:
        return None
    taken = _of_change(observed, change)
    contended = replace(taken, kind=Kind.CONFLICT, text=f"{taken.text} {CONTENDED}")
    return contended if set(digests([replace(taken, done=True), contended])) & set(known) else None


def _of_change(observed: Observed, change: Change) -> Finding:
    kind, side, text = Kind.DRIFT, "", str(change)
    match change:
        case CreateRoute(route):
            side, text = route.side, f"{route.table_id} lacks the route to {route.destination}."
        case ReplaceRoute(route, former, target=None):
            if former in observed.gone:
                return _blackhole(route, former)
            side, text = route.side, f"{route.table_id} routes {route.destination} to {former}."
        case ReplaceRoute(route) | DeleteRoute(route):
            side, text = route.side, f"{route.table_id} still routes {route.destination}, which is not asked for."
        case ModifyOptions(side, options):
            settings = (f"{option} is {'off' if on else 'on'}" for option, on in options.items())
            kind, text = Kind.SETTINGS, f"{', '.join(settings)}."
        case TagConnection(side, tags):
            kind, text = Kind.SETTINGS, f"The connection lacks {_count(tags, 'tag')}: {', '.join(sorted(tags))}."
        case UntagConnection(side, tags):
            kind = Kind.SETTINGS
            text = f"The connection has {_count(tags, 'tag')} that the stack gives no more: {', '.join(sorted(tags))}."
        case AcceptConnection(side):
            kind, text = Kind.SETTINGS, "The connection waits to be accepted."
    return Finding(kind, side, text, both=_of_both_sides(change))


def _count(things: object, name: str) -> str:
    count = len(things)  # type: ignore[arg-type]  # tags
    return f"{count} {name}{'' if count == 1 else 's'}"


def of_failure(failure: PeeringError) -> Finding:
    """Return the finding that a refusal, or a failed run, is."""
    if isinstance(failure, RoleUnreachable):
        kind = Kind.ROLE
    elif isinstance(failure, AttributesOff):
        kind = Kind.ATTRIBUTES
    else:
        kind = Kind.CONFLICT if isinstance(failure, ResourceConflict) else Kind.FAILURE
    remedy = "The next sweep goes on." if isinstance(failure, NotStabilized) else failure.remedy
    return Finding(kind, failure.side, f"{failure.cause} {remedy}")


def repaired(found: Sequence[Finding], changes: Sequence[Change], observed: Observed) -> list[Finding]:
    """Return findings, of which those that some changes were made for are done."""
    made = {_of_change(observed, change) for change in changes}
    return [replace(finding, done=finding in made) for finding in found]
