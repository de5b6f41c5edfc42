"""The entry point of the function: everything that outlives an invocation is made here, once."""

import os
from collections.abc import Mapping
from typing import Any

import botocore.session

from handler.cfn import LambdaContext, PeeringResource
from handler.clock import Clock
from handler.function import Function
from handler.lifecycle import Lifecycle
from handler.maintenance import Maintenance
from handler.model import Guard, Mode
from handler.outbox import Outbox
from handler.registry import DynamoStore, MemoryStore, Registry
from handler.sessions import Sessions

clock = Clock()
session = botocore.session.get_session()
table = os.environ.get("REGISTRY_TABLE")
mode = Mode(os.environ.get("MAINTENANCE_MODE", Mode.OFF))
guard = Guard(
    vpc_ids=tuple(os.environ.get("VPC_IDS", "*").split(",")),
    peer_accounts=tuple(os.environ.get("ALLOWED_PEER_ACCOUNTS", "*").split(",")),
    organization=os.environ.get("ORGANIZATION_ID", ""),
    role_pattern=os.environ.get("PEER_ROLE_NAME_PATTERN", "*"),
    opt_in=os.environ.get("REQUIRE_OPT_IN") == "true",
)
registry = Registry(DynamoStore(session, table) if table else MemoryStore(), clock)
managed_by = os.environ.get("MANAGED_BY", "vpc-peering")
lifecycle = Lifecycle(Sessions(session), managed_by, guard, maintained=table is not None)
resource = PeeringResource(lifecycle, registry, local=bool(os.environ.get("AWS_SAM_LOCAL")))
outbox = Outbox(session, os.environ.get("MAINTENANCE_QUEUE_URL", ""), os.environ.get("FINDINGS_TOPIC_ARN", ""))
function = Function(resource, Maintenance(lifecycle, registry, outbox, mode))


def lambda_handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve one event."""
    return function(event, context)
