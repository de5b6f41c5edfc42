"""A strict EC2 and STS on loopback: moto's server, corrected where it is more lenient than AWS.

`StrictAws` runs it in a thread; `python -m local.strict` in a process of its own.
"""

from local.strict.calls import Call
from local.strict.faults import Fault
from local.strict.server import StrictAws
from local.strict.settings import Settings

__all__ = ["Call", "Fault", "Settings", "StrictAws"]
