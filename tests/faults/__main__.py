"""`python -m tests.faults`: the whole campaign, resumable. Ctrl-C ends it; the next call goes on where it was.

Each unit is a path in a topology: its run without a fault, and a run for every fault at every call of it.
"""

import argparse
import json
import multiprocessing
import signal
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.progress import Progress

from tests.faults.runs import UNITS, Unit
from tests.faults.sites import HANDLER, static

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".campaign/sweep.jsonl"
Result = dict[str, Any]


FILES = sorted([*HANDLER.glob("*.py"), *HANDLER.glob("*.json"), *Path(__file__).parent.glob("*.py")])
SOURCE = sha256(b"".join(path.read_bytes() for path in FILES)).hexdigest()[:16]
"""What the results rest on: the handler's and the campaign's code, as it was loaded."""


def played(name: str) -> Result:
    """Play a unit to its end."""
    unit = next(unit for unit in UNITS if str(unit) == name)
    began = time.monotonic()
    baseline, *runs = unit.runs()
    return {
        "unit": name,
        "source": SOURCE,
        "runs": 1 + len(runs),
        "unstruck": sum(not run.get("struck", True) for run in runs),
        "calls": len(baseline.get("calls", [])),
        "sites": baseline.get("sites", []),
        "faults": Counter(run["fault"] for run in runs),
        "violations": [
            {"fault": run["fault"], "call": run["call"], **violation}
            for run in (baseline, *runs)
            for violation in run["violations"]
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def done() -> dict[str, Result]:
    """Return the results that stand, by unit."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    results = [json.loads(line) for line in lines]
    return {result["unit"]: result for result in results if result["source"] == SOURCE}


def run(units: list[Unit]) -> dict[str, Result]:
    """Play what has no result yet, two units at a time, and return all results."""
    RESULTS.parent.mkdir(exist_ok=True)
    results = done()
    left = [str(unit) for unit in units if str(unit) not in results]
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool, Progress() as progress:
        task = progress.add_task("campaign", total=len(units), completed=len(units) - len(left))
        for result in pool.imap_unordered(played, left):
            with RESULTS.open("a") as file:
                file.write(json.dumps(result) + "\n")
            results[result["unit"]] = result
            broken = f", [red]{len(result['violations'])} violations" if result["violations"] else ""
            progress.console.print(f"{result['unit']}: {result['runs']} runs in {result['seconds']} s{broken}")
            progress.advance(task)
    return {str(unit): results[str(unit)] for unit in units}


def main() -> int:
    """Return 0, or 1 where an invariant was broken or a call site never reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="units whose name contains this")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the workers end too
    units = [unit for unit in UNITS if arguments.only in str(unit)]
    results = run(units)
    violations = [violation for result in results.values() for violation in result["violations"]]
    reached = {site for result in results.values() for site in result["sites"]}
    print(f"{len(results)} units, {sum(r['runs'] for r in results.values())} runs, {len(reached)} call sites reached")
    print(f"violations: {dict(Counter(v['invariant'] for v in violations)) or 'none'}")
    unreached = [] if arguments.only else sorted(static() - reached)
    print(f"call sites that no run reached: {unreached or 'none'}")
    return int(bool(violations or unreached))


if __name__ == "__main__":
    sys.exit(main())
