"""The properties of `Custom::VpcPeering`, by the template's names."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic.alias_generators import to_pascal

from handler.model import OnConflict, Option, Query, RouteRule, Side
from handler.values import (
    AccountId,
    Boolean,
    CidrBlock,
    ConnectionId,
    ExternalId,
    MaintenanceMode,
    OnExistingConnection,
    PrefixListId,
    Region,
    RoleArn,
    SubnetId,
    Switch,
    TableId,
    VpcId,
    one_of,
    wrong,
)

MAX_TAGS: Final = 44
"""Tags that a user may give one side: EC2's 50 a resource, less Name and the five owner tags."""

TAG_KEY_LIMIT: Final = 127
TAG_VALUE_LIMIT: Final = 256
"""Characters of a tag's key and value that EC2 takes."""

EXTERNAL_IDS: Final = {Side.REQUESTER: "external_id", Side.ACCEPTER: "peer_external_id"}


@dataclass(frozen=True)
class Home:
    """Where a request comes from: the function's account, the stack's Region and partition, and its Regions."""

    account: str
    region: str
    partition: str
    regions: Collection[str]


class Model(BaseModel):
    """What a property is that has keys of its own."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="forbid", frozen=True, hide_input_in_errors=True)


class Tag(Model):
    """A tag as CloudFormation writes it."""

    key: str
    value: str = ""


def _tag_problems(tags: list[Tag]) -> Iterator[str]:
    keys = [tag.key for tag in tags]
    yield from (f"give key {key!r} twice; keep one" for key in dict.fromkeys(keys) if keys.count(key) > 1)
    for tag in tags:
        if not 1 <= len(tag.key) <= TAG_KEY_LIMIT:
            yield f"key {tag.key[:20]!r} has {len(tag.key)} characters; EC2 takes 1 to {TAG_KEY_LIMIT}"
        if len(tag.value) > TAG_VALUE_LIMIT:
            yield f"value of {tag.key!r} has {len(tag.value)} characters; EC2 takes {TAG_VALUE_LIMIT}"
        if tag.key.lower().startswith(("aws:", "vpc-peering:")):
            yield f"key {tag.key!r} has a reserved prefix; choose another"
    if len(tags) > MAX_TAGS:
        yield f"are {len(tags)}; EC2's 50 leave room for {MAX_TAGS}"


def _tags(tags: list[Tag]) -> list[Tag]:
    if problems := "; ".join(_tag_problems(tags)):
        raise wrong(problems)
    return tags


Tags = Annotated[list[Tag], AfterValidator(_tags)]


class SoughtTag(Model):
    """A tag to look for; without a value, any will do."""

    key: str
    value: str | None = None


def _sought(tags: list[SoughtTag]) -> list[SoughtTag]:
    keys = [tag.key for tag in tags]
    if not keys or not all(keys):
        raise wrong("must have a Key in each pair, and one pair at least")
    if doubles := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        raise wrong(f"give key {doubles[0]!r} twice, and all must match; keep one")
    return tags


TagQuery = Annotated[list[SoughtTag], AfterValidator(_sought)]


def query(tags: list[SoughtTag] | None) -> Query:
    """Return the tags to look for, as the plan compares them."""
    return tuple((tag.key, tag.value) for tag in tags or ())


class Routes(Model):
    """`Routes` and `PeerRoutes`."""

    route_table_ids: list[TableId] = []
    subnet_ids: list[SubnetId] = []
    route_table_tags: TagQuery | None = None
    subnet_tags: TagQuery | None = None
    all_route_tables: Boolean = False
    main_route_table: Boolean = False
    exclude_route_table_ids: list[TableId] = []
    destination_cidr_blocks: list[CidrBlock] | None = None
    destination_subnet_ids: list[SubnetId] = []
    destination_prefix_list_ids: list[PrefixListId] = []
    exclude_cidr_blocks: list[CidrBlock] = []
    on_conflict: Annotated[OnConflict, one_of(*OnConflict)] = OnConflict.FAIL

    def rule(self) -> RouteRule:
        """Return the rule, without doubles."""
        blocks = self.destination_cidr_blocks
        return RouteRule(
            route_table_ids=tuple(dict.fromkeys(self.route_table_ids)),
            subnet_ids=tuple(dict.fromkeys(self.subnet_ids)),
            route_table_tags=query(self.route_table_tags),
            subnet_tags=query(self.subnet_tags),
            all_route_tables=self.all_route_tables,
            main_route_table=self.main_route_table,
            exclude_route_table_ids=tuple(dict.fromkeys(self.exclude_route_table_ids)),
            destination_cidr_blocks=None if blocks is None else tuple(dict.fromkeys(blocks)),
            destination_subnet_ids=tuple(dict.fromkeys(self.destination_subnet_ids)),
            destination_prefix_list_ids=tuple(dict.fromkeys(self.destination_prefix_list_ids)),
            exclude_cidr_blocks=tuple(dict.fromkeys(self.exclude_cidr_blocks)),
            on_conflict=self.on_conflict,
        )


class Properties(Model):
    """The properties that the template gives; what is absent is None, and its default depends on the rest."""

    vpc_id: VpcId | None = None
    peer_vpc_id: VpcId | None = None
    vpc_tags: TagQuery | None = None
    peer_vpc_tags: TagQuery | None = None
    vpc_peering_connection_id: ConnectionId | None = None
    owner_id: AccountId | None = None
    peer_owner_id: AccountId | None = None
    region: Region | None = None
    peer_region: Region | None = None
    role_arn: RoleArn | None = None
    peer_role_arn: RoleArn | None = None
    external_id: ExternalId | None = None
    peer_external_id: ExternalId | None = None
    auto_accept: Boolean = True
    wait_for_acceptance: Boolean = False
    on_existing_connection: Annotated[OnExistingConnection, one_of(*OnExistingConnection)] = OnExistingConnection.FAIL
    preflight: Switch = True
    maintenance_mode: MaintenanceMode | None = None
    allow_dns_resolution_from_remote_vpc: Boolean | None = None
    peer_allow_dns_resolution_from_remote_vpc: Boolean | None = None
    allow_multipath_resilience: Boolean | None = None
    peer_allow_multipath_resilience: Boolean | None = None
    tags: Tags = []
    peer_tags: Tags | None = None
    routes: Routes | None = None
    peer_routes: Routes | None = None

    @property
    def one_sided(self) -> bool:
        """Whether somebody else requested the connection: then only the accepter's side is ours."""
        return self.vpc_peering_connection_id is not None

    def account(self, home: Home) -> str:
        """Return the requester's account: that of its role, else the function's; of a stranger as given, or empty."""
        if self.one_sided:
            return self.owner_id or ""
        return account_of(self.role_arn) or home.account

    def peer_account(self, home: Home) -> str:
        """Return the accepter's account: as given, else that of its role, else the requester's if that is ours."""
        default = home.account if self.one_sided else self.account(home)
        return self.peer_owner_id or account_of(self.peer_role_arn) or default

    def own_region(self, home: Home) -> str:
        """Return the requester's Region: as given, else the stack's; of a stranger as given, or empty."""
        return self.region or ("" if self.one_sided else home.region)

    def peer_own_region(self, home: Home) -> str:
        """Return the accepter's Region: as given, else the requester's if that is ours, or the stack's."""
        return self.peer_region or (home.region if self.one_sided else self.own_region(home))

    def options(self, side: Side) -> dict[Option, bool]:
        """Return the options of a side that are managed."""
        dns, multipath = (
            (self.allow_dns_resolution_from_remote_vpc, self.allow_multipath_resilience)
            if side is Side.REQUESTER
            else (self.peer_allow_dns_resolution_from_remote_vpc, self.peer_allow_multipath_resilience)
        )
        return {option: on for option, on in ((Option.DNS, dns), (Option.MULTIPATH, multipath)) if on is not None}

    @property
    def references(self) -> list[Side]:
        """The sides whose external id is a reference, for the function to resolve."""
        return [side for side, name in EXTERNAL_IDS.items() if (getattr(self, name) or "").startswith("{{")]

    def without_references(self) -> "Properties":
        """Return the same without the external ids that are references."""
        return self.model_copy(update={EXTERNAL_IDS[side]: None for side in self.references})

    def with_peer_role_of(self, other: "Properties") -> "Properties":
        """Return the same with the role of the accepter's side, and its external id, that others give."""
        role = {"peer_role_arn": other.peer_role_arn, "peer_external_id": other.peer_external_id}
        return self.model_copy(update=role)

    def reaches_accepter(self, home: Home) -> bool:
        """Tell whether the function may act on the accepter's side: by a role, or because it is its own account."""
        return self.peer_role_arn is not None or self.peer_account(home) == home.account

    @property
    def manages_accepter(self) -> bool:
        """Whether anything is asked of the accepter's side, or from it; without, it is left alone."""
        given = (self.peer_routes, self.peer_tags, self.peer_vpc_tags)
        read = self.routes is not None and bool(self.routes.destination_subnet_ids)
        asked = read or bool(self.options(Side.ACCEPTER)) or any(value is not None for value in given)
        return self.auto_accept or self.one_sided or asked


def account_of(role_arn: str | None) -> str | None:
    """Return the account of a role by its ARN."""
    return role_arn.split(":")[4] if role_arn else None
