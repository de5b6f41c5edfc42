"""The entry point of the function: everything that outlives an invocation is made here, once."""

import os
from collections.abc import Mapping
from typing import Any

import botocore.session

from handler.cfn import LambdaContext, PeeringResource
from handler.lifecycle import Lifecycle
from handler.registry import MemoryRegistry
from handler.sessions import Sessions

resource = PeeringResource(
    Lifecycle(
        sessions=Sessions(botocore.session.get_session()),
        registry=MemoryRegistry(),
        managed_by=os.environ.get("MANAGED_BY", "vpc-peering"),
    ),
    local=bool(os.environ.get("AWS_SAM_LOCAL")),
)


def lambda_handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve an event of CloudFormation; the response is returned as well, for a person who invokes it."""
    return resource(event, context)
