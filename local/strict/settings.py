"""What a test, the demo or another process may turn, effective with the next call."""

from dataclasses import dataclass, field


@dataclass
class Settings:
    """The behaviour of the strict EC2 and STS; the defaults are an EC2 without delays.

    Names ending in `_reads` count, for each side by itself, the Describe calls that still show what was before.
    """

    initiating_reads: int = 0
    """After Create: `initiating-request`."""
    provisioning_reads: int = 0
    """After Accept: `provisioning`."""
    deleting_reads: int = 0
    """After Delete of an inter-Region connection: `deleting`."""
    cidr_reads: int = 0
    """Once `active`: the other side's CIDR blocks are missing."""
    options_reads: int = 0
    """After Modify: the old options."""

    hidden_reads_requester: int = 0
    """Describe calls after Create to which the connection does not exist, on the requester's side."""
    hidden_reads_accepter: int = 0
    hidden_writes_requester: int = 0
    """The same for every call that is not a Describe, even after a Describe showed the connection."""
    hidden_writes_accepter: int = 0
    tags_reads: int = 0
    """After Create: the tags of the request are missing on the requester's side; the answer itself has them."""
    dying_creates: int = 0
    """Create calls after Delete that return the id of the deleted connection."""

    active_peerings_per_vpc: int = 50
    outstanding_requests_per_vpc: int = 25
    pending_requests_per_vpc: int = 25
    routes_per_table: int = 500
    """IPv4 and IPv6 counted separately; a prefix list counts its maximum of entries."""
    applied_quotas: bool = True
    """Whether Service Quotas tells these as applied ones; else as defaults, which nobody has raised."""
    page_size: int = 1000
    """Items of one page where the caller names no MaxResults."""

    iam_url: str | None = None
    """Where AssumeRole looks roles up; None: this server's own IAM."""
    organization: str | None = None
    """`aws:PrincipalOrgID` of every account."""
    principals: dict[str, str] = field(default_factory=dict)
    """Account to the ARN of the role or user that its 12-digit key stands for; default: its root."""
    enforced: bool = False
    """Whether the policies of roles, in this server's own IAM, and of their sessions decide on every call."""

    latency: float = 0.0
    """Seconds that every call takes at least."""
    throttled: bool = False
    """Whether EC2's token buckets are enforced."""
