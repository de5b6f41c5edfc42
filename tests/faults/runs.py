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
from tests.faults.engine import Handler
from tests.faults.fault import KINDS, READS, Fault, applies
from tests.faults.inprocess import Call, Hook, InProcess, Send, in_process
from tests.faults.invariants import checked, replayed
from tests.faults.paths import PATHS, Path
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
        """Yield the results: of the run without a fault first, and then of each fault at each call, or each nth."""
        with in_process() as here, captured() as log:
            scene = Scene(here, self.topology, start(here))
            self.path.before(scene)
            static()  # read once for all forks
            (baseline,) = forked(lambda: self._without_a_fault(scene, log))
            yield baseline
            yield from forked(lambda: self._with_each(scene, log, Trunk(scene, kinds, stride), baseline["state"]))

    def _without_a_fault(self, scene: Scene, log: io.StringIO) -> Result:
        trunk = Trunk(scene)
        return {"call": None, "fault": None, **self._played(scene, log, trunk), "calls": len(trunk.calls)}

    def _with_each(self, scene: Scene, log: io.StringIO, trunk: "Trunk", expected: str) -> Result | None:
        result = self._played(scene, log, trunk, expected)
        return trunk.fault and {"call": str(trunk.fault.at), "fault": trunk.fault.kind, **result}

    def _played(self, scene: Scene, log: io.StringIO, trunk: "Trunk", expected: str = "") -> Result:
        """Play the path to its end, and the life of the resource to its own.

        Where a fault has left no trace, in EC2 and in the registry, that life ends as it does without the fault.
        """
        scene.engine.armed = trunk
        self.path.faulted(scene)
        self.path.after(scene)
        found, state = list(checked(scene, log.getvalue())), scene.state()
        if scene.engine.physical_id and state != expected:
            scene.engine.delete()
            found += checked(scene, log.getvalue())
        found += replayed(scene, log.getvalue())
        violations = [violation.as_json() for violation in dict.fromkeys(found)]
        return {"violations": violations, "state": state, "sites": sorted(trunk.sites)}


class Trunk:
    """An invocation that grows a branch for every fault at every call: a fork that goes on with the fault."""

    def __init__(self, scene: Scene, kinds: tuple[str, ...] = (), stride: int = 1) -> None:
        """Grow none yet."""
        self._time, self._kinds, self._stride = scene.here.time, kinds, stride
        self.calls: list[Call] = []
        self.fault: Fault | None = None
        """That of this process, if it is a branch."""
        self.ends = 0.0
        self._sites: set[str] = set()
        self._reads: dict[str, AWSResponse] = {}

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
            self._reads[call.parameters] = answer
        return answer

    def _branch(self, call: Call) -> None:
        for kind in self._kinds:
            if applies(kind, call) and (branch := os.fork()):
                os.waitpid(branch, 0)
            elif applies(kind, call):
                random.seed(SEED)
                self.fault = Fault(kind, call, self._time, self.ends, reads=self._reads)
                return


FOUR = (*TOPOLOGIES[:3], TOPOLOGIES[-1])
"""One account or two, one Region or two; two of both are reached by a role on either side."""

MOST = FOUR[-1]
UNITS = tuple(
    Unit(path, topology)
    for path in PATHS
    for topology in FOUR
    if topology == MOST or not (path.once or (path.maintenance and topology != FOUR[0]))
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
    """Do work in a copy of this process, and yield what it and its forks returned; what they changed is gone."""
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
    os.waitpid(child, 0)
