"""The CloudFormation adapter: crhelper, fenced in this file.

crhelper dispatches the event, keeps the physical id through an exception, and has a timer as a last resort. What it
does badly is replaced: its sender, its ids, its wait before a Delete's answer, its unused clients, its silence.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from threading import RLock
from typing import Any, Final, Protocol

from crhelper import CfnResource

from handler.clock import Deadline
from handler.errors import InternalFailure, NotStabilized, PeeringError
from handler.item import LeaseLost, Superseded
from handler.lifecycle import Lifecycle, Run
from handler.progress import Progress
from handler.registry import NewerItem, Registry, Tenure
from handler.request import Request
from handler.response import Undelivered, deliver, fitted
from handler.telemetry import begin, logger, measure, strike
from handler.values import REFERENCE

MARGIN_SECONDS: Final = 15.0
"""Kept for the answer, at most a quarter of the time: the work ends so long before Lambda's time-out."""

DELIVERY_SECONDS: Final = 7.0
"""Of those, kept from recording the answer: a write that hangs for 5 s leaves time to deliver it."""


class LambdaContext(Protocol):
    """What is used of Lambda's context."""

    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


class PeeringResource(CfnResource):
    """`Custom::VpcPeering`: one response a request, delivered or loudly not.

    A `local` one (`sam local invoke`) tries once to deliver, and returns the response though nobody took it.
    """

    # crhelper makes three clients for its polling unless it believes to run locally; polling is not used.
    _sam_local = property(lambda _self: True, lambda _self, _value: None)

    def __init__(self, lifecycle: Lifecycle, registry: Registry, *, local: bool = False) -> None:
        super().__init__(log_level="INFO", sleep_on_delete=0)
        self._lifecycle = lifecycle
        self._registry = registry
        self._clock = registry.clock
        self._local = local
        self._latch = RLock()
        for register in (self.create, self.update, self.delete):
            register(self._provide)

    def __call__(  # type: ignore[override]  # crhelper returns nothing
        self, event: Mapping[str, Any], context: LambdaContext
    ) -> dict[str, Any]:
        """Serve one event and return the response that CloudFormation took.

        Raises:
            ValidationError: the event is none of CloudFormation's.
            Undelivered: CloudFormation did not take the response; Lambda shall send the event again.

        """
        request = Request.model_validate(event)
        began = self._clock.now()
        self._begin(request, context)
        super().__call__(request.model_dump(by_alias=True, exclude_unset=True), context)
        measure(
            request.request_type,
            self._response["Status"],
            self._clock.now() - began,
            self._progress.changes,
            left_behind=self._progress.left_behind,
            unregistered=self._unregistered,
            undelivered=self._undelivered is not None,
        )
        if self._undelivered and not self._local:
            raise self._undelivered
        return self._response

    def _begin(self, request: Request, context: LambdaContext) -> None:
        """Forget the last request: a sandbox serves many."""
        secrets = [request.response_url, request.response_url.partition("?")[2]]
        for properties in (request.resource_properties, request.old_resource_properties):
            given = [str(properties.get(name, "")) for name in ("ExternalId", "PeerExternalId")]
            secrets += [value for value in given if not re.fullmatch(REFERENCE, value)]
        begin(
            secrets,
            stack_id=request.stack_id,
            logical_id=request.logical_resource_id,
            request_id=request.request_id,
            request_type=request.request_type,
            connection_id=request.connection_id or "",
        )
        seconds = min(context.get_remaining_time_in_millis() / 1000, request.time_left(self._clock.wall()))
        self._whole = Deadline(self._clock, seconds)
        self._deadline = Deadline(self._clock, seconds - min(MARGIN_SECONDS, seconds / 4))
        self._request = request
        self._progress = Progress(request.physical_resource_id or request.deterministic_id)
        self._failure: PeeringError | None = None
        self._tenure = self._registry.tenure(request)
        self._unregistered = self._lost = self._hung = False
        self._response: dict[str, Any] = {}
        self._undelivered: Undelivered | None = Undelivered("no response was sent")

    def _provide(self, _event: Mapping[str, Any], _context: LambdaContext) -> str:
        """Serve the request; crhelper answers SUCCESS with the id returned, or FAILED with the one set before."""
        try:
            self._serve(self._begun_tenure())
            if self._unregistered:
                self._serve_again()
        except PeeringError as failure:
            self._failure = failure
            raise
        except LeaseLost:
            self._lost = True
            raise
        finally:
            self.PhysicalResourceId = self._progress.physical_id
        return self._progress.physical_id

    def _serve(self, tenure: Tenure) -> None:
        if tenure.answer is None:
            self._deadline.guard = tenure.check
            self._lifecycle.serve(self._request, Run(self._deadline, self._progress, tenure))

    def _serve_again(self) -> None:
        """Serve a Delete with the registry after all: meanwhile a Create may have gone on that knows nothing of it."""
        try:
            self._tenure.begin(self._deadline)
        except (Superseded, NotStabilized):
            raise
        except PeeringError as failure:
            logger.warning("the registry still cannot be used", reason=failure.reason)
        else:
            self._unregistered = False
            self._serve(self._tenure)

    def _begun_tenure(self) -> Tenure:
        """Take hold of the resource. A Delete goes on without the registry: the owner tags tell what is ours."""
        try:
            self._tenure.begin(self._deadline)
        except (Superseded, NotStabilized, NewerItem):
            raise
        except PeeringError as failure:
            if self._request.request_type != "Delete":
                raise
            self._unregistered = True
            logger.warning("the registry cannot be used; the owner tags alone tell what is ours", reason=failure.reason)
            alone = self._tenure.alone()
            alone.begin(self._deadline)
            return alone
        return self._tenure

    def _send(self, status: str | None = None, reason: str = "", send_response: object = None) -> None:  # noqa: ARG002  # crhelper's
        """Answer once: the first answer stands, and nothing is changed after it.

        crhelper's timer calls this from its own thread. Whoever comes second waits until the answer is out: Lambda
        freezes the process when the invocation ends.
        """
        with self._latch:
            if self._response:
                return
            self._deadline.cancel()
            # An answer that was given before stands; nothing was done for it now that another could be made of.
            self._response = self._tenure.answer or {}
            if not self._response:
                self._response = fitted(self._compose(status or self.Status, reason or self.Reason))
                try:
                    self._response = self._recorded()
                except LeaseLost:
                    # It answers, or died: then Lambda's next attempt takes its place.
                    self._undelivered = Undelivered("another invocation of the function has this request.")
                    logger.warning(str(self._undelivered))
                    return
            logger.info("response", response=self._response)
            self._undelivered = self._deliver()

    def _recorded(self) -> dict[str, Any]:
        """Record the response before it is delivered, and return the one that the request has: its first.

        Raises:
            LeaseLost: another invocation has the request.

        """
        if self._lost:
            raise LeaseLost
        try:
            recording = self._whole.earlier(min(DELIVERY_SECONDS, self._whole.remaining / 2))
            return self._tenure.finish(self._response, recording, release=not self._hung)
        except PeeringError as failure:
            if self._tenure.ran_out:
                raise LeaseLost from failure
            self._unregistered = True
            logger.error("the response could not be recorded", reason=failure.reason)
            return self._response

    def _deliver(self) -> Undelivered | None:
        try:
            deliver(self._request.response_url, self._response, self._whole, once=self._local)
        except Undelivered as undelivered:
            logger.error(str(undelivered), response=self._response)  # its cause is in its text
            return undelivered
        return None

    @property
    def _timeout(self) -> Callable[[], None]:
        """What crhelper's timer calls just before the time-out: it is bound to the request that it is set for."""
        return partial(self._answer_for_hung, self._request)

    def _answer_for_hung(self, request: Request) -> None:
        """Answer for a call that hung beyond our own deadline, unless the request has its answer already."""
        with self._latch:
            if request is self._request and not self._response:
                self._hung = True
                self._failure = NotStabilized("a call hung until the function's time-out.", "Deploy again.")
                self._send("FAILED")

    def _answered_id(self, status: str) -> str:
        """Return the id of the response; a Delete, and an Update that failed, keep the one that they came with."""
        request_type = self._request.request_type
        kept = request_type == "Delete" or (request_type == "Update" and status == "FAILED")
        return (kept and self._request.physical_resource_id) or self._progress.physical_id

    def _compose(self, status: str, reason: str) -> dict[str, Any]:
        response = {
            "Status": status,
            "PhysicalResourceId": self._answered_id(status),
            "StackId": self._request.stack_id,
            "RequestId": self._request.request_id,
            "LogicalResourceId": self._request.logical_resource_id,
            "NoEcho": False,
        }
        if status == "SUCCESS":
            return {**response, "Data": self._progress.attributes}
        failure = self._failure or InternalFailure(f"{reason}.", "Report this with the function's log.")
        return {**response, "Reason": failure.told(strike(failure.cause), strike(failure.remedy)).reason}
