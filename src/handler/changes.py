"""The changes, named by EC2's own verbs. A change is a value: it says what to do, never how."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from handler.model import RouteKey, Side


class Stage(IntEnum):
    """The order of changes: make before break. Changes of one stage do not depend on each other."""

    REQUEST = 1
    ACCEPT = 2
    MAKE = 3
    BREAK = 4
    DELETE = 5


@dataclass(frozen=True)
class Change:
    """One call that changes EC2. `str()` is its human form."""

    stage: ClassVar[Stage]


@dataclass(frozen=True)
class CreateConnection(Change):
    """Request the connection, with the tags of the requester's side written at creation."""

    stage = Stage.REQUEST
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return "request the connection"


@dataclass(frozen=True)
class AcceptConnection(Change):
    """Accept the connection, as the accepter."""

    stage = Stage.ACCEPT

    def __str__(self) -> str:
        return "accept the connection"


@dataclass(frozen=True)
class ModifyOptions(Change):
    """Set the DNS option of one side."""

    stage = Stage.MAKE
    side: Side
    allow_dns: bool

    def __str__(self) -> str:
        return f"{self.side}: {'allow' if self.allow_dns else 'end'} DNS resolution from the remote VPC"


@dataclass(frozen=True)
class TagConnection(Change):
    """Write tags on one side's view of the connection."""

    stage = Stage.MAKE
    side: Side
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.side}: tag the connection with {', '.join(sorted(self.tags))}"


@dataclass(frozen=True)
class UntagConnection(Change):
    """Remove tags from one side's view of the connection, each only while it has this value."""

    stage = Stage.BREAK
    side: Side
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.side}: untag {', '.join(sorted(self.tags))}"


@dataclass(frozen=True)
class CreateRoute(Change):
    """Make a route to the connection."""

    stage = Stage.MAKE
    route: RouteKey

    def __str__(self) -> str:
        return f"{self.route.side}: create route {self.route}"


@dataclass(frozen=True)
class ReplaceRoute(Change):
    """Point an existing route from `former` to the connection, or to `target` where one is given, without a gap."""

    stage = Stage.MAKE
    route: RouteKey
    former: str
    target: str | None = None

    def __str__(self) -> str:
        return f"{self.route.side}: replace route {self.route}: {self.former} -> {self.target or 'the connection'}"


@dataclass(frozen=True)
class DeleteRoute(Change):
    """Remove a route of ours that still targets the connection."""

    stage = Stage.BREAK
    route: RouteKey

    def __str__(self) -> str:
        return f"{self.route.side}: delete route {self.route}"


@dataclass(frozen=True)
class DeleteConnection(Change):
    """Delete a connection of ours, as the requester."""

    stage = Stage.DELETE
    connection_id: str

    def __str__(self) -> str:
        return f"delete {self.connection_id}"
