"""The only calls to SQS and SNS: which resources are to be looked at, and what was found."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Any, Final

import botocore.session

from handler.calls import CONFIG, Place, call
from handler.clock import Deadline
from handler.errors import NetworkFailure, PeeringError
from handler.registry import Entry, Key
from handler.telemetry import logger
from handler.upkeep import Finding
from handler.wake import OF_ATTRIBUTES

BATCH: Final = 10
"""Messages that SQS takes at once."""

LINES: Final = 4
"""Of one account and Region, in which messages stand: as many workers may read there at a time."""

BUCKET_SECONDS: Final = 10
"""The queue delays each message so long: what happens meanwhile to the same resource needs no second one."""

AGAIN_SECONDS: Final = 60
"""After so long a message that failed is tried again; meanwhile its line waits."""

TOLD: Final = 100
"""Findings that a message names: SNS takes 256 KB."""

SUBJECT_LIMIT: Final = 99
"""Characters of a subject that SNS takes."""


class Outbox:
    """Where messages go: the queue of maintenance, and a topic for people if there is one."""

    def __init__(self, session: botocore.session.Session, queue_url: str, topic_arn: str = "") -> None:
        self._session = session
        self._queue_url = queue_url
        self._topic_arn = topic_arn
        self._place = Place("", "", session.get_config_variable("region") or "")

    def enqueue(
        self, entries: Iterable[Entry], reason: str, now: float, deadline: Deadline, *, apart: bool = False
    ) -> int:
        """Put a message for each resource into the queue, and return how many; the same within seconds counts once.

        Only what asks for the attributes of VPCs too is not the same: every other look leaves them out.

        They stand in few lines of that account and Region of their two sides which has more of them, a hub's say, so
        that few workers at a time read there; `apart`, each waits for no other.

        Raises:
            PeeringError: the queue cannot be reached.

        """
        client = self._session.create_client("sqs", config=CONFIG)
        listed = list(entries)
        busy = Counter(place for entry in listed for place in set(entry.places))
        for start in range(0, len(listed), BATCH):
            messages = [
                _message(entry, reason, now, None if apart else max(entry.places, key=busy.__getitem__))
                for entry in listed[start : start + BATCH]
            ]
            parameters = {"QueueUrl": self._queue_url, "Entries": messages}
            answer = call(client, "send_message_batch", self._place, deadline, **parameters)
            if refused := answer.get("Failed"):
                raise NetworkFailure(f"SQS refused a message: {refused[0]['Code']}.", "The next sweep sends it again.")
        return len(listed)

    def again(self, receipt: str, deadline: Deadline) -> None:
        """Have a message come again soon, though it was taken; to fail in that is no failure: it comes later."""
        client = self._session.create_client("sqs", config=CONFIG)
        parameters = {"QueueUrl": self._queue_url, "ReceiptHandle": receipt, "VisibilityTimeout": AGAIN_SECONDS}
        try:
            call(client, "change_message_visibility", self._place, deadline, **parameters)
        except PeeringError as failure:
            logger.warning("a message comes again later than it should", reason=failure.reason)

    def tell(self, key: Key, found: Collection[Finding], deadline: Deadline) -> None:
        """Tell people in plain words what was found, if there is a topic; to fail in that is no failure."""
        if not self._topic_arn:
            return
        stack = key[0].split("/")[1] if "/" in key[0] else key[0]
        subject = f"VPC peering {stack}.{key[1]}: {'repaired' if all(f.done for f in found) else 'needs you'}"
        client = self._session.create_client("sns", config=CONFIG)
        try:
            call(
                client,
                "publish",
                self._place,
                deadline,
                TopicArn=self._topic_arn,
                Subject=subject[:SUBJECT_LIMIT],
                Message="\n".join([f"Stack {key[0]}, resource {key[1]}:", *_lines(found)]),
            )
        except PeeringError as failure:
            logger.warning("nobody could be told of the findings", reason=failure.reason)


def _message(entry: Entry, reason: str, now: float, place: str | None) -> dict[str, Any]:
    name = "/".join(entry.key)
    digest, bucket = sha256(name.encode()).hexdigest(), int(now // BUCKET_SECONDS)
    return {
        "Id": digest,
        "MessageBody": json.dumps({"StackId": entry.key[0], "LogicalResourceId": entry.key[1], "Reason": reason}),
        "MessageGroupId": f"{place}/{int(digest, 16) % LINES}" if place else digest,
        "MessageDeduplicationId": sha256(f"{name} {bucket} {reason == OF_ATTRIBUTES}".encode()).hexdigest(),
    }


def _lines(found: Collection[Finding]) -> Iterator[str]:
    yield from map(_line, islice(found, TOLD))
    if len(found) > TOLD:
        yield f"- and {len(found) - TOLD} more: see the log of the function."


def _line(finding: Finding) -> str:
    side = f"{finding.side.title()}'s side" if finding.side else "Both sides"
    return f"- {side}: {finding.text} {'Repaired.' if finding.done else 'Not repaired.'}"
