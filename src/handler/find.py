"""Find: which VPCs the queries `VpcTags` and `PeerVpcTags` mean, before anything else is read. Nothing here writes."""

from collections.abc import Mapping
from dataclasses import replace

from handler.ec2 import Ec2
from handler.errors import InvalidRequest, NotFound, PeeringError, several
from handler.model import Desired, DesiredSide, Side
from handler.observe import Sides

Known = Mapping[Side, str]
"""The VPCs of the connection that a resource has, by side; empty where none is known."""


def recall(desired: Desired, remembered: Known) -> Desired:
    """Return the same with the VPCs that stay, as far as the registry knows them: before anything is asked of EC2."""
    for side in Side:
        if _is_open(desired, side) and remembered.get(side) and _stays(desired, side):
            desired = _with_vpc(desired, side, remembered[side])
    return desired


def find(desired: Desired, sides: Sides, remembered: Known) -> Desired:
    """Return the same with the VPCs that its queries mean, and those that the previous queries meant.

    `remembered` are those that the registry has for the connection, which EC2 may not show any more.

    What was found at Create stays: while a query is the same, it is the VPC of the connection that the resource has. A
    VPC that is not to be found any more is left empty at Delete, and where it is only the previous one.

    Raises:
        NotFound: no VPC matches a query, of both of which is told.
        InvalidRequest: more than one does.

    """
    if not any(_is_open(state, side) for state in (desired, desired.previous) for side in Side):
        return desired
    known = remembered if all(remembered.get(side) for side in Side) else _known(desired, sides)
    failures = []
    for side in Side:
        if _is_open(desired, side):
            vpc_ids = _vpc_ids(desired, side, known, sides)
            if desired.present and len(vpc_ids) != 1:
                failures.append(_not_one(desired.side(side), side, vpc_ids))
            desired = _with_vpc(desired, side, vpc_ids[0] if len(vpc_ids) == 1 else "")
    if failures:
        raise several(failures)
    if desired.present and desired.requester.end == desired.accepter.end:
        end = desired.requester.end
        raise InvalidRequest(f"VpcTags and PeerVpcTags find the same VPC, {end.vpc_id}.", "Correct one of them.")
    previous = desired.previous
    for side in Side:
        if previous and _is_open(previous, side):
            previous = _with_vpc(previous, side, _previous_vpc_id(desired, previous, side, known, sides))
    return replace(desired, previous=previous)


def _is_open(desired: Desired | None, side: Side) -> bool:
    asked = desired.side(side) if desired else None
    return asked is not None and bool(asked.vpc_tags) and not asked.end.vpc_id


def _known(desired: Desired, sides: Sides) -> Known:
    """Return the VPCs of the connection that the resource has: by its id, or else by its owner tags."""
    lead = sides[desired.lead]
    if desired.connection_id:
        connection = lead.connection(desired.connection_id)
    elif desired.present:
        return {}
    else:
        connection = next((c for c in lead.connections_owned(desired.owner) if c.status.live), None)
    return {side: connection.as_adopted.end(side).vpc_id for side in Side} if connection else {}


def _stays(desired: Desired, side: Side) -> bool:
    """Tell whether a VPC is that of the connection still, as at Delete, or while the query is the same."""
    return not desired.present or _same_query(desired, desired.previous, side)


def _vpc_ids(desired: Desired, side: Side, known: Known, sides: Sides) -> list[str]:
    if known and _stays(desired, side):
        return [known[side]]
    return _matching(desired.side(side), sides[side]) if side in sides else [""]


def _previous_vpc_id(desired: Desired, previous: Desired, side: Side, known: Known, sides: Sides) -> str:
    """Return the VPC that a query meant before.

    That of the connection, unless that is the VPC which the present query means: an Update that rolls back a failed
    replacement comes with the connection that was to be replaced.
    """
    now, before = desired.side(side), previous.side(side)
    if _same_query(desired, previous, side):
        return now.end.vpc_id
    if known and known[side] != now.end.vpc_id:
        return known[side]
    same_place = (now.end.account, now.end.region) == (before.end.account, before.end.region)
    found = _matching(before, sides[side]) if side in sides and same_place else []
    if len(found) == 1:
        return found[0]
    return known[side] if known else ""


def _same_query(desired: Desired, previous: Desired | None, side: Side) -> bool:
    if previous is None:
        return False
    now, before = desired.side(side), previous.side(side)
    same_place = (now.end.account, now.end.region) == (before.end.account, before.end.region)
    return same_place and set(now.vpc_tags) == set(before.vpc_tags)


def _with_vpc(desired: Desired, side: Side, vpc_id: str) -> Desired:
    asked = desired.side(side)
    complete = replace(asked, end=replace(asked.end, vpc_id=vpc_id))
    return replace(desired, requester=complete) if side is Side.REQUESTER else replace(desired, accepter=complete)


def _matching(asked: DesiredSide, ec2: Ec2) -> list[str]:
    return sorted(vpc.vpc_id for vpc in ec2.vpcs_tagged(asked.vpc_tags))


def _not_one(asked: DesiredSide, side: Side, vpc_ids: list[str]) -> PeeringError:
    tags = ", ".join(key if value is None else f"{key}={value}" for key, value in asked.vpc_tags)
    place = f"{asked.end.region} of account {asked.end.account}"
    if not vpc_ids:
        return NotFound(
            f"{side.prefix}VpcTags match no VPC in {place} ({tags}).",
            f"Correct {side.prefix}VpcTags or the VPC's tags, or give {side.prefix}VpcId.",
        )
    return InvalidRequest(
        f"{side.prefix}VpcTags match {len(vpc_ids)} VPCs in {place} ({tags}): {', '.join(vpc_ids)}.",
        f"Add a tag that only one has, or give {side.prefix}VpcId.",
    )
