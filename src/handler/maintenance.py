"""Maintenance: keeps each resource as its stack asked for it last, for as long as the stack lives.

A look needs no hold on the resource and shares its reads with others; only what is to be repaired takes the lease, is
looked at anew, and gives way to any request of CloudFormation.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    ExceptionInfo,
    FailureResponse,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from handler.calls import MARK
from handler.clock import Deadline
from handler.ec2 import Reads
from handler.errors import PeeringError
from handler.item import LeaseLost, Superseded
from handler.lifecycle import Lifecycle, Run
from handler.model import Desired, Mode, Observed
from handler.outbox import Outbox
from handler.progress import Progress
from handler.reconcile import Outcome
from handler.registry import Key, Registry, Tenure
from handler.telemetry import begin, logger, measure_upkeep
from handler.upkeep import Finding, Kind, digests, findings, of_attributes, of_failure, repaired, unseen
from handler.wake import OF_ATTRIBUTES, names, ours, woken

SECONDS: Final = 120.0
"""The most for a look, and for a repair: the next sweep goes on with what is left."""

TELLING_SECONDS: Final = 30.0
"""Kept to write down and to tell what was found, however long EC2 takes."""

NEEDED_SECONDS: Final = 2 * SECONDS + TELLING_SECONDS
"""What a resource of a batch may need: with less than that left, it waits for the next attempt."""

APART: Final = 10
"""Resources that an event may wake without their standing in line: more would take the rate of a whole place."""

OF_ROUTES: Final = {Kind.DRIFT, Kind.BLACKHOLE}
REPAIRABLE: Final = {*OF_ROUTES, Kind.SETTINGS}


@dataclass(frozen=True)
class Maintenance:
    """Serves what a schedule, EC2's events and the queue ask for."""

    lifecycle: Lifecycle
    registry: Registry
    outbox: Outbox
    mode: Mode

    def sweep(self, deadline: Deadline) -> int:
        """Have every resource looked at; return how many.

        Raises:
            PeeringError: the registry or the queue cannot be used.

        """
        if self.mode is Mode.OFF:
            return 0
        entries = self.registry.store.entries(deadline)
        return self.outbox.enqueue(entries, "sweep", self.registry.clock.wall(), deadline)

    def wake(self, event: Mapping[str, Any], deadline: Deadline) -> int:
        """Have the resources looked at that an event of EC2 is about; return how many.

        Raises:
            PeeringError: the registry or the queue cannot be used.

        """
        detail = event["detail"]
        found = names(detail)
        if self.mode is Mode.OFF or ours(detail, MARK) or not found:
            return 0
        entries = [entry for entry in self.registry.store.entries(deadline) if woken(found, entry.names)]
        now, apart = self.registry.clock.wall(), len(entries) <= APART
        return self.outbox.enqueue(entries, str(detail.get("eventName")), now, deadline, apart=apart)

    def work(self, event: Mapping[str, Any], context: Any, deadline: Deadline) -> dict[str, Any]:  # noqa: ANN401
        """Look at the resources of some messages together; what fails unforeseen is left in the queue.

        The order of messages means nothing, but what is taken and not done holds back its line: so it comes again
        within a minute, as does what slow neighbours have left no time for. A resource of which the registry cannot
        tell is a finding, since the next sweep asks again.

        Raises:
            BatchProcessingError: none could be served.

        """
        keys = [_key(json.loads(record["body"])) for record in event["Records"]]
        reads = Reads(self._vpc_ids(keys, deadline))
        counts: Counter[str] = Counter()

        def look(record: SQSRecord) -> None:
            key, attributes = _key(record.json_body), record.json_body.get("Reason") == OF_ATTRIBUTES
            begin((), stack_id=key[0], logical_id=key[1])
            if deadline.remaining < NEEDED_SECONDS:
                raise _NoTimeLeft
            try:
                found = self.keep(key, None, deadline, reads, attributes=attributes)
            except PeeringError as failure:
                found = [of_failure(failure)]
                _log(found)
            counts.update(counted(found) if found is not None else {})

        batch = _Batch(self.outbox, deadline)
        answer = process_partial_response(dict(event), look, batch, context)
        measure_upkeep(counts)
        return dict(answer)

    def _vpc_ids(self, keys: Iterable[Key], deadline: Deadline) -> set[str]:
        """Return the VPCs of some resources, so that they can be read together."""
        known: set[str] = set()
        for key in keys:
            with suppress(PeeringError):  # whoever looks at the resource is told
                tenure = self.registry.resting(key, deadline)
                known |= set(tenure.vpc_ids(tenure.claim.request.connection_id).values()) if tenure else set()
        return known - {""}

    def keep(
        self,
        key: Key,
        mode: Mode | None,
        deadline: Deadline,
        reads: Reads | None = None,
        *,
        attributes: bool = False,
    ) -> list[Finding] | None:
        """Look at one resource, and repair it where the mode says so; None where there is nothing to be kept now.

        Without a mode, that of the resource counts, or else that of the installation. Whoever asks for a report is
        told by the answer, and nothing is written down: what is found stays for the next sweep to tell. The DNS
        `attributes` of the VPCs are looked at where they may have changed, and for as long as one is found off.

        Raises:
            PeeringError: the registry cannot be used.

        """
        tenure = self.registry.resting(key, deadline)
        if tenure is None:
            return None
        request = tenure.claim.request
        begin((), stack_id=key[0], logical_id=key[1], connection_id=request.physical_resource_id or "")
        asked = mode or Mode(request.resource_properties.get("MaintenanceMode", self.mode))
        if asked is Mode.OFF:
            return None
        before = tenure.findings
        attributes = attributes or of_attributes(before)
        run = Run(_part(deadline), _progress(tenure), tenure, upkeep=True, reads=reads, attributes=attributes)
        found, observed = self._looked(tenure, run)
        kinds = {finding.kind for finding in found}
        if observed and asked is Mode.REPAIR and kinds & REPAIRABLE and Kind.CONNECTION not in kinds:
            return self._repair(run, found, observed, deadline)
        if found and not self._rests_still(tenure, deadline):
            return None
        _log(found)
        # What was found before may still be so where nothing could be seen.
        now = _noted(unseen(before, run.unreached) if observed else before, found)
        if mode is not Mode.REPORT and tenure.note(now, deadline):
            self._tell(tenure, found, before, deadline)
        return found

    def _tell(self, tenure: Tenure, found: list[Finding], before: tuple[str, ...], deadline: Deadline) -> None:
        """Tell people what was found, without what they were told before."""
        if new := [finding for finding, digest in zip(found, digests(found), strict=True) if digest not in before]:
            self.outbox.tell(tenure.key, new, deadline)

    def _looked(self, tenure: Tenure, run: Run) -> tuple[list[Finding], Observed | None]:
        try:
            desired, outcome = self.lifecycle.upkeep(tenure.claim.request, run, repair=False)
        except PeeringError as failure:
            return [of_failure(failure)], None
        return _found(desired, outcome, tenure.findings, run), outcome.observed

    def _rests_still(self, tenure: Tenure, deadline: Deadline) -> bool:
        """Tell whether nothing has happened to a resource since it was looked at: else what was found may be untrue."""
        now = self.registry.resting(tenure.key, deadline)
        return now is not None and now.revision == tenure.revision

    def _repair(self, look: Run, seen: list[Finding], observed: Observed, deadline: Deadline) -> list[Finding] | None:
        """Look again with the resource held, and repair; None where a request of CloudFormation has come.

        What a failure leaves is what was `seen` before, less what had been repaired by then.
        """
        tenure = look.tenure
        before = tenure.findings
        try:
            tenure.watch(deadline)
        except Superseded:
            return None
        part = _part(deadline)
        part.guard = tenure.check
        progress = _progress(tenure)
        run = replace(look, deadline=part, progress=progress, reads=None, unreached={})
        found: list[Finding] = []
        noted = before
        try:
            desired, outcome = self.lifecycle.upkeep(tenure.claim.request, run, repair=True)
            found = repaired(_found(desired, outcome, before, run), progress.changes, outcome.observed)
            found += dict.fromkeys(map(of_failure, progress.refusals))
            noted = _noted(unseen(before, run.unreached), found)
        except (Superseded, LeaseLost):
            return None
        except PeeringError as failure:
            found = repaired(seen, progress.changes, observed)
            found += dict.fromkeys(map(of_failure, (*progress.refusals, failure)))
            noted = _noted(unseen(before, look.unreached), found)
        finally:
            _log(found)
            tenure.leave(noted, deadline)
        self._tell(tenure, found, before, deadline)
        return found


class _NoTimeLeft(Exception):
    """Others of the batch have taken the time that a resource would need."""


class _Batch(BatchProcessor):
    """Messages of the queue, of which those that fail unforeseen, or have no time left, come again soon."""

    def __init__(self, outbox: Outbox, deadline: Deadline) -> None:
        super().__init__(EventType.SQS)
        self._outbox = outbox
        self._deadline = deadline

    def failure_handler(self, record: dict[str, Any], exception: ExceptionInfo) -> FailureResponse:
        """Tell of a message that failed."""
        if isinstance(exception[1], _NoTimeLeft):
            logger.warning("no time is left for a resource: the next attempt looks at it")
        else:
            logger.error("a resource could not be looked at", exc_info=exception[1])
        self._outbox.again(record["receiptHandle"], self._deadline)
        return super().failure_handler(record, exception)


def _found(desired: Desired, outcome: Outcome, known: tuple[str, ...], run: Run) -> list[Finding]:
    seen = findings(desired, outcome.observed, outcome.plan, known)
    return [*seen, *map(of_failure, run.unreached.values())]


def _noted(still: tuple[str, ...], found: Iterable[Finding]) -> tuple[str, ...]:
    """Return the digests of what was found, beside those that may `still` be so."""
    return tuple(dict.fromkeys((*still, *digests(found))))


def _progress(tenure: Tenure) -> Progress:
    return Progress(tenure.claim.request.physical_resource_id or "")


def _key(body: Mapping[str, str]) -> Key:
    return body["StackId"], body["LogicalResourceId"]


def _part(deadline: Deadline) -> Deadline:
    return deadline.earlier(TELLING_SECONDS).within(SECONDS)


def _log(found: Iterable[Finding]) -> None:
    for finding in found:
        logger.warning(
            "finding", finding=finding.kind, side=finding.side or "both", text=finding.text, done=finding.done
        )


def counted(found: Collection[Finding]) -> dict[str, int]:
    """Return the metrics of one resource."""
    of = Counter(finding.kind for finding in found)
    return {
        "Checked": 1,
        "DriftedResources": bool(found),
        "RoutesRepaired": sum(finding.done and finding.kind in OF_ROUTES for finding in found),
        "Blackholes": of[Kind.BLACKHOLE],
        "Conflicts": of[Kind.CONFLICT],
        "UnreachableRoles": of[Kind.ROLE],
        "ConnectionsGone": of[Kind.CONNECTION],
        "Unrepaired": sum(not finding.done for finding in found),
    }
