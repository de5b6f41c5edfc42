"""The plan's part for what a connection carries on each side: tags and options. Pure."""

from collections.abc import Iterator, Mapping

from handler.changes import Change, ModifyOptions, ReleaseConnection, TagConnection, UntagConnection
from handler.model import ADOPTED, REPLACES, Connection, Desired, Observed, Option, Side, Status


def plan_settings(
    desired: Desired, observed: Observed, connection: Connection | None, *, active: bool
) -> Iterator[Change]:
    """Plan the tags and options of both sides; a connection that is still to be made has none but its own tags."""
    theirs = connection is not None and (desired.keeps(connection) or not desired.owns(connection))
    for side, view in observed.sides():
        seen = view.connection(connection.connection_id) if connection else None
        if side is Side.REQUESTER or active:
            yield from _plan_tags(desired, observed, side, seen, theirs=theirs)
        asked = desired.side(side).options if active else {}
        wrong = {option: on for option, on in asked.items() if on != (seen is not None and seen.allows(side, option))}
        if wrong:
            yield ModifyOptions(side, wrong, reversed=connection is not None and connection.reversed)


def plan_release(desired: Desired, observed: Observed, connection: Connection) -> Iterator[Change]:
    """Plan to leave a connection as it was before it became ours, as far as it still is as we set it.

    Tags stay where some of them were there before: to take one too many away would be somebody else's.
    """
    before = connection.tags.get(ADOPTED, "").split("+")
    for side, view in observed.sides():
        seen = view.connection(connection.connection_id)
        if seen is None:
            continue
        ours = {key: v for key, v in tags(desired, observed, side).items() if seen.tags.get(key) == v}
        if ours and f"{side.prefix}Tags" not in before:
            yield UntagConnection(side, ours)
        if connection.status is Status.ACTIVE and (back := _options_before(desired, connection, seen, side)):
            yield ModifyOptions(side, back, reversed=connection.reversed)
    if not desired.foreign_id:
        marks = {key: connection.tags[key] for key in (ADOPTED, REPLACES) if key in connection.tags}
        yield ReleaseConnection(connection.connection_id, {**desired.owner.tags, **marks})


def _options_before(desired: Desired, connection: Connection, seen: Connection, side: Side) -> dict[Option, bool]:
    """Return what the options of a side were that the properties manage, where that is not what they are now.

    Of an adopted connection the tag tells; one that somebody else requested comes to us with our options off.
    """
    before = connection.tags.get(ADOPTED, "").split("+")
    return {
        option: f"{side.prefix}{option}" in before
        for option, on in desired.side(side).options.items()
        if seen.allows(side, option) == on and on != (f"{side.prefix}{option}" in before)
    }


def _plan_tags(
    desired: Desired, observed: Observed, side: Side, seen: Connection | None, *, theirs: bool
) -> Iterator[Change]:
    """Plan the tags of one side; a Name that somebody else gave `theirs` gives way to a given one only."""
    if seen is None and side is Side.REQUESTER:
        return  # the request itself carries them
    wanted, present = tags(desired, observed, side), seen.tags if seen else {}
    earlier = _given_tags(desired.same_pair, side) if desired.same_pair else {}
    if theirs and "Name" in present and present["Name"] != earlier.get("Name"):
        wanted = {"Name": present["Name"], **_given_tags(desired, side)}
    if missing := dict(sorted(wanted.items() - present.items())):
        yield TagConnection(side, missing)
    if stale := {key: v for key, v in earlier.items() if key not in wanted and present.get(key) == v}:
        yield UntagConnection(side, stale)


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
