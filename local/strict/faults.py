"""Faults on order: each fires once, on the nth call that it fits, and is then used up."""

from dataclasses import dataclass
from typing import Literal

Effect = Literal["error", "lost", "delay", "malformed"]


@dataclass
class Fault:
    """One fault.

    `error` answers `code` and `status` instead of doing anything; `lost` does everything and then closes the
    connection without a reply; `delay` waits `seconds` first; `malformed` does everything and answers broken XML.
    """

    operation: str
    effect: Effect = "error"
    code: str = "InternalError"
    message: str = "An internal error has occurred"
    status: int = 500
    seconds: float = 0.0
    account: str | None = None
    region: str | None = None
    nth: int = 1

    def fits(self, operation: str, account: str, region: str) -> bool:
        """Whether it is meant for this call, whatever its number."""
        return self.operation == operation and self.account in (None, account) and self.region in (None, region)


def due(faults: list[Fault], operation: str, account: str, region: str) -> Fault | None:
    """Count this call against every fault that fits; the first whose turn it is leaves the list."""
    fired = None
    for fault in [fault for fault in faults if fault.fits(operation, account, region)]:
        fault.nth -= 1
        if fault.nth <= 0 and fired is None:
            fired = fault
            faults.remove(fault)
    return fired
