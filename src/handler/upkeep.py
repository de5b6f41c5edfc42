"""Maintenance: what may be done of a plan between deployments, and what was found. Pure.

Maintenance makes and deletes no connection, and takes no route from another target that the stack's own policy does not
allow: it reports instead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
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
    TagConnection,
    UntagConnection,
)
from handler.errors import AccessDenied, PeeringError, ResourceConflict
from handler.model import Connection, Desired, Observed
from handler.plan import Plan

REMEDY: Final = "Find out who ended it. To make it anew, deploy the stack with a change of this resource, a tag say."


class Kind(StrEnum):
    """What a finding is about."""

    DRIFT = "drift"
    BLACKHOLE = "blackhole"
    CONFLICT = "conflict"
    ROLE = "role"
    CONNECTION = "connection"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """Something that is not as the stack asks for it; `side` is empty where it is about both."""

    kind: Kind
    side: str
    text: str
    done: bool = False

    def __str__(self) -> str:
        return f"{self.text} ({'repaired' if self.done else 'not repaired'})"


def permitted(plan: Plan) -> Plan:
    """Return the part of a plan that maintenance may carry out.

    A conflict of one route leaves the others to be repaired; any other refusal leaves all as it is.
    """
    conflicts_only = all(isinstance(refusal, ResourceConflict) for refusal in plan.refusals)
    lives = plan.connection is not None and plan.connection.status.live
    foreign = any(isinstance(change, CreateConnection | AdoptConnection) for change in plan.changes)
    if conflicts_only and lives and not foreign:
        return replace(plan, refusals=())
    return replace(plan, refusals=(), changes=())


def findings(desired: Desired, observed: Observed, plan: Plan) -> Iterator[Finding]:
    """Yield what a plan, as it was before `permitted`, shows."""
    if lost := _lost(desired, observed, plan):
        yield Finding(Kind.CONNECTION, "", lost)
        return
    for change in plan.changes:
        yield _of_change(observed, change)
    for refusal in plan.refusals:
        yield of_failure(refusal)


def _lost(desired: Desired, observed: Observed, plan: Plan) -> str | None:
    """Tell that the connection is gone, or not ours any more."""
    known = desired.connection_id or desired.foreign_id or "the connection"
    seen: Connection | None = plan.connection or observed.view(desired.lead).connection(known)
    if seen and seen.status.live and not any(isinstance(c, CreateConnection | AdoptConnection) for c in plan.changes):
        return None
    if seen is None:
        return f"{known} is gone. {REMEDY}"
    if seen.status.live:
        return f"{seen.connection_id} does not carry the owner tags of this resource any more. {REMEDY}"
    return f"{seen.connection_id} is {seen.status}: {seen.message or 'no message'}. {REMEDY}"


def _of_change(observed: Observed, change: Change) -> Finding:
    kind, side, text = Kind.DRIFT, "", str(change)
    match change:
        case CreateRoute(route):
            side, text = route.side, f"{route.table_id} lacks the route to {route.destination}."
        case ReplaceRoute(route, former, target=None):
            kind = Kind.BLACKHOLE if former in observed.gone else Kind.DRIFT
            ended = ", which has ended" if former in observed.gone else ""
            side, text = route.side, f"{route.table_id} routes {route.destination} to {former}{ended}."
        case ReplaceRoute(route) | DeleteRoute(route):
            side, text = route.side, f"{route.table_id} still routes {route.destination}, which is not asked for."
        case ModifyOptions(side, options):
            settings = (f"{option} is {'off' if on else 'on'}" for option, on in options.items())
            text = f"{', '.join(settings)}."
        case TagConnection(side, tags):
            text = f"The connection lacks {_count(tags, 'tag')}: {', '.join(sorted(tags))}."
        case UntagConnection(side, tags):
            text = f"The connection has {_count(tags, 'tag')} that the stack gives no more: {', '.join(sorted(tags))}."
        case AcceptConnection(side):
            text = "The connection waits to be accepted."
    return Finding(kind, side, text)


def _count(things: object, name: str) -> str:
    count = len(things)  # type: ignore[arg-type]  # tags
    return f"{count} {name}{'' if count == 1 else 's'}"


def of_failure(failure: PeeringError) -> Finding:
    """Return the finding that a refusal, or a failed run, is."""
    if isinstance(failure, AccessDenied):
        kind = Kind.ROLE
    else:
        kind = Kind.CONFLICT if isinstance(failure, ResourceConflict) else Kind.FAILURE
    return Finding(kind, "", f"{failure.cause} {failure.remedy}")


def repaired(found: Sequence[Finding], changes: Sequence[Change], observed: Observed) -> list[Finding]:
    """Return findings, of which those that some changes were made for are done."""
    made = {_of_change(observed, change) for change in changes}
    return [replace(finding, done=finding in made) for finding in found]
