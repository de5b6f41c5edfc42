"""The properties of `Custom::VpcPeering`: every error of an event is found at once, before any AWS call.

CloudFormation hands each value over as a string, booleans too ("false" is true in Python). Names are the template's.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from textwrap import shorten
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal
from pydantic_core import ErrorDetails, PydanticCustomError

from handler.errors import REASON_LIMIT, InvalidRequest
from handler.model import RESERVED_BLOCKS, OnConflict, RouteRule, canonical, inside

CLOUDFORMATION_KEYS: Final = frozenset({"ServiceToken", "ServiceTimeout"})
"""Keys among the properties that are CloudFormation's, not ours."""

PLANNED: Final = frozenset(
    {"SubnetIds", "RouteTableTags", "SubnetTags", "DestinationSubnetIds", "DestinationPrefixListIds"}
)
"""Keys of Routes and PeerRoutes that this version does not have yet."""

MAX_TAGS: Final = 45
"""Tags that a user may give one side: EC2's 50 a resource, less Name and the four owner tags."""


NAMES_LIMIT: Final = 160
"""Characters of a reason that may go to the names of wrong properties where their details do not fit."""

TAG_KEY_LIMIT: Final = 127
TAG_VALUE_LIMIT: Final = 256
"""Characters of a tag's key and value that EC2 takes."""


PLACE: Final = ("Region", "PeerRegion", "PeerOwnerId", "RoleArn", "PeerRoleArn")
"""The properties that decide in which account and Region the sides lie."""


@dataclass(frozen=True)
class Home:
    """Where a request comes from: the function's account, the stack's Region and partition, and its Regions."""

    account: str
    region: str
    partition: str
    regions: Collection[str]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a property, and what would be right."""

    name: str
    text: str
    also: tuple[str, ...] = ()

    @property
    def rests_on(self) -> set[str]:
        """The properties that it was concluded from: where one of them is wrong, so may be the conclusion."""
        return {self.name.split(".")[0], *self.also}

    def __str__(self) -> str:
        return f"{self.name} {self.text}"


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("property", "{text}", {"text": text})


def _matches(pattern: str, right: str, *, secret: bool = False) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise _wrong(f"{'value' if secret else repr(value)} is not {right}")
        return value

    return AfterValidator(check)


def _one_of(*choices: str, later: str = "") -> BeforeValidator:
    def check(value: object) -> object:
        if later and value == later:
            raise _wrong(f"{later} is not available in this version; use {' or '.join(choices)}")
        if value not in choices:
            raise _wrong(f"{value!r} is unknown; use {' or '.join(choices)}")
        return value

    return BeforeValidator(check)


def _boolean(value: object) -> bool:
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    raise _wrong(f"{value!r} is no boolean; use true or false")


def _cidr_block(value: str) -> str:
    try:
        # Python also takes an address alone, a netmask, and an IPv6 zone; EC2 does not.
        block = canonical(value) if re.fullmatch(r"[0-9a-fA-F.:]+/\d+", value, re.ASCII) else None
    except ValueError:
        block = None
    if block is None:
        raise _wrong(f"{value!r} is no CIDR block; write one like 10.1.0.0/16")
    if any(inside(block, reserved) for reserved in RESERVED_BLOCKS):
        raise _wrong(f"{block} is reserved by EC2; leave it out")
    return block


Boolean = Annotated[bool, BeforeValidator(_boolean)]
VpcId = Annotated[str, _matches(r"vpc-([0-9a-f]{8}|[0-9a-f]{17})", "a VPC id like vpc-0a1b2c3d4e5f60718")]
TableId = Annotated[str, _matches(r"rtb-([0-9a-f]{8}|[0-9a-f]{17})", "a route table id like rtb-0a1b2c3d4e5f60718")]
AccountId = Annotated[str, _matches(r"\d{12}", "an account of 12 digits (quote it in YAML)")]
Region = Annotated[str, _matches(r"[a-z]{2,}(-[a-z]+)+-\d", "a Region like eu-west-1")]
RoleArn = Annotated[str, _matches(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", "the ARN of an IAM role")]
ExternalId = Annotated[
    str, _matches(r"[\w+=,.@:/-]{2,1224}", "an external id (2 to 1,224 of A-Z a-z 0-9 +=,.@:/-)", secret=True)
]
CidrBlock = Annotated[str, AfterValidator(_cidr_block)]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, extra="forbid", frozen=True, hide_input_in_errors=True)


class Tag(_Model):
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
        raise _wrong(problems)
    return tags


Tags = Annotated[list[Tag], AfterValidator(_tags)]


class Routes(_Model):
    """`Routes` and `PeerRoutes`."""

    route_table_ids: list[TableId] = []
    all_route_tables: Boolean = False
    main_route_table: Boolean = False
    exclude_route_table_ids: list[TableId] = []
    destination_cidr_blocks: list[CidrBlock] | None = None
    exclude_cidr_blocks: list[CidrBlock] = []
    on_conflict: Annotated[OnConflict, _one_of(*OnConflict)] = OnConflict.FAIL

    def rule(self) -> RouteRule:
        """Return the rule, without doubles."""
        blocks = self.destination_cidr_blocks
        return RouteRule(
            route_table_ids=tuple(dict.fromkeys(self.route_table_ids)),
            all_route_tables=self.all_route_tables,
            main_route_table=self.main_route_table,
            exclude_route_table_ids=tuple(dict.fromkeys(self.exclude_route_table_ids)),
            destination_cidr_blocks=None if blocks is None else tuple(dict.fromkeys(blocks)),
            exclude_cidr_blocks=tuple(dict.fromkeys(self.exclude_cidr_blocks)),
            on_conflict=self.on_conflict,
        )


class Properties(_Model):
    """The properties that the template gives; what is absent is None, and its default depends on the rest."""

    vpc_id: VpcId | None = None
    peer_vpc_id: VpcId | None = None
    peer_owner_id: AccountId | None = None
    region: Region | None = None
    peer_region: Region | None = None
    role_arn: RoleArn | None = None
    peer_role_arn: RoleArn | None = None
    external_id: ExternalId | None = None
    peer_external_id: ExternalId | None = None
    auto_accept: Boolean = True
    on_existing_connection: Annotated[str, _one_of("Fail", later="Adopt")] = "Fail"
    allow_dns_resolution_from_remote_vpc: Boolean | None = None
    peer_allow_dns_resolution_from_remote_vpc: Boolean | None = None
    tags: Tags = []
    peer_tags: Tags | None = None
    routes: Routes | None = None
    peer_routes: Routes | None = None

    def account(self, home: Home) -> str:
        """Return the requester's account: that of its role, else the function's."""
        return _account_of(self.role_arn) or home.account

    def peer_account(self, home: Home) -> str:
        """Return the accepter's account: as given, else that of its role, else the requester's."""
        return self.peer_owner_id or _account_of(self.peer_role_arn) or self.account(home)

    def own_region(self, home: Home) -> str:
        """Return the requester's Region: as given, else the stack's."""
        return self.region or home.region

    def peer_own_region(self, home: Home) -> str:
        """Return the accepter's Region: as given, else the requester's."""
        return self.peer_region or self.own_region(home)

    def reaches_accepter(self, home: Home) -> bool:
        """Tell whether the function may act on the accepter's side: by a role, or because it is its own account."""
        return self.peer_role_arn is not None or self.peer_account(home) == home.account

    @property
    def manages_accepter(self) -> bool:
        """Whether anything is asked of the accepter's side; without, it is left alone."""
        given = (self.peer_routes, self.peer_allow_dns_resolution_from_remote_vpc, self.peer_tags)
        return self.auto_accept or any(value is not None for value in given)


def _account_of(role_arn: str | None) -> str | None:
    return role_arn.split(":")[4] if role_arn else None


def parse(raw: Mapping[str, Any], home: Home) -> Properties:
    """Parse the properties of a Create or an Update.

    Raises:
        InvalidRequest: with every problem, in the order of the properties.

    """
    properties, problems = _validate(raw)
    wrong = {problem.name.split(".")[0].split("[")[0] for problem in problems}
    problems += [problem for problem in _contradictions(properties, raw, home) if not problem.rests_on & wrong]
    if problems:
        details = "; ".join(map(str, problems)) + "."
        names = shorten(", ".join(dict.fromkeys(problem.name for problem in problems)), NAMES_LIMIT, placeholder=" …")
        failure = InvalidRequest(details, "Nothing was changed.")
        if len(str(failure)) > REASON_LIMIT:
            failure = InvalidRequest(details, f"To correct: {names}. Details are in the function's log.")
        raise failure
    return properties


def salvage(raw: Mapping[str, Any], home: Home) -> Properties:
    """Parse the properties of a Delete, or the old ones of an Update: what is wrong in them is left out.

    CloudFormation may send what an earlier version accepted, and sends a Delete for a Create that was refused.
    """
    properties, _ = _validate(raw)
    unknown = [name for name in ("region", "peer_region") if getattr(properties, name) not in home.regions]
    return properties.model_copy(update=dict.fromkeys(unknown))


def _validate(raw: Mapping[str, Any]) -> tuple[Properties, list[Problem]]:
    kept = {key: value for key, value in raw.items() if key not in CLOUDFORMATION_KEYS}
    problems: list[Problem] = []
    while True:
        try:
            return Properties.model_validate(kept), problems
        except ValidationError as invalid:
            # What one round leaves out, an unknown key of a tag say, may have hidden another error.
            errors = invalid.errors(include_url=False)
            problems += map(_problem, errors)
            kept = _without(kept, errors)


def _without(raw: Mapping[str, Any], errors: list[ErrorDetails]) -> dict[str, Any]:
    """Leave out each unknown key, and each property with a wrong value whole: half a rule would be another rule."""
    kept: dict[Any, Any] = deepcopy(dict(raw))
    for *parents, key in (error["loc"] for error in errors if error["type"] == "extra_forbidden"):
        holder: Any = kept
        for part in parents:
            holder = holder[part]
        holder.pop(key)
    for name in {error["loc"][0] for error in errors if error["type"] != "extra_forbidden"}:
        kept.pop(name)
    return kept


def _problem(error: ErrorDetails) -> Problem:
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).removeprefix(".")
    if error["type"] == "extra_forbidden":
        return Problem(name, _unknown(error["loc"]))
    known = {
        "string_type": "must be a string",
        "list_type": "must be a list",
        "model_type": "must be an object",
        "missing": "is missing",
    }
    return Problem(name, known.get(error["type"], error["msg"]))


def _unknown(loc: tuple[int | str, ...]) -> str:
    *parents, key = map(str, loc)
    model: type[_Model] = Properties
    if parents:
        model = Routes if parents[0].endswith("Routes") else Tag
    if model is Routes and key in PLANNED:
        return "is not available in this version; use RouteTableIds, AllRouteTables or DestinationCidrBlocks"
    names = [to_pascal(field) for field in model.model_fields]
    lower = {name.lower(): name for name in names}
    near = get_close_matches(key.lower(), lower, n=1)
    return f"is unknown; did you mean {lower[near[0]]}?" if near else f"is unknown; known are {', '.join(names)}"


def _contradictions(properties: Properties, raw: Mapping[str, Any], home: Home) -> list[Problem]:
    """Find what no property alone shows."""
    checks: tuple[Callable[[Properties, Mapping[str, Any], Home], Iterator[Problem]], ...] = (
        _check_vpcs,
        _check_regions,
        _check_roles,
        _check_tags,
        _check_routes,
    )
    return [problem for check in checks for problem in check(properties, raw, home)]


def _check_vpcs(properties: Properties, raw: Mapping[str, Any], _home: Home) -> Iterator[Problem]:
    for name in ("VpcId", "PeerVpcId"):
        if raw.get(name) is None:
            yield Problem(name, "is missing; give the id of a VPC")
    if properties.vpc_id and properties.vpc_id == properties.peer_vpc_id:
        yield Problem("PeerVpcId", f"is VpcId again ({properties.vpc_id}); give two VPCs")


def _check_regions(properties: Properties, _raw: Mapping[str, Any], home: Home) -> Iterator[Problem]:
    for name, region in (("Region", properties.region), ("PeerRegion", properties.peer_region)):
        if region and region not in home.regions:
            near = get_close_matches(region, home.regions, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield Problem(name, f"{region!r} is no Region of partition {home.partition}{hint}")


def _check_roles(properties: Properties, _raw: Mapping[str, Any], home: Home) -> Iterator[Problem]:
    sides = (
        ("", properties.role_arn, properties.external_id),
        ("Peer", properties.peer_role_arn, properties.peer_external_id),
    )
    for prefix, role_arn, external_id in sides:
        if external_id and not role_arn:
            text = f"is sent only with a role; give {prefix}RoleArn too"
            yield Problem(f"{prefix}ExternalId", text, also=(f"{prefix}RoleArn",))
        if role_arn and role_arn.split(":")[1] != home.partition:
            yield Problem(
                f"{prefix}RoleArn", f"is not of partition {home.partition}; peering does not cross partitions"
            )
    peer_role_account, peer_account = _account_of(properties.peer_role_arn), properties.peer_account(home)
    if peer_role_account and peer_role_account != peer_account:
        yield Problem("PeerRoleArn", f"is a role of {peer_role_account}, but PeerOwnerId is {peer_account}; align them")
    if properties.manages_accepter and not properties.reaches_accepter(home):
        text = f"is missing; give a role of {peer_account}, the accepter's account"
        yield Problem("PeerRoleArn", text, also=("AutoAccept", "PeerOwnerId", "RoleArn"))


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
    if properties.routes and properties.peer_routes:
        both = set(properties.routes.route_table_ids) & set(properties.peer_routes.route_table_ids)
        for table_id in sorted(both):
            yield Problem("PeerRoutes.RouteTableIds", f"name {table_id}, as Routes does; a table is of one VPC")


def _check_rule(name: str, routes: Routes) -> Iterator[Problem]:
    if not (routes.route_table_ids or routes.all_route_tables or routes.main_route_table):
        yield Problem(name, "name no table; give RouteTableIds, AllRouteTables or MainRouteTable")
    for table_id in sorted(set(routes.route_table_ids) & set(routes.exclude_route_table_ids)):
        yield Problem(f"{name}.ExcludeRouteTableIds", f"name {table_id}, as RouteTableIds does; keep one")
    for excluded in routes.exclude_cidr_blocks:
        for block in routes.destination_cidr_blocks or ():
            if excluded != block and inside(excluded, block):
                yield Problem(
                    f"{name}.ExcludeCidrBlocks",
                    f"{excluded} is a part of {block}, and a route has no holes; exclude all of it or list smaller",
                )
