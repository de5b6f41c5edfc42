"""What people ask the function directly: which resources there are, how one is, and what a change would do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_pascal

from handler.changes import ReplaceRoute, RouteChange
from handler.clock import Deadline
from handler.errors import InvalidRequest, PeeringError
from handler.item import Claim
from handler.lifecycle import Run
from handler.maintenance import Maintenance
from handler.model import Mode
from handler.plan import Plan as ChangePlan
from handler.progress import Progress
from handler.registry import Key, MemoryStore, Tenure
from handler.request import Request
from handler.telemetry import begin

PAGE: Final = 2000
"""Resources of one answer: Lambda takes 6 MB, and each may have a kilobyte and more."""

NOBODY: Final = "arn:{}:cloudformation:{}:{}:stack/plan/0"
UNKNOWN: Final = "There is no such resource, or a request of its stack is under way or has failed."
IDS: Final = ("VpcId", "PeerVpcId", "VpcPeeringConnectionId")
REPLACEMENT: Final = "This is a replacement: another connection takes the place of {}."
REMOVAL: Final = "Once the stack is complete, CloudFormation has {} deleted:"
FORGOTTEN: Final = "Maintenance leaves it alone from now on. Its connection and its routes stay as they are."


class _Asked(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, frozen=True, extra="forbid", hide_input_in_errors=True)


class Sweep(_Asked):
    """Have every resource looked at: what the schedule asks."""

    action: Literal["Sweep"]


class After(_Asked):
    """The last resource of a page."""

    stack_id: str
    logical_resource_id: str


class List(_Asked):
    """Tell which resources there are, a page at a time: those `After` the last one of the page before."""

    action: Literal["List"]
    after: After | None = None


class Look(_Asked):
    """Tell how a resource is (`Check`), mend it (`Repair`), or leave it alone from now on (`Forget`)."""

    action: Literal["Check", "Repair", "Forget"]
    stack_id: str
    logical_resource_id: str


class Plan(_Asked):
    """Tell what a Create, or an Update, would change."""

    action: Literal["Plan"]
    resource_properties: dict[str, Any]
    old_resource_properties: dict[str, Any] | None = None
    physical_resource_id: str | None = None
    stack_id: str | None = None
    logical_resource_id: str = "Peering"


Asked = Annotated[Sweep | List | Look | Plan, Field(discriminator="action")]
ASKED: Final = TypeAdapter[Asked](Asked, config=ConfigDict(hide_input_in_errors=True))
"""What is asked may hold external ids, and Lambda logs the error of an event that is none of these."""


@dataclass(frozen=True)
class Operator:
    """Answers operator events; needs the right to invoke the function, and no ResponseURL."""

    maintenance: Maintenance

    def __call__(self, event: Mapping[str, Any], function_arn: str, deadline: Deadline) -> dict[str, Any]:
        """Answer an event, also where it fails: whoever asks is there to read it. Nobody reads what a sweep answers.

        Raises:
            ValidationError: the event is none of these.
            PeeringError: a sweep has failed.

        """
        asked = ASKED.validate_python(event)
        if isinstance(asked, Sweep):
            return {"Resources": self.maintenance.sweep(deadline)}
        try:
            match asked:
                case List():
                    return self._list(asked.after, deadline)
                case Look():
                    return self._look(asked, deadline)
                case Plan():
                    return self._plan(asked, function_arn, deadline)
        except PeeringError as failure:
            return {"Failure": str(failure), "Text": str(failure)}

    def _list(self, after: After | None, deadline: Deadline) -> dict[str, Any]:
        known = (after.stack_id, after.logical_resource_id) if after else ("", "")
        listed = (entry for entry in self.maintenance.registry.store.entries(deadline) if entry.key > known)
        ordered = sorted(listed, key=lambda entry: entry.key)
        resources = [
            {
                "StackId": entry.key[0],
                "LogicalResourceId": entry.key[1],
                "Place": entry.places[0],
                "Connections": sorted(name for name in entry.names if name.startswith("pcx-")),
                "Vpcs": sorted(name for name in entry.names if name.startswith("vpc-")),
            }
            for entry in ordered[:PAGE]
        ]
        lines = [f"{r['StackId']} {r['LogicalResourceId']} {' '.join(r['Connections'])}" for r in resources]
        more = None
        if len(ordered) > PAGE:
            more = {name: resources[-1][name] for name in ("StackId", "LogicalResourceId")}
        return {"Resources": resources, "After": more, "Text": "\n".join(lines) or "There is no resource."}

    def _look(self, asked: Look, deadline: Deadline) -> dict[str, Any]:
        key = (asked.stack_id, asked.logical_resource_id)
        if asked.action == "Forget":
            forgotten = self.maintenance.registry.abandon(key, deadline)
            return {"Forgotten": forgotten, "Text": FORGOTTEN if forgotten else UNKNOWN}
        mode = Mode.REPAIR if asked.action == "Repair" else Mode.REPORT
        found = self.maintenance.keep(key, mode, deadline, attributes=True)
        if found is None:
            return {"Findings": None, "Text": UNKNOWN}
        text = "\n".join(map(str, found)) or "All is as the stack asks for it."
        findings = [{"kind": f.kind, "side": f.side, "text": f.text, "done": f.done} for f in found]
        return {"Findings": findings, "Text": text}

    def _plan(self, asked: Plan, function_arn: str, deadline: Deadline) -> dict[str, Any]:
        request, tenure = self._request(asked, function_arn, deadline)
        given = (request.resource_properties, request.old_resource_properties)
        secrets = [str(each.get(name, "")) for each in given for name in ("ExternalId", "PeerExternalId")]
        begin(secrets, stack_id=request.stack_id, logical_id=request.logical_resource_id)
        run = Run(deadline, Progress(""), tenure)
        plan = self.maintenance.lifecycle.planned(request, run).plan
        stays = plan.connection is not None and plan.connection.connection_id == request.connection_id
        replaced = None if stays else request.connection_id
        removal = self._removal(request, plan, run) if replaced else []
        changes, refusals = [str(each) for each in plan.changes], [str(each) for each in plan.refusals]
        lines = [*(f"refused: {each}" for each in refusals), *changes]
        if replaced:
            lines = [REPLACEMENT.format(replaced), *lines, REMOVAL.format(replaced), *removal]
        return {
            "Changes": changes,
            "Counts": plan.counts,
            "Refusals": refusals,
            "Skipped": [str(route) for route in plan.skipped],
            "Replaces": replaced,
            "Removal": removal,
            "Text": "\n".join(lines) or "Nothing would change.",
        }

    def _request(self, asked: Plan, function_arn: str, deadline: Deadline) -> tuple[Request, Tenure]:
        """Return the request that CloudFormation would send, and what is known of the resource.

        Raises:
            InvalidRequest: it is an Update, and nobody knows of which resource.

        """
        old, token = asked.old_resource_properties, asked.resource_properties.get("ServiceToken")
        if not isinstance(token, str) or not token.startswith("arn:"):  # a function of the template
            token = function_arn
        _, partition, _, region, account, *_ = token.split(":")
        registry = self.maintenance.registry
        key = (asked.stack_id or NOBODY.format(partition, region, account), asked.logical_resource_id)
        if old is not None and asked.stack_id is None:
            key = self._of_pair(old, deadline)
        known = registry.resting(key, deadline)
        connection_id = known.claim.request.physical_resource_id if known else None
        request = Request.model_construct(
            request_type="Create" if old is None else "Update",
            service_token=token,
            stack_id=key[0],
            response_url="",
            request_id="plan",
            logical_resource_id=key[1],
            physical_resource_id=asked.physical_resource_id or connection_id,
            resource_properties={**asked.resource_properties, "ServiceToken": token},
            old_resource_properties=old or {},
        )
        claim = Claim(request, "plan")
        return request, replace(known, claim=claim) if known else Tenure(MemoryStore(), registry.clock, claim)

    def _of_pair(self, properties: Mapping[str, Any], deadline: Deadline) -> Key:
        """Return the only resource of the VPCs, or of the connection, that properties name."""
        named = {str(properties[name]) for name in IDS if properties.get(name)}
        entries = self.maintenance.registry.store.entries(deadline)
        found = [entry.key for entry in entries if named and named <= entry.names]
        if len(found) != 1:
            raise InvalidRequest(
                f"{len(found)} resources are known that have the VPCs of OldResourceProperties.",
                "Give StackId and LogicalResourceId, and PhysicalResourceId where maintenance does not know it.",
            )
        return found[0]

    def _removal(self, request: Request, plan: ChangePlan, run: Run) -> list[str]:
        """Return what the clean-up after a replacement deletes: not the routes that have moved by then."""
        old = {"request_type": "Delete", "resource_properties": request.old_resource_properties}
        gone = self.maintenance.lifecycle.planned(request.model_copy(update=old), run).plan
        moved = {change.route for change in plan.changes if isinstance(change, ReplaceRoute)}
        return [str(each) for each in gone.changes if not (isinstance(each, RouteChange) and each.route in moved)]
