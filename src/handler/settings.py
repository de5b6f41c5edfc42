"""The plan's part for what a connection carries on each side: tags and options. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from handler.changes import Change, ModifyOptions, ReleaseConnection, TagConnection, UntagConnection
from handler.model import ADOPTED, OWNER_TAGS, REPLACES, Connection, Desired, Observed, Option, Side, Status, Stood


def plan_settings(
    desired: Desired, observed: Observed, connection: Connection | None, *, active: bool
) -> Iterator[Change]:
    """Plan the tags and options of both sides; a connection that is still to be made has none but its own tags."""
    theirs = connection is not None and (desired.keeps(connection, observed) or not desired.owns(connection))
    for side, view in observed.sides():
        seen = view.connection(connection.connection_id) if connection else None
        if side is Side.REQUESTER or active:
            stood = _before(desired, observed, connection, seen, side) if connection and seen else Stood()
            yield from _plan_tags(desired, observed, side, seen, stood, theirs=theirs)
        asked = desired.side(side).options if active else {}
        wrong = {option: on for option, on in asked.items() if on != (seen is not None and seen.allows(side, option))}
        if wrong:
            yield ModifyOptions(side, wrong, reversed=connection is not None and connection.reversed)


def plan_release(desired: Desired, observed: Observed, connection: Connection) -> Iterator[Change]:
    """Plan to leave a connection as it was before it became ours, as far as it still is as we set it."""
    for side, view in observed.sides():
        seen = view.connection(connection.connection_id)
        if seen is None:
            continue
        stood = _before(desired, observed, connection, seen, side)
        yield from _take_back(side, tags(desired, observed, side), seen, stood)
        back = {
            option: option in stood.options
            for option, on in desired.side(side).options.items()
            if seen.allows(side, option) == on != (option in stood.options)
        }
        if connection.status is Status.ACTIVE and back:
            yield ModifyOptions(side, back, reversed=connection.reversed)
    if not desired.foreign_id:
        marks = {key: connection.tags[key] for key in (ADOPTED, REPLACES) if key in connection.tags}
        yield ReleaseConnection(connection.connection_id, {**desired.owner.tags, **marks})


def to_record(
    desired: Desired, observed: Observed, connection: Connection | None
) -> Mapping[str, Mapping[Side, Stood]]:
    """Return what is to be recorded of a connection before this resource writes to it the first time.

    Of one that carries our owner tags, and no mark of adoption, that we have made it. Of another one what its sides
    have, as long as nothing there can be ours: later nobody could tell. Where that record is lost, what the mark of
    adoption tells: once a Delete has taken it off, nothing but a record tells that the connection was let go of.
    """
    known = observed.stood.get(connection.connection_id) if connection else {}
    if connection is None or known == {}:
        return {}
    if desired.owns(connection) and not desired.keeps(connection, observed):
        return {connection.connection_id: {}}
    lost = known is None and not desired.foreign_id and desired.owns(connection)
    known, previous = known or {}, desired.previous
    new = connection.connection_id != desired.connection_id and (desired.foreign_id or not desired.owns(connection))
    met = {}
    for side, view in observed.sides():
        seen = view.connection(connection.connection_id)
        if seen is None or side in known:
            continue
        if new or (previous and not previous.side(side).managed):
            stood = Stood(seen.tags, seen.options.get(side, frozenset()))
        elif lost:
            stood = _before(desired, observed, connection, seen, side)
        else:
            continue
        others = {key: value for key, value in stood.tags.items() if not key.startswith(OWNER_TAGS)}
        met[side] = replace(stood, tags=others)
    return {connection.connection_id: {**known, **met}} if met else {}


def _before(desired: Desired, observed: Observed, connection: Connection, seen: Connection, side: Side) -> Stood:
    """Return what a side had before the connection was this resource's; what nothing tells of counts as there before.

    Where the record is lost, the tag of an adopted connection tells of options, and whether there were any of our tags.
    """
    recorded = observed.stood.get(connection.connection_id, {})
    if side in recorded:
        return recorded[side]
    if not desired.keeps(connection, observed):
        return Stood()
    if ADOPTED not in connection.tags:
        return Stood(seen.tags, seen.options.get(side, frozenset()))
    mark = connection.tags[ADOPTED].split("+")
    options = frozenset(option for option in Option if f"{side.prefix}{option}" in mark)
    return Stood(seen.tags if f"{side.prefix}Tags" in mark else {}, options)


def _take_back(side: Side, ours: Mapping[str, str], seen: Connection, stood: Stood) -> Iterator[Change]:
    """Plan to take tags off a side where they still are as we set them; those that stood there come back."""
    gone = {key: value for key, value in ours.items() if seen.tags.get(key) == value != stood.tags.get(key)}
    if back := {key: stood.tags[key] for key in gone if key in stood.tags}:
        yield TagConnection(side, back)
    if new := {key: value for key, value in gone.items() if key not in stood.tags}:
        yield UntagConnection(side, new)


def _plan_tags(  # noqa: PLR0913  # one argument a fact
    desired: Desired, observed: Observed, side: Side, seen: Connection | None, stood: Stood, *, theirs: bool
) -> Iterator[Change]:
    """Plan the tags of one side; a Name that somebody else gave `theirs` gives way to a given one only."""
    if seen is None and side is Side.REQUESTER:
        return  # the request itself carries them
    if desired.side(side).given_up:
        if seen and desired.same_pair:
            yield from _take_back(side, tags(desired.same_pair, observed, side), seen, stood)
        return
    wanted, present = tags(desired, observed, side), seen.tags if seen else {}
    earlier = _given_tags(desired.same_pair, side) if desired.same_pair else {}
    name = present.get("Name") if present.get("Name") != earlier.get("Name") else stood.tags.get("Name")
    if theirs and name is not None:
        wanted = {"Name": name, **_given_tags(desired, side)}
    if missing := dict(sorted(wanted.items() - present.items())):
        yield TagConnection(side, missing)
    if seen:
        yield from _take_back(side, {key: v for key, v in earlier.items() if key not in wanted}, seen, stood)


def tags(desired: Desired, observed: Observed, side: Side) -> dict[str, str]:
    """Return the tags that one side is to have, without the owner tags."""
    return {**_automatic_name(desired, observed, side), **_given_tags(desired, side)}


def _given_tags(desired: Desired, side: Side) -> dict[str, str]:
    """Return the tags that the properties give one side; where both sides share one set, the requester has all."""
    if not desired.shared_tags:
        return dict(desired.side(side).tags)
    return {**desired.accepter.tags, **desired.requester.tags} if side is Side.REQUESTER else {}


def _automatic_name(desired: Desired, observed: Observed, side: Side) -> Mapping[str, str]:
    """Return the automatic Name, `<requester name>-to-<accepter name>`, within EC2's 256 characters."""
    if desired.shared_tags and side is Side.ACCEPTER:
        return {}
    names = []
    for each in Side:
        vpc = observed.view(each).vpc
        names.append((vpc.name if vpc else None) or desired.side(each).end.vpc_id)
    return {"Name": "-to-".join(name[:126] for name in names)}
