"""Observe: read what is there. Nothing here writes."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from handler.ec2 import Ec2
from handler.errors import AccessDenied
from handler.model import REPLACES, Desired, Observed, ObservedSide, RouteRecord, Side
from handler.parallel import run

Sides = Mapping[Side, Ec2]
"""The sides to act on; without the accepter's where that is left to the other party, or cannot be reached."""


def observe(desired: Desired, sides: Sides, records: tuple[RouteRecord, ...] = ()) -> Observed:
    """Read both sides at once: of each its VPC, its route tables, and the connections of the pair.

    At Delete, an accepter's side whose reads are refused counts as one that cannot be reached.
    """
    views = dict(zip(sides, run(partial(_reachable, desired, side, ec2) for side, ec2 in sides.items()), strict=True))
    requester = views[Side.REQUESTER] or ObservedSide()
    observed = Observed(requester, views.get(Side.ACCEPTER), records)
    return replace(observed, gone=_gone(desired, observed, sides))


def _reachable(desired: Desired, side: Side, ec2: Ec2) -> ObservedSide | None:
    try:
        return _observe_side(desired, side, ec2)
    except AccessDenied:
        if desired.present or side is Side.REQUESTER:
            raise
        return None


def _observe_side(desired: Desired, side: Side, ec2: Ec2) -> ObservedSide:
    vpc_id = desired.side(side).end.vpc_id
    with ThreadPoolExecutor(3) as pool:
        vpc = pool.submit(ec2.vpc, vpc_id)
        tables = pool.submit(ec2.route_tables, vpc_id)
        if desired.present or side is Side.REQUESTER:
            connections = ec2.connections_between([end.vpc_id for end in desired.ends])
        else:
            connections = ()
        view = ObservedSide(vpc.result(), tables.result(), connections)
    if side is Side.ACCEPTER or desired.connection_id is None:
        return view
    if view.connection(desired.connection_id) is None and (known := ec2.connection(desired.connection_id)):
        view = replace(view, connections=(*connections, known))
    return _with_predecessor(view, desired, ec2)


def _with_predecessor(view: ObservedSide, desired: Desired, ec2: Ec2) -> ObservedSide:
    """Add the connection that a connection to be deleted was made in place of: its routes may have to go back there."""
    doomed = view.connection(desired.connection_id)
    if desired.present or doomed is None or REPLACES not in doomed.tags:
        return view
    predecessor = ec2.connection(doomed.tags[REPLACES])
    return replace(view, connections=(*view.connections, predecessor)) if predecessor else view


def _gone(desired: Desired, observed: Observed, sides: Sides) -> frozenset[str]:
    """Find which connections that routes lead to, or led to before us, live no more; mostly there is none to ask."""
    gone: frozenset[str] = frozenset()
    for side, view in observed.sides():
        named = {route.target for table in view.tables for route in table.routes if route.blackhole}
        named |= {record.former for record in observed.records if record.former and record.key.side is side}
        asked = {target for target in named if target.startswith("pcx-")} - {desired.connection_id}
        asked -= {connection.connection_id for connection in view.connections if connection.status.live}
        if asked:
            gone |= asked - sides[side].live_among(asked)
    return gone
