"""The documents are true: what they name exists, and what exists is named."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_pascal

from handler.desire import desire
from handler.errors import PeeringError
from handler.model import Connection, End, Observed, ObservedSide, Owner, Status
from handler.parsing import parse
from handler.plan import Plan
from handler.progress import attributes
from handler.properties import Home, Properties, Routes, SoughtTag, Tag
from handler.reconcile import Outcome
from local import failures, permissions, reference
from local.reference import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOME = Home("111111111111", "us-east-1", "aws", ["us-east-1", "us-west-2", "eu-west-1"])
FOLDERS = r"(?:accepter|docs|events|examples|local|requirements|src|tests)"

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def _code(text: str) -> Iterator[str]:
    """Yield what is written as code, in blocks and in lines."""
    yield from re.findall(r"^ *```(?:sh|yaml)\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def _words(text: str) -> Iterator[str]:
    for code in _code(text):
        yield from re.split(r"[\s=\"']+", code)


def _anchors(document: Path) -> set[str]:
    """Return the anchors of a document, as GitHub makes them from its headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _names(model: type[BaseModel]) -> list[str]:
    return [to_pascal(field) for field in model.model_fields]


def _attributes() -> list[str]:
    ends = End("vpc-1", "111111111111", "us-east-1"), End("vpc-2", "111111111111", "us-east-1")
    connection = Connection("pcx-1", Status.ACTIVE, *ends)
    return sorted(attributes(Outcome(connection, Observed(ObservedSide(), None), Plan())))


def _stack() -> dict[str, Any]:
    """Return the README's stack to copy, each !Ref and !GetAtt as the name that it refers to."""

    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms."""

    Loader.add_multi_constructor("!", lambda _loader, _tag, node: node.value)
    (stack,) = re.findall(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return dict(yaml.load(stack, Loader))  # noqa: S506  # it is a SafeLoader


def _as_sent(value: object) -> object:
    """Return a value as CloudFormation sends it: each scalar a string."""
    if isinstance(value, Mapping):
        return {key: _as_sent(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_sent(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("module", [reference, permissions, failures], ids=["reference", "security", "failures"])
def test_what_is_generated_is_up_to_date(module: ModuleType) -> None:
    """A document that lags behind the code misleads whoever writes a stack, or allows one."""
    assert module.DOCUMENT.read_text(encoding="utf-8") == module.document(), reference.COMMAND


def test_every_statement_has_a_reason() -> None:
    """And no reason is left of a statement that is gone."""
    found = [each for name in permissions.TEMPLATES.values() for _, each in permissions.statements(name)]
    assert permissions.WHY.keys() == {statement["Sid"] for statement in found}


@pytest.mark.parametrize(
    ("names", "described"),
    [
        (_names(Properties), reference.PROPERTIES),
        (_names(Routes), reference.ROUTES),
        (_names(Tag), reference.TAG),
        (_names(SoughtTag), reference.SOUGHT_TAG),
        (_attributes(), reference.ATTRIBUTES),
    ],
    ids=["properties", "routes", "tag", "sought-tag", "attributes"],
)
def test_all_that_exists_is_described_and_nothing_else(names: list[str], described: Mapping[str, object]) -> None:
    """A name without a meaning, or a meaning without a name, is a document that does not fit the code."""
    assert sorted(names) == sorted(described)


def test_the_readme_names_all_that_is_public() -> None:
    """Who reads only the README must not miss a property, an attribute, a failure, or what is not there yet."""
    failures = [failure.code for failure in PeeringError.__subclasses__()]
    public = {*_names(Properties), *_names(Routes), *_attributes(), *failures}
    assert set() == {name for name in public if f"`{name}`" not in README}


def test_every_failure_says_what_it_means() -> None:
    """The reference takes the meaning of a failure from its docstring."""
    assert [] == [failure.code for failure in PeeringError.__subclasses__() if not failure.__doc__]


def test_what_a_request_fills_in_is_told_by_a_word() -> None:
    """Code of ours in the place of a word tells a reader nothing, and italics that touch are not drawn."""
    text = failures.document()
    assert "**" not in text
    assert [] == [word for word in re.findall(r"\*([^*|]+)\*", text) if not re.fullmatch(r"[\w ]+", word)]


def test_no_failure_is_left_out() -> None:
    """A reason that the page does not know leaves whoever searches for it alone."""
    made = re.compile(rf"(?<!class )\b({'|'.join(failures.CLASSES)})\((?!PeeringError\))")
    source = "".join(path.read_text(encoding="utf-8") for path in failures.SOURCE.glob("*.py"))
    assert len(made.findall(source)) == len([*failures.calls()])


@pytest.mark.parametrize("name", _names(Properties))
def test_replacement_is_what_makes_another_pair(name: str) -> None:
    """The update behaviour in the reference is a promise: it must be what the code does."""
    given: dict[str, Any] = {
        "VpcId": "vpc-00000001",
        "PeerVpcId": "vpc-00000002",
        "PeerOwnerId": "222222222222",
        "PeerRegion": "eu-west-1",
        "PeerRoleArn": "arn:aws:iam::222222222222:role/VpcPeeringAccepter",
    }
    sought = [{"Key": "Name", "Value": "hub"}]
    others: dict[str, Any] = {
        "VpcId": "vpc-00000003",
        "PeerVpcId": "vpc-00000003",
        "VpcTags": sought,
        "PeerVpcTags": sought,
        "VpcPeeringConnectionId": "pcx-00000001",
        "OwnerId": "111111111111",
        "PeerOwnerId": "333333333333",
        "Region": "us-west-2",
        "PeerRegion": "us-west-2",
        "RoleArn": "arn:aws:iam::111111111111:role/other",
        "PeerRoleArn": "arn:aws:iam::222222222222:role/other",
        "ExternalId": "other",
        "PeerExternalId": "other",
        "AutoAccept": "false",
        "WaitForAcceptance": "true",
        "OnExistingConnection": "Adopt",
        "Preflight": "Off",
        "MaintenanceMode": "Report",
        "AllowMultipathResilience": "true",
        "PeerAllowMultipathResilience": "true",
        "AllowDnsResolutionFromRemoteVpc": "true",
        "PeerAllowDnsResolutionFromRemoteVpc": "true",
        "Tags": [{"Key": "team", "Value": "network"}],
        "PeerTags": [{"Key": "team", "Value": "network"}],
        "Routes": {"AllRouteTables": "true"},
        "PeerRoutes": {"AllRouteTables": "true"},
    }
    owner = Owner("stack", "Peering", "vpc-peering")
    before, after = (
        desire(Properties.model_validate(raw), HOME, owner).ends for raw in (given, {**given, name: others[name]})
    )
    assert (name in reference.CREATE_ONLY) == (before != after)


def test_the_stack_to_copy_is_right() -> None:
    """A stack that people copy must be taken by the function as it is."""
    (resource,) = _stack()["Resources"].values()
    assert "Custom::VpcPeering" == resource["Type"]
    assert parse(_as_sent(resource["Properties"]), HOME).manages_accepter  # type: ignore[arg-type]


def test_the_stack_to_copy_asks_for_attributes_that_exist() -> None:
    """An unknown attribute fails the stack after the connection was made."""
    asked = [value.partition(".")[2] for output in _stack()["Outputs"].values() for value in output.values()]
    assert set() == {name for name in asked if name} - set(_attributes())


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    """A broken link is a dead end for the reader."""
    text = document.read_text(encoding="utf-8")
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = (document.parent / path) if path else document
        if re.match(r"https?:", link):
            continue
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert [] == broken


@every_document
def test_no_diagram_is_cut_short(document: Path) -> None:
    """A semicolon ends a statement of Mermaid, and what stands after it breaks the whole picture."""
    diagrams = re.findall(r"^```mermaid\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert [] == [line for diagram in diagrams for line in diagram.splitlines() if ";" in line]


@every_document
def test_make_targets_exist(document: Path) -> None:
    """A command that a document gives must work."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target
        for code in _code(document.read_text(encoding="utf-8"))
        for target in re.findall(r"^\s*make ([a-z]+)", code, re.MULTILINE)
    }
    assert set() == named - targets


@every_document
def test_files_exist(document: Path) -> None:
    """A document that names a file which is not there was written for another version."""
    words = set(_words(document.read_text(encoding="utf-8")))
    missing = {word for word in words if re.fullmatch(rf"{FOLDERS}/[\w./-]*", word) and not (ROOT / word).exists()}
    modules = {word for word in words if re.fullmatch(r"\w+\.py", word)}
    missing |= {name for name in modules if not (ROOT / "src/handler" / name).exists()}
    commands = {word for word in words if re.fullmatch(r"local\.\w+", word)}
    missing |= {
        name
        for name in commands
        if not any((ROOT / "local" / f"{name[6:]}{tail}").exists() for tail in (".py", "/__main__.py"))
    }
    assert set() == missing
