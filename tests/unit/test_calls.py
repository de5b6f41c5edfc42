from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from handler.calls import VISIBLE_WITHIN, Place, call, explain
from handler.clock import Clock, Deadline
from handler.errors import (
    REASON_LIMIT,
    AccessDenied,
    AlreadyExists,
    InternalFailure,
    InvalidRequest,
    NetworkFailure,
    NotFound,
    NotStabilized,
    PeeringError,
    ResourceConflict,
    ServiceLimitExceeded,
    Throttling,
)
from tests.harness import VirtualTime

ROLE = "arn:aws:iam::222222222222:role/Peering"
PLACE = Place("Peer", "222222222222", "eu-west-1", ROLE)
OWN = Place("", "111111111111", "us-east-1")
URL = "https://ec2.eu-west-1.amazonaws.com"


def error(code: str, message: str = "Said.", status: int = 400, operation: str = "CreateRoute") -> ClientError:
    """Return what botocore raises for an answer of AWS."""
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


NOT_VISIBLE = error("InvalidVpcPeeringConnectionID.NotFound")
THROTTLED = error("RequestLimitExceeded", status=503)


@pytest.mark.parametrize("spelling", [str, str.lower, str.upper])
@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("RequestLimitExceeded", 503, Throttling),
        ("Throttling", 400, Throttling),
        ("ThrottlingException", 400, Throttling),
        ("ConcurrentTagAccess", 400, Throttling),
        ("EC2ThrottledException", 400, Throttling),
        ("PriorRequestNotComplete", 400, Throttling),
        ("SlowDown", 503, Throttling),
        ("RequestThrottled", 403, Throttling),
        ("KmsThrottled", 400, Throttling),
        ("KMSThrottling", 400, Throttling),
        ("Throttled", 429, Throttling),
        ("TooManyUpdates", 400, Throttling),
        ("UnauthorizedOperation", 403, AccessDenied),
        ("AuthFailure", 401, AccessDenied),
        ("OptInRequired", 401, AccessDenied),
        ("ExpiredToken", 403, AccessDenied),
        ("ExpiredTokenException", 400, AccessDenied),
        ("InvalidSignatureException", 400, AccessDenied),
        ("InvalidClientTokenId", 403, AccessDenied),
        ("TagPolicyViolation", 400, InvalidRequest),
        ("VpcPeeringConnectionAlreadyExists", 400, AlreadyExists),
        ("RouteAlreadyExists", 400, ResourceConflict),
        ("RouteLimitExceeded", 400, ServiceLimitExceeded),
        ("ResourceCountLimitExceeded", 400, ServiceLimitExceeded),
        ("TagLimitExceeded", 400, ServiceLimitExceeded),
        ("ActiveVpcPeeringConnectionPerVpcLimitExceeded", 400, ServiceLimitExceeded),
        ("OutstandingVpcPeeringConnectionLimitExceeded", 400, ServiceLimitExceeded),
        ("PendingVpcPeeringConnectionLimitExceeded", 400, ServiceLimitExceeded),
        ("VpcPeeringConnectionsPerVpcLimitExceeded", 400, ServiceLimitExceeded),
        ("InvalidVpcPeeringConnectionID.NotFound", 400, NotFound),
        ("InvalidVpcPeeringConnectionId.NotFound", 400, NotFound),
        ("InvalidRouteTableID.NotFound", 400, NotFound),
        ("InvalidRouteTableId.NotFound", 400, NotFound),
        ("InvalidRoute.NotFound", 400, NotFound),
        ("InvalidVpcID.NotFound", 400, NotFound),
        ("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled", 400, InvalidRequest),
        ("InvalidStateTransition", 400, InvalidRequest),
        ("InvalidParameterValue", 400, InvalidRequest),
        ("OperationNotPermitted", 400, InvalidRequest),
        ("InternalError", 500, InternalFailure),
        ("Unavailable", 503, InternalFailure),
    ],
)
def test_codes(code: str, status: int, expected: type[PeeringError], spelling: Callable[[str], str]) -> None:
    """Each code of EC2 has its failure, in any spelling: EC2 itself writes some in two."""
    failure = explain(error(spelling(code), status=status), "create_route", PLACE)

    assert (expected, code.lower(), status) == (type(failure), failure.ec2_code, failure.ec2_status)
    assert REASON_LIMIT >= len(failure.reason)


@pytest.mark.parametrize(
    ("answer", "operation", "place", "told"),
    [
        (
            error(
                "AccessDenied",
                "User: arn:aws:sts::111111111111:assumed-role/function/name is not authorized to perform: "
                f"sts:AssumeRole on resource: {ROLE}",
                403,
            ),
            "assume_role",
            PLACE,
            (
                f"AccessDenied: PeerRoleArn {ROLE} cannot be assumed by "
                "arn:aws:sts::111111111111:assumed-role/function/name. "
                "Check that it exists and trusts the function's role; "
                "PeerExternalId and OrganizationId must match."
            ),
        ),
        (
            error("PackedPolicyTooLarge", "Packed size of session tags consumes 102% of the allotted space."),
            "assume_role",
            PLACE,
            (
                f"AccessDenied: PeerRoleArn {ROLE} cannot be assumed: PackedPolicyTooLarge: Packed size of session "
                "tags consumes 102% of the allotted space. Correct what the message names, then deploy again."
            ),
        ),
        (
            error(
                "UnauthorizedOperation",
                "You are not authorized to perform this operation. Encoded authorization failure message: abc",
                403,
            ),
            "accept_vpc_peering_connection",
            PLACE,
            (
                f"AccessDenied: {ROLE} may not ec2:AcceptVpcPeeringConnection in eu-west-1 of account 222222222222. "
                "Allow ec2:AcceptVpcPeeringConnection there, and check tag conditions and service control policies."
            ),
        ),
        (
            error(
                "UnauthorizedOperation",
                "You are not authorized to perform this operation. User: arn:aws:sts::111111111111:assumed-role/f/n "
                "is not authorized to perform: ec2:CreateRoute on resource: arn:aws:ec2:us-east-1:111111111111:rtb",
                403,
            ),
            "create_route",
            OWN,
            (
                "AccessDenied: arn:aws:sts::111111111111:assumed-role/f/n may not ec2:CreateRoute in us-east-1 of "
                "account 111111111111. Allow ec2:CreateRoute there, and check tag conditions and service control "
                "policies."
            ),
        ),
        (
            error("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
            "describe_vpcs",
            PLACE,
            (
                "AccessDenied: eu-west-1 of account 222222222222 refused ec2:DescribeVpcs with AuthFailure: AWS was "
                "not able to validate the prov… Check that Region eu-west-1 is enabled for the account, and the role."
            ),
        ),
        (
            error(
                "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled",
                "The VPCs with IDs vpc-1 must have DNS hostnames enabled.",
            ),
            "modify_vpc_peering_connection_options",
            PLACE,
            "InvalidRequest: a VPC of the pair has DNS hostnames or DNS support off (eu-west-1 of account …",
        ),
        (
            error("RouteLimitExceeded", "The maximum number of routes has been reached."),
            "create_route",
            PLACE,
            (
                "ServiceLimitExceeded: a quota is used up: eu-west-1 of account 222222222222 answered CreateRoute with "
                "RouteLimitExceeded: The maximum number of routes has been reach… Ask for more in Service Quotas, or "
                "remove some."
            ),
        ),
        (
            error("RouteAlreadyExists", "The route identified by 10.8.0.0/16 already exists."),
            "create_route",
            PLACE,
            (
                "ResourceConflict: eu-west-1 of account 222222222222 answered CreateRoute with RouteAlreadyExists: The "
                "route identified by 10.8.0.0/16 already exists. Remove that route, or set PeerRoutes.OnConflict."
            ),
        ),
        (
            error("VpcPeeringConnectionAlreadyExists", "vpc-1 and vpc-2 are peered by pcx-1"),
            "accept_vpc_peering_connection",
            PLACE,
            (
                "AlreadyExists: the two VPCs are peered already: vpc-1 and vpc-2 are peered by pcx-1. Delete the other "
                "connection first."
            ),
        ),
        (
            THROTTLED,
            "create_route",
            PLACE,
            (
                "Throttling: EC2 throttled CreateRoute in eu-west-1 of account 222222222222 until the end. Deploy "
                "again, later."
            ),
        ),
    ],
    ids=lambda value: value.response["Error"]["Code"] if isinstance(value, ClientError) else None,
)
def test_real_messages(answer: ClientError, operation: str, place: Place, told: str) -> None:
    """The reason names who may not do what, and where; its remedy is whole."""
    beginning, _, rest = told.partition("…")

    reason = explain(answer, operation, place).reason

    assert reason.startswith(beginning)
    assert reason.endswith(rest)
    assert REASON_LIMIT >= len(reason)


def test_dns_remedy_names_the_property() -> None:
    """EC2's message names the VPC attributes; ours adds what of this resource asks for them."""
    failure = explain(error("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"), "create_route", PLACE)

    assert failure.reason.endswith("leave out PeerAllowDnsResolutionFromRemoteVpc.")


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
def test_denial_names_the_role_that_lacks_the_permission(code: str) -> None:
    """Whichever code it comes with, it is the role in the side's account that must be given the permission."""
    said = "User: arn:aws:sts::222222222222:assumed-role/Peering/name is not authorized to perform: ec2:CreateTags"

    failure = explain(error(code, said, 403), "create_tags", PLACE)

    assert f"{ROLE} may not ec2:CreateTags in eu-west-1 of account 222222222222." == failure.cause


@pytest.mark.parametrize(
    "why",
    [
        "because no identity-based policy allows the ec2:CreateTags action",
        "with an explicit deny in a service control policy",
    ],
)
def test_denial_says_what_was_missing_and_why(why: str) -> None:
    """A call may need another permission than its own; a service control policy is somebody else's to mend."""
    said = (
        "User: arn:aws:sts::222222222222:assumed-role/Peering/name is not authorized to perform: ec2:CreateTags on "
        f"resource: arn:aws:ec2:eu-west-1:222222222222:vpc-peering-connection/* {why}. Encoded message: abc"
    )

    failure = explain(error("UnauthorizedOperation", said, 403), "create_vpc_peering_connection", PLACE)

    assert f"{ROLE} may not ec2:CreateTags in eu-west-1 of account 222222222222, {why}." == failure.cause
    assert failure.remedy.startswith("Allow ec2:CreateTags there")


def test_denial_without_a_user_names_the_function() -> None:
    """STS does not always say who asked."""
    failure = explain(error("AccessDenied", "Access denied", 403), "assume_role", PLACE)

    assert f"PeerRoleArn {ROLE} cannot be assumed by the function's role." == failure.cause


def test_region_without_sts_is_not_told_as_a_matter_of_trust() -> None:
    """Whoever then looks at the role's trust policy finds nothing wrong with it."""
    said = "STS is not activated in this region for account:222222222222"

    failure = explain(error("RegionDisabledException", said, 403), "assume_role", PLACE, "STS")

    assert (
        f"eu-west-1 of account 222222222222 refused sts:AssumeRole with RegionDisabledException: {said}.",
        "Check that Region eu-west-1 is enabled for the account, and the role.",
    ) == (failure.cause, failure.remedy)


def test_answer_without_code_or_message() -> None:
    """A proxy may answer with no body that EC2 would know."""
    bare = ClientError({"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 502}}, "CreateRoute")  # type: ignore[typeddict-item]

    failure = explain(bare, "create_route", PLACE)

    assert (InternalFailure, "", 502) == (type(failure), failure.ec2_code, failure.ec2_status)


@pytest.mark.parametrize(
    "broken",
    [
        EndpointConnectionError(endpoint_url=URL),
        ConnectTimeoutError(endpoint_url=URL),
        ReadTimeoutError(endpoint_url=URL),
        SSLError(endpoint_url=URL, error=ValueError("certificate")),
        ResponseParserError("no XML"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_network(broken: BotoCoreError | ResponseParserError) -> None:
    """Whatever breaks between the function and AWS is one kind of failure, with botocore's own name for it."""
    failure = explain(broken, "create_route", PLACE)

    assert (
        f"NetworkFailure: CreateRoute in eu-west-1 of account 222222222222 got no whole answer "
        f"({type(broken).__name__}). Deploy again; if it recurs, check the function's way to AWS."
    ) == failure.reason


@pytest.mark.parametrize("broken", [NoCredentialsError(), ParamValidationError(report="a bug")])
def test_rest_of_botocore(broken: BotoCoreError) -> None:
    """No exception of botocore is left unmapped."""
    assert isinstance(explain(broken, "create_route", PLACE), InternalFailure)


# The policy of repetition


def test_failure_of_the_registry_names_its_own_permission() -> None:
    """An operator who reads of EC2 would allow the wrong one."""
    response = {
        "Error": {
            "Code": "AccessDeniedException",
            "Message": "User: arn:aws:sts::1:assumed-role/f/n is not authorized",
        },
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    failure = explain(ClientError(response, "PutItem"), "put_item", Place("", "", "us-east-1"), "DynamoDB")  # type: ignore[arg-type]

    assert "arn:aws:sts::1:assumed-role/f/n may not dynamodb:PutItem in us-east-1 of the function." == failure.cause


class Client:
    """A botocore client whose every operation gives one answer after the other, the last for ever."""

    meta = SimpleNamespace(service_model=SimpleNamespace(service_id="EC2"))

    def __init__(self, *answers: Exception | dict[str, Any]) -> None:
        self.answers: Iterator[Exception | dict[str, Any]] = iter(answers)
        self.last: Exception | dict[str, Any] = {}
        self.calls: list[dict[str, Any]] = []

    def __getattr__(self, _operation: str) -> Callable[..., dict[str, Any]]:
        return self._answer

    def _answer(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # EC2's shapes
        self.calls.append(parameters)
        self.last = next(self.answers, self.last)
        if isinstance(self.last, Exception):
            raise self.last
        return self.last


def begun(seconds: float = 300) -> tuple[VirtualTime, Deadline]:
    """Return a clock and a deadline on it."""
    time = VirtualTime()
    return time, Deadline(time.clock, seconds)


def test_answer_is_returned() -> None:
    """The usual case: one call, its parameters as they are, no sleep."""
    client, (time, deadline) = Client({"Return": True}), begun()

    assert {"Return": True} == call(client, "create_route", PLACE, deadline, RouteTableId="rtb-1")
    assert ([{"RouteTableId": "rtb-1"}], []) == (client.calls, time.slept)


@pytest.mark.parametrize(
    "passing",
    [
        THROTTLED,
        error("ConcurrentTagAccess"),
        error("InternalError", status=500),
        error("Unavailable", status=503),
        EndpointConnectionError(endpoint_url=URL),
        ResponseParserError("no XML"),
    ],
)
@pytest.mark.parametrize("operation", ["describe_vpcs", "create_route", "delete_vpc_peering_connection", "assume_role"])
def test_passing_failures_are_repeated(passing: Exception, operation: str) -> None:
    """Throttling, 5xx and a broken network pass, for reads and writes alike."""
    client, (time, deadline) = Client(passing, passing, {"Return": True}), begun()

    assert {"Return": True} == call(client, operation, PLACE, deadline)
    assert (3, 2) == (len(client.calls), len(time.slept))


@pytest.mark.parametrize(
    ("passing", "expected"),
    [
        (THROTTLED, Throttling),
        (error("InternalError", status=500), InternalFailure),
        (EndpointConnectionError(endpoint_url=URL), NetworkFailure),
    ],
)
def test_passing_failures_are_repeated_until_the_deadline(passing: Exception, expected: type[PeeringError]) -> None:
    """Not a second longer, and not much less; the failure is then the last answer, not the time."""
    client, (time, deadline) = Client(passing), begun()

    with pytest.raises(expected) as raised:
        call(client, "create_route", PLACE, deadline)

    assert passing is raised.value.__cause__
    assert 298 <= time.now() < 300
    assert 2 >= max(time.slept)


@pytest.mark.parametrize(
    "lasting",
    [
        error("UnauthorizedOperation", status=403),
        error("RouteAlreadyExists"),
        error("InvalidParameterValue"),
        error("InvalidRouteTableID.NotFound"),
        error("RouteLimitExceeded"),
        NoCredentialsError(),
    ],
)
def test_lasting_failures_are_not_repeated(lasting: Exception) -> None:
    """The same question would get the same answer."""
    client, (time, deadline) = Client(lasting), begun()

    with pytest.raises(PeeringError):
        call(client, "create_route", PLACE, deadline)

    assert (1, []) == (len(client.calls), time.slept)


def test_new_connection_may_not_be_found_for_a_while() -> None:
    """EC2 may deny a connection that it has just created, even after it was shown: writes have patience."""
    client, (_, deadline) = Client(NOT_VISIBLE, NOT_VISIBLE, {"Return": True}), begun()

    assert {"Return": True} == call(client, "create_route", PLACE, deadline)


def test_patience_with_a_connection_that_is_not_found_ends() -> None:
    """A minute is the most that users report: after it the connection is gone."""
    client, (time, deadline) = Client(NOT_VISIBLE), begun()

    with pytest.raises(NotFound):
        call(client, "accept_vpc_peering_connection", PLACE, deadline)

    assert VISIBLE_WITHIN - 2 <= time.now() < VISIBLE_WITHIN


@pytest.mark.parametrize(
    "operation",
    [
        "accept_vpc_peering_connection",
        "modify_vpc_peering_connection_options",
        "create_tags",
        "delete_tags",
        "create_route",
        "replace_route",
    ],
)
@pytest.mark.parametrize(
    "code", ["InvalidVpcPeeringConnectionID.NotFound", "InvalidVpcPeeringConnectionId.NotFound", "InvalidID"]
)
def test_every_write_has_this_patience(operation: str, code: str) -> None:
    """Whichever write comes first meets the gap; EC2 spells the code in two ways, and CreateTags has its own."""
    client, (_, deadline) = Client(error(code), {"Return": True}), begun()

    assert {"Return": True} == call(client, operation, PLACE, deadline)


@pytest.mark.parametrize("operation", ["describe_vpc_peering_connections", "delete_vpc_peering_connection"])
def test_reads_and_the_deletion_have_no_such_patience(operation: str) -> None:
    """For them, not found is an answer."""
    client, (time, deadline) = Client(NOT_VISIBLE), begun()

    with pytest.raises(NotFound):
        call(client, operation, PLACE, deadline)

    assert [] == time.slept


def test_throttling_does_not_use_up_the_patience() -> None:
    """Each failure has its own end: minutes of throttling are allowed in between."""
    client, (_, deadline) = Client(*[THROTTLED] * 100, {"Return": True}), begun()

    assert {"Return": True} == call(client, "create_route", PLACE, deadline)


def test_nothing_is_called_after_the_deadline() -> None:
    """What has been answered must not be changed any more."""
    client, (_, deadline) = Client(), begun()
    deadline.cancel()

    with pytest.raises(NotStabilized, match=r"calling create_route in eu-west-1 of account 222222222222"):
        call(client, "create_route", PLACE, deadline)

    assert [] == client.calls


def test_cancelled_while_it_sleeps() -> None:
    """The answer may leave while a thread waits to repeat its call: that call must not be made any more."""
    client, (time, _) = Client(THROTTLED), begun()
    deadline = Deadline(Clock(time.now, lambda _: deadline.cancel()), 300)

    with pytest.raises(NotStabilized):
        call(client, "create_route", PLACE, deadline)

    assert 1 == len(client.calls)
