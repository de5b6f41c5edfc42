"""The world that the events of `events/` speak of: the same calls in the same order give the same ids every time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.world import Vpc, make_role, make_vpc

REQUESTER, ACCEPTER = "111111111111", "222222222222"
ROLE, EXTERNAL_ID = "VpcPeeringAccepter", "vpc-peering-example"

Event = Mapping[str, Any]
Serve = Callable[[Event], str]
"""Serves a request of CloudFormation, and returns the physical id of its answer."""


@dataclass(frozen=True)
class EventWorld:
    """The VPCs. `requester` is peered with `accepter`, and after a replacement with `other_accepter`."""

    requester: Vpc
    neighbour: Vpc
    accepter: Vpc
    other_accepter: Vpc


def make_event_world(url: str) -> EventWorld:
    """Make VPCs and the accepter's role, in a server just reset."""
    make_role(url, ACCEPTER, ROLE, REQUESTER, EXTERNAL_ID)
    return EventWorld(
        make_vpc(url, REQUESTER, "us-east-1", "hub", "10.0.0.0/16", secondary=["10.1.0.0/16"]),
        make_vpc(url, REQUESTER, "us-east-1", "neighbour", "10.4.0.0/16"),
        make_vpc(url, ACCEPTER, "eu-west-1", "spoke", "10.8.0.0/16", secondary=["10.9.0.0/16"]),
        make_vpc(url, ACCEPTER, "eu-west-1", "other-spoke", "10.8.0.0/16"),
    )


def play_what_led_to(event: Event, world: EventWorld, serve: Serve) -> None:
    """Serve the requests after which CloudFormation sends this event: a Create, then the replacement if there was one.

    Before an event without a connection there was none.
    """
    if not event.get("PhysicalResourceId", "").startswith("pcx-"):
        return
    now = event.get("OldResourceProperties", event["ResourceProperties"])
    first = {**now, "PeerVpcId": world.accepter.id}
    connection_id = serve(_earlier(event, "Create", ResourceProperties=first))
    if now != first:
        more = {"ResourceProperties": now, "OldResourceProperties": first, "PhysicalResourceId": connection_id}
        serve(_earlier(event, "Update", **more))


def _earlier(event: Event, request_type: str, **more: object) -> Event:
    kept = {key: event[key] for key in ("ServiceToken", "ResponseURL", "StackId", "LogicalResourceId", "ResourceType")}
    return {**kept, "RequestType": request_type, "RequestId": f"{request_type} before it", **more}
