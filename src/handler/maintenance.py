"""Maintenance: keeps each resource as its stack asked for it last, for as long as the stack lives.

A look needs no hold on the resource and shares its reads with others; only what is to be repaired takes the lease, is
looked at anew, and gives way to any request of CloudFormation.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from handler.calls import MARK
from handler.changes import Change
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
from handler.upkeep import Finding, Kind, findings, of_failure, repaired
from handler.wake import names, ours, woken

SECONDS: Final = 120.0
"""The most for one resource: the next sweep goes on with what is left."""


REPAIRABLE: Final = {Kind.DRIFT, Kind.BLACKHOLE}


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
        return self.outbox.enqueue(entries, str(detail.get("eventName")), self.registry.clock.wall(), deadline)

    def work(self, event: Mapping[str, Any], context: Any, deadline: Deadline) -> dict[str, Any]:  # noqa: ANN401
        """Look at the resources of some messages together; what fails unforeseen is left in the queue.

        Raises:
            BatchProcessingError: none could be served.

        """
        keys = [_key(json.loads(record["body"])) for record in event["Records"]]
        reads = Reads(self._vpc_ids(keys, deadline))
        counts: Counter[str] = Counter()

        def look(record: SQSRecord) -> None:
            found = self.keep(_key(record.json_body), None, deadline, reads)
            counts.update(counted(found) if found is not None else {})

        processor = SqsFifoPartialProcessor(skip_group_on_error=True)
        answer = process_partial_response(dict(event), look, processor, context)
        measure_upkeep(counts)
        return dict(answer)

    def _vpc_ids(self, keys: Iterable[Key], deadline: Deadline) -> set[str]:
        """Return the VPCs of some resources, so that they can be read together."""
        known: set[str] = set()
        for key in keys:
            tenure = self.registry.resting(key, deadline)
            known |= set(tenure.vpc_ids(tenure.claim.request.connection_id).values()) if tenure else set()
        return known - {""}

    def keep(self, key: Key, mode: Mode | None, deadline: Deadline, reads: Reads | None = None) -> list[Finding] | None:
        """Look at one resource, and repair it where the mode says so; None where there is nothing to be kept now.

        Without a mode, that of the resource counts, or else that of the installation.

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
        part, before = deadline.within(SECONDS), tenure.findings
        found = self._kept(tenure, asked, reads, part)
        for finding in found or ():
            logger.warning(
                "finding", finding=finding.kind, side=finding.side or "both", text=finding.text, done=finding.done
            )
        if found and _texts(found) != before:
            self.outbox.tell(key, found, part)
        return found

    def _kept(self, tenure: Tenure, mode: Mode, reads: Reads | None, deadline: Deadline) -> list[Finding] | None:
        run = Run(deadline, _progress(tenure), tenure, upkeep=True, reads=reads)
        found = self._looked(tenure, run)
        if mode is Mode.REPAIR and any(finding.kind in REPAIRABLE for finding in found):
            return self._repair(tenure, found, deadline)
        if found and not self._rests_still(tenure, deadline):
            return None
        tenure.note(_texts(found), deadline)
        return found

    def _looked(self, tenure: Tenure, run: Run) -> list[Finding]:
        try:
            desired, outcome = self.lifecycle.upkeep(tenure.claim.request, run, repair=False)
        except PeeringError as failure:
            return [of_failure(failure)]
        return [*findings(desired, outcome.observed, outcome.plan)]

    def _rests_still(self, tenure: Tenure, deadline: Deadline) -> bool:
        """Tell whether nothing has happened to a resource since it was looked at: else what was found may be untrue."""
        now = self.registry.resting((tenure.claim.request.stack_id, tenure.claim.request.logical_resource_id), deadline)
        return now is not None and now.revision == tenure.revision

    def _repair(self, tenure: Tenure, seen: list[Finding], deadline: Deadline) -> list[Finding] | None:
        """Look again with the resource held, and repair; None where a request of CloudFormation has come.

        What a failure leaves is what was `seen` before, less what had been repaired by then.
        """
        try:
            tenure.watch(deadline)
        except Superseded:
            return None
        part = deadline.within(SECONDS)
        part.guard = tenure.check
        progress = _progress(tenure)
        found: list[Finding] = []
        try:
            desired, outcome = self.lifecycle.upkeep(
                tenure.claim.request, Run(part, progress, tenure, upkeep=True), repair=True
            )
            found = _done(desired, outcome, progress.changes)
        except (Superseded, LeaseLost):
            return None
        except PeeringError as failure:
            found = [*repaired(seen, progress.changes, Observed(None, None)), of_failure(failure)]
        finally:
            tenure.leave(_texts(found), deadline)
        return found


def _done(desired: Desired, outcome: Outcome, changes: list[Change]) -> list[Finding]:
    found = [*findings(desired, outcome.observed, outcome.plan)]
    return repaired(found, changes, outcome.observed)


def _progress(tenure: Tenure) -> Progress:
    return Progress(tenure.claim.request.physical_resource_id or "")


def _key(body: Mapping[str, str]) -> Key:
    return body["StackId"], body["LogicalResourceId"]


def _texts(found: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(finding.text for finding in found)


def counted(found: Collection[Finding]) -> dict[str, int]:
    """Return the metrics of one resource."""
    of = Counter(finding.kind for finding in found)
    return {
        "Checked": 1,
        "DriftedResources": bool(found),
        "RoutesRepaired": sum(finding.done and finding.kind in REPAIRABLE and bool(finding.side) for finding in found),
        "Blackholes": of[Kind.BLACKHOLE],
        "Conflicts": of[Kind.CONFLICT],
        "UnreachableRoles": of[Kind.ROLE],
        "ConnectionsGone": of[Kind.CONNECTION],
        "Unrepaired": sum(not finding.done for finding in found),
    }
