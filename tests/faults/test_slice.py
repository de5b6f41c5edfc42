"""A fixed slice of the campaign for every run of the tests; `make campaign` plays all of it."""

from unittest.mock import patch

import pytest
from hypothesis import Phase

from tests.faults.fault import KINDS
from tests.faults.interleavings import DUELS, Duel
from tests.faults.machine import PLAIN_LOTS, SEEDS, Lot
from tests.faults.plain import plain
from tests.faults.runs import MOST, UNITS, Result, Unit
from tests.harness import TOPOLOGIES

SHORT = (f"sweep / {MOST}", f"wake / {MOST}")
SLICE = {
    **{str(unit): ("killed before",) for unit in UNITS if unit.topology == MOST},
    **{
        f"{path} / {MOST}": ("killed before", "reply lost", "not found") for path in ("create", "replacement", "delete")
    },
    f"delete / {TOPOLOGIES[0]}": tuple(kind for kind in KINDS if "killed" not in kind),
    **dict.fromkeys(SHORT, KINDS),
}
"""The faults of each unit that is played here; at every third call, but at each of the few of a sweep."""


@pytest.mark.parametrize("unit", [unit for unit in UNITS if str(unit) in SLICE], ids=str)
def test_no_fault_breaks_an_invariant(unit: Unit) -> None:
    """What holds without a fault holds with every one of these, at every call."""
    results = list(unit.runs(kinds=SLICE[str(unit)], stride=1 if str(unit) in SHORT else 3))

    assert [] == [told(result) for result in results if result["violations"]]
    assert len(results) > 5


@pytest.mark.parametrize("duel", DUELS, ids=str)
def test_no_order_of_two_requests_breaks_an_invariant(duel: Duel) -> None:
    """CloudFormation, Lambda and other stacks do not wait for each other."""
    results = list(duel.runs(stride=30))

    assert [] == [told(result) for result in results if result["violations"]]
    assert len(results) > 2


def test_the_campaign_finds_what_it_looks_for() -> None:
    """The same resource as it is usually written works, and breaks invariants with the first fault."""
    unit = next(unit for unit in UNITS if str(unit) == f"create / {MOST}")

    baseline, *faulted = unit.runs(plain, kinds=("killed after",))

    broken_by_a_replay = {"a replay changes nothing", "nothing is changed after the response", "one response"}
    assert broken_by_a_replay == {violation["invariant"] for violation in baseline["violations"]}
    assert "no orphan" in {violation["invariant"] for result in faulted for violation in result["violations"]}


def test_random_lives_go_well() -> None:
    """Stacks live beside each other, while calls fail and people meddle."""
    results = list(Lot(SEEDS[0], lives=8, steps=25).runs())

    assert [] == [told(result) for result in results if result["violations"]]
    assert sum(result["steps"] for result in results) > 80
    assert sum(result["struck"] for result in results) > 0


def test_random_lives_of_the_plain_handler_do_not() -> None:
    """What the lives are compared with can be broken."""
    *_, last = (result for lot in PLAIN_LOTS for result in lot.runs(plain))

    assert ["a random life goes well"] == [violation["invariant"] for violation in last["violations"]]


def test_random_lives_notice_what_maintenance_does_not() -> None:
    """A sweep that repairs nothing is found, and not taken for one that has nothing to repair."""
    with patch("handler.maintenance.REPAIRABLE", frozenset()):
        *_, last = Lot(SEEDS[0], phases=(Phase.generate,)).runs()

    assert ["a random life goes well"] == [violation["invariant"] for violation in last["violations"]]


def told(result: Result) -> str:
    """Return a run that broke an invariant, for a person."""
    return f"{result['fault']} at {result['call']}: {result['violations']}"
