"""The changes, named by EC2's own verbs. A change is a value: it says what to do, never how."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from handler.model import Option, RouteKey, Side


class Stage(IntEnum):
    """The order of changes: make before break. Changes of one stage do not depend on each other."""

    REQUEST = 1
    ADOPT = 2
    ACCEPT = 3
    MAKE = 4
    BREAK = 5
    DELETE = 6


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
class AdoptConnection(Change):
    """Write the owner tags on a connection that somebody else has made, before anything else of it is touched."""

    stage = Stage.ADOPT
    connection_id: str
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"adopt {self.connection_id}"


@dataclass(frozen=True)
class AcceptConnection(Change):
    """Accept the connection, as the side that EC2 has as its accepter."""

    stage = Stage.ACCEPT
    side: Side = Side.ACCEPTER

    def __str__(self) -> str:
        return "accept the connection"


@dataclass(frozen=True)
class ModifyOptions(Change):
    """Set options of one side; `reversed` where that side has the other role to EC2."""

    stage = Stage.MAKE
    side: Side
    options: Mapping[Option, bool]
    reversed: bool = False

    def __str__(self) -> str:
        settings = (f"{name} {'on' if on else 'off'}" for name, on in self.options.items())
        return f"{self.side}: turn {', '.join(settings)}"


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
class RouteChange(Change):
    """A change of one route."""

    route: RouteKey

    @property
    def side(self) -> Side:
        """The side whose table it is."""
        return self.route.side


@dataclass(frozen=True)
class CreateRoute(RouteChange):
    """Make a route to the connection."""

    stage = Stage.MAKE

    def __str__(self) -> str:
        return f"{self.side}: create route {self.route}"


@dataclass(frozen=True)
class ReplaceRoute(RouteChange):
    """Point an existing route from `former` to the connection, or to `target` where one is given, without a gap.

    `asked_for` tells of one that is given back whether it stays where that cannot be: else it goes.
    """

    stage = Stage.MAKE
    former: str
    target: str | None = None
    asked_for: bool = False

    def __str__(self) -> str:
        return f"{self.side}: replace route {self.route}: {self.former} -> {self.target or 'the connection'}"


@dataclass(frozen=True)
class DeleteRoute(RouteChange):
    """Remove a route of ours that still targets the connection."""

    stage = Stage.BREAK

    def __str__(self) -> str:
        return f"{self.side}: delete route {self.route}"


@dataclass(frozen=True)
class DeleteConnection(Change):
    """Delete a connection of ours, as the requester."""

    stage = Stage.DELETE
    connection_id: str

    def __str__(self) -> str:
        return f"delete {self.connection_id}"


@dataclass(frozen=True)
class ReleaseConnection(Change):
    """Take our owner tags off an adopted connection, which lives on."""

    stage = Stage.DELETE
    connection_id: str
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"release {self.connection_id}"
