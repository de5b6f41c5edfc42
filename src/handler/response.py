"""The response to CloudFormation: its body within the limit, and its delivery."""

import json
import ssl
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final

import urllib3

from handler.clock import Deadline, backoff

BODY_LIMIT: Final = 4096
"""Bytes of a response body; CloudFormation ignores a longer one, and the stack hangs (aws-cdk #23958)."""

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
LEAST_SECONDS: Final = 0.1
"""For an attempt, however late it is."""


class Undelivered(Exception):  # named for what happened, as all of this project's failures
    """CloudFormation did not take the response."""


def fitted(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response within `BODY_LIMIT`: the longest attributes lose their last list items, a reason its end."""
    longest = max(map(len, response.get("Data", {}).values()), default=0)
    fit = bisect_right(range(longest + 1), BODY_LIMIT, key=lambda most: len(_body(_shortened(response, most))))
    fitting = _shortened(response, max(0, fit - 1))
    if reason := fitting.get("Reason"):
        over = max(0, len(_body(fitting)) - BODY_LIMIT)
        fitting["Reason"] = reason.encode()[: len(reason.encode()) - over].decode(errors="ignore")
    return fitting


def _shortened(response: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return the response with whole list items of at most so many characters in each attribute."""
    data: dict[str, str] = response.get("Data", {})
    shorter = {name: text if len(text) <= most else text[: most + 1].rpartition(",")[0] for name, text in data.items()}
    return {**response, **({"Data": shorter} if data else {})}


def _body(response: Mapping[str, Any]) -> bytes:
    return json.dumps(response, ensure_ascii=False).encode()


def deliver(url: str, response: Mapping[str, Any], deadline: Deadline, *, once: bool = False) -> None:
    """Put the response to CloudFormation's presigned URL, with an empty content type, as it is signed.

    Raises:
        Undelivered: when no attempt before the deadline was answered with a status of success.

    """
    pauses = backoff(0.5, 8)
    with urllib3.PoolManager(ssl_context=ssl.create_default_context(), retries=False) as pool:
        while problem := _put(pool, url, _body(response), max(LEAST_SECONDS, deadline.remaining)):
            pause = next(pauses)
            if once or pause >= deadline.remaining:
                raise Undelivered(f"CloudFormation did not take the response: {problem}.")
            deadline.clock.sleep(pause)


def _put(pool: urllib3.PoolManager, url: str, body: bytes, seconds: float) -> str | None:
    """Make one attempt; return what was wrong, without the URL, which is a secret.

    A redirect is not followed, and is no delivery: the URL is signed for its own host.
    """
    timeout = urllib3.Timeout(total=seconds, connect=CONNECT_SECONDS, read=READ_SECONDS)
    try:
        answer = pool.request("PUT", url, body=body, headers={"Content-Type": ""}, timeout=timeout, redirect=False)
    except urllib3.exceptions.HTTPError as error:
        return type(error).__name__
    return f"HTTP status {answer.status}" if answer.status >= 300 else None  # noqa: PLR2004  # HTTP's
