"""The function's memory of the routes that it made, written before each is made.

The interface has its place for a table that outlives the process. This version keeps the records in the process: a new
one knows a route of ours by the properties and by its target alone.
"""

from collections.abc import Collection
from dataclasses import replace
from threading import Lock
from typing import Protocol

from handler.model import Owner, RouteKey, RouteRecord


class Registry(Protocol):
    """What every registry can do, for one resource at a time."""

    def routes(self, owner: Owner) -> tuple[RouteRecord, ...]:
        """Return the recorded routes of a resource, of all its connections."""

    def remember(self, owner: Owner, records: Collection[RouteRecord]) -> None:
        """Record routes that are about to be made; an earlier record of the same route and connection stays."""

    def forget(self, owner: Owner, connection_id: str, keys: Collection[RouteKey] | None = None) -> None:
        """Drop the records of routes that were taken off a connection.

        Without keys, of all of them: then the connection is left, and is no former target any more but of found routes.
        """


class MemoryRegistry:
    """A registry that lives as long as the process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._routes: dict[Owner, dict[tuple[str, RouteKey], RouteRecord]] = {}

    def routes(self, owner: Owner) -> tuple[RouteRecord, ...]:
        """Return the recorded routes of a resource, of all its connections."""
        with self._lock:
            return tuple(self._routes.get(owner, {}).values())

    def remember(self, owner: Owner, records: Collection[RouteRecord]) -> None:
        """Record routes that are about to be made; an earlier record of the same route and connection stays."""
        with self._lock:
            known = self._routes.setdefault(owner, {})
            for record in records:
                known.setdefault((record.connection_id, record.key), record)

    def forget(self, owner: Owner, connection_id: str, keys: Collection[RouteKey] | None = None) -> None:
        """Drop the records of routes that were taken off a connection; without keys, of all of them."""
        with self._lock:
            known = self._routes.get(owner, {})
            gone = [p for p in known if p[0] == connection_id and (keys is None or p[1] in keys)]
            found = {key for _, key in gone if known[connection_id, key].found}
            for place in gone:
                del known[place]
            if keys is None:  # what led to it only because of us is not given back to it any more
                for place, record in known.items():
                    if record.former == connection_id and record.key not in found:
                        known[place] = replace(record, former=None)
            if not known:
                self._routes.pop(owner, None)
