"""docs/reliability.md, from the results of a campaign: no figure in it is anybody's but the run's."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tests.faults.fault import KINDS

Result = dict[str, Any]

TEXT: Final = """# Reliability

Written by `make campaign` from its own results; what it does is described in
[development](development.md#the-fault-campaign). The figures are of the source {sources}; that of the code at hand is
what `PYTHONPATH=src .venv/bin/python -m tests.faults --source` prints. Where there are two, only what had broken an
invariant was played again after it was mended (`--also`).

## What was run

| part | units | runs | runs that broke an invariant |
| --- | --- | --- | --- |
{parts}

{broken}
A unit of faults is a path in a topology: its run without a fault, and one for every fault at every call. A unit of
interleavings is two invocations at the same time, either of them first: all orders of their calls that two changes of
turn can make, less those that lead to the same as one that was played, by what the calls read and change
([interleavings.py](../tests/faults/interleavings.py)). A unit of lives is a seed. The plain handler is the same
resource as it is usually written with crhelper ([plain.py](../tests/faults/plain.py)), with a fault at each third
call: that it breaks invariants proves that they can be broken.

## Faults

{calls} calls were faulted, from {sites} places in the source of the handler{unreached}.

| fault | runs | the plain handler broke an invariant at |
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

## Random lives

{steps} steps in {lives} lives of three stacks beside each other, in a world of three accounts; {struck} calls of them
were faulted. The lives of a seed are the same each time: `.venv/bin/python -m tests.faults --only "lives of seed 3"`
with `PYTHONPATH=src` plays them again.

| seed | lives | steps | broken |
| --- | --- | --- | --- |
{seeds}

## What the plain handler breaks

| invariant | runs |
| --- | --- |
{plain}

## Mutants

`make mutate` changes the code that plans, applies, remembers and answers, one place at a time; a test must notice.

| module | mutants | killed |
| --- | --- | --- |
{mutants}

mutmut leaves functions with a decorator out: {left_out}.

Those that survive change nothing that can be seen: [mutants.toml](../tests/mutants.toml) lists each with the reason.

## What was found and fixed

- After a failure of one of several calls side by side, further ones began, and their effect came after the answer.
- A DeleteRoute whose NotFound was a lie, or that EC2 did not show yet, left the route behind.
- A Delete by queries, after the tags that they ask for had changed, did not find the VPCs any more. The registry
  knows them.
- A response that was delivered, but not recorded before, could be another one when Lambda repeated the event.
- A registry that answered only after the patience for it had run out stopped a Delete, which needs none.
- A Create after one that the registry could not remember was refused as late, and so was every one after it.
- A deadline inside a call was told as an internal failure; now the call and its place are named.
- A Delete that may not look for the connection, or not at the accepter's side, answered SUCCESS and left it. It fails
  where the registry knows of one, or of a Create that was never answered.
- A Create that was repeated after the Delete which overtook it, while the registry did not answer, made a connection.
- A page of the registry's index that was none ended a sweep as if there were nothing to look at.
- A list of route tables that was empty for a moment was believed: SUCCESS without routes, or routes that stayed.
- An answer that was recorded and not delivered became another one, where the registry failed at a second reading.
- A Delete that came before EC2 showed the connection just requested answered SUCCESS and left it.
- After the rollback of a replacement that comes as a Delete, maintenance kept what had been rolled back.
- The answer to a Delete had another physical id than its event.
- A request that EC2 refused had its rollback look for a minute for what was never made, with up to 163 calls.
- A side that did not show the connection for a moment cost an Update of tags four minutes, and its success.
- A Delete with an invented id believed one empty answer, though the registry knew what CloudFormation had been told.
- A Create that was cut, and overtaken by a Delete that still waited for its lease, was not answered by Lambda's next
  attempts.
- A request that a rollback made in place of a connection deleted by hand left routes to the dead one: its Delete came
  with the properties of the Update that had failed.

## What is not covered

- Two faults in one invocation, but for those of the random lives' hand-made changes; a fault of the registry together
  with one of EC2.
- Random lives of resources that adopt a connection, or have somebody else's.
- A reading that lies more than once, and a call that hangs until Lambda's time-out without having taken effect: one
  that died before it is played.
- The threads of one invocation: what runs side by side is done in turn here. The integration tests run it in parallel.
- A call that takes effect later than its answer, beyond what the strict EC2 delays.
- Real AWS.
"""


def report(
    results: Mapping[str, Sequence[Result]],
    sites: Sequence[str],
    unreached: Sequence[str],
    mutation: Result,
) -> str:
    """Return the page."""
    faults, duels, lives, plain = (results[name] for name in ("faults", "interleavings", "lives", "plain"))
    broken_by = Counter(violation["invariant"] for result in plain for violation in result["violations"])
    struck = sum((Counter(result["faults"]) for result in faults), Counter[str]())
    fatal = Counter(fault for result in plain for fault in _broken_faults(result))
    parts = {"faults": faults, "interleavings": duels, "random lives": lives, "the plain handler": plain}
    left_out = {name: module["left_out"] for name, module in mutation["modules"].items() if module["left_out"]}
    sources = Counter(result["source"] for part in results.values() for result in part)
    return TEXT.format(
        sources=" and ".join(f"{source} ({count} units)" for source, count in sources.most_common()),
        broken=_broken([*faults, *duels, *lives]),
        left_out="; ".join(f"`{', '.join(names)}` of {module}" for module, names in left_out.items()) or "none",
        parts=_rows((name, len(units), _sum(units, "runs"), _sum(units, "broken")) for name, units in parts.items()),
        calls=_sum(faults, "calls"),
        sites=len(sites),
        unreached=f"; not reached: {', '.join(unreached)}" if unreached else "; none was missed",
        faults=_rows((kind, struck[kind], f"{fatal[kind]} calls") for kind in KINDS),
        paths=_rows(_by_name(faults, "calls", "runs", "broken")),
        interleavings=_rows(_by_name(duels, "runs", "broken")),
        steps=_sum(lives, "steps"),
        lives=_sum(lives, "runs"),
        struck=_sum(lives, "struck"),
        seeds=_rows((lot["unit"].split()[-1], lot["runs"], lot["steps"], lot["broken"]) for lot in lives),
        plain=_rows(sorted(broken_by.items())),
        mutants=_rows((name, module["mutants"], module["killed"]) for name, module in mutation["modules"].items())
        or "| (not run before this campaign) | | |",
    )


def _sum(units: Sequence[Result], column: str) -> int:
    return sum(unit[column] for unit in units)


def _broken(results: Sequence[Result]) -> str:
    """Return a table of what our handler broke, if anything: it is to be mended."""
    violations = Counter(
        (result["unit"].split(" / ")[0], v["fault"], str(v["call"]).split(" ")[0], v["invariant"])
        for result in results
        for v in {(v["fault"], v["call"], v["invariant"]): v for v in result["violations"]}.values()
    )
    if not violations:
        return ""
    rows = _rows((*where, count) for where, count in sorted(violations.items(), key=str))
    head = "| path | fault | call | invariant | runs |\n| --- | --- | --- | --- | --- |"
    return f"What broke an invariant is to be mended:\n\n{head}\n{rows}\n"


def _broken_faults(result: Result) -> list[str]:
    return [fault for fault, _ in {(violation["fault"], violation["call"]) for violation in result["violations"]}]


def _by_name(results: Sequence[Result], *columns: str) -> Iterable[tuple[Any, ...]]:
    names = dict.fromkeys(result["unit"].split(" / ")[0] for result in results)
    for name in names:
        of_name = [result for result in results if result["unit"].split(" / ")[0] == name]
        yield name, len(of_name), *(_sum(of_name, column) for column in columns)


def _rows(rows: Iterable[Iterable[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
