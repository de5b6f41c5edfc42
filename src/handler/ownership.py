"""The plan's part for whose a connection is: ours, to be adopted, somebody else's, or not the one meant. Pure."""

from collections.abc import Iterator

from handler.errors import FINDINGS_LIMIT, AlreadyExists, InvalidRequest, NotFound, PeeringError, ResourceConflict
from handler.model import ADOPTED, OWNER_TAGS, Connection, Desired, End, Observed, Option, Side, Status


def subject(desired: Desired, observed: Observed) -> Connection | None:
    """Return the live connection that this resource has, or is to take over; None while one must be made."""
    if desired.foreign_id:
        foreign = observed.view(desired.lead).connection(desired.foreign_id)
        if desired.restores:  # what has ended cannot be had again, and must not hold a rollback up
            return foreign or Connection(desired.foreign_id, Status.DELETED, *desired.ends)
        return foreign if foreign and foreign.status.live else None
    pair = [*_pair(desired, observed)]
    adoptable = [c for c in pair if desired.adopt and not _lost(desired, c)]
    candidates = [c for c in pair if desired.owns(c)] or adoptable
    if desired.connection_id and not any(c.status is Status.ACTIVE for c in candidates):
        # Beside an active connection our request can never be accepted: the Delete of its id withdraws it.
        candidates = [c for c in adoptable if c.status is Status.ACTIVE] or candidates
    return min(candidates, key=lambda c: (c.status is not Status.ACTIVE, c.reversed), default=None)


def _lost(desired: Desired, connection: Connection) -> bool:
    """Tell whether the resource has had a connection that another one has claimed since."""
    return connection.connection_id == desired.connection_id and "vpc-peering:stack-id" in connection.tags


def doomed(desired: Desired, observed: Observed) -> Connection | None:
    """Find the connection that a Delete is about: by its id where CloudFormation knows it, else by owner tags and pair.

    An id from CloudFormation is never widened to the pair: after the connection was re-made, the Delete of the
    old id has the same properties as the living one.
    """
    seen = observed.view(desired.lead).connections
    known = desired.connection_id or desired.foreign_id
    candidates = [c for c in seen if (c.connection_id == known if known else desired.owns(c))]
    ending = [c for c in candidates if c.status.live or c.status is Status.DELETING]
    return min(ending, key=lambda c: not c.status.live, default=None)


def taken_over(desired: Desired, connection: Connection) -> bool:
    """Tell whether another resource has adopted a connection since: then nothing of it is ours any more."""
    adopted = not desired.foreign_id and ADOPTED in connection.tags
    return adopted and not desired.owner.owns(connection) and "vpc-peering:stack-id" in connection.tags


def released(desired: Desired, observed: Observed, connection: Connection) -> bool:
    """Tell whether an earlier Delete has let go of a connection that was to be adopted: a Delete may be repeated.

    One that the registry still has as this resource's has lost its owner tags by somebody else.
    """
    known = connection.connection_id in observed.living or connection.connection_id in observed.stood
    return desired.adopt and not known and not any(key.startswith(OWNER_TAGS) for key in connection.tags)


def stripped(observed: Observed, connection: Connection) -> bool:
    """Tell whether a connection without an owner is one that, by the registry, this resource has adopted."""
    return bool(observed.stood.get(connection.connection_id)) and "vpc-peering:stack-id" not in connection.tags


def not_ours(desired: Desired, connection: Connection) -> PeeringError:
    """Return the refusal to touch a connection that its id alone calls ours."""
    tags = ", ".join(f"{key} {value}" for key, value in desired.owner.tags.items())
    failure = ResourceConflict(
        f"{connection.connection_id} carries no owner tags of this resource ({_owner(connection)}).",
        f"Put them back ({tags}; and {ADOPTED}, if it had that), or retain the resource in the stack and delete the "
        "connection by hand.",
    )
    failure.limit = FINDINGS_LIMIT  # a tag that is cut cannot be put back
    return failure


def not_to_touch(desired: Desired, observed: Observed) -> Iterator[PeeringError]:
    """Yield why the connection between the VPCs cannot be this resource's."""
    if desired.foreign_id:
        yield from _not_the_one(desired, observed)
        return
    swapped = desired.previous is not None and desired.previous.ends == desired.ends[::-1]
    pair = [*_pair(desired, observed)]
    established = any(desired.owns(c) and c.status is Status.ACTIVE for c in pair)
    for connection in pair:
        if swapped and not desired.owns(connection) and not established:
            yield AlreadyExists(
                f"VpcId and PeerVpcId are swapped: {connection.connection_id} of this resource joins the same VPCs.",
                "Swap them back, or delete the resource first: two VPCs have one peering at a time.",
            )
        elif desired.owns(connection) or established:
            continue  # a request beside an active connection can never be accepted
        elif (observed.made(connection.connection_id) and "vpc-peering:stack-id" not in connection.tags) or (
            connection.connection_id == desired.connection_id and (not desired.adopt or _lost(desired, connection))
        ):
            yield not_ours(desired, connection)
        elif not desired.adopt:
            yield _exists_already(connection)
    found = subject(desired, observed)
    if found and (desired.keeps(found, observed) or not desired.owns(found)):
        yield from _multipath_by_accepting(desired, found, Side.REQUESTER if found.reversed else Side.ACCEPTER)


def _pair(desired: Desired, observed: Observed) -> Iterator[Connection]:
    """Yield the live connections of the two VPCs, of both directions, as the side of `VpcId` sees them."""
    return (c for c in observed.view(Side.REQUESTER).connections if c.ends == desired.ends and c.status.live)


def _owner(connection: Connection) -> str:
    tags = {key: value for key, value in connection.tags.items() if key.startswith(OWNER_TAGS)}
    shown = ("stack-id", "logical-id", "managed-by")
    owner = ", ".join(f"{name} {tags[OWNER_TAGS + name]}" for name in shown if OWNER_TAGS + name in tags)
    return f"owner tags: {owner}" if owner else "no owner tags"


def _exists_already(connection: Connection) -> PeeringError:
    true = connection.turned if connection.reversed else connection
    needs = "OnExistingConnection: Adopt (the function's stack needs AllowAdoption=true)"
    remedy = f"Set {needs} to take it over, or delete it: two VPCs have one peering at a time."
    if "vpc-peering:stack-id" in connection.tags:
        remedy = f"Delete it there; or have that stack retain it and let go, and set {needs} here."
    failure = AlreadyExists(
        f"{connection.connection_id} ({connection.status}) already joins {true.requester.vpc_id} to "
        f"{true.accepter.vpc_id} ({_owner(connection)}).",
        remedy,
    )
    failure.limit = FINDINGS_LIMIT  # its owner's stack is found by the whole ARN only
    return failure


def _not_the_one(desired: Desired, observed: Observed) -> Iterator[PeeringError]:
    """Yield why a connection that somebody else requested is not the one that the properties describe."""
    end, connection = desired.accepter.end, observed.view(desired.lead).connection(desired.foreign_id)
    if connection is None:
        yield NotFound(
            f"VpcPeeringConnectionId {desired.foreign_id} is not in {end.region} of account {end.account}.",
            "Check it, PeerRegion and PeerRoleArn: its accepter's side is the one to be managed.",
        )
        return
    if desired.previous and not desired.previous.foreign_id and desired.connection_id == desired.foreign_id:
        if observed.stood.get(connection.connection_id) or ADOPTED in connection.tags:
            yield InvalidRequest(
                f"VpcPeeringConnectionId {desired.foreign_id} is the connection that this resource has adopted.",
                "Keep OnExistingConnection: Adopt instead; or delete the resource, which leaves it, and make another.",
            )
        else:
            yield InvalidRequest(
                f"VpcPeeringConnectionId {desired.foreign_id} is the connection that this resource has itself made.",
                "Leave VpcPeeringConnectionId out: it is for connections that somebody else requests.",
            )
    if not connection.status.live:
        yield ResourceConflict(
            f"{connection.connection_id} is {connection.status}: {connection.message or 'no message'}.",
            "Ask its requester for a new request, and give the new id.",
        )
    found = (("", connection.requester, desired.requester.end), ("Peer", connection.accepter, end))
    for prefix, seen, expected in found:
        if seen != expected:
            yield InvalidRequest(
                f"the {'accepter' if prefix else 'requester'} of {connection.connection_id} is {_place(seen)}, "
                f"not {_place(expected)}.",
                f"Correct {prefix}VpcId, {prefix}OwnerId, {prefix}Region or VpcPeeringConnectionId.",
            )
    within = connection.requester.region == connection.accepter.region
    if within and desired.accepter.options.get(Option.MULTIPATH):
        yield InvalidRequest(
            f"both ends of {connection.connection_id} are in {end.region}.",
            f"Multipath resilience works between two Regions: leave out Peer{Option.MULTIPATH}.",
        )
    yield from _multipath_by_accepting(desired, connection, Side.ACCEPTER)


def _place(end: End) -> str:
    return f"{end.vpc_id} ({end.region}, {end.account})"


def _multipath_by_accepting(desired: Desired, connection: Connection, side: Side) -> Iterator[PeeringError]:
    """Refuse to accept what would switch multipath resilience on, which costs extra, for a side that does not ask."""
    asked = desired.side(side).options.get(Option.MULTIPATH)
    pending = connection.status in {Status.INITIATING_REQUEST, Status.PENDING_ACCEPTANCE}
    if desired.auto_accept and pending and connection.allows(side.other, Option.MULTIPATH) and not asked:
        yield InvalidRequest(
            f"{connection.connection_id} asks for multipath resilience, and to accept it allows that on both sides.",
            f"Set {side.prefix}{Option.MULTIPATH}: true (it costs extra), or have it requested without.",
        )
