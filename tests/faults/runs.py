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

from handler.telemetry import logger
from tests.faults.engine import Handler
from tests.faults.fault import KINDS, Fault, applies
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

    def runs(self, start: Start = ours, kinds: tuple[str, ...] = KINDS) -> Iterator[Result]:
        """Yield the results: of the run without a fault first, which tells the calls, and then of each fault."""
        with in_process() as here, captured() as log:
            scene = Scene(here, self.topology, start(here))
            self.path.before(scene)
            static()  # read once for all forks
            baseline = forked(lambda: _baseline(self.path, scene, log))
            yield {"call": None, "fault": None, **baseline}
            for call in (Call(**call) for call in baseline["calls"]):
                for kind in filter(lambda kind: applies(kind, call), kinds):
                    fault = Fault(kind, call, here.time)
                    result = forked(lambda: _faulted(self.path, scene, log, fault, baseline["state"]))  # noqa: B023
                    yield {"call": str(call), "fault": kind, **result}


FOUR = (*TOPOLOGIES[:3], TOPOLOGIES[-1])
"""One account or two, one Region or two; two of both are reached by a role on either side."""

MOST = FOUR[-1]
UNITS = tuple(Unit(path, topology) for path in PATHS for topology in FOUR)


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


def _baseline(path: Path, scene: Scene, log: io.StringIO) -> Result:
    calls: list[Call] = []
    sites: set[str] = set()
    invocations = len(scene.engine.invocations)

    def watch(call: Call, send: Send) -> Any:  # noqa: ANN401  # botocore's
        calls.append(call)
        sites.update(reached(sys._getframe(1)))  # noqa: SLF001  # the way to the caller
        return send()

    scene.engine.armed = watch
    result = _played(path, scene, log)
    assert len(scene.engine.invocations) > invocations
    return {**result, "calls": [call.__dict__ for call in calls], "sites": sorted(sites)}


def _faulted(path: Path, scene: Scene, log: io.StringIO, fault: Fault, expected: str) -> Result:
    scene.engine.armed = fault
    result = _played(path, scene, log, expected)
    return {**result, "struck": fault.struck, "sites": sorted(fault.sites)}


def _played(path: Path, scene: Scene, log: io.StringIO, expected: str = "") -> Result:
    """Play the path to its end, and the life of the resource to its own.

    Where a fault has left no trace, in EC2 and in the registry, that life ends as it does without the fault.
    """
    path.faulted(scene)
    path.after(scene)
    found, state = list(checked(scene, log.getvalue())), scene.state()
    if scene.engine.physical_id and state != expected:
        scene.engine.delete()
        found += checked(scene, log.getvalue())
    found += replayed(scene, log.getvalue())
    return {"violations": [violation.as_json() for violation in dict.fromkeys(found)], "state": state}


def forked(work: Callable[[], Result]) -> Result:
    """Do work in a copy of this process, and return what it returned; what it changed is gone."""
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
        with os.fdopen(writer, "w") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    result = json.loads(told)
    return result if isinstance(result, dict) else {}
