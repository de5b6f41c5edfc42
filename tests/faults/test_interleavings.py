"""The orders of two invocations: those that are left out lead to nothing that is not played."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.faults.inprocess import Killed
from tests.faults.interleavings import MANY, Baton, Orders, Step
from tests.faults.runs import Result

ITEMS = {"{}": ("one", "two"), "one": ("one",), "two": ("two",)}
CALLS = st.builds(lambda item, reads: (item, reads), st.sampled_from([*ITEMS]), st.booleans())
SLEEP = ("", False)
PROGRAMS = st.tuples(CALLS, st.lists(CALLS | st.just(SLEEP), max_size=4)).map(lambda drawn: [drawn[0], *drawn[1]])
Program = Sequence[tuple[str, bool]]
MOST_CALLS = 11
"""Of both together, with those of one that is cut and begins again."""


@dataclass
class Toy:
    """Two programs that read and write items of a table: what is written depends on all that was read.

    A call without an item is about all of them.
    """

    programs: tuple[Program, Program]
    baton: Baton
    items: dict[str, str] = field(default_factory=lambda: {"one": "", "two": ""})
    seen: dict[int, str] = field(default_factory=lambda: {0: "", 1: ""})
    slept: list[bool] = field(default_factory=lambda: [False, False])
    steps: list[Step] = field(default_factory=list)

    def run(self) -> str:
        """Run both to their end; return what they have seen and left."""
        threads = [threading.Thread(target=self._serve, args=(actor,)) for actor in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return f"{self.items} {self.seen}"

    def _serve(self, actor: int) -> None:
        self.baton.begin(actor)
        try:
            while self._dies(actor):
                pass
        finally:
            self.baton.end(actor)

    def _dies(self, actor: int) -> bool:
        self.seen[actor] = ""
        try:
            self._play(actor)
        except Killed:
            return True
        return False

    def _play(self, actor: int) -> None:
        for number, call in enumerate(self.programs[actor]):
            if call == SLEEP:
                self.slept[actor] = True
                self.baton.rest(actor)
                continue
            self.baton.take(actor)
            name, reads = call
            self.steps.append(Step(actor, "dynamodb", name, reads, self.slept[actor]))
            self.slept[actor] = False
            for item in ITEMS[name]:
                if reads:
                    self.seen[actor] += f"{self.items[item]};"
                else:
                    self.items[item] += f"{actor}.{number}({self.seen[actor]})"


def ends(programs: tuple[Program, Program], begins: int, dies: int | None, *, all_orders: bool) -> set[str]:
    """Return what the programs lead to in all orders, or in those that are played."""
    orders = Orders(begins, dies)

    def run(first: int, second: int) -> Result:
        toy = Toy(programs, Baton([first, second], begins, dies))
        end = toy.run()
        orders.known[first, second] = toy.steps
        return {"end": end, "left": len(toy.baton.turns)}

    if not all_orders:
        return {result["end"] for result in orders.played(run)}
    firsts, seconds = range(0 if dies is None else 1, MOST_CALLS), range(1 if dies == 1 - begins else 0, MOST_CALLS)
    return {run(first, second)["end"] for first in (*firsts, MANY) for second in (*seconds, MANY)}


READ, WRITE = ("{}", True), ("{}", False)
ONE, TWO = ("one", False), ("two", True)


@pytest.mark.parametrize("dies", [None, 0, 1])
@example(programs=([READ, WRITE], [WRITE, SLEEP, WRITE, READ]))
@example(programs=([ONE, ONE, ONE], [ONE, SLEEP, TWO, ONE]))
@example(programs=([ONE, SLEEP, TWO, ONE, ONE], [ONE, ONE, ONE, ONE]))
@settings(deadline=None, derandomize=True, max_examples=100)
@given(programs=st.tuples(PROGRAMS, PROGRAMS))
def test_orders_that_are_not_played_lead_to_what_others_lead_to(
    dies: int | None, programs: tuple[Program, Program]
) -> None:
    """Whatever two invocations call, and wherever they sleep or are cut."""
    every, played = (
        {end for begins in (0, 1) for end in ends(programs, begins, dies, all_orders=all_orders)}
        for all_orders in (True, False)
    )

    assert every == played
