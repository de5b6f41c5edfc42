"""A fixed slice of the campaign for every run of the tests; `make campaign` plays all of it."""

import pytest

from tests.faults.fault import KINDS
from tests.faults.interleavings import DUELS, Duel
from tests.faults.plain import plain
from tests.faults.runs import UNITS, Result, Unit
from tests.harness import TOPOLOGIES

MOST = TOPOLOGIES[3]
SLICE = {
    **{str(unit): ("killed before",) for unit in UNITS if unit.topology == MOST},
    **{f"{path} / {MOST}": ("killed before", "reply lost") for path in ("create", "replacement", "delete")},
    f"create / {TOPOLOGIES[4]}": ("not found",),
    f"delete / {TOPOLOGIES[0]}": tuple(kind for kind in KINDS if "killed" not in kind),
}
"""The faults of each unit that is played here."""


@pytest.mark.parametrize("unit", [unit for unit in UNITS if str(unit) in SLICE], ids=str)
def test_no_fault_breaks_an_invariant(unit: Unit) -> None:
    """What holds without a fault holds with every one of these, at every call."""
    results = list(unit.runs(kinds=SLICE[str(unit)]))

    assert [] == [told(result) for result in results if result["violations"]]
    assert len(results) > 10


@pytest.mark.parametrize("duel", [duel for duel in DUELS if duel.topology == MOST], ids=str)
def test_no_order_of_two_requests_breaks_an_invariant(duel: Duel) -> None:
    """CloudFormation, Lambda and other stacks do not wait for each other."""
    results = list(duel.runs(stride=41))

    assert [] == [told(result) for result in results if result["violations"]]
    assert len(results) > 2


def test_the_campaign_finds_what_it_looks_for() -> None:
    """The same resource as it is usually written works, and breaks invariants with the first fault."""
    unit = next(unit for unit in UNITS if str(unit) == f"create / {MOST}")

    baseline, *faulted = unit.runs(plain, kinds=("killed after",))

    assert {"a replay changes nothing"} == {violation["invariant"] for violation in baseline["violations"]}
    assert "no orphan" in {violation["invariant"] for result in faulted for violation in result["violations"]}


def told(result: Result) -> str:
    """Return a run that broke an invariant, for a person."""
    return f"{result['fault']} at {result['call']}: {result['violations']}"
