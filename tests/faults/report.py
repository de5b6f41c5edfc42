"""docs/reliability.md, from the results of a campaign: no figure in it is anybody's but the run's."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tests.faults.fault import KINDS

Result = dict[str, Any]

TEXT: Final = """# Reliability

Written by `make campaign` from its own results; what it does is described in
[development](development.md#the-fault-campaign).

## What was run

| part | units | runs | runs that broke an invariant |
| --- | --- | --- | --- |
{parts}

A unit of faults is a path in a topology: its run without a fault, and one for every fault at every call. A unit of
interleavings is two invocations at the same time: one run for every order of their calls that two changes of turn
make. The plain handler is the same resource as it is usually written with crhelper
([plain.py](../tests/faults/plain.py)): that it breaks invariants proves that they can be broken.

## Faults

{calls} calls were faulted, from {sites} places of the handler's source that call AWS or CloudFormation{unreached}.

| fault | runs | the plain handler broke an invariant in |
| --- | --- | --- |
{faults}

## Paths

| path | topologies | calls | runs | broken |
| --- | --- | --- | --- | --- |
{paths}

## Interleavings

| pair of requests | topologies | orders | broken |
| --- | --- | --- | --- |
{interleavings}

## What the plain handler breaks

| invariant | runs |
| --- | --- |
{plain}

## What is not covered

- Two faults in one invocation; a fault of the registry together with one of EC2.
- The threads of one invocation: what runs side by side is done in turn here. The integration tests run it in parallel.
- A call that takes effect later than its answer, beyond what the strict EC2 delays.
- Real AWS.
"""


def report(results: Mapping[str, Sequence[Result]], sites: Sequence[str], unreached: Sequence[str]) -> str:
    """Return the page."""
    faults, duels, plain = results["faults"], results["interleavings"], results["plain"]
    broken_by = Counter(violation["invariant"] for result in plain for violation in result["violations"])
    struck = sum((Counter(result["faults"]) for result in faults), Counter[str]())
    fatal = Counter(fault for result in plain for fault in _broken_faults(result))
    return TEXT.format(
        parts=_rows(
            (name, len(units), sum(u["runs"] for u in units), sum(u["broken"] for u in units))
            for name, units in (("faults", faults), ("interleavings", duels), ("the plain handler", plain))
        ),
        calls=sum(result["calls"] for result in faults),
        sites=len(sites),
        unreached=f"; not reached: {', '.join(unreached)}" if unreached else "; none was missed",
        faults=_rows((kind, struck[kind], f"{fatal[kind]} calls") for kind in KINDS),
        paths=_rows(_by_name(faults, "calls", "runs", "broken")),
        interleavings=_rows(_by_name(duels, "runs", "broken")),
        plain=_rows(sorted(broken_by.items())),
    )


def _broken_faults(result: Result) -> list[str]:
    return [fault for fault, _ in {(violation["fault"], violation["call"]) for violation in result["violations"]}]


def _by_name(results: Sequence[Result], *columns: str) -> Iterable[tuple[Any, ...]]:
    names = dict.fromkeys(result["unit"].split(" / ")[0] for result in results)
    for name in names:
        of_name = [result for result in results if result["unit"].split(" / ")[0] == name]
        yield name, len(of_name), *(sum(result[column] for result in of_name) for column in columns)


def _rows(rows: Iterable[Iterable[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
