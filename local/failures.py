"""`python -m local.failures`: docs/failures.md, every reason of a failure, read where the code raises it.

A failure is made of two texts: its cause and its remedy. What a request fills in stands in italics, by the name that
it has in the code.
"""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final

import handler.cfn  # noqa: F401  # and so every class of failure
from handler.errors import PeeringError
from handler.model import Option

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs/failures.md"
SOURCE: Final = ROOT / "src/handler"
PASSED_ON: Final = "*cause*"
"""The cause of a failure that is told with another remedy."""

WRITTEN_OUT: Final = {"prefix": "[Peer]", **{option.name: option.value for option in Option}}
"""What stands for one of a few words."""

TEXT: Final = (ast.Constant, ast.JoinedStr)


def _classes(root: type[PeeringError]) -> set[str]:
    return {kind.__name__ for kind in root.__subclasses__()}.union(*map(_classes, root.__subclasses__()))


CLASSES: Final = _classes(PeeringError)


def _constants() -> Iterator[tuple[str, ast.expr]]:
    """Yield the texts that modules have by a name."""
    for path in SOURCE.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str()) as text):
                    yield name, text


CONSTANTS: Final = dict(_constants())

Reason = tuple[str, str]
"""A cause, and its remedy."""


def document() -> str:
    """Return the whole document."""
    found = [*_found()]
    sections = (line for kind in PeeringError.__subclasses__() for line in _section(kind, found))
    return "\n".join([*_head(), *sections]) + "\n"


def _head() -> Iterator[str]:
    yield from ("# Failures", "", "<!-- Generated from the code: make docs -->", "")
    yield "Every reason that CloudFormation is told, by its code: the cause, and what to do. What a request fills in"
    yield "stands in italics; `[Peer]` is there where the accepter's side is meant. Several findings are one reason,"
    yield "of the code of the first; *problem* is a property and what would be right. Where the registry fails,"
    yield "the cause begins with `the registry`, and goes on with what DynamoDB said."
    yield "How to look further: [operations](operations.md#a-stack-has-failed)."


def _section(kind: type[PeeringError], found: list[tuple[str, Reason]]) -> Iterator[str]:
    names = {kind.__name__, *_classes(kind)}
    yield from ("", f"## {kind.code}", "", str(kind.__doc__), "", "| cause | remedy |", "| --- | --- |")
    for cause, remedy in sorted({reason for name, reason in found if name in names}):
        yield f"| {'(a call that is refused, told as below)' if cause == PASSED_ON else cause} | {remedy} |"


def _found() -> Iterator[tuple[str, Reason]]:
    """Yield the class and the texts of each failure that the code makes."""
    for function, name, cause, remedy in calls():
        texts = {name: [text] for name, text in CONSTANTS.items()}
        for variable, value in _assigned(function):
            texts.setdefault(variable, []).append(value)
        yield from ((name, reason) for reason in product(_told(cause, texts), _told(remedy, texts)))


def calls() -> Iterator[tuple[ast.FunctionDef, str, ast.expr, ast.expr]]:
    """Yield each function that makes a failure, with the failure's class, cause and remedy."""
    for path in SOURCE.glob("*.py"):
        for function in _functions(ast.parse(path.read_text(encoding="utf-8"))):
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Name(id=name), args=[cause, remedy]) if name in CLASSES:
                        yield function, name, cause, remedy


def _functions(within: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef]:
    for node in within.body:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node)


def _assigned(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                yield from ((ast.unparse(target), value) for target, value in zip(targets, values, strict=True))


def _told(node: ast.expr, texts: dict[str, list[ast.expr]]) -> list[str]:
    """Return a text, in each of the forms that the function gives it."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(each).replace("**", "* *") for each in product(*(_told(part, texts) for part in parts))]
        case ast.IfExp(body=ast.JoinedStr() as one, orelse=other):
            return _told(one, texts) + _told(other, texts)
        case ast.FormattedValue(value=value):
            return _told(value, texts)
        case ast.Name(id=name) if name in texts and all(isinstance(t, TEXT) for t in texts[name]):
            return [form for text in texts[name] for form in _told(text, texts)]
    name = _name(node)
    return [WRITTEN_OUT.get(name, f"*{name.strip('_').replace('_', ' ')}*")]


def _name(node: ast.expr) -> str:
    """Return by what name a reader knows a value."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name != "__name__":
            return name
        case ast.Call(func=ast.Name(id=name)) if name.startswith("_"):
            return name
        case ast.Call(args=[*_, value]) | ast.Attribute(value=value) | ast.BoolOp(values=[value, *_]):
            return _name(value)
        case ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(other))):
            return f"{one} or {other}"
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name.lower()
    return ast.unparse(node)


if __name__ == "__main__":
    print(document(), end="")
