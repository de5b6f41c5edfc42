"""EC2's request throttling: one token bucket for each API, account and Region."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class Rate(NamedTuple):
    """Size of a bucket, in tokens, and its refill in tokens per second."""

    size: float
    refill: float


DESCRIBE = Rate(100, 20)
TAGS = Rate(100, 10)
WRITE = Rate(50, 5)
WRITES = {
    "CreateRoute",
    "ReplaceRoute",
    "DeleteRoute",
    "ModifyVpcPeeringConnectionOptions",
    "CreateVpcPeeringConnection",
    "AcceptVpcPeeringConnection",
    "DeleteVpcPeeringConnection",
    "RejectVpcPeeringConnection",
}


def rate_of(operation: str) -> Rate | None:
    """EC2's documented rate; None: not known, never throttled here."""
    if operation.startswith("Describe"):
        return DESCRIBE
    if operation in {"CreateTags", "DeleteTags"}:
        return TAGS
    return WRITE if operation in WRITES else None


@dataclass
class _Bucket:
    tokens: float
    filled: float


class Throttle:
    """All buckets; full at the start."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}

    def admits(self, operation: str, account: str, region: str) -> bool:
        """Take a token; False: the bucket is empty and the call is to be refused."""
        rate = rate_of(operation)
        if rate is None:
            return True
        now = self._clock()
        bucket = self._buckets.setdefault((operation, account, region), _Bucket(rate.size, now))
        bucket.tokens = min(rate.size, bucket.tokens + (now - bucket.filled) * rate.refill)
        bucket.filled = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
