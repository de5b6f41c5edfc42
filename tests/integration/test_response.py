import json
import logging
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from handler.clock import Deadline
from handler.response import BODY_LIMIT, READ_SECONDS, Undelivered, deliver, fitted
from tests.harness import ResponseBucket, VirtualTime

SECRET = "presigned-secret"
IDS = {
    "PhysicalResourceId": "pcx-0123456789abcdef0",
    "StackId": "arn:aws:cloudformation:us-east-1:111111111111:stack/network/5d9c2f30",
    "RequestId": "request-1",
    "LogicalResourceId": "Peering",
    "NoEcho": False,
}


def encode(response: dict[str, object]) -> bytes:
    """Return the body that is put for a response."""
    return json.dumps(fitted(response), ensure_ascii=False).encode()


def of_size(size: int, item: str = "a,") -> dict[str, object]:
    """Return a response whose body has this many bytes, most of them in one list."""
    bare = len(encode({"Status": "SUCCESS", **IDS, "Data": {"Id": "pcx-1", "List": "x"}})) - 1
    count, rest = divmod(size - bare, len(item.encode()))
    return {"Status": "SUCCESS", **IDS, "Data": {"Id": "pcx-1", "List": "b" * rest + item * count}}


@contextmanager
def listening(*, accepts: bool) -> Iterator[str]:
    """Hold a port: nobody listens there, or somebody who never says a word."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        if accepts:
            port.listen()
        yield f"https://127.0.0.1:{port.getsockname()[1]}/response?X-Amz-Signature={SECRET}"


def test_body_at_the_limit_is_sent_whole() -> None:
    """4,096 bytes are allowed: nothing is cut before it must be."""
    response = of_size(BODY_LIMIT)

    body = encode(response)

    assert BODY_LIMIT == len(body)
    assert response == json.loads(body)


@pytest.mark.parametrize("item", ["10.0.0.0/16,", "ä,", "\N{EARTH GLOBE EUROPE-AFRICA},", '",', "\n,"])
def test_body_over_the_limit_loses_the_last_items_of_the_longest_list(item: str) -> None:
    """Bytes of JSON are counted, not characters; whole items go, from the end, and nothing else does."""
    response = {"Status": "SUCCESS", **IDS, "Data": {"Id": "pcx-1", "List": item * 3000, "Short": "1,2"}}

    body = encode(response)

    assert BODY_LIMIT - 2 * len(json.dumps(item)) < len(body) <= BODY_LIMIT
    decoded = json.loads(body)
    assert ("pcx-1", "1,2") == (decoded["Data"]["Id"], decoded["Data"]["Short"])
    assert {item[:-1]} == set(decoded["Data"]["List"].split(","))


def test_body_one_byte_over_the_limit_loses_one_item() -> None:
    """The shortest cut is made."""
    response = of_size(BODY_LIMIT + 1, "10.0.0.0/16,")
    whole = str(response["Data"]["List"])  # type: ignore[index]

    assert whole.removesuffix(",") == json.loads(encode(response))["Data"]["List"]


def test_several_long_lists_are_cut_alike() -> None:
    """No attribute vanishes to save another of the same length."""
    blocks = ",".join(f"10.{n}.0.0/16" for n in range(256))
    data = {"Id": "pcx-1", "RequesterCidrBlocks": blocks, "AccepterCidrBlocks": blocks}

    body = encode({"Status": "SUCCESS", **IDS, "Data": data})

    assert BODY_LIMIT - 30 < len(body) <= BODY_LIMIT
    cut = json.loads(body)["Data"]
    assert "pcx-1" == cut["Id"]
    assert abs(len(cut["RequesterCidrBlocks"]) - len(cut["AccepterCidrBlocks"])) < 20
    assert blocks.startswith(cut["RequesterCidrBlocks"])


def test_list_that_is_as_long_as_may_be_stays_whole() -> None:
    """What gives way is the item that is one character too long."""
    bare = len(encode({"Status": "SUCCESS", **IDS, "Data": {"Long": "", "Longer": ""}}))
    most = (BODY_LIMIT - bare + 1) // 2
    long, begins = "b" * most, "a" * (most - 9)

    body = encode({"Status": "SUCCESS", **IDS, "Data": {"Long": long, "Longer": f"{begins},{'c' * 9},d"}})

    assert {"Long": long, "Longer": begins} == json.loads(body)["Data"]


def test_attribute_that_is_no_list_is_emptied() -> None:
    """The attributes give way before the answer does."""
    body = encode({"Status": "SUCCESS", **IDS, "Data": {"Text": "x" * 5000}})

    assert {"Text": ""} == json.loads(body)["Data"]


def test_attributes_give_way_to_a_reason() -> None:
    """Where the reason alone is too long, none of their items stays."""
    body = encode({"Status": "FAILED", **IDS, "Reason": "x" * BODY_LIMIT, "Data": {"List": "a,b"}})

    assert BODY_LIMIT == len(body)
    assert {"List": ""} == json.loads(body)["Data"]


def test_reason_survives() -> None:
    """The reason is what a person needs, so it is kept whole, whatever characters it has."""
    reason = "\N{EARTH GLOBE EUROPE-AFRICA}" * 240

    body = encode({"Status": "FAILED", **IDS, "Reason": reason, "Data": {"List": "a," * 5000}})

    assert len(body) <= BODY_LIMIT
    assert reason == json.loads(body)["Reason"]


def test_wire(bucket: ResponseBucket, virtual_time: VirtualTime) -> None:
    """The URL is signed for an empty content type: any other, or none at all, is answered with 403."""
    deliver(bucket.url, {}, Deadline(virtual_time.clock, 60))

    ((headers, body),) = bucket.puts
    assert ("", "2", b"{}") == (headers["Content-Type"], headers["Content-Length"], body)
    assert [] == virtual_time.slept


@pytest.mark.parametrize("status", [307, 400, 403, 500, 503])
def test_refused_attempt_is_repeated(bucket: ResponseBucket, virtual_time: VirtualTime, status: int) -> None:
    """Only a status of success is a delivery; S3 answers the others in passing too."""
    bucket.statuses += [status, status]

    deliver(bucket.url, {}, Deadline(virtual_time.clock, 60))

    assert [b"{}"] * 3 == [body for _, body in bucket.puts]
    assert 2 == len(virtual_time.slept)


def test_attempts_go_on_until_the_deadline(bucket: ResponseBucket, virtual_time: VirtualTime) -> None:
    """An undelivered answer costs the stack an hour: the time that is left is used, with pauses that grow to 8 s."""
    bucket.statuses += [403] * 200

    with pytest.raises(Undelivered, match=r"^CloudFormation did not take the response: HTTP status 403\.$"):
        deliver(bucket.url, {}, Deadline(virtual_time.clock, 600))

    assert len(virtual_time.slept) + 1 == len(bucket.puts)
    assert 0.25 <= virtual_time.slept[0] < virtual_time.slept[2] <= 2
    assert 4 <= min(virtual_time.slept[5:]) <= max(virtual_time.slept) <= 8
    assert 592 <= sum(virtual_time.slept) < 600


def test_one_attempt_where_nobody_is_expected(bucket: ResponseBucket, virtual_time: VirtualTime) -> None:
    """`sam local invoke` has no CloudFormation: the person shall not wait."""
    bucket.statuses += [403] * 2

    with pytest.raises(Undelivered):
        deliver(bucket.url, {}, Deadline(virtual_time.clock, 600), once=True)

    assert (1, []) == (len(bucket.puts), virtual_time.slept)


def test_deadline_ends_the_attempts(bucket: ResponseBucket, virtual_time: VirtualTime) -> None:
    """Lambda's time-out would come in the middle: no pause reaches over the deadline, no attempt follows it."""
    bucket.statuses += [500] * 100
    deadline = Deadline(virtual_time.clock, 1)

    with pytest.raises(Undelivered):
        deliver(bucket.url, {}, deadline)

    assert deadline.remaining > 0
    assert len(virtual_time.slept) + 1 == len(bucket.puts)


def test_late_response_is_tried_once(bucket: ResponseBucket, virtual_time: VirtualTime) -> None:
    """However late it is, an answer may still arrive; without one the stack hangs for an hour."""
    deliver(bucket.url, {}, Deadline(virtual_time.clock, -1))

    assert 1 == len(bucket.puts)


@pytest.mark.parametrize(("accepts", "problem"), [(False, "NewConnectionError"), (True, "Timeout")])
def test_nobody_answers(virtual_time: VirtualTime, accepts: bool, problem: str) -> None:
    """A refused connection and a silent one end as well, the silent one with the time that is left."""
    began = time.monotonic()
    with listening(accepts=accepts) as url, pytest.raises(Undelivered, match=problem):
        deliver(url, {}, Deadline(virtual_time.clock, 0.2))

    assert time.monotonic() - began < READ_SECONDS


@pytest.mark.parametrize("url", ["https://", "ftp://127.0.0.1/response", "https://[/response"])
def test_url_that_is_none(virtual_time: VirtualTime, url: str) -> None:
    """What cannot be reached is undelivered too, never another exception."""
    with pytest.raises(Undelivered):
        deliver(url, {}, Deadline(virtual_time.clock, 60))


def test_untrusted_authority_is_refused(
    bucket: ResponseBucket, virtual_time: VirtualTime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody between us and CloudFormation gets the response, or the URL."""
    trusted = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(trusted)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    with pytest.raises(Undelivered, match="SSLError"):
        deliver(bucket.url, {}, Deadline(virtual_time.clock, 60))

    assert [] == bucket.puts


@pytest.mark.parametrize("failure", ["status", "redirect", "refused", "tls"])
def test_url_is_never_told(
    bucket: ResponseBucket,
    virtual_time: VirtualTime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: str,
) -> None:
    """Whoever has the presigned URL can answer in our place: no exception and no log line, of urllib3 neither."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, "urllib3")
    bucket.statuses += [307 if failure == "redirect" else 403] * 50
    if failure == "tls":
        monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    with listening(accepts=False) as refused, pytest.raises(Undelivered) as raised:
        deliver(refused if failure == "refused" else bucket.url, {}, Deadline(virtual_time.clock, 60))

    told = "".join(traceback.format_exception(raised.value)) + caplog.text + repr(raised.value)
    assert SECRET not in told
    assert "127.0.0.1" not in told
