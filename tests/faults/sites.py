"""The call sites: every place of the handler that calls AWS, found in its source, and known again in a stack."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Final

HANDLER: Final = Path(__file__).parents[2] / "src/handler"
CALLERS: Final = {
    "call",
    "self._call",
    "self._all",
    "self._transition",
    "self._describe",
    "self._connections",
    "pool.request",
}
"""What makes a call."""


Places = dict[str, list[tuple[str, range]]]


@cache
def places() -> Places:
    """Return the call sites of each function `module.function`: the name of each, and the lines of its statement."""
    found: Places = {}
    for path in sorted(HANDLER.glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and f"self.{function.name}" not in CALLERS:
                name = f"{path.stem}.{function.name}"
                lines = sorted(_calling(function), key=lambda lines: lines.start)
                numbered = [(f" {number}" if len(lines) > 1 else "", each) for number, each in enumerate(lines, 1)]
                found.setdefault(name, []).extend((name + number, each) for number, each in numbered)
    return found


@cache
def static() -> frozenset[str]:
    """Return the names of all call sites."""
    return frozenset(site for sites in places().values() for site, _ in sites)


def _calling(function: ast.FunctionDef) -> Iterator[range]:
    """Yield the lines of each statement that calls; what is only given a name there is called somewhere else."""
    for node in ast.walk(function):
        named = isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("partial(")
        if isinstance(node, ast.stmt) and not named and not hasattr(node, "body") and any(_calls(node)):
            yield range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _calls(statement: ast.stmt) -> Iterator[bool]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            names = [node.func, *node.args[:1]] if ast.unparse(node.func) == "partial" else [node.func]
            yield from (True for name in names if ast.unparse(name) in CALLERS)


def reached(frame: FrameType | None) -> set[str]:
    """Return the call sites on the way to a frame."""
    found = set()
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.parent == HANDLER:
            sites = places().get(f"{path.stem}.{frame.f_code.co_name}", ())
            found |= {site for site, lines in sites if frame.f_lineno in lines}
        frame = frame.f_back
    return found
