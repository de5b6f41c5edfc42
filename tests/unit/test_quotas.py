"""What Service Quotas tells, where it may be asked."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from handler.calls import Place
from handler.clock import Deadline
from handler.model import Quota
from handler.quotas import WITHIN, applied
from tests.harness import VirtualTime

PLACE = Place("", "111111111111", "us-east-1")


class Client:
    """Service Quotas that answers each operation in its own way."""

    meta = SimpleNamespace(service_model=SimpleNamespace(service_id="Service Quotas"))

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401  # as botocore's clients
        def ask(**parameters: str) -> object:
            self.asked.append(operation)
            assert {"ServiceCode": "vpc", "QuotaCode": "L-93826ACB"} == parameters
            answer = self.answers[operation]
            if isinstance(answer, Exception):
                raise answer
            return {"Quota": {"Value": answer}}

        return ask


def refusal(code: str, status: int = 400) -> ClientError:
    """Return an error of Service Quotas."""
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Get")  # type: ignore[typeddict-item]


def ask(client: Client, time: VirtualTime) -> int | None:
    """Ask for the routes of a table."""
    return applied(client, Quota.ROUTES_PER_TABLE, PLACE, Deadline(time.clock, 900))


def test_the_applied_quota() -> None:
    """What somebody has raised counts, not what AWS starts with."""
    client = Client(get_service_quota=200.0)

    assert 200 == ask(client, VirtualTime())
    assert ["get_service_quota"] == client.asked


def test_the_default() -> None:
    """A quota that nobody has raised may have no applied value."""
    client = Client(get_service_quota=refusal("NoSuchResourceException"), get_aws_default_service_quota=50.0)

    assert 50 == ask(client, VirtualTime())


def test_neither() -> None:
    """Then EC2 alone knows."""
    missing = refusal("NoSuchResourceException")

    assert None is ask(Client(get_service_quota=missing, get_aws_default_service_quota=missing), VirtualTime())


@pytest.mark.parametrize(
    "failure",
    [
        refusal("AccessDeniedException"),
        refusal("TooManyRequestsException", 429),
        refusal("ServiceException", 500),
        ConnectTimeoutError(endpoint_url="https://servicequotas.us-east-1.amazonaws.com"),
    ],
    ids=["denied", "throttled", "broken", "out of reach"],
)
def test_no_answer_is_no_failure(failure: Exception) -> None:
    """A role without the permission, or a network without the way, must not keep a peering from being made."""
    time = VirtualTime()

    assert None is ask(Client(get_service_quota=failure), time)
    assert time.now() <= WITHIN
