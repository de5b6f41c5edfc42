from dataclasses import replace

from handler.model import RouteRecord
from handler.registry import MemoryRegistry, Registry
from tests.unit.given import OWNER, PCX, STRANGER, key

FIRST, SECOND = RouteRecord(key(), PCX, "igw-1"), RouteRecord(key("10.9.0.0/16"), PCX)
MOVED = RouteRecord(key(), "pcx-new", PCX)


def filled() -> Registry:
    """Return a registry that knows the routes of one resource, on two connections of it."""
    registry = MemoryRegistry()
    registry.remember(OWNER, [FIRST, SECOND])
    registry.remember(OWNER, [MOVED])
    return registry


def test_unknown_resource_has_no_routes() -> None:
    """A new process knows nothing, and says so."""
    assert () == MemoryRegistry().routes(OWNER)


def test_routes_of_all_connections_are_returned() -> None:
    """During a replacement a resource has two connections."""
    assert (FIRST, SECOND, MOVED) == filled().routes(OWNER)


def test_resources_do_not_see_each_other() -> None:
    """One function serves many stacks."""
    registry = filled()
    registry.forget(STRANGER, PCX)

    assert ((), (FIRST, SECOND, MOVED)) == (registry.routes(STRANGER), registry.routes(OWNER))


def test_earlier_record_stays() -> None:
    """A route that comes back to the connection after a rolled back replacement keeps its first former target."""
    registry = filled()
    registry.remember(OWNER, [RouteRecord(key(), PCX, "pcx-new")])

    assert (FIRST, SECOND, MOVED) == registry.routes(OWNER)


def test_routes_of_one_connection_are_forgotten() -> None:
    """The clean-up of the old connection of a replacement leaves the new one's, which is not to go back there."""
    registry = filled()
    registry.forget(OWNER, PCX)

    assert (replace(MOVED, former=None),) == registry.routes(OWNER)


def test_what_was_found_goes_back() -> None:
    """A route that led to a connection before us is given back to it, though we have left it."""
    registry = MemoryRegistry()
    moved = replace(MOVED, former=PCX)
    registry.remember(OWNER, [replace(FIRST, key=moved.key, former=None, found=True), moved])
    registry.forget(OWNER, PCX)

    assert (moved,) == registry.routes(OWNER)


def test_single_routes_are_forgotten() -> None:
    """What was taken off is forgotten, of that connection only; what is unknown does not matter."""
    registry = filled()
    registry.forget(OWNER, PCX, [key(), key("172.16.0.0/12")])

    assert (SECOND, MOVED) == registry.routes(OWNER)


def test_no_routes_are_forgotten() -> None:
    """An empty list is not the same as none given."""
    registry = filled()
    registry.forget(OWNER, PCX, [])

    assert (FIRST, SECOND, MOVED) == registry.routes(OWNER)


def test_what_was_returned_stands() -> None:
    """A plan rests on what was read: later records do not change it."""
    registry = filled()
    routes = registry.routes(OWNER)
    registry.forget(OWNER, PCX)

    assert (FIRST, SECOND, MOVED) == routes


def test_forgotten_route_is_recorded_anew() -> None:
    """Once taken off, the next former target is the one that counts."""
    registry = filled()
    again = RouteRecord(key(), PCX, "tgw-1")
    registry.forget(OWNER, PCX, [key()])
    registry.remember(OWNER, [again])

    assert (SECOND, MOVED, again) == registry.routes(OWNER)
