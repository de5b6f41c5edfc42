"""The event: whose ResponseURL is called, and when CloudFormation has sent it."""

import pytest
from pydantic import ValidationError

from handler.request import Request
from tests.unit.given import request

BUCKET = "cloudformation-custom-resource-response-useast1"
CHINA = "arn:aws-cn:cloudformation:cn-north-1:111111111111:stack/network/1"
OHIO = "arn:aws:cloudformation:us-east-2:111111111111:stack/network/1"
QUERY = "/x?X-Amz-Signature=secret"


def sent_to(host: str, **more: str) -> Request:
    """Return a request whose response goes to a host."""
    return request("Create", ResponseURL=f"https://{host}{QUERY}", **more)


@pytest.fixture(autouse=True)
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what the embedded AWS sets."""
    monkeypatch.delenv("ALLOWED_RESPONSE_HOSTS", raising=False)


@pytest.mark.parametrize(
    ("host", "stack_id"),
    [
        (f"{BUCKET}.s3.amazonaws.com", None),
        (f"{BUCKET}.s3.amazonaws.com:443", None),
        (f"{BUCKET}.s3-us-east-1.amazonaws.com", None),
        ("cloudformation-custom-resource-response-useast2.s3.us-east-2.amazonaws.com", OHIO),
        ("cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn", CHINA),
    ],
)
def test_response_goes_to_cloudformations_bucket(host: str, stack_id: str | None) -> None:
    """One a Region, in the domain of each partition."""
    asked = sent_to(host, **({"StackId": stack_id} if stack_id else {}))

    assert asked.response_url.startswith(f"https://{host}/")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "",
        f"evil.example\\@{BUCKET}.s3.amazonaws.com",
        f"evil.example#@{BUCKET}.s3.amazonaws.com",
        f"user:word@{BUCKET}.s3.amazonaws.com",
        f"{BUCKET}.s3.amazonaws.com:22",
        f"{BUCKET}.s3.amazonaws.com.evil.example",
        f"{BUCKET}.s3.eu-west-1.amazonaws.com",
        f"{BUCKET}.s3-accesspoint.us-east-1.amazonaws.com",
        "cloudformation-custom-resource-response-evil.s3.amazonaws.com",
        "cloudformation-custom-resource-response-useast2.s3.us-east-2.amazonaws.com",
        "169.254.169.254",
        "[::1]",
        "[",
    ],
)
def test_response_goes_nowhere_else(host: str) -> None:
    """Whoever may invoke the function must not have it call where they like: it is refused, and nothing is told."""
    with pytest.raises(ValidationError) as raised:
        sent_to(host)

    assert "secret" not in str(raised.value)


def test_response_is_never_sent_in_the_clear() -> None:
    """The signature in the URL lets anybody answer for us."""
    with pytest.raises(ValidationError, match="not a ResponseURL of CloudFormation"):
        request("Create", ResponseURL=f"http://{BUCKET}.s3.amazonaws.com{QUERY}")


@pytest.mark.parametrize(("allowed", "host"), [("127.0.0.1", "127.0.0.1:9"), ("a.test,b.test", "b.test")])
def test_further_hosts(monkeypatch: pytest.MonkeyPatch, allowed: str, host: str) -> None:
    """The embedded AWS answers on loopback, on whatever port."""
    monkeypatch.setenv("ALLOWED_RESPONSE_HOSTS", allowed)

    assert sent_to(host).response_url == f"https://{host}{QUERY}"


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("X-Amz-Date=20261123T000001Z&X-Amz-Expires=7200", 1795392001.0),
        ("X-Amz-Expires=7200", None),
        ("X-Amz-Date=yesterday", None),
        ("AWSAccessKeyId=A&Expires=1795392001&Signature=s", None),
    ],
)
def test_time_of_sending(query: str, sent: float | None) -> None:
    """The signature's; a URL that is signed otherwise says nothing that could be compared."""
    assert sent == request("Create", ResponseURL=f"https://{BUCKET}.s3.amazonaws.com/x?{query}").sent


@pytest.mark.parametrize(
    ("given", "late", "left"),
    [("120", 0, 120), ("120", 100, 20), ("120", 200, -80), ("120", -5, 120), (None, 200, 3600)],
)
def test_time_left(given: str | None, late: float, left: float) -> None:
    """CloudFormation counts from its sending, whenever Lambda delivers; clocks that differ add no time."""
    properties = {"ServiceTimeout": given} if given else {}

    assert left == request("Create", sent=1000, ResourceProperties=properties).time_left(1000 + late)
