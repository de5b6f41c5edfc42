"""One unit of the campaign: a path in a topology, and a run for every fault at every call of it, each in a fork."""

import contextlib
import gc
import io
import json
import os
import random
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSResponse

from handler.telemetry import logger
from tests.faults.engine import Engine, Handler
from tests.faults.fault import KINDS, LASTING, PASSING, Fault, applies
from tests.faults.inprocess import READS, Call, Hook, InProcess, Send, in_process
from tests.faults.invariants import checked, replayed, succeeded
from tests.faults.paths import ONCE, PATHS, Path
from tests.faults.scene import Scene
from tests.faults.sites import reached, static
from tests.harness import TOPOLOGIES, Topology

Start = Callable[[InProcess], Callable[[Hook], Handler]]
Result = dict[str, Any]
SEED = 20260101


def ours(here: InProcess) -> Callable[[Hook], Handler]:
    """Start processes of our function."""
    return here.start


@dataclass(frozen=True)
class Unit:
    """A path in a topology."""

    path: Path
    topology: Topology

    def __str__(self) -> str:
        return f"{self.path.name} / {self.topology}"

    def runs(self, start: Start = ours, kinds: tuple[str, ...] = KINDS, stride: int = 1) -> Iterator[Result]:
        """Yield the results: of the run without a fault first, and then of each fault at each call, or each nth.

        A run that has no result is a violation as well.
        """
        with in_process() as here, captured() as log:
            scene = Scene(here, self.topology, start(here))
            self.path.before(scene)
            static()  # read once for all forks
            (baseline,) = forked(lambda: self._without_a_fault(scene, log, Trunk(scene, kinds, stride)))
            yield baseline
            results = 0
            for result in forked(lambda: self._with_each(scene, log, kinds, stride, baseline)):
                results += 1
                yield result
            if results != baseline.get("branches"):
                yield lost(f"{results} of {baseline.get('branches')} runs have a result")

    def _without_a_fault(self, scene: Scene, log: io.StringIO, trunk: "Trunk") -> Result:
        trunk.bare = True
        played = self._played(scene, log, trunk)
        return {"call": None, "fault": None, **played, "calls": len(trunk.calls), "branches": trunk.branches}

    def _with_each(
        self, scene: Scene, log: io.StringIO, kinds: tuple[str, ...], stride: int, baseline: Result
    ) -> Result | None:
        trunk = Trunk(scene, kinds, stride)
        result = self._played(scene, log, trunk, baseline.get("trace", ""))
        return trunk.fault and {"call": str(trunk.fault.at), "fault": trunk.fault.kind, **result}

    def _played(self, scene: Scene, log: io.StringIO, trunk: "Trunk", expected: str = "") -> Result:
        """Play the path to its end, and the life of the resource to its own.

        Where a fault has left no trace, in EC2, in the registry and in what CloudFormation was told, what follows is
        what follows without the fault.
        """
        engine = scene.engine
        engine.armed = trunk
        self.path.faulted(scene)
        if trunk.fault:
            excuse(scene, engine, trunk.fault)
        self.path.after(scene)
        found, trace = list(checked(scene, log.getvalue())), scene.trace()
        if trace != expected:
            found += replayed(scene)
            if engine.physical_id:
                engine.delete()
                found += checked(scene, log.getvalue())
                found += replayed(scene)
        if trunk.fault is None or trunk.fault.kind in PASSING:
            found += succeeded(engine)
        violations = [violation.as_json() for violation in dict.fromkeys(found)]
        return {"violations": violations, "trace": trace, "sites": sorted(trunk.sites)}


def excuse(scene: Scene, engine: Engine, fault: Fault) -> None:
    """Take note of what cannot be asked for after a fault, by what it was and where.

    A Delete that cannot reach the accepter's side leaves its routes; a registry that cannot be written does not know
    an answer, unless it has known it before, and one that cannot be read does not tell it.
    """
    faulted = [invocation for invocation in engine.invocations if invocation.faulted][-1]
    event = faulted.event
    if event.get("RequestType") == "Delete":
        peer = scene.ends(event["ResourceProperties"])[1]
        engine.blind = fault.blinds(peer.account, peer.region)
    engine.delayed |= fault.kind in LASTING
    if fault.unread or (fault.unrecords and not faulted.answered):
        engine.unrecorded.add(event.get("RequestId", ""))


def lost(detail: str) -> Result:
    """Return the result of a run that has none."""
    return {"call": None, "fault": None, "violations": [{"invariant": "no run is lost", "detail": detail}]}


class Trunk:
    """An invocation that grows a branch for every fault at every call: a fork that goes on with the fault."""

    def __init__(self, scene: Scene, kinds: tuple[str, ...] = (), stride: int = 1) -> None:
        """Grow none yet."""
        self._time, self._kinds, self._stride = scene.here.time, kinds, stride
        self.bare = False
        """Whether the branches are only counted."""
        self.branches = 0
        self.calls: list[Call] = []
        self.fault: Fault | None = None
        """That of this process, if it is a branch."""
        self.ends = 0.0
        self._sites: set[str] = set()
        self._reads: dict[tuple[str, ...], AWSResponse] = {}

    @property
    def sites(self) -> set[str]:
        """The places of the handler's source that have called."""
        return self._sites | (self.fault.sites if self.fault else set())

    def __call__(self, call: Call, send: Send) -> AWSResponse:
        """Send, in the trunk; in a branch, do as its fault does."""
        if self.fault is None:
            self._sites |= reached(sys._getframe(1))  # noqa: SLF001  # the way to the caller
            if len(self.calls) % self._stride == 0:
                self._branch(call)
            self.calls.append(call)
        if self.fault:
            return self.fault(call, send)
        answer = send()
        if call.operation.startswith(READS):
            self._reads[*call.kind, call.parameters] = answer
        return answer

    def _branch(self, call: Call) -> None:
        for kind in self._kinds:
            if not applies(kind, call) or (kind == "stale read" and (*call.kind, call.parameters) not in self._reads):
                continue
            self.branches += 1
            if self.bare:
                continue
            if branch := os.fork():
                os.waitpid(branch, 0)
            else:
                random.seed(SEED)
                self.fault = Fault(kind, call, self._time, self.ends, reads=self._reads)
                return


FOUR = (*TOPOLOGIES[:3], TOPOLOGIES[-1])
"""One account or two, one Region or two; two of both are reached by a role on either side."""

MOST = FOUR[-1]
UNITS = (
    *(
        Unit(path, topology)
        for path in PATHS
        for topology in FOUR
        if topology == MOST or not (path.once or (path.maintenance and topology != FOUR[0]))
    ),
    *(Unit(path, FOUR[0]) for path in ONCE),
)
"""Maintenance takes the same ways to EC2 as an Update: it is played where they are shortest, and longest."""


@contextlib.contextmanager
def captured() -> Iterator[io.StringIO]:
    """Collect all that the function writes."""
    log = io.StringIO()
    (handler,) = logger.handlers
    stream = handler.stream  # type: ignore[attr-defined]  # a stream handler's
    handler.stream = log  # type: ignore[attr-defined]
    with contextlib.redirect_stdout(log):
        yield log
    handler.stream = stream  # type: ignore[attr-defined]


def forked(work: Callable[[], Result | None]) -> Iterator[Result]:
    """Do work in a copy of this process, and yield what it and its forks returned; what they changed is gone.

    A copy that ends without having returned from its work is a violation; so is one of its forks, which its own
    parent must count.
    """
    reader, writer = os.pipe()
    gc.freeze()  # what is there already is not copied by looking at it
    child = os.fork()
    if child == 0:
        os.close(reader)
        gc.disable()
        random.seed(SEED)  # of the pauses' jitter
        try:
            result = work()
        except BaseException:  # noqa: BLE001  # whatever it is, the parent must know
            result = {"violations": [{"invariant": "the run ends", "detail": traceback.format_exc()}]}
        if result is not None:
            with os.fdopen(writer, "w") as pipe:
                pipe.write(f"{json.dumps(result)}\n")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        yield from map(json.loads, pipe)
    _, status = os.waitpid(child, 0)
    if status:
        yield lost(f"a process has ended with {os.waitstatus_to_exitcode(status)}")
