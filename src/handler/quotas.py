"""The only calls to Service Quotas: how many routes a table, and how many peerings a VPC, may have."""

from typing import Any, Final

from handler.calls import Place, call
from handler.clock import Deadline
from handler.errors import PeeringError
from handler.model import Quota
from handler.telemetry import logger

WITHIN: Final = 5.0
"""Seconds that an answer may take: without one, EC2 itself refuses what is too much."""


def applied(client: Any, quota: Quota, place: Place, deadline: Deadline) -> int | None:  # noqa: ANN401  # a botocore client
    """Return the quota that holds in an account and Region, or None where it is not told.

    Service Quotas answers NoSuchResourceException for a quota that nobody has raised; then its default holds.
    """
    patience = deadline.within(WITHIN)
    for operation in ("get_service_quota", "get_aws_default_service_quota"):
        try:
            answer = call(client, operation, place, patience, ServiceCode="vpc", QuotaCode=quota.value)
        except PeeringError as failure:
            if failure.ec2_code != "nosuchresourceexception":
                logger.info("a quota could not be read", quota=quota.name, reason=failure.reason)
                return None
        else:
            return int(answer["Quota"]["Value"])
    return None
