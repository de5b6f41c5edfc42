"""The custom resources of a new stack side by side, as CloudFormation makes them; MiniStack waits for each in turn.

With the first one, all are sent whose dependencies are there; in its turn, each finds its response. Updates and
deletions stay one after the other.
"""

# ruff: noqa: SLF001 - MiniStack has no public seams
import contextvars
import copy
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from ministack.services.cloudformation import _stacks, engine, stacks

from local.cloudformation.custom_resource import CustomResources, is_custom, made_in_vain

Record = dict[str, Any]
Created = tuple[str, Record]
AT_ONCE = 64


class SideBySide:
    """Sends the requests of a stack ahead of their turn."""

    def __init__(self, custom_resources: CustomResources) -> None:
        self._invoke = custom_resources.invoke
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._ahead: dict[tuple[str, str], tuple[Record, Future[Created]]] = {}

    def invoke(
        self,
        request_type: str,
        logical_id: str,
        props: Record,
        stack_name: str,
        stack_id: str,
        *more: Any,  # noqa: ANN401
        **named: Any,  # noqa: ANN401
    ) -> Created:
        """Run one request to its end, or wait for the end of what was sent ahead, as `CustomResources.invoke`."""
        if request_type == "Create" and _stacks[stack_name]["StackStatus"] == "CREATE_IN_PROGRESS":
            self._send_ahead(stack_name, stack_id, but=logical_id)
            if (stack_id, logical_id) in self._ahead:
                return self._ahead.pop((stack_id, logical_id))[1].result()
        return self._invoke(request_type, logical_id, props, stack_name, stack_id, *more, **named)

    def finish(self, stack_name: str, stack_id: str) -> list[str]:
        """Wait for those whose turn never came, since another one had failed; make them resources of the stack.

        Returns the logical ids of those that are to be deleted.
        """
        stack = _stacks[stack_name]
        left = [logical_id for sent_by, logical_id in self._ahead if sent_by == stack_id]
        for logical_id in left:
            resource_type = stack["_template"]["Resources"][logical_id]["Type"]
            properties, future = self._ahead.pop((stack_id, logical_id))
            cancelled = ("CREATE_FAILED", "Resource creation cancelled")
            stacks._add_event(stack_id, stack_name, logical_id, resource_type, *cancelled)
            if future.exception() is None:  # else `Rollbacks.failed` has recorded what there is
                made = made_in_vain(resource_type, future.result()[0], properties)
                stack["_resources"][logical_id] = {**made, "LogicalResourceId": logical_id}
        return [logical_id for logical_id in left if logical_id in stack["_resources"]]

    def _send_ahead(self, stack_name: str, stack_id: str, *, but: str) -> None:
        for logical_id, resource_type, props in _creatable(stack_name, stack_id):
            if logical_id != but and (stack_id, logical_id) not in self._ahead:
                create = ("Create", logical_id, props, stack_name, stack_id, resource_type)
                run = partial(contextvars.copy_context().run, partial(self._invoke, *create))
                self._ahead[stack_id, logical_id] = props, self._threads.submit(run)


def _creatable(stack_name: str, stack_id: str) -> Iterator[tuple[str, str, Record]]:
    """Yield the id, the type and the properties of each custom resource that waits for nothing but its turn."""
    stack = _stacks[stack_name]
    template, made = stack["_template"], stack["_resources"]
    known = (stack["_resolved_params"], stack["_conditions"], template.get("Mappings", {}))
    for logical_id in engine._topological_sort(template["Resources"], stack["_conditions"]):
        definition = template["Resources"][logical_id]
        waits = engine._extract_deps(definition, set(template["Resources"])) - made.keys()
        if is_custom(definition["Type"]) and logical_id not in made and not waits:
            raw = copy.deepcopy(definition.get("Properties", {}))
            resolved = engine._resolve_refs(raw, made, *known, stack_name, stack_id)
            props, _ = engine._resolve_dynamic_references(resolved)
            yield logical_id, definition["Type"], props
