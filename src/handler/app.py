"""The entry point of the function: everything that outlives an invocation is made here, once."""

import os
from collections.abc import Mapping
from typing import Any

import botocore.session

from handler.cfn import LambdaContext, PeeringResource
from handler.clock import Clock
from handler.lifecycle import Lifecycle
from handler.registry import DynamoStore, MemoryStore, Registry
from handler.sessions import Sessions

session = botocore.session.get_session()
table = os.environ.get("REGISTRY_TABLE")
resource = PeeringResource(
    Lifecycle(Sessions(session), managed_by=os.environ.get("MANAGED_BY", "vpc-peering")),
    Registry(DynamoStore(session, table) if table else MemoryStore(), Clock()),
    local=bool(os.environ.get("AWS_SAM_LOCAL")),
)


def lambda_handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve an event of CloudFormation; the response is returned as well, for a person who invokes it."""
    return resource(event, context)
