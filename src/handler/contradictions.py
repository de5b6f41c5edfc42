"""What no property alone shows: properties that contradict each other, or the place that the request comes from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from handler.errors import UNCHANGED, InvalidRequest
from handler.model import Option, Side, inside
from handler.properties import MAX_TAGS, Home, Properties, Routes, account_of
from handler.values import OnExistingConnection

PLACE: Final = ("Region", "PeerRegion", "PeerOwnerId", "RoleArn", "PeerRoleArn")
"""The properties that decide in which account and Region the sides lie."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a property, and what would be right."""

    name: str
    text: str
    also: tuple[str, ...] = ()
    known: str = ""
    """The names that are known, where this one is not."""

    @property
    def rests_on(self) -> set[str]:
        """The properties that it was concluded from: where one of them is wrong, so may be the conclusion."""
        return {self.name.split(".")[0], *self.also}

    def __str__(self) -> str:
        return f"{self.name} {self.text}" + (f"; known are {self.known}" if self.known else "")

    @property
    def finding(self) -> InvalidRequest:
        """The failure that says so."""
        problem = " ".join((self.name, self.text if self.text.endswith("?") else f"{self.text}."))
        return InvalidRequest(problem, f"Known are {self.known}." if self.known else UNCHANGED)


def contradictions(properties: Properties, raw: Mapping[str, Any], home: Home) -> list[Problem]:
    """Find what no property alone shows."""
    checks: tuple[Callable[[Properties, Mapping[str, Any], Home], Iterator[Problem]], ...] = (
        _check_vpcs,
        _check_one_side,
        _check_regions,
        _check_roles,
        _check_options,
        _check_tags,
        _check_routes,
    )
    return [problem for check in checks for problem in check(properties, raw, home)]


def _check_vpcs(properties: Properties, raw: Mapping[str, Any], _home: Home) -> Iterator[Problem]:
    for prefix in ("Peer",) if properties.one_sided else ("", "Peer"):
        given = [name for name in (f"{prefix}VpcId", f"{prefix}VpcTags") if raw.get(name) is not None]
        if not given:
            also = ("VpcPeeringConnectionId", f"{prefix}VpcTags")
            yield Problem(f"{prefix}VpcId", f"is missing; give it or {prefix}VpcTags", also=also)
        elif len(given) > 1:
            yield Problem(f"{prefix}VpcTags", f"and {prefix}VpcId are both given; keep one", also=(f"{prefix}VpcId",))
    if properties.vpc_id and properties.vpc_id == properties.peer_vpc_id:
        yield Problem("PeerVpcId", f"is VpcId again ({properties.vpc_id}); give two VPCs")


ONLY_ACCEPTER: Final = (
    "VpcTags",
    "RoleArn",
    "ExternalId",
    "AllowDnsResolutionFromRemoteVpc",
    "AllowMultipathResilience",
    "Tags",
    "Routes",
)
"""Properties that act on the requester's side, which is not ours with `VpcPeeringConnectionId`."""


def _check_one_side(properties: Properties, raw: Mapping[str, Any], home: Home) -> Iterator[Problem]:
    if not properties.one_sided:
        if properties.owner_id and properties.owner_id != properties.account(home):
            text = f"is {properties.owner_id}, but the requester's account is {properties.account(home)}; align RoleArn"
            yield Problem("OwnerId", text, also=("RoleArn",))
        return
    for name in ONLY_ACCEPTER:
        if raw.get(name) is not None:
            text = f"is of the requester's side, which VpcPeeringConnectionId leaves alone; use Peer{name}"
            yield Problem(name, text, also=("VpcPeeringConnectionId",))
    if properties.on_existing_connection is OnExistingConnection.ADOPT:
        text = "adopts what VpcPeeringConnectionId names; leave it out"
        yield Problem("OnExistingConnection", text, also=("VpcPeeringConnectionId",))


def _check_options(properties: Properties, _raw: Mapping[str, Any], home: Home) -> Iterator[Problem]:
    if properties.own_region(home) != properties.peer_own_region(home):
        return
    for side in Side:
        if properties.options(side).get(Option.MULTIPATH):
            text = f"works between two Regions, and both VPCs are in {properties.own_region(home)}; leave it out"
            yield Problem(f"{side.prefix}{Option.MULTIPATH}", text, also=("Region", "PeerRegion"))


def _check_regions(properties: Properties, _raw: Mapping[str, Any], home: Home) -> Iterator[Problem]:
    for name, region in (("Region", properties.region), ("PeerRegion", properties.peer_region)):
        if region and region not in home.regions:
            near = get_close_matches(region, home.regions, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield Problem(name, f"{region!r} is not a Region of partition {home.partition}{hint}")


def _check_roles(properties: Properties, _raw: Mapping[str, Any], home: Home) -> Iterator[Problem]:
    sides = (
        ("", properties.role_arn, properties.external_id),
        ("Peer", properties.peer_role_arn, properties.peer_external_id),
    )
    for prefix, role_arn, external_id in sides:
        if external_id and not role_arn and (prefix or not properties.one_sided):
            text = f"is sent only with a role; give {prefix}RoleArn too"
            yield Problem(f"{prefix}ExternalId", text, also=(f"{prefix}RoleArn",))
        if role_arn and role_arn.split(":")[1] != home.partition:
            yield Problem(
                f"{prefix}RoleArn", f"is not of partition {home.partition}; peering does not cross partitions"
            )
    peer_role_account, peer_account = account_of(properties.peer_role_arn), properties.peer_account(home)
    if peer_role_account and peer_role_account != peer_account:
        yield Problem("PeerRoleArn", f"is a role of {peer_role_account}, but PeerOwnerId is {peer_account}; align them")
    if properties.manages_accepter and not properties.reaches_accepter(home):
        text = f"is missing; give a role of {peer_account}, the accepter's account"
        yield Problem("PeerRoleArn", text, also=("AutoAccept", "PeerOwnerId", "RoleArn", "VpcPeeringConnectionId"))


def _check_tags(properties: Properties, _raw: Mapping[str, Any], home: Home) -> Iterator[Problem]:
    requester = properties.account(home), properties.own_region(home)
    accepter = properties.peer_account(home), properties.peer_own_region(home)
    if requester != accepter or properties.peer_tags is None:
        return
    tags = {tag.key: tag.value for tag in properties.tags}
    for tag in properties.peer_tags:
        if tags.get(tag.key, tag.value) != tag.value:
            yield Problem(
                "PeerTags",
                f"disagree with Tags about {tag.key!r}; in one account and Region both sides share one set",
                also=PLACE,
            )
    if len(tags.keys() | {tag.key for tag in properties.peer_tags}) > MAX_TAGS:
        text = f"and Tags together exceed {MAX_TAGS}; in one account and Region they are one set"
        yield Problem("PeerTags", text, also=PLACE)


def _check_routes(properties: Properties, _raw: Mapping[str, Any], _home: Home) -> Iterator[Problem]:
    for name, routes in (("Routes", properties.routes), ("PeerRoutes", properties.peer_routes)):
        if routes:
            yield from _check_rule(name, routes)
    if properties.one_sided and properties.peer_routes and properties.peer_routes.destination_subnet_ids:
        text = "are of the requester's VPC, which VpcPeeringConnectionId leaves alone; give DestinationCidrBlocks"
        yield Problem("PeerRoutes.DestinationSubnetIds", text, also=("VpcPeeringConnectionId",))
    if properties.routes and properties.peer_routes:
        both = set(properties.routes.route_table_ids) & set(properties.peer_routes.route_table_ids)
        for table_id in sorted(both):
            yield Problem("PeerRoutes.RouteTableIds", f"name {table_id}, as Routes does; a table is of one VPC")


def _check_rule(name: str, routes: Routes) -> Iterator[Problem]:
    by_id, by_tags = routes.route_table_ids or routes.subnet_ids, routes.route_table_tags or routes.subnet_tags
    if not (by_id or by_tags or routes.all_route_tables or routes.main_route_table):
        text = "name no table; give RouteTableIds, SubnetIds, RouteTableTags, SubnetTags, AllRouteTables or "
        yield Problem(name, f"{text}MainRouteTable")
    others = routes.destination_subnet_ids or routes.destination_prefix_list_ids
    if routes.destination_cidr_blocks is not None and not (routes.destination_cidr_blocks or others):
        text = f"is empty; leave it out for every block of the other VPC, give blocks, or leave out {name}"
        yield Problem(f"{name}.DestinationCidrBlocks", text)
    for table_id in sorted(set(routes.route_table_ids) & set(routes.exclude_route_table_ids)):
        yield Problem(f"{name}.ExcludeRouteTableIds", f"name {table_id}, as RouteTableIds does; keep one")
    for excluded in routes.exclude_cidr_blocks:
        for block in routes.destination_cidr_blocks or ():
            if excluded != block and inside(excluded, block):
                yield Problem(
                    f"{name}.ExcludeCidrBlocks",
                    f"{excluded} is a part of {block}, and a route has no holes; exclude all of it or list smaller",
                )
