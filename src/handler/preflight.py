"""The plan's part for what EC2 would refuse half way: DNS attributes that are off, and quotas. Pure.

Only what was read can be found: `observe` reads it where the plan may rest on it, and not with `Preflight: Off`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from handler.changes import AcceptConnection, Change, CreateConnection, CreateRoute, ModifyOptions
from handler.errors import OPTIONS, InvalidRequest, PeeringError, ServiceLimitExceeded
from handler.model import Desired, Observed, ObservedSide, Option, Quota, Side, is_prefix_list

LEAST_QUOTA: Final = 50
"""The least that AWS documents as default of both quotas: with less than that, neither has to be asked for."""


class AttributesOff(InvalidRequest):
    """An attribute of a VPC keeps DNS resolution over the peering from working."""


def near_limits(observed: Observed, changes: Iterable[Change]) -> dict[Side, list[Quota]]:
    """Return which quotas the changes may exceed, so that it is worth to ask for them."""
    made = list(changes)
    asked: dict[Side, list[Quota]] = {side: [] for side, _ in observed.sides()}
    for side, view in observed.sides():
        if any(count > LEAST_QUOTA for count in _route_counts(view, side, made).values()):
            asked[side].append(Quota.ROUTES_PER_TABLE)
        if _joins(made) and (view.peerings or 0) >= LEAST_QUOTA:
            asked[side].append(Quota.PEERINGS_PER_VPC)
    return {side: quotas for side, quotas in asked.items() if quotas}


def findings(
    desired: Desired, observed: Observed, changes: Iterable[Change], *, active: bool
) -> Iterator[PeeringError]:
    """Yield what would make EC2 refuse the changes, or those that follow once a pending connection is active."""
    made = list(changes)
    turns_on = any(isinstance(change, ModifyOptions) and change.options.get(Option.DNS) for change in made)
    later = not active and any(desired.side(side).options.get(Option.DNS) for side in Side)
    if turns_on or later:
        yield from dns_off(desired, observed)
    for side, view in observed.sides():
        if _joins(made):
            yield from _too_many_peerings(desired, side, view)
        yield from _too_many_routes(side, view, made)


def _joins(changes: Iterable[Change]) -> bool:
    return any(isinstance(change, CreateConnection | AcceptConnection) for change in changes)


def dns_off(desired: Desired, observed: Observed) -> Iterator[PeeringError]:
    """Yield which attributes, as far as they were read, keep DNS resolution over the peering from working."""
    for side, view in observed.sides():
        for attribute in view.dns_off:
            failure = AttributesOff(
                f"{side.prefix}VpcId {desired.side(side).end.vpc_id} has {attribute} off, "
                "which DNS resolution over a peering needs in both VPCs.",
                f"Turn it on, or leave out {Option.DNS} of both sides.",
            )
            failure.side, failure.part = side, OPTIONS
            yield failure


def _too_many_peerings(desired: Desired, side: Side, view: ObservedSide) -> Iterator[PeeringError]:
    most = view.quotas.get(Quota.PEERINGS_PER_VPC)
    if most is not None and view.peerings is not None and view.peerings >= most:
        yield ServiceLimitExceeded(
            f"{desired.side(side).end.vpc_id} has {view.peerings} active peerings, and its quota is {most}.",
            "Ask for more in Service Quotas (active VPC peering connections per VPC), or remove some.",
        )


def _too_many_routes(side: Side, view: ObservedSide, changes: Iterable[Change]) -> Iterator[PeeringError]:
    most = view.quotas.get(Quota.ROUTES_PER_TABLE)
    for (table_id, ipv6), count in _route_counts(view, side, changes).items():
        if most is not None and count > most:
            failure = ServiceLimitExceeded(
                f"{table_id} would have {count} {'IPv6' if ipv6 else 'IPv4'} routes, and its quota is {most}.",
                "Ask for more in Service Quotas (routes per route table), or give fewer destinations.",
            )
            failure.side, failure.part = side, table_id
            yield failure


def _route_counts(view: ObservedSide, side: Side, changes: Iterable[Change]) -> Counter[tuple[str, bool]]:
    """Count what the tables that get new routes would hold, IPv4 and IPv6 by themselves as EC2 does.

    A prefix list counts its maximum of entries, one that was not read counts one; local and propagated routes none.
    """
    new = [c.route for c in changes if isinstance(c, CreateRoute) and c.side is side]
    held = [(key.table_id, key.destination) for key in new]
    for table in view.tables:
        if any(key.table_id == table.table_id for key in new):
            held += [(table.table_id, r.destination) for r in table.routes if r.origin == "CreateRoute"]
    weights = {p.prefix_list_id: (p.ipv6, p.max_entries) for p in view.prefix_lists}
    counts: Counter[tuple[str, bool]] = Counter()
    for table_id, destination in held:
        own = (":" in destination, 1)
        ipv6, weight = weights.get(destination, own) if is_prefix_list(destination) else own
        counts[table_id, ipv6] += weight
    return counts
