"""The call sites: every place of the handler that calls AWS, found in its source, and known again in a stack."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Final

HANDLER: Final = Path(__file__).parents[2] / "src/handler"
CALLERS: Final = {"call", "self._call", "self._all", "self._transition", "self._describe", "self._connections"}
"""What makes a call."""


@cache
def static() -> frozenset[str]:
    """Return all call sites as `module.function`."""
    found = {
        f"{path.stem}.{function.name}"
        for path in sorted(HANDLER.glob("*.py"))
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef) and f"self.{function.name}" not in CALLERS and any(_calls(function))
    }
    return frozenset(found | {"response._put"})


def _calls(function: ast.FunctionDef) -> Iterator[bool]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            names = [node.func, *node.args[:1]] if ast.unparse(node.func) == "partial" else [node.func]
            yield from (True for name in names if ast.unparse(name) in CALLERS)


def reached(frame: FrameType | None) -> set[str]:
    """Return the call sites on the way to a frame."""
    found = set()
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.parent == HANDLER:
            found.add(f"{path.stem}.{frame.f_code.co_name}")
        frame = frame.f_back
    return found & static()
