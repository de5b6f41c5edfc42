"""What CloudFormation does after a custom resource has failed, and MiniStack does not.

- A failed Create is followed by a Delete, with the id of the FAILED response, or with an invented one.
- So are the other Creates that are under way, once they have ended.
- A rollback sends Update with the id that the resource has by now; when the answer carries another id, the one that
  was sent is deleted.
- A stack whose template says `Metadata: {RollbackOfReplacement: Update}` rolls a successful replacement back that way
  too; without it, as MiniStack does, by a Delete of the new id alone. Both occur.
"""

# ruff: noqa: SLF001 - MiniStack has no public seams
import secrets
from collections.abc import Callable
from typing import Any

from ministack.core.concurrency import run_reentrant
from ministack.services.cloudformation import _stacks, handlers, stacks

from local.cloudformation.custom_resource import Event, ResourceFailedError, is_custom, made_in_vain

Record = dict[str, Any]


class Rollbacks:
    """Remembers the ids that failures leave behind, and has the rollback see to them."""

    def __init__(self) -> None:
        self._moved: dict[tuple[str, str], str] = {}
        self._roll_back = stacks._roll_back_operation
        self._revert = stacks._revert_update

    def install(self, finish: Callable[[str, str], list[str]]) -> None:
        """Take the place of MiniStack's two functions; `finish` is `SideBySide.finish`."""
        self._finish = finish
        stacks._revert_update = self.revert
        stacks._roll_back_operation = handlers._roll_back_operation = self.roll_back

    def failed(self, stack_name: str, event: Event, failure: ResourceFailedError) -> None:
        """Remember the id that the rollback has to go on with."""
        stack_id, logical_id = event["StackId"], event["LogicalResourceId"]
        if event["RequestType"] == "Create":
            invented = f"{stack_name}-{logical_id}-{secrets.token_hex(6).upper()}"
            made = made_in_vain(event["ResourceType"], failure.physical_id or invented, event["ResourceProperties"])
            _stacks[stack_name]["_resources"][logical_id] = {**made, "LogicalResourceId": logical_id}
        elif event["RequestType"] == "Update" and failure.physical_id:
            self._moved[stack_id, logical_id] = failure.physical_id

    async def roll_back(
        self, stack_name: str, stack_id: str, stack: Record, operation: Record, reason_override: str = ""
    ) -> None:
        """Roll back with the Delete of a failed Create, and with Updates instead of Deletes where the stack asks."""
        failed = operation["failed_logical_id"]
        if failed in stack["_resources"] and operation["failed_update"] is None:
            operation["created"].append(failed)
        operation["created"] += await run_reentrant(self._finish, stack_name, stack_id)
        if operation["template"].get("Metadata", {}).get("RollbackOfReplacement") == "Update":
            self._revert_replacements(stack_id, stack["_resources"], operation)
        await self._roll_back(stack_name, stack_id, stack, operation, reason_override)

    def _revert_replacements(self, stack_id: str, resources: dict[str, Record], operation: Record) -> None:
        previous = operation["previous_stack"]["_resources"]
        for logical_id in filter(lambda name: is_custom(resources[name]["ResourceType"]), operation["replaced_ids"]):
            self._moved[stack_id, logical_id] = resources[logical_id]["PhysicalResourceId"]
            resources[logical_id]["PhysicalResourceId"] = previous[logical_id]["PhysicalResourceId"]
        operation["replaced_ids"] = [name for name in operation["replaced_ids"] if (stack_id, name) not in self._moved]

    async def revert(  # noqa: PLR0913, PLR0917 - the signature is MiniStack's
        self,
        stack_id: str,
        stack_name: str,
        logical_id: str,
        resource_type: str,
        physical_id: str,
        applied: Record,
        previous: Record,
        attributes: Record,
        record: Record | None = None,
    ) -> None:
        """Send Update with old and new properties swapped, then Delete what that Update moved away from."""
        sent = self._moved.pop((stack_id, logical_id), physical_id)
        record = {} if record is None else record
        record["PhysicalResourceId"] = sent
        resource = (stack_id, stack_name, logical_id, resource_type)
        await self._revert(*resource, sent, applied, previous, attributes, record)
        if record["PhysicalResourceId"] != sent and is_custom(resource_type):
            await _clean_up(resource, sent, applied)


async def _clean_up(resource: tuple[str, str, str, str], physical_id: str, properties: Record) -> None:
    """Delete one physical resource; a failure is an event of the stack and no failure of the rollback."""
    _, stack_name, logical_id, resource_type = resource
    stacks._add_event(*resource, "DELETE_IN_PROGRESS", physical_id=physical_id)
    try:
        await run_reentrant(stacks._delete_resource, resource_type, physical_id, properties, stack_name, logical_id)
    except ResourceFailedError as failure:
        stacks._add_event(*resource, "DELETE_FAILED", str(failure), physical_id)
    else:
        stacks._add_event(*resource, "DELETE_COMPLETE", physical_id=physical_id)
