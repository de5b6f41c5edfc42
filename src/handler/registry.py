"""The registry: one DynamoDB table, the function's only memory. The only calls to DynamoDB.

All writes are conditional on the revision that was read; what they mean is decided in `item`, which is pure.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType
from typing import Any, Final, Protocol
from uuid import uuid4

import botocore.session
from botocore.config import Config

from handler.calls import CONFIG, Place, call
from handler.clock import Clock, Deadline, backoff
from handler.errors import InternalFailure, InvalidRequest, NetworkFailure, NotStabilized, PeeringError
from handler.item import (
    Answer,
    Claim,
    Item,
    LeaseLost,
    Superseded,
    abandoned,
    admitted,
    answered,
    forgotten,
    held,
    packed,
    parted,
    released,
    remembered,
    unpacked,
    watched,
)
from handler.model import RouteKey, RouteRecord, Side, Stood
from handler.request import Request
from handler.telemetry import logger

REACHED_WITHIN: Final = 20.0
"""Seconds that the table may take; a Create fails then, before anything is made."""

RENEWED_EVERY: Final = 5.0
"""Seconds after which the next call to AWS renews the lease, and learns whether a newer request waits."""

LOST_WITHIN: Final = 30
"""Seconds before the end of a lease from which on the work stops where it cannot be renewed."""

SHOWN_WITHIN: Final = 300
"""Seconds after which EC2 shows every route that was made, and every connection."""

VERSION: Final = 1
IMPATIENT: Final = CONFIG.merge(Config(connect_timeout=2, read_timeout=3))
"""DynamoDB answers within milliseconds: one that hangs must not take the time in which the answer is delivered."""

INDEX: Final = "Maintained"
"""The index of the resources that stacks have, and its key."""


class NewerItem(InternalFailure):
    """What a newer version of the function has written: whoever cannot read it must not act on the resource."""


Key = tuple[str, str]
"""Stack id and logical id."""


@dataclass(frozen=True)
class Revision:
    """An item as it was written; `name` is that of the writing."""

    name: str
    item: Item


@dataclass(frozen=True)
class Entry:
    """What the index tells of a resource: the places of its sides, as far as they are known, and its names."""

    key: Key
    places: tuple[str, ...]
    names: frozenset[str]


class Store(Protocol):
    """Where items are kept."""

    def load(self, key: Key, deadline: Deadline) -> Revision | None:
        """Return an item as it was written last."""

    def save(self, key: Key, over: str | None, revision: Revision, deadline: Deadline) -> bool:
        """Write an item where the last writing is `over` (None: there is none); tell whether it was."""

    def entries(self, deadline: Deadline) -> Iterator[Entry]:
        """Yield an entry of each resource that a stack has, those of one place after each other."""


class MemoryStore:
    """Items that live as long as the process: for `sam local invoke`, which has no table."""

    def __init__(self, revisions: Mapping[Key, Revision] = MappingProxyType({})) -> None:
        self._lock = Lock()
        self._revisions = dict(revisions)

    def load(self, key: Key, deadline: Deadline) -> Revision | None:  # noqa: ARG002  # memory is always reached
        """Return an item as it was written last."""
        return self._revisions.get(key)

    def save(self, key: Key, over: str | None, revision: Revision, deadline: Deadline) -> bool:  # noqa: ARG002
        """Write an item where the last writing is `over`; tell whether it was."""
        with self._lock:
            last = self._revisions.get(key)
            if (last.name if last else None) != over:
                return False
            self._revisions[key] = revision
            return True

    def entries(self, deadline: Deadline) -> Iterator[Entry]:  # noqa: ARG002  # memory is always reached
        """Yield an entry of each resource that a stack has."""
        items = [(key, revision.item) for key, revision in self._revisions.items()]
        kept = (_entry(key, item) for key, item in items if item.properties is not None)
        yield from sorted(kept, key=lambda entry: entry.places)


class DynamoStore:
    """Items of a table, keyed by `StackId` and `LogicalResourceId`; `Body` holds the item as JSON."""

    def __init__(self, session: botocore.session.Session, table: str) -> None:
        self._client = session.create_client("dynamodb", config=IMPATIENT)
        self._table = table
        self._place = Place("", "", self._client.meta.region_name)

    def load(self, key: Key, deadline: Deadline) -> Revision | None:
        """Return an item as it was written last.

        Raises:
            NewerItem: a newer version of the function has written it.
            InternalFailure: it is none of the function's.
            PeeringError: the table cannot be reached.

        """
        answer = self._call("get_item", deadline, Key=_attributes(key), ConsistentRead=True)
        found = answer.get("Item")
        if found is None:
            return None
        try:
            version, name = int(found["Version"]["N"]), found["Revision"]["S"]
            if version > VERSION:
                raise NewerItem(
                    f"the registry's item of this resource has version {version}, this function knows {VERSION}.",
                    "Deploy the newer version of the function again.",
                )
            return Revision(name, Item.model_validate_json(found["Body"]["S"]))
        except (KeyError, ValueError) as error:
            raise InternalFailure(
                f"the registry, table {self._table}, holds what is not an item of ours: {type(error).__name__}.",
                "Restore the item from the table's backup, or delete it: the owner tags tell what is ours.",
            ) from error

    def save(self, key: Key, over: str | None, revision: Revision, deadline: Deadline) -> bool:
        """Write an item where the last writing is `over`; tell whether it was.

        Raises:
            PeeringError: the table cannot be reached.

        """
        item = revision.item
        attributes = {
            **_attributes(key),
            "Revision": {"S": revision.name},
            "Version": {"N": str(VERSION)},
            "Body": {"S": item.model_dump_json(by_alias=True, exclude_defaults=True)},
            **({"ExpiresAt": {"N": str(item.expires_at)}} if item.expires_at else {}),
            **_index(_entry(key, item) if item.properties is not None else None),
        }
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(StackId)"}
        if over is not None:
            values = {":over": {"S": over}}
            condition = {"ConditionExpression": "Revision = :over", "ExpressionAttributeValues": values}
        try:
            self._call("put_item", deadline, Item=attributes, **condition)
        except InvalidRequest as failure:
            if failure.ec2_code != "conditionalcheckfailedexception":
                raise
            return False
        return True

    def entries(self, deadline: Deadline) -> Iterator[Entry]:
        """Yield an entry of each resource that a stack has, those of one place after each other.

        Raises:
            PeeringError: the table cannot be reached.

        """
        condition = {
            "IndexName": INDEX,
            "KeyConditionExpression": f"{INDEX} = :yes",
            "ExpressionAttributeValues": {":yes": {"S": "yes"}},
        }
        start: dict[str, Any] = {}
        while True:
            page = self._call("query", deadline, **condition, **start)
            if "Items" not in page:
                raise InternalFailure(
                    f"the registry, table {self._table}, answered no page.", "The next sweep asks it."
                )
            for found in page["Items"]:
                key = found["StackId"]["S"], found["LogicalResourceId"]["S"]
                places, names = (found[name]["S"].split(" ") for name in ("Place", "Names"))
                yield Entry(key, tuple(places), frozenset(names))
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _call(self, operation: str, deadline: Deadline, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        try:
            return call(self._client, operation, self._place, deadline, TableName=self._table, **parameters)
        except PeeringError as failure:
            if failure.ec2_code == "conditionalcheckfailedexception":
                raise
            if "Item size" in failure.cause:
                raise InvalidRequest(
                    "the record of this resource's routes is larger than the 400 KB that DynamoDB takes as one item.",
                    "Split it into several resources, with fewer tables or destinations in each.",
                ) from failure
            cause = f"the registry, table {self._table}, cannot be used: {failure.cause}"
            if isinstance(failure, NotStabilized):  # of its own patience: the function has time left
                raise NetworkFailure(cause, "Deploy again; if it recurs, check DynamoDB.") from failure
            raise failure.told(cause, failure.remedy) from failure


def _entry(key: Key, item: Item) -> Entry:
    return Entry(key, item.places or ("/",), frozenset(item.names))


def _index(entry: Entry | None) -> dict[str, Any]:
    if entry is None:
        return {}
    places, names = " ".join(entry.places), " ".join(sorted(entry.names))
    return {INDEX: {"S": "yes"}, "Place": {"S": places}, "Names": {"S": names}}


def _attributes(key: Key) -> dict[str, Any]:
    stack_id, logical_id = key
    return {"StackId": {"S": stack_id}, "LogicalResourceId": {"S": logical_id}}


@dataclass(frozen=True)
class Registry:
    """Gives out the holds on resources, one at a time for each."""

    store: Store
    clock: Clock

    def tenure(self, request: Request) -> "Tenure":
        """Return the hold on the resource of a request, not begun yet."""
        return Tenure(self.store, self.clock, Claim(request, uuid4().hex))

    def resting(self, key: Key, deadline: Deadline) -> "Tenure | None":
        """Return what is known of a resource that rests, without a hold on it; None where it does not.

        Its request stands for what the stack has asked for, as an Update that changes nothing.
        """
        last = self.store.load(key, deadline)
        if last is None or not last.item.rests(self.clock.wall()):
            return None
        item, (stack_id, logical_id) = last.item, key
        properties = item.properties or {}
        request = Request.model_construct(
            request_type="Update",
            service_token=properties["ServiceToken"],
            stack_id=stack_id,
            response_url="",
            request_id=item.newest or "",
            logical_resource_id=logical_id,
            physical_resource_id=item.living[-1],
            resource_properties=properties,
            old_resource_properties=properties,
        )
        return Tenure(self.store, self.clock, Claim(request, uuid4().hex), unpacked(item.routes), _last=last)

    def abandon(self, key: Key, deadline: Deadline) -> bool:
        """Forget a resource that its stack has let go; tell whether there was one, and nobody worked on it.

        Raises:
            PeeringError: the table cannot be used.

        """
        last = self.store.load(key, deadline)
        now = self.clock.wall()
        if last is None or last.item.properties is None or (last.item.lease and last.item.lease.until > now):
            return False
        return self.store.save(key, last.name, Revision(uuid4().hex, abandoned(last.item, now)), deadline)


@dataclass
class Tenure:
    """One invocation's hold on a resource: its lease, and what it remembers."""

    store: Store
    clock: Clock
    claim: Claim
    records: tuple[RouteRecord, ...] = ()
    """The record of routes, of all connections of the resource."""
    repeated: bool = False
    """Whether an earlier invocation has begun the request, a Create, and no Delete of the resource is remembered."""
    unknown: bool = False
    """Whether the item could not be read."""
    _last: Revision | None = None
    _renewed: float = 0.0
    _writings: int = 0
    _parted: frozenset[str] = frozenset()
    _lock: Lock = field(default_factory=Lock)

    @property
    def answer(self) -> Answer | None:
        """The answer that the request has been given before."""
        served = self._item.served(self.claim.request.request_id)
        return served.answer if served else None

    @property
    def may_live(self) -> bool:
        """Tell whether there may be a connection: one was told, or requested, or a Create was never answered."""
        begun = (served for served in self._item.requests if served.request_type == "Create")
        known = self.unknown or bool(self._item.living) or self.requested
        return known or any(served.answer is None for served in begun)

    def requesting(self, at: float | None) -> None:
        """Record when a connection is requested, before it is: for a while EC2 may not show it.

        Once EC2 has refused, what was recorded before counts again.

        Raises:
            PeeringError: as `remember`.

        """
        with self._lock:
            self._write(
                lambda item: self._held(item, self.records).model_copy(update={"requested_at": at}),
                Deadline(self.clock, REACHED_WITHIN),
            )

    @property
    def requested_at(self) -> float | None:
        """When a connection was requested; None where none was, or a request of CloudFormation has succeeded since."""
        return self._item.requested_at

    @property
    def requested(self) -> bool:
        """Tell whether a connection was requested, and no request of CloudFormation has succeeded since."""
        return self.requested_at is not None

    @property
    def unseen(self) -> bool:
        """Tell whether a connection was requested just now, of which nobody knows what has become."""
        requested_at = self._item.requested_at
        return requested_at is not None and self.clock.wall() - requested_at <= SHOWN_WITHIN

    def had(self, connection_id: str | None) -> bool:
        """Tell whether the resource has had what the request asks for, with this connection: as `Item.had`."""
        return self._item.had(self.claim.request.resource_properties, connection_id)

    def vpc_ids(self, connection_id: str | None) -> dict[Side, str]:
        """Return the VPCs of a connection of the resource; empty where it is not known."""
        return dict(zip(Side, self._item.vpc_ids.get(connection_id or "", ()), strict=False))

    @property
    def stood(self) -> Mapping[str, Mapping[Side, Stood]]:
        """What connections of the resource had before it wrote to them."""
        return self._item.stood

    @property
    def living(self) -> frozenset[str]:
        """The physical ids that CloudFormation has."""
        return frozenset(self._item.living)

    @property
    def _item(self) -> Item:
        return self._last.item if self._last else Item()

    @property
    def _holds(self) -> bool:
        lease = self._item.lease
        return lease is not None and lease.holder == self.claim.holder

    @property
    def ran_out(self) -> bool:
        """Tell whether the lease that was held has ended: another invocation may have it, whether we know or not."""
        return self._left is not None and self._left <= 0

    @property
    def _left(self) -> float | None:
        lease = self._item.lease
        return lease.until - self.clock.wall() if lease and self._holds else None

    @property
    def key(self) -> Key:
        """What the resource is known by."""
        return self.claim.request.stack_id, self.claim.request.logical_resource_id

    def begin(self, deadline: Deadline) -> None:
        """Take the lease once nobody else has it; not where the request has its answer already.

        A newer request ends the one that is being served: that notices within seconds, and is waited for.

        Raises:
            Superseded: the request comes too late; nothing may be done for it.
            NotStabilized: the resource did not become free before the deadline.
            PeeringError: the table cannot be used, and so nobody's state is known.

        """
        pauses = backoff(0.5, 5)
        while not self._enter(deadline.within(REACHED_WITHIN)):
            deadline.pause(next(pauses), "an earlier request for this resource was still being served")

    def _enter(self, deadline: Deadline) -> bool:
        first = self._last is None
        self._last = self.store.load(self.key, deadline)
        if first:
            deleted = any(served.request_type == "Delete" for served in self._item.requests)
            self.repeated = self._item.served(self.claim.request.request_id) is not None and not deleted
        self._write(lambda item: admitted(item, self.claim, self.clock.wall()), deadline)
        self.records = unpacked(self._item.routes)
        return self.answer is not None or self._holds

    def check(self) -> None:
        """Renew the lease where it is time to.

        Raises:
            Superseded: a newer request waits for the resource.
            LeaseLost: another invocation has taken over.

        """
        with self._lock:
            if self.clock.now() - self._renewed >= RENEWED_EVERY:
                self._renew()

    def _renew(self) -> None:
        try:
            self._write(lambda item: self._held(item, self.records), Deadline(self.clock, RENEWED_EVERY))
        except Superseded:
            raise
        except PeeringError as failure:
            left = self._left
            if left is None or left < LOST_WITHIN:
                if self.ran_out:
                    raise LeaseLost from failure
                raise
            self._renewed = self.clock.now()
            logger.warning("the lease could not be renewed yet", reason=failure.reason)

    def _held(self, item: Item, records: Collection[RouteRecord]) -> Item:
        return held(item, self.claim, self.clock.wall(), records)

    def _write(self, change: Callable[[Item], Item], deadline: Deadline) -> None:
        """Write a change of the item; on what another invocation has written meanwhile it is repeated."""
        while (changed := change(self._item)) != self._item:
            self._writings += 1
            revision = Revision(f"{self.claim.holder}-{self._writings}", changed)
            if self.store.save(self.key, self._last.name if self._last else None, revision, deadline):
                self._last, self._renewed = revision, self.clock.now()
                return
            self._last = self.store.load(self.key, deadline)
            if self._last and self._last.name == revision.name:  # written, though the reply was lost
                self._renewed = self.clock.now()
                return

    def remember(
        self, records: Collection[RouteRecord], stood: Mapping[str, Mapping[Side, Stood]] = MappingProxyType({})
    ) -> None:
        """Record routes before they are made, and what connections had before they are written to.

        An earlier record of the same route and connection stays.

        Raises:
            PeeringError: as `check`, or the table cannot be reached.

        """
        with self._lock:
            known = remembered(self.records, records)
            at = {} if known == self.records else {"recorded_at": int(self.clock.wall())}
            self._write(
                lambda item: self._held(item, known).model_copy(update={**at, "stood": {**item.stood, **stood}}),
                Deadline(self.clock, REACHED_WITHIN),
            )
            self.records = known

    @property
    def settled(self) -> bool:
        """Tell whether EC2 must show every route that is recorded: the last one was not recorded just now."""
        recorded_at = self._item.recorded_at
        return recorded_at is None or self.clock.wall() - recorded_at > SHOWN_WITHIN

    def forget(self, connection_id: str, keys: Collection[RouteKey] | None = None) -> None:
        """Drop the records of routes that were taken off a connection; without keys, all that is recorded of it.

        Written with the answer.
        """
        with self._lock:
            if keys is None:
                self._parted |= {connection_id}
            self.records = forgotten(self.records, connection_id, keys)

    def alone(self) -> "Tenure":
        """Return a hold that needs no table, with what was read of the item."""
        read = self._item.model_copy(update={"lease": None})
        store = MemoryStore({self.key: Revision("read", read)})
        return Tenure(store, self.clock, self.claim, unknown=self._last is None)

    @property
    def findings(self) -> tuple[str, ...]:
        """What maintenance found last, as `upkeep.digests`."""
        return self._item.findings

    @property
    def revision(self) -> str | None:
        """The name of the writing of the item that is known last."""
        return self._last.name if self._last else None

    def watch(self, deadline: Deadline) -> None:
        """Take the lease for a maintenance run.

        Raises:
            Superseded: a request has come, or another run; or the resource is not what it was.
            PeeringError: the table cannot be used.

        """
        self._write(lambda item: watched(item, self.claim, self.clock.wall()), deadline)
        self.records = unpacked(self._item.routes)

    def leave(self, findings: tuple[str, ...], deadline: Deadline) -> None:
        """Release the resource after a maintenance run, with what that has found.

        Raises:
            PeeringError: the table cannot be used; the lease ends by itself.

        """
        with self._lock:
            self._write(lambda item: released(item, self.claim, self.records, findings), deadline)

    def note(self, findings: tuple[str, ...], deadline: Deadline) -> bool:
        """Write down what a run has found that changed nothing, and the record of routes; tell whether it did.

        Not where all of it is known, nor where somebody works on the resource meanwhile.

        Raises:
            PeeringError: the table cannot be used.

        """
        noted = self._item.model_copy(update={"findings": findings, "routes": packed(self.records)})
        if self._last is None or noted == self._item:
            return False
        return self.store.save(self.key, self._last.name, Revision(f"{self.claim.holder}-note", noted), deadline)

    def finish(self, answer: Answer, deadline: Deadline, *, release: bool = True) -> Answer:
        """Record the answer, and release the resource; return the answer that stands, if the request had one.

        A call may still be on its way where the answer is given for it: then the resource is not released, and whoever
        comes next waits until the lease has ended by itself.

        Raises:
            LeaseLost: another invocation serves the request, and answers it.
            PeeringError: the table cannot be reached; the lease ends by itself.

        """
        with self._lock:
            part = deadline.within(REACHED_WITHIN)
            if not self._holds:
                self._last = self.store.load(self.key, part)
                self.records = unpacked(self._item.routes)
            now = self.clock.wall()
            self._write(
                lambda item: answered(parted(item, self._parted), self.claim, now, answer, self.records, release), part
            )
            return self.answer or answer
