"""What the registry remembers of one resource, and what follows from it. Pure: every change returns a new item.

CloudFormation sends the requests of a resource one after the other, and takes a newer one for the end of all before.
So the newest by the time of its sending is the one to be served (the fence), by one worker at a time (the lease); an
answer that was given stands (the replay), and what comes too late does nothing.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_pascal

from handler.errors import Overtaken, ResourceConflict
from handler.model import RouteKey, RouteRecord, Side, Stood
from handler.request import Request
from handler.values import REFERENCE

LEASE_SECONDS: Final = 60
"""Life of a lease. The holder renews it before a call; a call ends after 13 s at most, so none outlives its lease."""

HISTORY: Final = 20
"""Requests that are remembered; Lambda repeats one for at most six hours."""

KEPT_SECONDS: Final = 7 * 24 * 3600
"""For so long a resource that was deleted is remembered, so that a late Create finds out."""

EXTERNAL_IDS: Final = frozenset({"ExternalId", "PeerExternalId"})
"""Properties that the desired state does without, unless they are references: the registry holds no secret."""

Answer = dict[str, Any]
"""A response to CloudFormation."""


class Superseded(Overtaken, ResourceConflict):
    """A later request of the resource is the one to be served."""


class LeaseLost(Overtaken):
    """Another invocation serves this very request, and answers it."""


@dataclass(frozen=True)
class Claim:
    """A request, and the invocation that serves it."""

    request: Request
    holder: str


class _Stored(BaseModel):
    # A newer function may have added members: they are kept.
    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, frozen=True, extra="allow")


class Served(_Stored):
    """A request, and its answer."""

    request_id: str
    sent: float | None = None
    """When CloudFormation sent it, in seconds since 1970, where its event says so."""
    request_type: Literal["Create", "Update", "Delete"]
    answer: Answer | None = None


class Lease(_Stored):
    """Which invocation works on the resource, for which request, and until when (seconds since 1970) unless renewed."""

    holder: str
    request_id: str
    until: int


class Deployment(_Stored):
    """What a connection was deployed with, see `Item`."""

    properties: dict[str, Any] | None = None
    places: tuple[str, ...] = ()


class Item(_Stored):
    """The item of a resource."""

    requests: tuple[Served, ...] = ()
    """In the order in which they were sent."""
    lease: Lease | None = None
    living: tuple[str, ...] = ()
    """Physical ids that CloudFormation has by our answers, and has not deleted: two during a replacement."""
    properties: dict[str, Any] | None = None
    """The desired state: the properties of the last Create or Update that succeeded for the last living connection."""
    former: dict[str, Deployment] = {}
    """That of the living connection before: it counts again where the last one is deleted, by a rollback."""
    vpc_ids: dict[str, tuple[str, str]] = {}
    """The requester's and the accepter's VPC of each living connection: a query may have found them."""
    routes: dict[str, dict[str, list[str]]] = {}
    """The record of routes, see `packed`."""
    stood: dict[str, dict[Side, Stood]] = {}
    """By connection, what its sides had before the resource wrote there; nothing where the resource has made it."""
    places: tuple[str, ...] = ()
    """Account and Region of the requester's and of the accepter's side, `111111111111/eu-west-1`."""
    findings: tuple[str, ...] = ()
    """Digests of what maintenance found last, so that nobody is told the same again."""
    recorded_at: int | None = None
    """When (seconds since 1970) a route was recorded last."""
    requested_at: float | None = None
    """When (seconds since 1970) a connection was about to be requested, while no success has been answered since."""
    expires_at: int | None = None
    """When (seconds since 1970) the item may be dropped."""

    def served(self, request_id: str) -> Served | None:
        """Return what is remembered of a request."""
        return next((served for served in self.requests if served.request_id == request_id), None)

    @property
    def newest(self) -> str | None:
        """The id of the request that is to be served."""
        return self.requests[-1].request_id if self.requests else None

    def had(self, properties: Mapping[str, Any], connection_id: str | None) -> bool:
        """Tell whether a state is that of the last success, or of a connection which was replaced and not deleted yet.

        To either, CloudFormation rolls back.
        """
        return self.properties == _kept(properties) or connection_id in self.living[:-1]

    def rests(self, now: float) -> bool:
        """Tell whether the resource is as its stack asked for it, and nobody works on it.

        A clean-up after a replacement that failed is no matter of the connection that lives.
        """
        answers = [served.answer for served in self.requests if not self._failed_to_clean_up(served)]
        succeeded = bool(answers) and answers[-1] is not None and answers[-1]["Status"] == "SUCCESS"
        free = self.lease is None or self.lease.until <= now
        return succeeded and free and self.properties is not None and bool(self.living)

    def _failed_to_clean_up(self, served: Served) -> bool:
        answer = served.answer
        failed = served.request_type == "Delete" and answer is not None and answer["Status"] == "FAILED"
        return failed and answer is not None and answer["PhysicalResourceId"] not in self.living[-1:]

    @property
    def names(self) -> list[str]:
        """What may change the resource when it changes: its connections, VPCs and tables.

        A table or a subnet that a selector may choose by its tags, or as the main one, has a name that nobody knows
        before: then the place of its side stands for all that lie there.
        """
        tables = (place.split(" ")[1] for places in self.routes.values() for place in places)
        vpcs = (vpc_id for connection_id in self.living for vpc_id in self.vpc_ids.get(connection_id, ()))
        rules = ((self.properties or {}).get(name) or {} for name in ("Routes", "PeerRoutes"))
        open_places = (
            place
            for place, rule in zip(self.places, rules, strict=False)
            if rule.keys() & {"MainRouteTable", "SubnetIds", "SubnetTags", "RouteTableTags"}
        )
        return sorted({*self.living, *vpcs, *tables, *open_places} - {""})


def admitted(item: Item, claim: Claim, now: float) -> Item:
    """Return the item with the request as its newest and, where nobody else has it, with the lease.

    Raises:
        Superseded: the request comes too late.

    """
    request = claim.request
    known = item.served(request.request_id)
    if known and known.answer:
        return item
    if request.request_id != item.newest and (known or _late(item, request)):
        raise _superseded(item)
    if known is None:
        item = _begun(item, request)
    if item.lease and item.lease.until > now:
        return item
    return item.model_copy(update={"lease": _lease(claim, now)})


def _late(item: Item, request: Request) -> bool:
    """Tell whether CloudFormation has sent another request after this one; in one second, only a Delete is later.

    A Create that Lambda delivers after the Delete which overtook it must make nothing (cloudformation-coverage-roadmap
    #1730). Without the time of either, whatever comes later counts as sent later.
    """
    newest = item.requests[-1] if item.requests else None
    if newest is None or newest.sent is None or request.sent is None:
        return False
    return (request.sent, request.request_type == "Delete") < (newest.sent, newest.request_type == "Delete")


def _begun(item: Item, request: Request) -> Item:
    begun = Served(request_id=request.request_id, sent=request.sent, request_type=request.request_type)
    update: dict[str, Any] = {"requests": (*item.requests, begun)[-HISTORY:], "expires_at": None}
    if request.request_type == "Update" and request.physical_resource_id:
        update |= _led(item, _with(item.living, request.physical_resource_id))
    return item.model_copy(update=update)


def _superseded(item: Item) -> Superseded:
    return Superseded(
        f"CloudFormation has sent a later request for this resource, {item.newest}, which is served instead.",
        "Look at the later event of the stack.",
    )


def _lease(claim: Claim, now: float) -> Lease:
    return Lease(holder=claim.holder, request_id=claim.request.request_id, until=int(now) + LEASE_SECONDS)


def held(item: Item, claim: Claim, now: float, records: Collection[RouteRecord]) -> Item:
    """Return the item with the lease renewed, and with the record of routes.

    Raises:
        Superseded: a newer request waits for the resource.
        LeaseLost: another invocation has taken the lease, since it was not renewed in time.

    """
    if claim.request.request_id != item.newest:
        raise _superseded(item)
    if item.lease is None or item.lease.holder != claim.holder:
        raise LeaseLost
    return item.model_copy(update={"lease": _lease(claim, now), "routes": packed(records)})


def watched(item: Item, claim: Claim, now: float) -> Item:
    """Return the item with the lease of a maintenance run, which any request of CloudFormation ends.

    Raises:
        Superseded: the resource does not rest.

    """
    if claim.request.request_id != item.newest or not item.rests(now):
        raise _superseded(item)
    return item.model_copy(update={"lease": _lease(claim, now)})


def abandoned(item: Item, now: float) -> Item:
    """Return the item of a resource that its stack has let go without deleting it."""
    nothing = Item(requests=item.requests, expires_at=int(now) + KEPT_SECONDS)
    return item.model_copy(update={name: getattr(nothing, name) for name in Item.model_fields})


def released(item: Item, claim: Claim, records: Collection[RouteRecord], findings: tuple[str, ...]) -> Item:
    """Return the item without the lease of a maintenance run, with what that has made and found."""
    if item.lease is None or item.lease.holder != claim.holder:
        return item
    return item.model_copy(update={"lease": None, "routes": packed(records), "findings": findings})


def answered(  # noqa: PLR0913, PLR0917  # what an answer is made of
    item: Item, claim: Claim, now: float, answer: Answer, records: Collection[RouteRecord], release: bool = True
) -> Item:
    """Return the item with the answer to a request, and without its lease; an answer that was given stands.

    Where it does not `release` the resource, what comes next waits for the end of the lease.

    Raises:
        LeaseLost: another invocation serves this very request; one whose lease has ended has died.

    """
    request = claim.request
    mine = item.lease is not None and item.lease.holder == claim.holder
    known = item.served(request.request_id)
    if known and known.answer:
        return item
    free = item.lease is None or item.lease.until <= now
    if item.lease and item.lease.request_id == request.request_id and not (mine or free):
        raise LeaseLost
    served = Served(request_id=request.request_id, sent=request.sent, request_type=request.request_type, answer=answer)
    late = known is None and _late(item, request)
    if known:
        requests = tuple(served if old.request_id == request.request_id else old for old in item.requests)
    elif late:
        requests = (served, *item.requests[1 - HISTORY :])
    else:  # it was begun without the registry
        requests = (*item.requests, served)[-HISTORY:]
    update: dict[str, Any] = {"requests": requests}
    if mine:
        update |= {"routes": packed(records), **({"lease": None} if release else {})}
    item = item.model_copy(update=update)
    served_here = mine or (known is None and not late and free)
    return _concluded(item, request, answer, now) if served_here and answer["Status"] == "SUCCESS" else item


def _concluded(item: Item, request: Request, answer: Answer, now: float) -> Item:
    physical_id = answer["PhysicalResourceId"]
    item = item.model_copy(update={"requested_at": None})
    if request.request_type != "Delete":
        data = answer.get("Data", {})
        update: dict[str, Any] = {
            **_led(item, _with(item.living, physical_id)),
            "vpc_ids": {**item.vpc_ids, physical_id: (data.get("RequesterVpcId", ""), data.get("AccepterVpcId", ""))},
            "properties": _kept(request.resource_properties),
            "places": tuple(
                f"{data.get(f'{side.title()}OwnerId', '')}/{data.get(f'{side.title()}Region', '')}" for side in Side
            ),
            "findings": (),
        }
        return item.model_copy(update=update)
    # An id that is no connection's stands for all that carries the owner tags.
    gone = {physical_id} if request.connection_id else {physical_id, *item.living}
    living = tuple(other for other in item.living if other not in gone)
    vpc_ids = {connection_id: ids for connection_id, ids in item.vpc_ids.items() if connection_id in living}
    update = {**_led(item, living), "vpc_ids": vpc_ids}
    if not living:
        update |= {"routes": {}, "stood": {}, "expires_at": int(now) + KEPT_SECONDS}
    return item.model_copy(update=update)


def _kept(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is remembered of properties: no secret."""
    return {
        name: value
        for name, value in properties.items()
        if name not in EXTERNAL_IDS or re.fullmatch(REFERENCE, str(value))
    }


def _led(item: Item, living: tuple[str, ...]) -> dict[str, Any]:
    """Return the update to other living ids, and to what the last of them was deployed with: None if nobody knows.

    Of the others only the one before it may come back; more would fill the item.
    """
    counting = Deployment(properties=item.properties, places=item.places)
    known = {**item.former, **dict.fromkeys(item.living[-1:], counting)}
    now = next((known[each] for each in living[-1:] if each in known), Deployment())
    return {
        "living": living,
        "former": {each: known[each] for each in living[-2:-1] if each in known},
        "properties": now.properties,
        "places": now.places,
        "findings": item.findings if living[-1:] == item.living[-1:] else (),
    }


def parted(item: Item, connection_ids: Collection[str]) -> Item:
    """Return the item without what some connections had before, which the resource has left."""
    stood = {connection_id: sides for connection_id, sides in item.stood.items() if connection_id not in connection_ids}
    return item.model_copy(update={"stood": stood})


def _with(ids: tuple[str, ...], physical_id: str) -> tuple[str, ...]:
    return (*(other for other in ids if other != physical_id), physical_id)[-HISTORY:]


def remembered(records: Collection[RouteRecord], more: Iterable[RouteRecord]) -> tuple[RouteRecord, ...]:
    """Return the records with further ones; an earlier record of the same route and connection stays.

    Unless the route was taken from a target that is no connection of the resource: somebody had led it there since.
    """
    own = {None, *(record.connection_id for record in records)}
    known = {(record.connection_id, record.key): record for record in records}
    for record in more:
        place = record.connection_id, record.key
        known[place] = known.get(place, record) if record.former in own else record
    return tuple(known.values())


def forgotten(
    records: Collection[RouteRecord], connection_id: str, keys: Collection[RouteKey] | None
) -> tuple[RouteRecord, ...]:
    """Return the records without those of routes that were taken off a connection.

    Without keys, of all of them: then the connection is left, and what had been taken for it is its successor's to give
    back: its former target is that of the successor's. Only of found routes it stays the former target itself.
    """
    gone = [r for r in records if r.connection_id == connection_id and (keys is None or r.key in keys)]
    left = [record for record in records if record not in gone]
    if keys is not None:
        return tuple(left)
    formers = {record.key: connection_id if record.found else record.former for record in gone}
    return tuple(_with_former(r, formers.get(r.key)) if r.former == connection_id else r for r in left)


def _with_former(record: RouteRecord, former: str | None) -> RouteRecord:
    """Return the record with another former target; a route that has come back to its connection has none."""
    return replace(record, former=None if former == record.connection_id else former)


def packed(records: Iterable[RouteRecord]) -> dict[str, dict[str, list[str]]]:
    """Return the records by connection and by side, table and former target, each `destination[ found]`.

    So packed, 10,000 routes of 200 tables fit into the 400 KB that DynamoDB takes as one item, beside all the answers
    that are kept, each as long as may be. While they are moved each is there twice, and 7,000 fit.
    """
    routes: dict[str, dict[str, list[str]]] = {}
    for record in records:
        place = " ".join(filter(None, (record.key.side, record.key.table_id, record.former)))
        route = f"{record.key.destination} found" if record.found else record.key.destination
        routes.setdefault(record.connection_id, {}).setdefault(place, []).append(route)
    return routes


def unpacked(routes: dict[str, dict[str, list[str]]]) -> tuple[RouteRecord, ...]:
    """Return the records that `packed` made it of."""
    return tuple(
        _unpacked(connection_id, place, route)
        for connection_id, places in routes.items()
        for place, packed_routes in places.items()
        for route in packed_routes
    )


def _unpacked(connection_id: str, place: str, route: str) -> RouteRecord:
    side, table_id, *former = place.split(" ")
    destination, *found = route.split(" ")
    key = RouteKey(Side(side), table_id, destination)
    return RouteRecord(key, connection_id, former[0] if former else None, found=bool(found))
