"""Mutation testing: `python -m tests.mutation` changes what decides, writes and answers, and expects a test to fail.

mutmut makes the mutants, `[tool.mutmut]` in pyproject.toml says of which modules and for which tests, and runs two at
a time. What was killed is kept in mutants/ and not run again until its function changes. A survivor must be listed in
`mutants.toml`, with the reason.
"""

import ast
import json
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import orig_function_and_class_names_from_key
from rich.console import Console
from rich.table import Table

SOURCES: Final = Path("mutants/src")
LISTED: Final = Path("tests/mutants.toml")
RESULT: Final = Path(".campaign/mutation.json")

LEAST: Final = 0.9
"""Part of the mutants of each module that tests must kill."""

KILLED: Final = {"killed", "timeout"}
"""A mutant that never ends is noticed too."""


@dataclass(frozen=True)
class Change:
    """What a mutant changes: the lines, which unlike its number stay the same when other lines change."""

    function: str
    was: str
    becomes: str


@dataclass(frozen=True)
class Mutant:
    """A mutant, and what became of it."""

    name: str
    path: Path
    status: str

    @property
    def killed(self) -> bool:
        """Whether the tests noticed it."""
        return self.status in KILLED

    @property
    def change(self) -> Change:
        """Read what it changes."""
        diff = get_diff_for_mutant(self.name, path="src" / self.path).splitlines()[3:]
        was, becomes = ("\n".join(line[1:].strip() for line in diff if line.startswith(sign)) for sign in "-+")
        function, owner = orig_function_and_class_names_from_key(self.name)
        return Change(".".join(filter(None, (self.path.stem, owner, function))), was, becomes)


def outcomes() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield what mutmut remembers of each mutated file."""
    for path in sorted(SOURCES.rglob("*.py.meta")):
        yield path, json.loads(path.read_text())


def forget_survivors() -> None:
    """Let survivors of an earlier run be run again: there may be tests now that kill them."""
    for path, outcome in outcomes():
        codes = outcome["exit_code_by_key"]
        kept = {name: code if status_by_exit_code[code] in KILLED else None for name, code in codes.items()}
        path.write_text(json.dumps({**outcome, "exit_code_by_key": kept}))


def mutants() -> list[Mutant]:
    """Return all mutants."""
    return [
        Mutant(name, path.relative_to(SOURCES).with_suffix(""), status_by_exit_code[code])
        for path, outcome in outcomes()
        for name, code in outcome["exit_code_by_key"].items()
    ]


def listed() -> dict[Change, str]:
    """Return the survivors that are known, and why each is."""
    return {
        Change(group["function"], change["was"], change["becomes"]): group["reason"]
        for group in tomllib.loads(LISTED.read_text())["survivors"]
        for change in group["changes"]
    }


def left_out(path: Path) -> list[str]:
    """Return what mutmut does not change: functions with decorators, properties above all."""
    nodes = ast.walk(ast.parse(("src" / path).read_text()))
    return [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.decorator_list]


def report(found: list[Mutant]) -> dict[str, Any]:
    """Return the figures of each module, and every survivor with the reason that is listed for it."""
    reasons = listed()
    survivors = {mutant.change: mutant.status for mutant in found if not mutant.killed}
    total, killed = (Counter(m.path for m in some) for some in (found, [m for m in found if m.killed]))
    return {
        "modules": {
            path.name: {"mutants": total[path], "killed": killed[path], "left_out": left_out(path)}
            for path in sorted(total)
        },
        "survivors": [
            {**asdict(change), "status": status, "reason": reasons.get(change)} for change, status in survivors.items()
        ],
        "listed_but_killed": [asdict(change) for change in reasons if change not in survivors],
    }


def problems(result: dict[str, Any]) -> Iterator[str]:
    """Yield what must be mended."""
    for name, figures in result["modules"].items():
        if figures["killed"] < LEAST * figures["mutants"]:
            yield f"{name}: fewer than {LEAST:.0%} are killed"
    for survivor in result["survivors"]:
        if survivor["reason"] is None:
            yield "unlisted: {function} ({status})\n- {was}\n+ {becomes}".format_map(survivor)
    for change in result["listed_but_killed"]:
        yield "listed, but killed or gone: {function}\n- {was}\n+ {becomes}".format_map(change)


def table(result: dict[str, Any]) -> Table:
    """Return the figures as a person reads them."""
    shown = Table("module", "mutants", "killed", "survived", "")
    for name, figures in result["modules"].items():
        total, killed = figures["mutants"], figures["killed"]
        shown.add_row(name, str(total), str(killed), str(total - killed), f"{killed / total:.1%}")
    return shown


def main() -> int:
    """Return 0, or 1 where something must be mended."""
    forget_survivors()
    subprocess.run([Path(sys.executable).with_name("mutmut"), "run", "--max-children=2"], check=True)  # noqa: S603
    result = report(mutants())
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print(table(result))
    found = list(problems(result))
    console.print(*found, sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
