"""`python -m local.reference`: docs/reference.md from the code and the templates; with `--check`, whether it is stale.

Names, types and defaults are the models'. What the code cannot say, the meaning, stands in the tables below; a test
compares their keys with the models.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_pascal
from pydantic.fields import FieldInfo

from handler import properties
from handler.errors import REASON_LIMIT, PeeringError
from handler.model import OnConflict

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs/reference.md"
COMMAND: Final = "make docs"


class Meaning(NamedTuple):
    """What a property means, and its default where the model has none."""

    text: str
    default: str = "none"


CREATE_ONLY: Final = frozenset({"VpcId", "PeerVpcId", "PeerOwnerId", "Region", "PeerRegion"})
"""Properties that are the pair: another value makes another connection."""

PROPERTIES: Final = {
    "VpcId": Meaning("The requester's VPC.", "required"),
    "PeerVpcId": Meaning("The accepter's VPC.", "required"),
    "PeerOwnerId": Meaning(
        "The accepter's account. Quote it in YAML.", "the account of `PeerRoleArn`, else the requester's"
    ),
    "Region": Meaning("The Region of `VpcId`.", "the stack's Region"),
    "PeerRegion": Meaning("The Region of `PeerVpcId`.", "the requester's Region"),
    "RoleArn": Meaning(
        "The role to act with on the requester's side. Its account is the requester's, so a third account (a hub) can "
        "own the stack. A role of another account makes another pair: Replacement.",
        "the function's own role",
    ),
    "PeerRoleArn": Meaning(
        "The role to act with on the accepter's side. Required where that is another account than the function's and "
        "anything is asked of it. Its account must be `PeerOwnerId`.",
        "the function's own role",
    ),
    "ExternalId": Meaning("Sent when `RoleArn` is assumed; written to no log."),
    "PeerExternalId": Meaning("Sent when `PeerRoleArn` is assumed; written to no log."),
    "AutoAccept": Meaning(
        "`false` leaves the request to the other party. The resource is then complete with `Status` "
        "pending-acceptance, without routes and DNS options; the first Update after the acceptance sets them."
    ),
    "OnExistingConnection": Meaning(
        "What to do when somebody else has peered the two VPCs, in either direction. `Fail` refuses; `Adopt` is not "
        "available in this version."
    ),
    "AllowDnsResolutionFromRemoteVpc": Meaning(
        "EC2's DNS option of the requester's side. Absent: left as it is. "
        "Both VPCs need DNS support and DNS hostnames.",
        "not managed",
    ),
    "PeerAllowDnsResolutionFromRemoteVpc": Meaning("The same for the accepter's side.", "not managed"),
    "Tags": Meaning(
        "Tags on the requester's side, at most 45. `Name` is `<requester's name>-to-<accepter's name>`, from the VPCs' "
        "own Name tags, unless it is given here. Tags that others added stay."
    ),
    "PeerTags": Meaning(
        "Tags on the accepter's side. In one account and Region EC2 keeps one set for both sides: the two lists must "
        "then agree about every key.",
        "`Tags`",
    ),
    "Routes": Meaning("Routes in the requester's tables towards the accepter. Absent: none."),
    "PeerRoutes": Meaning("Routes in the accepter's tables towards the requester. Absent: none."),
}

ROUTES: Final = {
    "RouteTableIds": Meaning("Tables of this side's VPC."),
    "AllRouteTables": Meaning("Every table of the VPC at the time of the deployment, but for those of gateways."),
    "MainRouteTable": Meaning("The main table of the VPC."),
    "ExcludeRouteTableIds": Meaning("Never these tables."),
    "DestinationCidrBlocks": Meaning(
        "Destinations, IPv4 or IPv6. Host bits are cleared, as EC2 does.",
        "every block of the other VPC, secondary ones too, as it is at the time of the deployment; IPv6 blocks where "
        "this VPC has IPv6",
    ),
    "ExcludeCidrBlocks": Meaning("Never these destinations, nor what lies inside one of them."),
    "OnConflict": Meaning(
        "What to do when a static route to the destination has another target. `Fail` refuses before anything is "
        "written; `Skip` leaves that route; `Replace` takes it over. A route to a connection that lives no more is no "
        "conflict. Propagated routes never are."
    ),
}

TAG: Final = {
    "Key": Meaning("1 to 127 characters; neither `aws:` nor `vpc-peering:` in front.", "required"),
    "Value": Meaning("Up to 256 characters.", "empty"),
}

ATTRIBUTES: Final = {
    "Id": "The id of the connection, as `Ref` gives it.",
    "VpcPeeringConnectionId": "The same, by EC2's name.",
    "Status": "EC2's status: `active`, or `pending-acceptance` with `AutoAccept: false`.",
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
}

TYPES: Final = (
    (properties.Boolean, "boolean"),
    (properties.VpcId, "VPC id"),
    (properties.TableId, "route table id"),
    (properties.AccountId, "12 digits"),
    (properties.Region, "Region"),
    (properties.RoleArn, "role ARN"),
    (properties.ExternalId, "2 to 1,224 characters"),
    (properties.CidrBlock, "CIDR block"),
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
    yield "At least one of `RouteTableIds`, `AllRouteTables` and `MainRouteTable` is needed; the tables are the union."
    yield from ("", *_table(("key", "type", "default", "meaning"), _rows(properties.Routes, ROUTES)))
    yield from ("", "### Tags and PeerTags", "")
    yield from _table(("key", "type", "default", "meaning"), _rows(properties.Tag, TAG))


def _attributes() -> Iterator[str]:
    yield from ("", "## Return values", "")
    yield "`Ref` returns the id of the connection (`pcx-...`). `Fn::GetAtt` returns, all as strings:"
    yield from ("", *_table(("attribute", "meaning"), ((f"`{name}`", text) for name, text in ATTRIBUTES.items())))
    yield ""
    yield "CloudFormation takes 4,096 bytes: where an answer is longer, the longest lists lose their last items."


def _failures() -> Iterator[str]:
    yield from ("", "## Failures", "")
    yield f"The reason of a failure begins with its code, and has at most {REASON_LIMIT} characters."
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
        update = ("Replacement" if name in CREATE_ONLY else "No interruption",) if meanings is PROPERTIES else ()
        yield f"`{name}`", _type(hints[field]), _default_of(info, meaning), *update, meaning.text


def _type(hint: Any) -> str:  # noqa: ANN401 - any annotation
    for known, text in TYPES:
        if hint == known:
            return text
    inner = [argument for argument in get_args(hint) if argument is not NoneType]
    if get_origin(hint) is list:
        return f"list of {_type(inner[0])}s"
    if inner[0] is OnConflict:
        return ", ".join(f"`{choice}`" for choice in OnConflict)
    return _type(inner[0])


def _default_of(info: FieldInfo, meaning: Meaning) -> str:
    match info.default:
        case bool(value):
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
