"""The log: one value for each call of EC2, STS and Service Quotas, so that budgets can be asserted."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """A call as the server saw it; times are the server's clock, in seconds."""

    number: int
    started: float
    ended: float
    service: str
    operation: str
    account: str
    region: str
    params: dict[str, Any]
    status: int
    """HTTP status; 0: the reply was lost on purpose."""
    error: str | None
    """AWS error code."""
    agent: str = ""
    """Who called, by the client's own account."""

    def as_json(self) -> dict[str, Any]:
        """Members by name, for the administration side."""
        return asdict(self)
