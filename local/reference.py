"""`python -m local.reference`: docs/reference.md from the code and the templates; with `--check`, whether it is stale.

Names, types and defaults are the models'. What the code cannot say, the meaning, stands in the tables below; a test
compares their keys with the models.
"""

import sys
from collections.abc import Iterator, Mapping
from enum import EnumType
from pathlib import Path
from types import NoneType
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_pascal
from pydantic.fields import FieldInfo

from handler import properties, values
from handler.errors import FINDINGS_LIMIT, REASON_LIMIT, PeeringError

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs/reference.md"
COMMAND: Final = "make docs"


class Meaning(NamedTuple):
    """What a property means, and its default where the model has none."""

    text: str
    default: str = "none"


CREATE_ONLY: Final = frozenset({"VpcId", "PeerVpcId", "VpcPeeringConnectionId", "PeerOwnerId", "Region", "PeerRegion"})
"""Properties that are the pair: another value makes another connection."""

QUERIES: Final = frozenset({"VpcTags", "PeerVpcTags"})
"""Properties that lead to the pair: another value may find another one."""

PROPERTIES: Final = {
    "VpcId": Meaning(
        "The requester's VPC. With `VpcPeeringConnectionId` it is only checked.",
        "required, or `VpcTags`; optional with `VpcPeeringConnectionId`",
    ),
    "PeerVpcId": Meaning("The accepter's VPC.", "required, or `PeerVpcTags`"),
    "VpcTags": Meaning(
        "Instead of `VpcId`: the tags by which to find the VPC, exactly one of that account and Region. All pairs must "
        "match. What was found at Create stays the resource's VPC until the query itself changes."
    ),
    "PeerVpcTags": Meaning("Instead of `PeerVpcId`: the same for the accepter's VPC. Its account must be readable."),
    "VpcPeeringConnectionId": Meaning(
        "A connection that somebody else has requested, a vendor for example. Only the accepter's side is managed: "
        "the `Peer` properties; `VpcId`, `OwnerId` and `Region` are checked if given; properties that act on the "
        "requester's side are refused. It is accepted if it is pending, and never deleted."
    ),
    "OwnerId": Meaning(
        "The requester's account, to check it. Quote it in YAML.",
        "the account of `RoleArn`, else the function's; not checked with `VpcPeeringConnectionId`",
    ),
    "PeerOwnerId": Meaning(
        "The accepter's account. Quote it in YAML.",
        "the account of `PeerRoleArn`, else the requester's; with `VpcPeeringConnectionId` the function's",
    ),
    "Region": Meaning("The Region of `VpcId`.", "the stack's Region; not checked with `VpcPeeringConnectionId`"),
    "PeerRegion": Meaning(
        "The Region of `PeerVpcId`.", "the requester's Region; with `VpcPeeringConnectionId` the stack's"
    ),
    "RoleArn": Meaning(
        "The role to act with on the requester's side. Its account is the requester's, so a third account (a hub) can "
        "own the stack. A role of another account makes another pair: Replacement.",
        "the function's own role",
    ),
    "PeerRoleArn": Meaning(
        "The role to act with on the accepter's side. Required where that is another account than the function's and "
        "anything is asked of it. Its account must be `PeerOwnerId`, and is its default: without `PeerOwnerId`, a role "
        "of another account makes another pair: Replacement.",
        "the function's own role",
    ),
    "ExternalId": Meaning(
        "Sent when `RoleArn` is assumed; written to no log. A [reference](../SECURITY.md#external-ids) to a "
        "SecureString or a secret is resolved by the function. `accepter/role.yaml` asks for 8 characters at least."
    ),
    "PeerExternalId": Meaning("The same for `PeerRoleArn`."),
    "AutoAccept": Meaning(
        "`false` leaves the request to the other party. The resource is then complete with `Status` "
        "pending-acceptance, without routes and DNS options; [maintenance](operations.md#maintenance) sets them once "
        "it is accepted, or the next Update where maintenance is off."
    ),
    "WaitForAcceptance": Meaning(
        "With `AutoAccept: false`: wait for the other party as long as the function may (15 minutes), then go on with "
        "options, tags and routes. If nobody accepts, the request fails. Ignored with `AutoAccept: true`."
    ),
    "OnExistingConnection": Meaning(
        "What to do when somebody else has peered the two VPCs, in either direction. `Fail` refuses; `Adopt` takes the "
        "connection over, which outlives the resource. Needs `AllowAdoption` of the function's stack; see "
        "[migration](migration.md#the-way-over)."
    ),
    "Preflight": Meaning(
        "`Off` leaves out the reads that only find beforehand what EC2 would refuse half way: DNS attributes of the "
        "VPCs, their number of peerings, quotas. For roles without these permissions.",
        "`On`",
    ),
    "MaintenanceMode": Meaning(
        "What [maintenance](operations.md#maintenance) does between deployments with what is not as this resource "
        "asks: `Repair`, `Report` or `Off`.",
        "`MaintenanceMode` of the function's stack",
    ),
    "AllowDnsResolutionFromRemoteVpc": Meaning(
        "EC2's DNS option of the requester's side. Absent: left as it is. "
        "Both VPCs need DNS support and DNS hostnames.",
        "not managed",
    ),
    "PeerAllowDnsResolutionFromRemoteVpc": Meaning("The same for the accepter's side.", "not managed"),
    "AllowMultipathResilience": Meaning(
        "EC2's multipath resilience between Regions, which costs extra: the requester's consent. It takes effect once "
        "both sides allow it. Absent: left as it is. A request of somebody else that asks for it is accepted only with "
        "`PeerAllowMultipathResilience: true`, since to accept it is to consent.",
        "not managed",
    ),
    "PeerAllowMultipathResilience": Meaning("The accepter's consent.", "not managed"),
    "Tags": Meaning(
        "Tags on the requester's side, at most 44. `Name` is `<requester's name>-to-<accepter's name>`, from the VPCs' "
        "own Name tags, unless it is given here. Tags that others added stay."
    ),
    "PeerTags": Meaning(
        "Tags on the accepter's side. In one account and Region EC2 keeps one set for both sides: the two lists must "
        "then agree about every key. With `AutoAccept: false` the other side is tagged only where something else is "
        "asked of it, or `PeerTags` is given.",
        "`Tags`",
    ),
    "Routes": Meaning("Routes in the requester's tables towards the accepter. Absent: none."),
    "PeerRoutes": Meaning("Routes in the accepter's tables towards the requester. Absent: none."),
}

ROUTES: Final = {
    "RouteTableIds": Meaning("Tables of this side's VPC."),
    "SubnetIds": Meaning("The tables that these subnets of this side's VPC use; without an association, the main one."),
    "RouteTableTags": Meaning("The tables of the VPC that have all these tags, but for those of gateways."),
    "SubnetTags": Meaning("The tables that the subnets with all these tags use."),
    "AllRouteTables": Meaning(
        "Every table of the VPC, but for those of gateways. Maintenance follows tables that are made later."
    ),
    "MainRouteTable": Meaning("The main table of the VPC."),
    "ExcludeRouteTableIds": Meaning("Never these tables."),
    "DestinationCidrBlocks": Meaning(
        "Destinations, IPv4 or IPv6. Host bits are cleared, as EC2 does; otherwise they are left as given.",
        "if no destination is given: every block of the other VPC, secondary ones too, IPv6 blocks where this VPC "
        "has IPv6; maintenance follows blocks that are added later",
    ),
    "DestinationSubnetIds": Meaning(
        "The blocks of these subnets of the other VPC, IPv6 ones where this VPC has IPv6. That side must be readable."
    ),
    "DestinationPrefixListIds": Meaning(
        "Managed prefix lists of this side's Region. Each counts with its maximum of entries against the table's quota."
    ),
    "ExcludeCidrBlocks": Meaning(
        "Never these destinations, nor what lies inside one of them. A part of a destination is refused: "
        "a route has no holes."
    ),
    "OnConflict": Meaning(
        "What to do when a static route to the destination has another target. `Fail` refuses before anything is "
        "written; `Skip` leaves that route, and lists it in `SkippedRoutes`; `Replace` takes it over, and gives it "
        "back when the resource goes, if the former target still exists. A blackhole of a peering connection that "
        "lives no more is not a conflict: it gives way under every policy. Propagated routes never are one."
    ),
}

TAG: Final = {
    "Key": Meaning("1 to 127 characters; neither `aws:` nor `vpc-peering:` in front.", "required"),
    "Value": Meaning("Up to 256 characters.", "empty"),
}

SOUGHT_TAG: Final = {
    "Key": Meaning("The key of the tag, exactly.", "required"),
    "Value": Meaning("Its value, exactly: `*` and `?` stand for themselves.", "any value"),
}

ATTRIBUTES: Final = {
    "Id": "The id of the connection, as `Ref` gives it.",
    "VpcPeeringConnectionId": "The same, by EC2's name.",
    "Status": "EC2's status: `active`, or `pending-acceptance` with `AutoAccept: false`; after a rollback to a "
    "`VpcPeeringConnectionId` that has ended, its last one, `deleted` say.",
    "RequesterVpcId": "The requester's VPC.",
    "RequesterOwnerId": "Its account.",
    "RequesterRegion": "Its Region.",
    "RequesterCidrBlocks": "Its CIDR blocks, IPv4 before IPv6, joined by commas.",
    "AccepterVpcId": "The accepter's VPC.",
    "AccepterOwnerId": "Its account.",
    "AccepterRegion": "Its Region.",
    "AccepterCidrBlocks": "Its CIDR blocks, joined by commas.",
    "RouteCount": "How many routes of `Routes` the connection has; skipped ones do not count.",
    "PeerRouteCount": "How many routes of `PeerRoutes` it has.",
    "SkippedRoutes": "The routes of `Routes` that `OnConflict: Skip` left to another target, `10.8.0.0/16 in rtb-...`, "
    "joined by commas.",
    "PeerSkippedRoutes": "The same of `PeerRoutes`.",
}

TYPES: Final = (
    (values.Boolean, "boolean"),
    (values.VpcId, "VPC id"),
    (values.TableId, "route table id"),
    (values.SubnetId, "subnet id"),
    (values.PrefixListId, "prefix list id"),
    (values.ConnectionId, "connection id"),
    (values.Switch, "`On`, `Off`"),
    (properties.TagQuery, "[tags to look for](#tags-to-look-for)"),
    (values.AccountId, "12 digits"),
    (values.Region, "Region"),
    (values.RoleArn, "role ARN"),
    (values.ExternalId, "2 to 1,224 characters, or a reference"),
    (values.CidrBlock, "CIDR block"),
    (properties.Tags, "list of tags"),
    (properties.Routes, "[routes](#routes-and-peerroutes)"),
    (str, "string"),
)
"""How the types of the models are written here."""


def document() -> str:
    """Return the whole document."""
    return "\n".join([*_head(), *_resource(), *_attributes(), *_failures(), *_parameters()]) + "\n"


def _head() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield f"<!-- Generated from the code: {COMMAND} -->"
    yield ""
    yield "The resource type is `Custom::VpcPeering`. How to use it: [README](../README.md)."
    yield ""
    yield "A plain name is of the requester's side, `Peer` in front of it means the accepter's side."
    yield "All errors of the properties are reported at once, before any call to AWS."
    yield "Unknown names are refused at Create and Update, and ignored at Delete."


def _resource() -> Iterator[str]:
    yield from ("", "## Properties", "")
    yield "Beside these, the resource has CloudFormation's own `ServiceToken` (required) and `ServiceTimeout`."
    head = ("property", "type", "default", "update", "meaning")
    yield from ("", *_table(head, _rows(properties.Properties, PROPERTIES)))
    yield from ("", "### Routes and PeerRoutes", "")
    yield "Tables are the union of what `RouteTableIds`, `SubnetIds`, `RouteTableTags`, `SubnetTags`, `AllRouteTables`"
    yield "and `MainRouteTable` choose, at least one of them, without `ExcludeRouteTableIds`."
    yield "One that chooses nothing is an error that names it."
    yield "Destinations are the union of what the three `Destination` keys give."
    yield from ("", *_table(("key", "type", "default", "meaning"), _rows(properties.Routes, ROUTES)))
    yield from ("", "### Tags and PeerTags", "")
    yield from _table(("key", "type", "default", "meaning"), _rows(properties.Tag, TAG))
    yield from ("", "### Tags to look for", "")
    yield "`VpcTags`, `PeerVpcTags`, `RouteTableTags` and `SubnetTags`: all pairs must match."
    yield from ("", *_table(("key", "type", "default", "meaning"), _rows(properties.SoughtTag, SOUGHT_TAG)))


def _attributes() -> Iterator[str]:
    yield from ("", "## Return values", "")
    yield "`Ref` returns the id of the connection (`pcx-...`). `Fn::GetAtt` returns, all as strings:"
    yield from ("", *_table(("attribute", "meaning"), ((f"`{name}`", text) for name, text in ATTRIBUTES.items())))
    yield ""
    yield "CloudFormation takes 4,096 bytes: where an answer is longer, the longest lists lose their last items."


def _failures() -> Iterator[str]:
    yield from ("", "## Failures", "")
    yield f"The reason of a failure begins with its code, and has at most {REASON_LIMIT} characters."
    yield f"Where several things are found before anything is written, it has all of them, in at most {FINDINGS_LIMIT}"
    yield "(those that do not fit are counted); as long may one be that is about a property's name or value,"
    yield "or that names the stack of another owner."
    yield "It names what is in the way, and ends with what to do. The function's log has it whole."
    yield from ("", *_table(("code", "meaning"), ((f"`{c.code}`", c.__doc__) for c in PeeringError.__subclasses__())))


def _parameters() -> Iterator[str]:
    templates = {"The function's stack": "template.yaml", "The role in another account": "accepter/role.yaml"}
    for title, name in templates.items():
        yield from ("", f"## {title}", "", f"Parameters of [{name}](../{name}):", "")
        rows = (
            (f"`{parameter}`", _default(given), given["Description"])
            for parameter, given in template(ROOT / name)["Parameters"].items()
        )
        yield from _table(("parameter", "default", "meaning"), rows)


def _default(parameter: Mapping[str, Any]) -> str:
    return (f"`{parameter['Default']}`" if parameter["Default"] else "empty") if "Default" in parameter else "required"


def _rows(model: type[BaseModel], meanings: Mapping[str, Meaning]) -> Iterator[tuple[str, ...]]:
    hints = get_type_hints(model, include_extras=True)
    for field, info in model.model_fields.items():
        name = to_pascal(field)
        meaning = meanings[name]
        update = (_update(name),) if meanings is PROPERTIES else ()
        yield f"`{name}`", _type(hints[field]), _default_of(info, meaning), *update, meaning.text


def _update(name: str) -> str:
    if name in QUERIES:
        return "Replacement if it finds another VPC"
    return "Replacement" if name in CREATE_ONLY else "No interruption"


def _type(hint: Any) -> str:  # noqa: ANN401 - any annotation
    for known, text in TYPES:
        if hint == known:
            return text
    inner = [argument for argument in get_args(hint) if argument is not NoneType]
    if get_origin(hint) is list:
        return f"list of {_type(inner[0])}s"
    if isinstance(inner[0], EnumType):
        choices: list[str] = [*inner[0]]
        return ", ".join(f"`{choice}`" for choice in choices)
    return _type(inner[0])


def _default_of(info: FieldInfo, meaning: Meaning) -> str:
    match info.default:
        case bool(value) if meaning.default == "none":
            return f"`{str(value).lower()}`"
        case str(value) if value:
            return f"`{value}`"
    return meaning.default


def _table(head: tuple[str, ...], rows: Iterator[tuple[str | None, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(map(str, row))} |"


def template(file: Path) -> dict[str, Any]:
    """Read a template; CloudFormation's short forms become None."""

    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms."""

    Loader.add_multi_constructor("!", lambda *_: None)
    return dict(yaml.load(file.read_text(encoding="utf-8"), Loader))  # noqa: S506 - it is a SafeLoader


def main() -> int:
    """Print the document, or return 1 when the one on disk is another."""
    if sys.argv[1:] != ["--check"]:
        print(document(), end="")
        return 0
    if DOCUMENT.read_text(encoding="utf-8") == document():
        return 0
    print(f"docs/reference.md is stale: {COMMAND}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
