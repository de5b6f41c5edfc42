"""The entry point of the function: everything that outlives an invocation is made here, once."""

import os
from collections.abc import Mapping
from typing import Any

import botocore.session

from handler.cfn import LambdaContext, PeeringResource
from handler.clock import Clock
from handler.lifecycle import Lifecycle
from handler.model import Guard
from handler.registry import DynamoStore, MemoryStore, Registry
from handler.sessions import Sessions

session = botocore.session.get_session()
table = os.environ.get("REGISTRY_TABLE")
guard = Guard(
    peer_accounts=tuple(os.environ.get("ALLOWED_PEER_ACCOUNTS", "*").split(",")),
    organization=os.environ.get("ORGANIZATION_ID", ""),
    role_pattern=os.environ.get("PEER_ROLE_NAME_PATTERN", "*"),
    opt_in=os.environ.get("REQUIRE_OPT_IN") == "true",
)
resource = PeeringResource(
    Lifecycle(Sessions(session), os.environ.get("MANAGED_BY", "vpc-peering"), guard),
    Registry(DynamoStore(session, table) if table else MemoryStore(), Clock()),
    local=bool(os.environ.get("AWS_SAM_LOCAL")),
)


def lambda_handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve an event of CloudFormation; the response is returned as well, for a person who invokes it."""
    return resource(event, context)
