"""What the rules of `Routes` and `PeerRoutes` mean: which tables they choose, and which destinations. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from handler.errors import ROUTES, InvalidRequest, NotFound, NotStabilized, PeeringError
from handler.model import (
    Connection,
    Desired,
    Observed,
    ObservedSide,
    RouteKey,
    RouteRule,
    RouteTable,
    Side,
    Status,
    inside,
    matches,
)


def desired_routes(desired: Desired, observed: Observed, connection: Connection | None) -> frozenset[RouteKey]:
    """Return the routes that the rules of both sides ask for, in the world as it is observed."""
    return frozenset(
        RouteKey(side, table.table_id, destination)
        for side, view in observed.sides()
        if (rule := desired.side(side).routes)
        for table in _tables(rule, view)
        for destination in _destinations(desired, observed, connection, side)
    )


def _tables(rule: RouteRule, view: ObservedSide) -> Iterator[RouteTable]:
    subnet_ids = {
        s.subnet_id for s in view.subnets if s.subnet_id in rule.subnet_ids or matches(rule.subnet_tags, s.tags)
    }
    associated = {subnet_id for table in view.tables for subnet_id in table.subnet_ids}
    for table in view.tables:
        chosen = (
            (rule.all_route_tables and not table.gateway)
            or (table.main and (rule.main_route_table or bool(subnet_ids - associated)))
            or table.table_id in rule.route_table_ids
            or not subnet_ids.isdisjoint(table.subnet_ids)
            or (matches(rule.route_table_tags, table.tags) and not table.gateway)
        )
        if chosen and table.table_id not in rule.exclude_route_table_ids:
            yield table


def _destinations(desired: Desired, observed: Observed, connection: Connection | None, side: Side) -> tuple[str, ...]:
    rule = rule_of(desired, side)
    blocks = _blocks(desired, observed, connection, side)
    kept = (b for b in blocks if not any(inside(b, excluded) for excluded in rule.exclude_cidr_blocks))
    return (*kept, *rule.destination_prefix_list_ids)


def _blocks(desired: Desired, observed: Observed, connection: Connection | None, side: Side) -> tuple[str, ...]:
    """Return the CIDR blocks that the rule of a side names, or else those of the whole other VPC."""
    rule = rule_of(desired, side)
    if rule.to_whole_vpc:
        return _blocks_of_other(observed, connection, side)
    subnets = [s for s in observed.view(side.other).subnets if s.subnet_id in rule.destination_subnet_ids]
    blocks = tuple(block for subnet in subnets for block in subnet.cidr_blocks)
    return (*(rule.destination_cidr_blocks or ()), *_carried(observed, side, blocks))


def _carried(observed: Observed, side: Side, blocks: tuple[str, ...]) -> tuple[str, ...]:
    """Leave IPv6 blocks out where this VPC has no IPv6: EC2 carries it only between VPCs that both have it."""
    vpc = observed.view(side).vpc
    return blocks if vpc and vpc.has_ipv6 else tuple(block for block in blocks if ":" not in block)


def _blocks_of_other(observed: Observed, connection: Connection | None, side: Side) -> tuple[str, ...]:
    """Return the blocks of the other VPC, from its account or else from the active connection."""
    other = observed.view(side.other).vpc
    if other is not None:
        return _carried(observed, side, other.cidr_blocks)
    return _carried(observed, side, connection.cidr_blocks.get(side.other, ()) if connection else ())


def rule_of(desired: Desired, side: Side) -> RouteRule:
    """Return the rule of a side; one that asks for nothing where none is given."""
    return desired.side(side).routes or RouteRule()


def bad_rules(desired: Desired, observed: Observed, connection: Connection | None) -> Iterator[PeeringError]:
    """Yield what the rules name that is not there, or that EC2 would refuse."""
    for side, _ in observed.sides():
        if desired.side(side).routes is not None:
            for refusal in (
                *_bad_tables(desired, observed, side),
                *_bad_subnets(desired, observed, side),
                *_bad_destinations(desired, observed, connection, side),
            ):
                refusal.side, refusal.part = refusal.side or side, refusal.part or ROUTES
                yield refusal


def _bad_tables(desired: Desired, observed: Observed, side: Side) -> Iterator[PeeringError]:
    rule, view, name = rule_of(desired, side), observed.view(side), f"{side.prefix}Routes"
    known = {table.table_id: table for table in view.tables}
    for table_id in rule.route_table_ids:
        if table_id not in known:
            yield _nowhere(desired, side, f"{name}.RouteTableIds: {table_id} is not a table", "a route table")
        elif known[table_id].gateway:
            refusal = InvalidRequest(
                f"{name}.RouteTableIds: {table_id} is the table of a gateway.",
                "EC2 takes no route to a peering connection there: leave it out.",
            )
            refusal.part = table_id
            yield refusal
    earlier = rule_of(desired.same_pair, side).exclude_route_table_ids if desired.same_pair else ()
    for table_id in rule.exclude_route_table_ids:
        if table_id not in known and table_id not in earlier:  # one that was deleted since needs no protection
            yield _nowhere(desired, side, f"{name}.ExcludeRouteTableIds: {table_id} is not a table", "a route table")
    if not any(_tables(rule, view)) and any(_tables(replace(rule, exclude_route_table_ids=()), view)):
        yield NotFound(
            f"{name}.ExcludeRouteTableIds have every table that {name} choose.",
            f"Choose or keep one table at least, or leave out {name}.",
        )
    if rule.route_table_tags and not any(
        matches(rule.route_table_tags, table.tags) for table in view.tables if not table.gateway
    ):
        yield _nowhere(desired, side, f"{name}.RouteTableTags match no table", "a tag of a route table")


def _bad_subnets(desired: Desired, observed: Observed, side: Side) -> Iterator[PeeringError]:
    rule, name = rule_of(desired, side), f"{side.prefix}Routes"
    for key, ids, of in (
        ("SubnetIds", rule.subnet_ids, side),
        ("DestinationSubnetIds", rule.destination_subnet_ids, side.other),
    ):
        known = {subnet.subnet_id for subnet in observed.view(of).subnets}
        for subnet_id in ids:
            if subnet_id not in known:
                yield _nowhere(desired, of, f"{name}.{key}: {subnet_id} is not a subnet", "a subnet")
    if rule.subnet_tags and not any(matches(rule.subnet_tags, s.tags) for s in observed.view(side).subnets):
        yield _nowhere(desired, side, f"{name}.SubnetTags match no subnet", "a tag of a subnet")


def _nowhere(desired: Desired, side: Side, what: str, right: str) -> PeeringError:
    end = desired.side(side).end
    failure = NotFound(f"{what} of {end.vpc_id} ({end.region}, {end.account}).", f"Give {right} of {end.vpc_id}.")
    failure.side = side
    return failure


def _bad_destinations(
    desired: Desired, observed: Observed, connection: Connection | None, side: Side
) -> Iterator[PeeringError]:
    rule, view, name = rule_of(desired, side), observed.view(side), f"{side.prefix}Routes"
    blocks = _blocks(desired, observed, connection, side)
    if rule.to_whole_vpc and not blocks and connection is not None and connection.status is Status.ACTIVE:
        yield NotStabilized(
            f"{connection.connection_id} does not show the blocks of {desired.side(side.other).end.vpc_id} yet.",
            f"Deploy again in a minute, or give {name}.DestinationCidrBlocks.",
        )
    for excluded in rule.exclude_cidr_blocks:
        for block in blocks:
            if excluded != block and inside(excluded, block):
                yield InvalidRequest(
                    f"{name}.ExcludeCidrBlocks: {excluded} is a part of destination {block}, and a route has no holes.",
                    f"Exclude {block} whole, or list smaller {name}.DestinationCidrBlocks.",
                )
    own_blocks = view.vpc.cidr_blocks if view.vpc else ()
    for block in () if rule.to_whole_vpc else blocks:  # there it is an overlap of the VPCs, which is told as such
        for own in own_blocks:
            if inside(block, own) and not any(inside(block, excluded) for excluded in rule.exclude_cidr_blocks):
                yield InvalidRequest(
                    f"{name}: destination {block} lies inside {own} of {desired.side(side).end.vpc_id} itself.",
                    "EC2 keeps traffic inside a VPC local: give destinations of the other VPC.",
                )
    yield from _bad_prefix_lists(desired, observed, side)


def _bad_prefix_lists(desired: Desired, observed: Observed, side: Side) -> Iterator[PeeringError]:
    end = desired.side(side).end
    known = {prefix_list.prefix_list_id for prefix_list in observed.view(side).prefix_lists}
    for prefix_list_id in rule_of(desired, side).destination_prefix_list_ids:
        if prefix_list_id not in known:
            yield NotFound(
                f"{side.prefix}Routes.DestinationPrefixListIds: {prefix_list_id} is not in {end.region} "
                f"({end.account}).",
                "A prefix list is of one Region: give one of that Region, of the account or shared with it.",
            )
