"""The faults: each is done to one call, or from that call on to all of its kind, in one invocation."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from urllib3.exceptions import ProtocolError

from tests.faults.inprocess import READS, RESPONSE_URL, URL, AlarmedTime, Call, Killed, Raw, Send
from tests.faults.sites import reached

SLOW_SECONDS: Final = 13.0
"""As long as the handler waits for one call: to connect, and to read."""

KINDS: Final = (
    "throttled once",
    "throttled until the deadline",
    "server error",
    "reply lost",
    "slow",
    "access denied",
    "credentials expired",
    "not found",
    "stale read",
    "reset",
    "malformed",
    "killed before",
    "killed after",
    "timed out",
)
LASTING: Final = {"throttled until the deadline", "access denied", "credentials expired"}
"""Done to every further call of the kind too: a permission does not come back within an invocation."""

PASSING: Final = {"throttled once", "server error", "reply lost", "reset", "slow", "stale read"}
"""What must be got over within the invocation, or by Lambda's retry."""

ROLES: Final = {"AssumeRole", "GetParameter", "GetSecretValue"}
"""What it takes to have a role."""

JSON: Final = {"dynamodb", "secretsmanager", "servicequotas", "sqs", "ssm"}
"""Services whose protocol is JSON."""

THROTTLED: Final = {
    "ec2": ("RequestLimitExceeded", 503),
    "sts": ("Throttling", 400),
    "sns": ("Throttling", 400),
    "s3": ("ThrottlingSlowDown", 503),
    **dict.fromkeys(JSON, ("ThrottlingException", 400)),
}
DENIED: Final = {
    "ec2": ("UnauthorizedOperation", 403),
    "sts": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
    "s3": ("AccessDenied", 403),
    **dict.fromkeys(JSON, ("AccessDeniedException", 400)),
}
EXPIRED: Final = {
    "ec2": ("RequestExpired", 400),
    "sts": ("ExpiredToken", 403),
    "sns": ("ExpiredToken", 403),
    **dict.fromkeys(JSON, ("ExpiredTokenException", 400)),
}
NOT_FOUND: Final = {
    "AssumeRole": "AccessDenied",
    "CreateRoute": "InvalidRouteTableID.NotFound",
    "ReplaceRoute": "InvalidRouteTableID.NotFound",
    "DeleteRoute": "InvalidRoute.NotFound",
    "CreateVpcPeeringConnection": "InvalidVpcID.NotFound",
    "DescribeVpcAttribute": "InvalidVpcID.NotFound",
    "GetItem": "ResourceNotFoundException",
    "GetParameter": "ParameterNotFound",
    "GetSecretValue": "ResourceNotFoundException",
    "PutItem": "ResourceNotFoundException",
    "Query": "ResourceNotFoundException",
    "SendMessageBatch": "QueueDoesNotExist",
    "Publish": "NotFound",
    "PutParameter": "InternalServerError",
}
"""Error codes of what is not found; every other writing names a connection."""

FOUND: Final = re.compile(rb"<(\w+Set)>.*</\1>", re.DOTALL)
"""What a reading tells of: everything between the first and the last of it."""


def applies(kind: str, call: Call) -> bool:
    """Tell whether a fault makes sense at a call; a reading has no effect, so before it and after it are the same.

    A response is put to a URL that has its signature in it: an old one is denied, and what S3 says is not read.
    """
    if call.operation.startswith((READS, "Get")):
        return kind not in {"reply lost", "killed after"} and (kind != "stale read" or call.service == "ec2")
    if kind == "stale read":
        return False
    if call.service == "s3":
        return kind not in {"credentials expired", "malformed"}
    return True


def refusal(call: Call, code: str, status: int) -> AWSResponse:
    """Return an error in the service's protocol."""
    if call.service == "s3":
        return AWSResponse(RESPONSE_URL, status, {}, Raw(b""))
    if call.service in JSON:
        body = f'{{"__type": "com.amazonaws.{call.service}#{code}", "message": "a fault"}}'
        return AWSResponse(URL, status, {"content-type": "application/x-amz-json-1.0"}, Raw(body.encode()))
    error = f"<Error><Code>{code}</Code><Message>a fault</Message></Error>"
    body = f"<Response><Errors>{error}</Errors>{error}<RequestID>fault</RequestID></Response>"
    return AWSResponse(URL, status, {"content-type": "text/xml"}, Raw(body.encode()))


def _broken(call: Call) -> Exception:
    """Return what a connection that broke off looks like to who waits for its answer."""
    return ProtocolError("a fault") if call.service == "s3" else ConnectionClosedError(endpoint_url=URL)


@dataclass
class Fault:
    """A fault at one call, in one invocation; it tells whether it was done."""

    kind: str
    at: Call
    time: AlarmedTime
    ends: float = 0.0
    """When Lambda ends the invocation."""
    struck: bool = False
    reads: dict[tuple[str, ...], AWSResponse] = field(default_factory=dict)
    """The last answer of each reading."""
    sites: set[str] = field(default_factory=set)
    """The places of the handler's source that have called."""

    def blinds(self, account: str, region: str) -> bool:
        """Tell whether a place cannot be reached for the rest of the invocation: neither its role nor its EC2."""
        lasts = self.kind in LASTING or (self.kind == "not found" and self.at.operation in ROLES)
        of_role = self.at.operation in ROLES and (self.at.service != "sts" or f"::{account}:" in self.at.parameters)
        return lasts and (of_role or (self.at.service, self.at.account, self.at.region) == ("ec2", account, region))

    @property
    def unrecords(self) -> bool:
        """Whether the registry may be out of reach for the rest of the invocation."""
        return self.at.service == "dynamodb" and (self.kind in LASTING or self.kind in {"not found", "malformed"})

    @property
    def unread(self) -> bool:
        """Whether the registry could not be read from the first: then nobody knows an answer that it may have."""
        return self.unrecords and self.at.operation == "GetItem" and self.at.nth == 0

    def __call__(self, call: Call, send: Send) -> AWSResponse:
        """Do it where it is due, else send."""
        self._pass_time()
        self.sites |= reached(sys._getframe(1))  # noqa: SLF001  # the way to the caller
        if call == self.at or (self.struck and self.kind in LASTING and call.kind == self.at.kind):
            self.struck = True
            return _DONE[self.kind](self, call, send)
        answer = send()
        if call.operation.startswith(READS):
            self.reads[*call.kind, call.parameters] = answer
        return answer

    def _pass_time(self) -> None:
        if self.time.now() >= self.ends:
            raise Killed

    def _code(self, call: Call, codes: dict[str, tuple[str, int]]) -> AWSResponse:
        return refusal(call, *codes[call.service])

    def throttled(self, call: Call, _send: Send) -> AWSResponse:
        """Be refused for being one of many."""
        return self._code(call, THROTTLED)

    def server_error(self, call: Call, _send: Send) -> AWSResponse:
        """Be refused for no reason."""
        return refusal(call, "InternalServerError" if call.service in JSON else "InternalError", 500)

    def reply_lost(self, call: Call, send: Send) -> AWSResponse:
        """Take effect, and never be told."""
        send()
        raise _broken(call)

    def slow(self, call: Call, send: Send) -> AWSResponse:
        """Take longer than a client waits: the effect comes, the answer finds nobody."""
        self.time.sleep(SLOW_SECONDS)
        self._pass_time()
        send()
        raise _broken(call)

    def denied(self, call: Call, _send: Send) -> AWSResponse:
        """Be refused for good."""
        return self._code(call, DENIED)

    def expired(self, call: Call, _send: Send) -> AWSResponse:
        """Be refused for old credentials."""
        return self._code(call, EXPIRED)

    def not_found(self, call: Call, send: Send) -> AWSResponse:
        """Not see what exists: a list is empty, as EC2 writes an empty one."""
        if call.operation.startswith(READS) and call.operation not in NOT_FOUND:
            answer = send()
            return AWSResponse(URL, 200, answer.headers, Raw(FOUND.sub(rb"<\1/>", answer.content)))
        status = 404 if call.service == "s3" else 400
        return refusal(call, NOT_FOUND.get(call.operation, "InvalidVpcPeeringConnectionID.NotFound"), status)

    def stale(self, call: Call, send: Send) -> AWSResponse:
        """See what the same reading saw before, or nothing yet."""
        earlier = self.reads.get((*call.kind, call.parameters))
        if earlier is None:
            return self.not_found(call, send)
        return AWSResponse(URL, earlier.status_code, earlier.headers, Raw(earlier.content))

    def reset(self, call: Call, _send: Send) -> AWSResponse:
        """Not arrive."""
        raise _broken(call)

    def malformed(self, _call: Call, send: Send) -> AWSResponse:
        """Take effect, and be told in no known language."""
        send()
        return AWSResponse(URL, 200, {"content-type": "text/xml"}, Raw(b"<broken"))

    def killed_before(self, _call: Call, _send: Send) -> AWSResponse:
        """Die with the intention."""
        raise Killed

    def killed_after(self, _call: Call, send: Send) -> AWSResponse:
        """Die without having heard."""
        send()
        raise Killed

    def timed_out(self, _call: Call, send: Send) -> AWSResponse:
        """Hang until Lambda ends the process; the effect may come in between."""
        send()
        self.time.sleep(self.ends - self.time.now())
        raise Killed


_DONE: Final[dict[str, Callable[[Fault, Call, Send], AWSResponse]]] = {
    "throttled once": Fault.throttled,
    "throttled until the deadline": Fault.throttled,
    "server error": Fault.server_error,
    "reply lost": Fault.reply_lost,
    "slow": Fault.slow,
    "access denied": Fault.denied,
    "credentials expired": Fault.expired,
    "not found": Fault.not_found,
    "stale read": Fault.stale,
    "reset": Fault.reset,
    "malformed": Fault.malformed,
    "killed before": Fault.killed_before,
    "killed after": Fault.killed_after,
    "timed out": Fault.timed_out,
}
