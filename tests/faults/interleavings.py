"""Two invocations at the same time: all orders of their calls that two changes of turn can make.

One runs for some calls, then the other one for some, then the first one to its end, then the other one; either may be
the first, and the changes of turn go as far as the two really go. Who sleeps lets the other one go on. Where one is
cut, its process dies at its change of turn, and Lambda sends its event again.

An order is not played where it leads to the same as one that was: they differ in the place of one call, and what the
other one calls meanwhile neither changes what that call reads nor reads what it changes (that is, as in Godefroid's
partial-order reduction). Such orders differ in seconds only, and so in the call
before which a lease is renewed.
"""

import io
import itertools
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, Final

from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from handler.response import Undelivered
from tests.faults.engine import ATTEMPTS, RETRY_SECONDS, SECONDS, Engine, Event
from tests.faults.inprocess import OF_THREAD, Call, InProcess, Killed, Send
from tests.faults.invariants import Violation, checked, replayed
from tests.faults.paths import created, meddled
from tests.faults.runs import FOUR, MOST, Result, Start, captured, forked, ours
from tests.faults.scene import MORE_TAGS, Scene
from tests.harness import Context, Topology

HIDDEN_READS: Final = 6
NONE_CHANGED, ONE_CHANGED = 2, 1
"""Turns that are left at the end, because an invocation ended before its turn did."""

MANY: Final = 1_000_000
"""Calls of a turn that has no end."""

CALL_SECONDS: Final = 1.0
"""Of virtual time that a call takes, so that leases are renewed on the way."""


@dataclass
class Baton:
    """Who runs: `turns` are the numbers of calls after which the first and then the second one hands over.

    `cut` dies when its turn ends. Turns that are left at the end were longer than the invocations.
    """

    turns: list[int]
    running: int = 0
    cut: int | None = None
    done: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Nobody has called yet."""
        self._changed = threading.Condition()

    def begin(self, actor: int) -> None:
        """Wait for the first turn: one is started at a time."""
        with self._changed:
            self._wait(actor)

    def take(self, actor: int) -> None:
        """Wait for the turn, and use up one call of it."""
        with self._changed:
            self._wait(actor)
            if self.turns[:1] == [0] and 1 - actor not in self.done:
                self._end_turn(actor)
            if self.turns:
                self.turns[0] -= 1

    def rest(self, actor: int) -> None:
        """Let the other one go on while this one sleeps; a turn that has no call left ends with that."""
        with self._changed:
            if 1 - actor in self.done:
                return
            if self.turns[:1] == [0]:
                self._end_turn(actor)
            else:
                self._hand_over(actor)

    def end(self, actor: int) -> None:
        """Leave the rest to the other one."""
        with self._changed:
            self.done.add(actor)
            self.running = 1 - actor
            self._changed.notify_all()

    def _end_turn(self, actor: int) -> None:
        self.turns.pop(0)
        self._hand_over(actor)
        if actor == self.cut:
            self.cut = None
            raise Killed

    def _hand_over(self, actor: int) -> None:
        self.running = 1 - actor
        self._changed.notify_all()
        self._wait(actor)

    def _wait(self, actor: int) -> None:
        while self.running != actor:
            self._changed.wait()


@dataclass(frozen=True)
class Step:
    """A call, and who made it."""

    actor: int
    service: str
    parameters: str
    reads: bool
    """Whether it changes nothing."""
    slept: bool
    """Whether who made it has slept since the last one."""

    def commutes(self, other: "Step") -> bool:
        """Tell whether another one's call leads to the same before it and after it.

        An answer to CloudFormation changes nothing elsewhere, but an invariant divides what comes before and after it.
        """
        if self.reads and other.reads:
            return True
        if self.service != other.service:
            return "s3" not in {self.service, other.service}
        return self.service == "dynamodb" and "{}" not in {self.parameters, other.parameters} != {self.parameters}


@dataclass
class Orders:
    """The orders of which it is known what they lead to: the calls of each, by the calls after which the turn changes.

    `begins` is who begins, and `dies` who is cut at the end of its turn, if one is.
    """

    begins: int
    dies: int | None
    known: dict[tuple[int, int], list[Step]] = field(default_factory=dict)

    def played(self, run: Callable[[int, int], Result], stride: int = 1) -> Iterator[Result]:
        """Run with longer and longer turns, until they are longer than what there is to do; yield the results.

        What runs an order has to leave its calls in `known`.
        """
        yield run(MANY, MANY)
        for first in itertools.count(1, stride):
            whole = run(first, MANY)
            left = whole.get("left")
            if left != NONE_CHANGED:
                yield whole
            if left != ONE_CHANGED:
                return
            for second in itertools.count(1 if self.dies == 1 - self.begins else 0, stride):
                if self._knows(first, second):
                    continue
                result = run(first, second)
                if result.get("left") != ONE_CHANGED:
                    yield result
                if result.get("left") != 0:
                    break

    def _knows(self, first: int, second: int) -> bool:
        """Tell whether an order leads to the same as one that is known with a turn that is shorter by a call."""
        shorter, to = (first - 1, second), first - 1
        if self.dies == self.begins:
            steps = self._cut_later(shorter, to, rf"X{{{first}}}", (MANY, MANY))
        else:
            steps = self._moved(shorter, to, rf"X{{{to}}}(Y{{{second}}})XX.*[Yy]")
        shorter, to = (first, second - 1), first + second - 1
        if self.dies == 1 - self.begins:
            steps = steps or self._cut_later(shorter, to, rf"X{{{first}}}Y{{{second}}}", (first, MANY))
        else:
            steps = steps or self._moved(shorter, to, rf"X{{{first}}}Y{{{second - 1}}}(X+)YY[Yy]*$")
        if steps:
            self.known[first, second] = steps
        return bool(steps)

    def _moved(self, turns: tuple[int, int], to: int, actors: str) -> list[Step] | None:
        """Return the calls of an order with the one after the group moved before it, if that makes no difference."""
        steps = self.known.get(turns, [])
        found = re.match(actors, self._actors(steps))
        if found and all(steps[found.end(1)].commutes(other) for other in steps[to : found.end(1)]):
            return [*steps[:to], steps[found.end(1)], *steps[to : found.end(1)], *steps[found.end(1) + 1 :]]
        return None

    def _cut_later(self, turns: tuple[int, int], to: int, actors: str, uncut: tuple[int, int]) -> list[Step] | None:
        """Return the calls of an order with one more before the process dies, if that changes nothing."""
        steps, longer = self.known.get(turns), self.known[uncut]
        if steps and re.match(actors, self._actors(longer)) and longer[to].reads:
            return [*steps[:to], longer[to], *steps[to:]]
        return None

    def _actors(self, steps: Sequence[Step]) -> str:
        """Return who has called, as letters; small ones where the turn may have changed by a sleep before the call."""
        letters = {self.begins: "Xx", 1 - self.begins: "Yy"}
        return "".join(letters[step.actor][step.slept] for step in steps)


@dataclass
class Race:
    """Two events that are served at the same time."""

    here: InProcess
    baton: Baton
    events: tuple[Event, Event]
    start: Start
    steps: list[Step] = field(default_factory=list)

    def run(self) -> None:
        """Serve both to their end, and again what failed, as Lambda does."""
        threads = [threading.Thread(target=self._serve, args=(actor,)) for actor in (0, 1)]
        sleep = self.here.time.sleep

        def rest(seconds: float) -> None:
            sleep(seconds)
            OF_THREAD.slept = True
            try:
                self.baton.rest(OF_THREAD.actor)
            except Killed:
                OF_THREAD.process.dead = True
                raise

        self.here.time.sleep = rest  # type: ignore[method-assign]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.here.time.sleep = sleep  # type: ignore[method-assign]

    def _reads(self, call: Call) -> bool:
        """Tell whether a call changes nothing; not where EC2 shows what is new only after so many readings."""
        counted = call.service == "ec2" and self.here.aws.settings.hidden_reads_requester
        return call.operation.startswith(("Describe", "Get", "List", "Query", "AssumeRole")) and not counted

    def _serve(self, actor: int) -> None:
        OF_THREAD.actor, OF_THREAD.slept = actor, False

        def hook(call: Call, send: Send) -> Any:  # noqa: ANN401  # botocore's
            self.baton.take(actor)
            self.steps.append(Step(actor, call.service, call.parameters, self._reads(call), OF_THREAD.slept))
            OF_THREAD.slept = False
            self.here.time.pass_by(CALL_SECONDS)
            return send()

        self.baton.begin(actor)
        for _ in range(ATTEMPTS):
            handler = self.start(self.here)(hook)
            self.here.process.request_id = self.events[actor].get("RequestId")
            OF_THREAD.process = self.here.process
            began = self.here.time.now()
            try:
                handler(self.events[actor], Context(self.here.time.now, began + SECONDS))
                break
            except Killed:
                self.here.time.pass_by(RETRY_SECONDS)
            except (Undelivered, BatchProcessingError):
                self.here.time.sleep(RETRY_SECONDS)
        self.baton.end(actor)


@dataclass(frozen=True)
class Duel:
    """Two events on a topology, in all orders."""

    name: str
    topology: Topology
    prepare: Callable[[Scene], tuple[Event, Event]]
    finish: Callable[[Scene], Iterator[Violation]]
    cut: bool = False
    """Whether one of the two dies where it hands over: the first one wherever that is, or else the second one."""

    def __str__(self) -> str:
        return f"{self.name} / {self.topology}"

    def runs(self, start: Start = ours, stride: int = 1) -> Iterator[Result]:
        """Yield the result of every order; of each `stride`th change of turn only where less is asked for."""
        from tests.faults.inprocess import in_process  # noqa: PLC0415  # as every unit, in a world of its own

        with in_process() as here, captured() as log:
            scene = Scene(here, self.topology, start(here))
            events, lives = self.prepare(scene), set[str]()
            for begins, dies in itertools.product((0, 1), (0, 1) if self.cut else (None,)):
                orders = Orders(begins, dies)

                def run(first: int, second: int, orders: Orders = orders) -> Result:
                    race = Race(here, Baton([first, second], orders.begins, orders.dies), events, start)
                    (result,) = forked(lambda: self._run(scene, race, log, lives))
                    lives.add(result.pop("life", ""))
                    orders.known[first, second] = [Step(*step) for step in result.pop("steps", ())]
                    order = f"{'first' if orders.begins == 0 else 'second'} begins, {first} calls, {second} calls"
                    return {"call": order, "fault": "cut" if self.cut else "interleaved", **result}

                yield from orders.played(run, stride)

    def _run(self, scene: Scene, race: Race, log: io.StringIO, lives: Collection[str]) -> Result:
        """Run an order; and what follows, unless it follows from the same as after another order."""
        race.run()
        for engine in scene.engines:
            engine.unrecorded |= _unrecorded(log.getvalue())
        found = [*self.finish(scene), *checked(scene, log.getvalue())]
        life = _unnamed(scene.trace())
        if life not in lives:
            for engine in scene.engines:
                if engine.physical_id:
                    engine.delete()
            found += checked(scene, log.getvalue())
            found += replayed(scene)
        return {
            "left": len(race.baton.turns),
            "life": life,
            "steps": [astuple(step) for step in race.steps],
            "violations": [violation.as_json() for violation in dict.fromkeys(found)],
        }


def _unrecorded(log: str) -> set[str]:
    """Return the requests whose answer was given without a record, loudly: held longer than a call may take."""
    lines = [json.loads(line) for line in log.splitlines()]
    return {line["request_id"] for line in lines if line.get("message") == "the response could not be recorded"}


def _unnamed(trace: str) -> str:
    """Return a trace with the ids of connections numbered: they are drawn."""
    numbers: dict[str, str] = {}
    return re.sub(r"pcx-[0-9a-f]+", lambda found: numbers.setdefault(found[0], f"pcx-{len(numbers)}"), trace)


def _settled(engine: Engine) -> None:
    """Let CloudFormation take note of a Create."""
    event = engine.events[0]
    engine.created(engine.response(event), event["ResourceProperties"])


def _create_and_delete(scene: Scene) -> tuple[Event, Event]:
    engine = scene.engine
    create = engine.send("Create", scene.properties())
    return create, engine.send("Delete", scene.properties(), PhysicalResourceId=engine.invented)


def _seen_late(scene: Scene) -> tuple[Event, Event]:
    """Let EC2 show a new connection only after some readings."""
    scene.here.aws.settings.hidden_reads_requester = HIDDEN_READS
    return _create_and_delete(scene)


def _deleted(scene: Scene) -> Iterator[Violation]:
    response = scene.here.bucket.puts[scene.engine.events[1]["RequestId"]][0]
    if response["Status"] != "SUCCESS":
        yield Violation("CloudFormation is content", f"the Delete answered {response['Reason']}")


def _twice(scene: Scene) -> tuple[Event, Event]:
    create = scene.engine.send("Create", scene.properties())
    return create, create


def _created(scene: Scene) -> Iterator[Violation]:
    _settled(scene.engine)
    if scene.engine.physical_id is None:
        yield Violation("SUCCESS means done", "a Create that came twice has failed")


def _delete_twice(scene: Scene) -> tuple[Event, Event]:
    created(scene)
    engine = scene.engine
    delete = engine.send("Delete", engine.properties or {}, PhysicalResourceId=engine.physical_id)
    return delete, delete


def _gone(scene: Scene) -> Iterator[Violation]:
    engine = scene.engine
    response = engine.response(engine.events[-1])
    if response is None or response["Status"] != "SUCCESS":
        yield Violation("CloudFormation is content", f"the Delete answered {response}")
    engine.physical_id = engine.properties = None


def _replacement_twice(scene: Scene) -> tuple[Event, Event]:
    created(scene)
    update = scene.engine.send_update(scene.properties(peer=1))
    return update, update


def _replaced(scene: Scene) -> Iterator[Violation]:
    engine, event = scene.engine, scene.engine.events[-1]
    if not engine.updated(engine.response(event), event["ResourceProperties"]):
        yield Violation("CloudFormation is content", f"the Update answered {engine.response(event)}")
    engine.clean()


def _two_stacks(scene: Scene, *, reverse: bool) -> tuple[Event, Event]:
    rival = scene.add_stack("rival")
    properties = scene.properties()
    first = scene.engine.send("Create", properties)
    return first, rival.send("Create", scene.turned() if reverse else properties)


def _repair_and_update(scene: Scene) -> tuple[Event, Event]:
    engine = scene.engine
    created(scene)
    meddled(scene)
    properties = scene.properties(Tags=MORE_TAGS)
    old = {"PhysicalResourceId": engine.physical_id, "OldResourceProperties": engine.properties}
    return engine.message, engine.send("Update", properties, **old)


def _repair_and_delete(scene: Scene) -> tuple[Event, Event]:
    engine = scene.engine
    created(scene)
    meddled(scene)
    delete = engine.send("Delete", engine.properties or {}, PhysicalResourceId=engine.physical_id)
    return engine.message, delete


def _updated(scene: Scene) -> Iterator[Violation]:
    engine, event = scene.engine, scene.engine.events[-1]
    response = scene.here.bucket.puts[event["RequestId"]][0]
    if response["Status"] == "SUCCESS":
        engine.properties = event["ResourceProperties"]
    elif "the registry" in response["Reason"]:  # it was held longer than it waits for the table
        engine.revert(event["ResourceProperties"], engine.properties or {})
    else:
        yield Violation("CloudFormation is content", f"the Update answered {response['Reason']}")


def _one_has_it(scene: Scene) -> Iterator[Violation]:
    for engine in scene.engines:
        _settled(engine)
    if all(engine.physical_id for engine in scene.engines):
        yield Violation("no orphan", "two stacks have the same pair")


DUELS: Final = (
    Duel("Delete during Create", MOST, _create_and_delete, _deleted),
    Duel("Delete during Create, one of them cut", MOST, _create_and_delete, _deleted, cut=True),
    Duel("Delete during Create, which EC2 shows late", MOST, _seen_late, _deleted),
    Duel("Create delivered twice at once", MOST, _twice, _created),
    Duel("replacement delivered twice at once", MOST, _replacement_twice, _replaced),
    Duel("Delete delivered twice at once", MOST, _delete_twice, _gone),
    Duel("two stacks on a pair", MOST, lambda scene: _two_stacks(scene, reverse=False), _one_has_it),
    Duel("two stacks on a pair, reversed", MOST, lambda scene: _two_stacks(scene, reverse=True), _one_has_it),
    Duel("Update during a repair", MOST, _repair_and_update, _updated),
    Duel("Delete during a repair", FOUR[0], _repair_and_delete, _gone),
)
