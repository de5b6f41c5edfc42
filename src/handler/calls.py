"""One call to AWS: repeated with a back-off that knows the deadline, and explained when it fails for good.

botocore's own retries are over within 0.2 s of throttling, and do not know how long Lambda will wait.
"""

import os
import re
from dataclasses import dataclass
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004
from botocore.parsers import ResponseParserError
from botocore.retries.standard import ThrottledRetryableChecker

from handler.clock import Deadline, backoff
from handler.errors import (
    AccessDenied,
    AlreadyExists,
    InternalFailure,
    InvalidRequest,
    NetworkFailure,
    NotFound,
    PeeringError,
    ResourceConflict,
    RoleUnreachable,
    ServiceLimitExceeded,
    Throttling,
)
from handler.parallel import WORKERS
from handler.telemetry import logger

MARK: Final = f"custom-vpc-peering/({os.environ.get('EVENT_BUS_ARN', '')})"
"""What CloudTrail tells our calls from those of others by, in the user agent: the event bus of the installation.

Its name alone would not do: other accounts and Regions may have installations of the same name.
"""

CONFIG: Final = Config(
    retries={"total_max_attempts": 1, "mode": "standard"},
    connect_timeout=3,
    read_timeout=10,
    max_pool_connections=WORKERS,
    user_agent_extra=MARK,
)
"""No retries by botocore: `call` repeats, since it knows the deadline. A call that hangs ends in the margin."""

VISIBLE_WITHIN: Final = 60.0
"""Seconds for which EC2 may not find a connection that it has just created (terraform-provider-aws #30423)."""

THROTTLED: Final = frozenset(
    {code.lower() for code in getattr(ThrottledRetryableChecker, "_THROTTLED_ERROR_CODES")}  # noqa: B009  # private
    | {"concurrenttagaccess", "kmsthrottled", "kmsthrottling", "throttled", "toomanyupdates"}
)
"""What botocore takes for throttling, and what EC2, SQS, SNS and Parameter Store add."""

DENIED: Final = frozenset(
    {"unauthorizedoperation", "accessdenied", "accessdeniedexception", "authfailure", "optinrequired", "expiredtoken"}
    | {"expiredtokenexception", "invalidsignatureexception"}
    | {"invalidclienttokenid", "requestexpired", "unrecognizedclientexception"}
    | {"regiondisabledexception", "blocked", "pendingverification"}
)
CONNECTION_NOT_FOUND: Final = "invalidvpcpeeringconnectionid.notfound"
NOT_VISIBLE: Final = frozenset({CONNECTION_NOT_FOUND, "invalidid"})
"""What a connection that EC2 does not know yet gets; CreateTags has a code of its own."""


@dataclass(frozen=True)
class Place:
    """Where a call goes, for messages: the prefix of the side's properties, its account, Region and role.

    The account is empty where it is the function's own, which does not know it.
    """

    prefix: str
    account: str
    region: str
    role_arn: str | None = None

    @property
    def side(self) -> str:
        """The side, where it is one's."""
        return ("accepter" if self.prefix else "requester") if self.account else ""

    def __str__(self) -> str:
        return f"{self.region} of {f'account {self.account}' if self.account else 'the function'}"


def call(client: Any, operation: str, place: Place, deadline: Deadline, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # any botocore client
    """Make one call; `operation` is the client's method.

    Throttling, failures of the service and of the network are repeated until the deadline: all the calls that this
    function makes may be. So is NotFound for a connection, for a minute, in calls that write.

    Raises:
        PeeringError: which says what EC2 answered, and what to do; `ec2_code` is EC2's code in lower case.

    """
    pauses = backoff(0.1, 2)
    visible = deadline.within(VISIBLE_WITHIN)
    while True:
        deadline.check(f"calling {operation} in {place}")
        try:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            failure = explain(error, operation, place, client.meta.service_model.service_id)
            logger.debug("call", operation=operation, place=str(place), failure=str(failure))
            pause = next(pauses)
            until = visible if failure.ec2_code in NOT_VISIBLE else deadline
            if not _passing(failure, operation) or pause >= until.remaining:
                raise failure from error
        else:
            logger.debug("call", operation=operation, place=str(place))
            return answer
        deadline.clock.sleep(pause)


def _passing(failure: PeeringError, operation: str) -> bool:
    if failure.ec2_code in NOT_VISIBLE:
        return not operation.startswith(("describe", "delete_vpc"))
    return isinstance(failure, Throttling | NetworkFailure) or failure.ec2_status >= 500  # noqa: PLR2004  # HTTP's


def explain(
    error: ClientError | BotoCoreError | ResponseParserError, operation: str, place: Place, service: str = "EC2"
) -> PeeringError:
    """Return the failure that an error of botocore is, with its cause, subject and remedy."""
    action = "".join(part.title() for part in operation.split("_"))
    if isinstance(error, ClientError):
        failure = _explain_answer(error, action, place, service)
        failure.side = place.side
        failure.ec2_code = error.response["Error"].get("Code", "").lower()
        failure.ec2_status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        return failure
    if isinstance(error, HTTPClientError | ConnectionError | ResponseParserError):
        return NetworkFailure(
            f"{action} in {place} got no whole answer ({type(error).__name__}).",
            "Deploy again; if it recurs, check the function's way to AWS.",
        )
    return InternalFailure(f"{action} in {place}: {error}.", "Report this with the function's log.")


def _explain_answer(  # noqa: PLR0911  # one return a kind of answer
    error: ClientError, action: str, place: Place, service: str
) -> PeeringError:
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "").rstrip(".")
    lower = code.lower()
    said = f"{place} answered {action} with {code}: {message}."
    if lower in THROTTLED:
        return Throttling(f"{service} throttled {action} in {place} until the end.", "Deploy again, later.")
    if lower in DENIED:
        return _explain_denial(code, message, f"{service.replace(' ', '').lower()}:{action}", place)
    if lower == "invalidvpcpeeringconnectionstate.dnshostnamesdisabled":
        return InvalidRequest(
            f"a VPC of the pair has DNS hostnames or DNS support off ({place}).",
            f"Turn on enableDnsSupport and enableDnsHostnames in both VPCs, or leave out "
            f"{place.prefix}AllowDnsResolutionFromRemoteVpc.",
        )
    if lower == "vpcpeeringconnectionalreadyexists":
        return AlreadyExists(f"the two VPCs are peered already: {message}.", "Delete the other connection first.")
    if lower.endswith("limitexceeded"):
        return ServiceLimitExceeded(f"a quota is used up: {said}", "Ask for more in Service Quotas, or remove some.")
    if lower == "routealreadyexists":
        return ResourceConflict(said, f"Remove that route, or set {place.prefix}Routes.OnConflict.")
    if lower.endswith(".notfound"):
        return NotFound(said, "Check that it still exists, then deploy again.")
    if error.response["ResponseMetadata"].get("HTTPStatusCode", 0) >= 500:  # noqa: PLR2004  # HTTP's
        return InternalFailure(said, "Deploy again, later.")
    remedy = "Correct what the message names, then deploy again."
    if action == "AssumeRole":
        return AccessDenied(f"{place.prefix}RoleArn {place.role_arn} cannot be assumed: {code}: {message}.", remedy)
    return InvalidRequest(said, remedy)


def _explain_denial(code: str, message: str, permission: str, place: Place) -> PeeringError:
    # "User: arn:*:sts::1:assumed-role/a/b is not authorized to perform: ec2:CreateTags on resource: ... because no
    # identity-based policy allows the ec2:CreateTags action", or "with an explicit deny in a service control policy"
    user, action, why = (
        re.search(pattern, message)
        for pattern in (r"User: (arn:\S+)", r"perform: (\S+)", r"((?:because|with an explicit deny) .+?)(?:\.|$)")
    )
    who, because = user[1] if user else "the function's role", f", {why[1]}" if why else ""
    refused = code.lower() == "unauthorizedoperation" or "not authorized" in message
    if permission.endswith(":AssumeRole") and (refused or code == "AccessDenied"):
        return RoleUnreachable(
            f"{place.prefix}RoleArn {place.role_arn} cannot be assumed by {who}{because}.",
            "Check that it exists and trusts the function's role; "
            f"{place.prefix}ExternalId and OrganizationId must match.",
        )
    if refused:
        holder, permission = place.role_arn or who, action[1] if action else permission
        return AccessDenied(
            f"{holder} may not {permission} in {place}{because}.",
            f"Allow {permission} there, and check tag conditions and service control policies.",
        )
    return AccessDenied(
        f"{place} refused {permission} with {code}: {message}.",
        f"Check that Region {place.region} is enabled for the account, and the role.",
    )
