"""`python -m tests.faults`: the whole campaign, resumable. Ctrl-C ends it; the next call goes on where it was.

It plays our handler, which must break no invariant, and in a part of the units a handler as it is usually written,
which must: that proves that the campaign finds what it looks for. At the end docs/reliability.md is written from the
results, and from those of `python -m tests.mutation`.
"""

import argparse
import json
import multiprocessing
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.progress import Progress

from tests.faults.interleavings import DUELS, Duel
from tests.faults.machine import LOTS, PLAIN_LOTS, Lot
from tests.faults.plain import plain
from tests.faults.report import report
from tests.faults.runs import MOST, UNITS, Start, Unit, ours
from tests.faults.sites import HANDLER, static

ROOT = Path(__file__).parents[2]
FILES = sorted(
    [
        *(ROOT / "local/world.py", ROOT / "tests/harness.py", *HANDLER.glob("*.json")),
        *(ROOT / "src/requirements.txt", ROOT / "requirements/dev.txt"),
        *(path for folder in (HANDLER, ROOT / "local/strict") for path in folder.glob("*.py")),
        *(path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith(("__", "report", "test_"))),
    ]
)
SOURCE = sha256(b"".join(path.read_bytes() for path in FILES)).hexdigest()[:16]
"""What the results rest on: the code of the handler, of the embedded AWS and of the runs, and what is locked."""

Result = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A part of the campaign, whose results have a file of their own."""

    name: str
    units: tuple[Unit | Duel | Lot, ...]
    start: Start = ours
    stride: int = 1
    """Of the calls of a path, and of the changes of turn, only each so many-th is played."""

    @property
    def file(self) -> Path:
        """Where its results are kept between two calls."""
        return ROOT / f".campaign/{self.name}.jsonl"

    def done(self, also: str) -> dict[str, Result]:
        """Return the results that stand, by unit; of another source those that broke nothing, of the plain one all."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        results = [json.loads(line) for line in lines]
        stands = {
            result["unit"]: result
            for result in results
            if result["source"] == also and (not result["broken"] or self.start is plain)
        }
        return {**stands, **{result["unit"]: result for result in results if result["source"] == SOURCE}}


PARTS = {
    part.name: part
    for part in (
        Part("faults", UNITS),
        Part("interleavings", DUELS),
        Part("lives", LOTS),
        Part(
            "plain",
            (*(unit for unit in UNITS if unit.topology == MOST and not unit.path.maintenance), *PLAIN_LOTS),
            plain,
            stride=3,
        ),
    )
}
OURS = ("faults", "interleavings", "lives")


def played(part: str, name: str) -> Result:
    """Play a unit to its end."""
    unit = next(unit for unit in PARTS[part].units if str(unit) == name)
    began = time.monotonic()
    runs = list(unit.runs(PARTS[part].start, stride=PARTS[part].stride))
    return {
        "unit": name,
        "source": SOURCE,
        "runs": len(runs),
        "calls": runs[0].get("calls", 0),
        "steps": sum(run.get("steps", 0) for run in runs),
        "struck": sum(run.get("struck", 0) for run in runs),
        "sites": sorted({site for run in runs for site in run.get("sites", [])}),
        "broken": sum(bool(run["violations"]) for run in runs),
        "faults": Counter(run["fault"] or "none" for run in runs),
        "violations": [
            {"fault": run["fault"], "call": run["call"], **violation} for run in runs for violation in run["violations"]
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def results(part: Part, only: str, also: str, progress: Progress) -> Iterator[Result]:
    """Play what has no result yet, two units at a time, and yield all results."""
    part.file.parent.mkdir(exist_ok=True)
    done = part.done(also)
    names = [str(unit) for unit in part.units if only in str(unit)]
    task = progress.add_task(part.name, total=len(names), completed=len(done.keys() & set(names)))
    yield from (done[name] for name in names if name in done)
    left = [name for name in names if name not in done]
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        for result in pool.imap_unordered(partial(played, part.name), left):
            with part.file.open("a") as file:
                file.write(json.dumps(result) + "\n")
            broken = f", [red]{result['broken']} broken" if result["broken"] else ""
            progress.console.print(f"{result['unit']}: {result['runs']} runs in {result['seconds']} s{broken}")
            progress.advance(task)
            yield result


def main() -> int:
    """Return 0, or 1 where an invariant was broken, a call site never reached, or the plain handler found faultless."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="units whose name contains this; the page is not written then")
    parser.add_argument(
        "--also", default="", help="another source, whose units that broke nothing are not played again"
    )
    parser.add_argument("--source", action="store_true", help="only print what the results would rest on, as a digest")
    arguments = parser.parse_args()
    if arguments.source:
        print(SOURCE)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the workers end too
    with Progress() as progress:
        all_results = {
            name: list(results(part, arguments.only, arguments.also, progress)) for name, part in PARTS.items()
        }
    results_of_ours = [result for name in OURS for result in all_results[name]]
    for violation in (violation for result in results_of_ours for violation in result["violations"]):
        print(violation)
    reached = {site for result in results_of_ours for site in result["sites"]}
    unreached = [] if arguments.only else sorted(static() - reached)
    runs, broken = (sum(result[number] for result in results_of_ours) for number in ("runs", "broken"))
    print(f"{runs} runs, {broken} broken")
    print(f"call sites: {len(reached)} reached, not reached: {unreached or 'none'}")
    if not arguments.only:
        mutated = ROOT / ".campaign/mutation.json"
        mutation = json.loads(mutated.read_text()) if mutated.exists() else {"modules": {}}
        page = report(all_results, sorted(reached), unreached, mutation)
        (ROOT / "docs/reliability.md").write_text(page, encoding="utf-8")
    proven = any(result["broken"] for result in all_results["plain"])
    return int(bool(broken or unreached or not proven))


if __name__ == "__main__":
    sys.exit(main())
