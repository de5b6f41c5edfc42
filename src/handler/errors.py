"""The failures that CloudFormation is told, named by its own handler error codes.

PeeringError
├── InvalidRequest          the properties cannot work; nothing was changed
├── AccessDenied            a role cannot be assumed, or lacks a permission
│   └── RoleUnreachable     a role cannot be assumed: nothing is known of its side
├── NotFound                a VPC, a route table or a connection is not there
├── AlreadyExists           the two VPCs are peered by somebody else
├── ResourceConflict        a route or a connection that is not ours stands in the way
├── ServiceLimitExceeded    a quota of EC2
├── NotStabilized           EC2 did not finish within the time that the function has
├── Throttling              EC2 throttled until the deadline
├── NetworkFailure          an endpoint could not be reached until the deadline
└── InternalFailure         EC2 failed, or answered what this code does not know
"""

from collections.abc import Sequence
from typing import ClassVar, Final

REASON_LIMIT: Final = 240
"""Characters of a FAILED reason: what CloudFormation's console shows without cutting (crhelper keeps as many)."""


FINDINGS_LIMIT: Final = 1000
"""Characters of the reason where there are several findings: CloudFormation shows all of them in one event."""


ROOM_FOR_REST: Final = 70
"""Characters of these that are kept to say how many findings are left out, and that nothing was changed."""


UNCHANGED: Final = "Nothing was changed."
"""The remedy of what says itself what would be right; of several findings it is the end."""
OPTIONS: Final = "options"
ROUTES: Final = "routes"


class PeeringError(Exception):
    """A failure with its cause (the subject named) and its remedy."""

    code: ClassVar[str]
    ec2_code = ""
    """The error code that AWS answered, in lower case (EC2 spells some in two ways); empty without an answer."""
    ec2_status = 0
    """The HTTP status of that answer."""
    side = ""
    """The side that it is about, `requester` or `accepter`; empty where it is about both, or about neither."""
    part = ""
    """What of a plan it forbids, so that the rest may be done: `OPTIONS`, or of its side `ROUTES` or those of a table,
    by its id; empty where it forbids the whole."""
    limit = REASON_LIMIT
    """Characters that its reason may have."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.code}: {self.cause} {self.remedy}"

    @property
    def reason(self) -> str:
        """The reason of the FAILED response: at most `limit` characters, the remedy kept whole."""
        if len(str(self)) <= self.limit:
            return str(self)
        room = max(0, self.limit - len(f"{self.code}: … {self.remedy}"))
        return f"{self.code}: {self.cause[:room].rstrip()}… {self.remedy}"[: self.limit]

    def told(self, cause: str, remedy: str) -> "PeeringError":
        """Return the same failure in other words."""
        other = type(self)(cause, remedy)
        other.limit, other.side, other.part = self.limit, self.side, self.part
        return other


class Overtaken(Exception):
    """Another request, or another invocation, is to serve the resource: this one ends, whatever else fails."""


class InvalidRequest(PeeringError):
    """The properties cannot work, as they are or in the world as it is."""

    code = "InvalidRequest"


class AccessDenied(PeeringError):
    """A role cannot be assumed, or a permission is missing."""

    code = "AccessDenied"


class RoleUnreachable(AccessDenied):
    """A role cannot be assumed: nothing is known of its side."""


class NotFound(PeeringError):
    """What a property names is not there."""

    code = "NotFound"


class AlreadyExists(PeeringError):
    """The two VPCs are already peered by somebody else."""

    code = "AlreadyExists"


class ResourceConflict(PeeringError):
    """A route or a connection that is not ours stands in the way."""

    code = "ResourceConflict"


class ServiceLimitExceeded(PeeringError):
    """A quota of EC2 is used up."""

    code = "ServiceLimitExceeded"


class NotStabilized(PeeringError):
    """EC2 did not reach the state that was waited for before the deadline."""

    code = "NotStabilized"


class Throttling(PeeringError):
    """EC2 throttled a call until the deadline."""

    code = "Throttling"


class NetworkFailure(PeeringError):
    """An endpoint could not be reached, or broke off, until the deadline."""

    code = "NetworkFailure"


class InternalFailure(PeeringError):
    """EC2 failed, or answered what this code does not know."""

    code = "InternalFailure"


def several(findings: Sequence[PeeringError]) -> PeeringError:
    """Return one failure that has all findings, of the kind of the first; those that do not fit are counted.

    A remedy that several share is given once.
    """
    first, *more = findings
    if not more:
        return first
    text, said = f"{len(findings)} findings:", {UNCHANGED}
    for number, finding in enumerate(findings, start=1):
        item = f" ({number}) {finding.cause}" + (f" {finding.remedy}" if finding.remedy not in said else "")
        if len(first.code) + len(text) + len(item) > FINDINGS_LIMIT - ROOM_FOR_REST:
            text += f" And {len(findings) - number + 1} more in the function's log."
            break
        text += item
        said.add(finding.remedy)
    failure = type(first)(text, UNCHANGED)
    failure.limit = FINDINGS_LIMIT
    return failure
