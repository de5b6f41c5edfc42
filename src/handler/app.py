"""The entry point of the function: everything that outlives an invocation is made here, once."""

import os
from collections.abc import Mapping
from typing import Any

import botocore.session

from handler.cfn import MARGIN_SECONDS, LambdaContext, PeeringResource
from handler.clock import Clock, Deadline
from handler.lifecycle import Lifecycle
from handler.maintenance import Maintenance
from handler.model import Guard, Mode
from handler.operate import Operator
from handler.outbox import Outbox
from handler.registry import DynamoStore, MemoryStore, Registry
from handler.sessions import Sessions

clock = Clock()
session = botocore.session.get_session()
table = os.environ.get("REGISTRY_TABLE")
mode = Mode(os.environ.get("MAINTENANCE_MODE", Mode.OFF))
guard = Guard(
    peer_accounts=tuple(os.environ.get("ALLOWED_PEER_ACCOUNTS", "*").split(",")),
    organization=os.environ.get("ORGANIZATION_ID", ""),
    role_pattern=os.environ.get("PEER_ROLE_NAME_PATTERN", "*"),
    opt_in=os.environ.get("REQUIRE_OPT_IN") == "true",
)
registry = Registry(DynamoStore(session, table) if table else MemoryStore(), clock)
maintained = table is not None and mode is not Mode.OFF
managed_by = os.environ.get("MANAGED_BY", "vpc-peering")
lifecycle = Lifecycle(Sessions(session), managed_by, guard, maintained=maintained)
resource = PeeringResource(lifecycle, registry, local=bool(os.environ.get("AWS_SAM_LOCAL")))
outbox = Outbox(session, os.environ.get("MAINTENANCE_QUEUE_URL", ""), os.environ.get("FINDINGS_TOPIC_ARN", ""))
maintenance = Maintenance(lifecycle, registry, outbox, mode)
operator = Operator(maintenance)


def lambda_handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve an event of CloudFormation, of the queue of maintenance, of EC2, or of an operator.

    The response to CloudFormation is returned as well, for a person who invokes the function.
    """
    deadline = Deadline(clock, context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS)
    match event:
        case {"Action": _}:
            return operator(event, context.invoked_function_arn, deadline)
        case {"Records": _}:
            answer: dict[str, Any] = maintenance.work(event, context, deadline)
            return answer
        case {"detail-type": _, "detail": _}:
            return {"Resources": maintenance.wake(event, deadline)}
        case _:
            return resource(event, context)
