"""What the tests of the plan start from: a hub in one account, a spoke in another, and a peering between them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from handler.model import (
    Connection,
    Desired,
    DesiredSide,
    End,
    Observed,
    ObservedSide,
    Option,
    Owner,
    Route,
    RouteKey,
    RouteRecord,
    RouteRule,
    RouteTable,
    Side,
    Status,
    Vpc,
)
from handler.request import Request
from tests.harness import signed

OWNER: Final = Owner("arn:aws:cloudformation:us-east-1:111111111111:stack/network/1", "Peering", "installation")
STRANGER: Final = Owner("arn:aws:cloudformation:us-east-1:111111111111:stack/other/2", "Peering", "installation")
ENDS: Final = (End("vpc-hub", "111111111111", "us-east-1"), End("vpc-spoke", "222222222222", "eu-west-1"))
ONE_PLACE: Final = (ENDS[0], End("vpc-spoke", "111111111111", "us-east-1"))
"""Ends in one account and Region, where EC2 keeps one set of tags for both sides."""

RESPONSE_URL: Final = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x?X-Amz-Signature=s"
PCX: Final = "pcx-ours"
NAME: Final = {"Name": "hub-to-spoke"}
BLOCK, PEER_BLOCK = "10.0.0.0/16", "10.8.0.0/16"
BLOCKS, PEER_BLOCKS = (BLOCK,), (PEER_BLOCK,)
ALL: Final = RouteRule(all_route_tables=True)


def request(  # its other fields
    request_type: str,
    request_id: str = "request-1",
    sent: float | None = None,
    **more: Any,  # noqa: ANN401
) -> Request:
    """Return a request of CloudFormation for the owner's resource, sent at a time in seconds since 1970."""
    event = {
        "RequestType": request_type,
        "ServiceToken": "arn:aws:lambda:us-east-1:111111111111:function:vpc-peering",
        "ResponseURL": RESPONSE_URL if sent is None else signed(RESPONSE_URL, sent),
        "StackId": OWNER.stack_id,
        "RequestId": request_id,
        "LogicalResourceId": OWNER.logical_id,
        **more,
    }
    return Request.model_validate(event)


def dns(on: bool | None) -> dict[Option, bool]:  # what a property says
    """Return the options of a side that manages DNS resolution, or none."""
    return {} if on is None else {Option.DNS: on}


def desired(  # noqa: PLR0913  # one argument a property
    *,
    ends: tuple[End, End] = ENDS,
    routes: RouteRule | None = None,
    peer_routes: RouteRule | None = None,
    tags: Mapping[str, str] | None = None,
    peer_tags: Mapping[str, str] | None = None,
    allow_dns: bool | None = None,
    peer_allow_dns: bool | None = None,
    **more: Any,  # noqa: ANN401  # the other fields of Desired
) -> Desired:
    """Return a desired state that asks for a bare connection unless told otherwise."""
    return Desired(
        OWNER,
        DesiredSide(ends[0], tags=tags or {}, options=dns(allow_dns), routes=routes),
        DesiredSide(ends[1], tags=peer_tags or {}, options=dns(peer_allow_dns), routes=peer_routes),
        **more,
    )


def connection(  # noqa: PLR0913  # one argument a fact
    status: Status = Status.ACTIVE,
    *,
    connection_id: str = PCX,
    owner: Owner | None = OWNER,
    ends: tuple[End, End] = ENDS,
    tags: Mapping[str, str] = NAME,
    options: Mapping[Side, frozenset[Option]] | None = None,
) -> Connection:
    """Return a connection as its requester sees it."""
    owner_tags = owner.tags if owner else {}
    return Connection(connection_id, status, *ends, tags={**tags, **owner_tags}, options=options or {})


def as_accepter(seen: Connection, tags: Mapping[str, str] = NAME) -> Connection:
    """Return a connection as its accepter sees it, who has tags of its own."""
    return replace(seen, tags=tags)


def table(*routes: Route, table_id: str = "rtb-hub", main: bool = False, gateway: bool = False) -> RouteTable:
    """Return a route table."""
    return RouteTable(table_id, main, routes, gateway)


def to(target: str, destination: str = PEER_BLOCK, **more: Any) -> Route:  # noqa: ANN401  # the fields of Route
    """Return a static route, from the hub to the spoke unless told otherwise."""
    return Route(destination, target, **more)


def key(destination: str = PEER_BLOCK, table_id: str = "rtb-hub", side: Side = Side.REQUESTER) -> RouteKey:
    """Return the place of a route, in the hub unless told otherwise."""
    return RouteKey(side, table_id, destination)


def peer_key(destination: str = BLOCK, table_id: str = "rtb-spoke") -> RouteKey:
    """Return the place of a route in the spoke."""
    return RouteKey(Side.ACCEPTER, table_id, destination)


def observed(  # noqa: PLR0913  # one argument a fact
    *connections: Connection,
    ends: tuple[End, End] = ENDS,
    blocks: tuple[str, ...] = BLOCKS,
    peer_blocks: tuple[str, ...] = PEER_BLOCKS,
    tables: tuple[RouteTable, ...] = (),
    peer_tables: tuple[RouteTable, ...] = (),
    peer_connections: tuple[Connection, ...] | None = None,
    records: tuple[RouteRecord, ...] = (),
    gone: frozenset[str] = frozenset(),
) -> Observed:
    """Return a world with both VPCs, whose connections the accepter's side sees with a Name of its own.

    Connections face the ends, as they do once they are read.
    """
    connections = tuple(c.facing(ends) for c in connections)
    hub = Vpc(ends[0].vpc_id, ends[0].account, blocks, {"Name": "hub"})
    spoke = Vpc(ends[1].vpc_id, ends[1].account, peer_blocks, {"Name": "spoke"})
    if peer_connections is None:
        shared = (ends[0].account, ends[0].region) == (ends[1].account, ends[1].region)
        peer_connections = connections if shared else tuple(map(as_accepter, connections))
    return Observed(
        ObservedSide(hub, tables, connections),
        ObservedSide(spoke, peer_tables, peer_connections),
        records,
        gone,
    )
