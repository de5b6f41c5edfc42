"""Observe: read what is there. Nothing here writes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from handler.ec2 import Ec2
from handler.errors import AccessDenied, NotFound
from handler.model import (
    REPLACES,
    Connection,
    Desired,
    Observed,
    ObservedSide,
    Option,
    PrefixList,
    Quota,
    Side,
    Status,
    Subnet,
)
from handler.ownership import doomed
from handler.parallel import run
from handler.rules import rule_of

NOTHING: Final = Observed(None, None)
"""What is known where there is no registry."""

Sides = Mapping[Side, Ec2]
"""The sides to act on; without one that is left to the other party, or (Delete) cannot be reached."""


def observe(desired: Desired, sides: Sides, known: Observed = NOTHING) -> Observed:
    """Read both sides at once: of each its VPC, its route tables, the connections of the pair, and what is asked for.

    What the registry has is known before.

    At Delete, a side other than the lead whose reads are refused counts as one that cannot be reached.
    """
    views = dict(zip(sides, run(partial(_reachable, desired, side, ec2) for side, ec2 in sides.items()), strict=True))
    observed = replace(known, requester=views.get(Side.REQUESTER), accepter=views.get(Side.ACCEPTER))
    observed = _with_adopted(desired, observed, sides)
    return replace(observed, gone=_gone(observed, sides))


def with_quotas(observed: Observed, sides: Sides, asked: Mapping[Side, Collection[Quota]]) -> Observed:
    """Add quotas of some sides."""
    answers = run(partial(sides[side].quotas, quotas) for side, quotas in asked.items())
    for side, quotas in zip(asked, answers, strict=True):
        observed = observed.with_side(side, quotas=quotas)
    return observed


def _reachable(desired: Desired, side: Side, ec2: Ec2) -> ObservedSide | None:
    try:
        return _observe_side(desired, side, ec2)
    except AccessDenied:
        if desired.present or side is desired.lead:
            raise
        return None


def _observe_side(desired: Desired, side: Side, ec2: Ec2) -> ObservedSide:
    vpc_id = desired.side(side).end.vpc_id
    asked = _asks_dns(desired)
    reads: tuple[Callable[[], Any], ...] = (
        partial(_connections, desired, side, ec2),
        partial(ec2.vpc, vpc_id),
        partial(ec2.route_tables, vpc_id),
        partial(_subnets, desired, side, ec2),
        partial(_prefix_lists, desired, side, ec2),
        partial(_dns_off, desired, side, ec2) if asked else tuple,
    )
    (connections, peerings), vpc, tables, subnets, prefix_lists, dns_off = run(reads)
    facing = tuple(map(desired.facing, connections))
    if not asked and _lacks_dns(desired, side, facing):
        dns_off = _dns_off(desired, side, ec2)
    view = ObservedSide(vpc, tables, facing, subnets, prefix_lists, dns_off, peerings)
    return _with_known(view, desired, ec2) if side is desired.lead else view


def _subnets(desired: Desired, side: Side, ec2: Ec2) -> tuple[Subnet, ...]:
    """Read the subnets of a side where a rule chooses tables or destinations by them."""
    own, other = rule_of(desired, side), rule_of(desired, side.other)
    asked = own.subnet_ids or own.subnet_tags or other.destination_subnet_ids
    return ec2.subnets(desired.side(side).end.vpc_id) if asked else ()


def _prefix_lists(desired: Desired, side: Side, ec2: Ec2) -> tuple[PrefixList, ...]:
    asked = rule_of(desired, side).destination_prefix_list_ids
    return ec2.prefix_lists(asked) if asked and desired.present else ()


def _asks_dns(desired: Desired) -> bool:
    """Tell whether DNS resolution is newly asked for, on whichever side, or is to be checked."""
    before = None if desired.checks_dns else desired.same_pair
    return any(_dns(desired, side) and not (before and _dns(before, side)) for side in Side)


def _lacks_dns(desired: Desired, side: Side, connections: Collection[Connection]) -> bool:
    """Tell whether DNS resolution is not on that has been asked for before: the connection was pending, say.

    An active connection is asked for the option of this side alone: EC2 may not show that of the other one here.
    """
    active = [connection for connection in connections if connection.status is Status.ACTIVE]
    on = any(connection.allows(side, Option.DNS) for connection in active)
    return desired.checks_dns is None and any(_dns(desired, each) for each in ([side] if active else Side)) and not on


def _dns(desired: Desired, side: Side) -> bool:
    return desired.side(side).options.get(Option.DNS, False)


def _dns_off(desired: Desired, side: Side, ec2: Ec2) -> tuple[str, ...]:
    """Read which DNS attributes of a VPC are off, where preflight may."""
    if not (desired.present and desired.preflight):
        return ()
    try:
        return ec2.dns_off(desired.side(side).end.vpc_id)
    except NotFound:  # the plan tells of a VPC that is not there, by its property
        return ()
    except AccessDenied as denied:
        raise AccessDenied(denied.cause, "Allow ec2:DescribeVpcAttribute there, or set Preflight: Off.") from denied


def _connections(desired: Desired, side: Side, ec2: Ec2) -> tuple[tuple[Connection, ...], int | None]:
    """Read the connections that matter on a side, and where one more may be made how many active ones its VPC has."""
    vpc_ids = {end.vpc_id for end in desired.ends}
    if not desired.present and side is not desired.lead:
        return (), None
    if desired.present and desired.preflight and (desired.connection_id is None or desired.same_pair is None):
        of_vpc = ec2.connections_of(desired.side(side).end.vpc_id)
        active = sum(connection.status in {Status.ACTIVE, Status.PROVISIONING} for connection in of_vpc)
        joining = (
            connection
            for connection in of_vpc
            if connection.connection_id == desired.foreign_id
            or vpc_ids == {connection.requester.vpc_id, connection.accepter.vpc_id}
        )
        return tuple(joining), active
    if desired.foreign_id:
        known = ec2.connection(desired.foreign_id)
        return ((known,) if known else ()), None
    return ec2.connections_between(vpc_ids), None


def _with_known(view: ObservedSide, desired: Desired, ec2: Ec2) -> ObservedSide:
    """Add the connection that CloudFormation knows by its id, where the properties do not lead to it."""
    known = desired.foreign_id or desired.connection_id
    if known is None:
        return view
    if view.connection(known) is None and (seen := ec2.connection(known)):
        view = replace(view, connections=(*view.connections, desired.facing(seen)))
    return _with_predecessor(view, desired, ec2)


def _with_adopted(desired: Desired, observed: Observed, sides: Sides) -> Observed:
    """Add what the accepter's side shows of an adopted connection that is to be left: its tags and options there."""
    leaving = None if desired.present or observed.accepter is None else doomed(desired, observed)
    if leaving is None or desired.foreign_id or not desired.keeps(leaving, observed):
        return observed
    try:
        seen = sides[Side.ACCEPTER].connection(leaving.connection_id)
    except AccessDenied:
        return replace(observed, accepter=None)
    return observed.with_side(Side.ACCEPTER, connections=(desired.facing(seen),) if seen else ())


def _with_predecessor(view: ObservedSide, desired: Desired, ec2: Ec2) -> ObservedSide:
    """Add the connection that a connection to be deleted was made in place of: its routes may have to go back there."""
    leaving = view.connection(desired.connection_id)
    if desired.present or leaving is None or REPLACES not in leaving.tags:
        return view
    predecessor = ec2.connection(leaving.tags[REPLACES])
    return replace(view, connections=(*view.connections, predecessor.as_adopted)) if predecessor else view


def _gone(observed: Observed, sides: Sides) -> frozenset[str]:
    """Find which connections that routes lead to, or led to before us, live no more; mostly there is none to ask."""
    gone: frozenset[str] = frozenset()
    for side, view in observed.sides():
        named = {route.target for table in view.tables for route in table.routes if route.blackhole}
        named |= {record.former for record in observed.records if record.former and record.key.side is side}
        asked = {target for target in named if target.startswith("pcx-")}
        asked -= {connection.connection_id for connection in view.connections if connection.status.live}
        if asked:
            gone |= asked - sides[side].live_among(asked)
    return gone
