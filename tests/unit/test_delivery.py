"""One attempt to deliver the response: what is put, within which times, and which answers are a delivery."""

import json
from types import SimpleNamespace
from typing import Any, Self

import pytest
import urllib3

from handler.clock import Deadline
from handler.response import CONNECT_SECONDS, LEAST_SECONDS, READ_SECONDS, Undelivered, deliver, fitted
from tests.harness import VirtualTime

URL = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x?X-Amz-Signature=s"


class Pool:
    """A pool of connections whose answers are statuses."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.made: dict[str, Any] = {}
        self.requests: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, **options: Any) -> "Pool":  # noqa: ANN401  # urllib3's
        """Make it."""
        self.made = options
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def request(self, method: str, url: str, **options: Any) -> SimpleNamespace:  # noqa: ANN401  # urllib3's
        """Answer with the next status."""
        self.requests.append((method, url, options))
        return SimpleNamespace(status=self.statuses.pop(0))


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """Let the response go into a pool."""
    pool = Pool()
    monkeypatch.setattr("handler.response.urllib3.PoolManager", pool)
    return pool


@pytest.fixture
def time() -> VirtualTime:
    """Make a time that does not wait."""
    return VirtualTime()


@pytest.mark.parametrize(("left", "seconds"), [(60, 60), (0.5, 0.5), (0, LEAST_SECONDS), (-3, LEAST_SECONDS)])
def test_attempt(pool: Pool, time: VirtualTime, left: float, seconds: float) -> None:
    """An attempt ends with the time that is left, a connection that hangs before; nothing is repeated by urllib3."""
    pool.statuses = [200]

    deliver(URL, {"Status": "SUCCESS"}, Deadline(time.clock, left))

    ((method, url, options),) = pool.requests
    timeout = options.pop("timeout")
    assert str(urllib3.Timeout(total=float(seconds), connect=CONNECT_SECONDS, read=READ_SECONDS)) == str(timeout)
    assert ("PUT", URL) == (method, url)
    assert {"body": b'{"Status": "SUCCESS"}', "headers": {"Content-Type": ""}, "redirect": False} == options
    assert pool.made["retries"] is False


@pytest.mark.parametrize("status", [200, 204, 299])
def test_success_is_a_delivery(pool: Pool, time: VirtualTime, status: int) -> None:
    """S3 answers with 200; whatever a proxy makes of it, it is a success."""
    pool.statuses = [status]

    deliver(URL, {}, Deadline(time.clock, 60))

    assert 1 == len(pool.requests)


@pytest.mark.parametrize("status", [300, 301, 399, 400, 599])
def test_anything_else_is_none(pool: Pool, time: VirtualTime, status: int) -> None:
    """A redirect is none either: nothing has taken the response."""
    pool.statuses = [status]

    with pytest.raises(Undelivered, match=rf"HTTP status {status}\.$"):
        deliver(URL, {}, Deadline(time.clock, 60), once=True)


def test_pause_that_would_reach_the_deadline_is_not_made(
    pool: Pool, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it no time would be left for the attempt."""
    monkeypatch.setattr("handler.clock.random.uniform", lambda _least, most: most)
    pool.statuses = [500] * 9

    with pytest.raises(Undelivered):
        deliver(URL, {}, Deadline(time.clock, 0.5))
    assert ([], 1) == (time.slept, len(pool.requests))

    with pytest.raises(Undelivered):
        deliver(URL, {}, Deadline(time.clock, 1.5))
    assert ([0.5], 3) == (time.slept, len(pool.requests))


@pytest.mark.parametrize("response", [{"Status": "FAILED"}, {"Status": "SUCCESS", "Data": {}}])
def test_response_without_attributes(response: dict[str, Any]) -> None:
    """A failure has none: its body is left as it is."""
    assert response == fitted(response)


def test_attributes_are_not_made_up() -> None:
    """CloudFormation gets no Data where the answer has none."""
    assert "Data" not in fitted({"Status": "FAILED"})


@pytest.mark.parametrize(("size", "cut"), [(4096, False), (4097, True)])
def test_limit_is_cloudformations(size: int, cut: bool) -> None:
    """It ignores a body of more than 4,096 bytes, and the stack hangs: the number is not ours to change."""
    rest = size - len(json.dumps({"Data": {"List": "a,"}}))
    response = {"Data": {"List": "a," + "b" * rest}}

    assert ({"Data": {"List": "a"}} if cut else response) == fitted(response)


def test_longest_lists_are_cut_to_one_length() -> None:
    """Whole items of each that fit, to the byte; what is shorter stays, and an item that ends at the limit too."""
    rest = 4096 - len(json.dumps({"Data": {"One": "", "Two": "", "Short": "a,b"}}))
    length = rest // 2
    items, more = "a" * (length - 4), ",b,c"
    response = {"Data": {"One": items + more + ",d", "Two": items + more + "," * 9000, "Short": "a,b"}}

    assert {"Data": {"One": items + more, "Two": items + more, "Short": "a,b"}} == fitted(response)


def test_many_items_are_cut_in_a_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that names 10,000 skipped routes took seconds of the time that is left to deliver it."""
    bodies: list[int] = []
    monkeypatch.setattr("handler.response._body", lambda response: bodies.append(1) or json.dumps(response).encode())

    fitted({"Data": {"SkippedRoutes": "10.8.0.0/16 in rtb-0123456789abcdef0," * 10_000}})

    assert len(bodies) < 30


@pytest.mark.parametrize("letter", ["a", "ü", "\U00020000"])
def test_reason_over_the_limit_loses_its_end(letter: str) -> None:
    """It is the last thing that can: the names of a stack and the texts of somebody else's tags may be long."""
    fitting = fitted({"Status": "FAILED", "Reason": letter * 4096})

    assert 4096 - 4 < len(json.dumps(fitting, ensure_ascii=False).encode()) <= 4096
    assert set(letter) == set(fitting["Reason"])
