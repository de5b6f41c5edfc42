"""The handler in this process as CloudFormation drives it: real botocore, real HTTP, a clock that does not wait."""

import itertools
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch

import botocore.session
import trustme
from botocore.client import ClientCreator

from handler.cfn import PeeringResource
from handler.clock import Clock
from handler.lifecycle import Lifecycle
from handler.maintenance import Maintenance
from handler.model import Guard, Mode
from handler.outbox import Outbox
from handler.registry import MemoryStore, Registry, Store
from handler.sessions import Sessions
from local.strict import Call, StrictAws
from local.world import Vpc, client, make_role, make_vpc, routes

HUB, ACCOUNT, PEER_ACCOUNT = "111111111111", "333333333333", "222222222222"
"""The function's account; the requester's where it is another; the accepter's where it is another."""

SERVICE_TOKEN = f"arn:aws:lambda:us-east-1:{HUB}:function:vpc-peering"
INSTALLATION = "installation"
EXTERNAL_ID = "integration-external-id"
READS = ("Describe", "AssumeRole", "Get")


@cache
def sessions() -> Sessions:
    """Return what outlives a sandbox here only because parsing EC2's model takes a quarter of a second."""
    return Sessions(botocore.session.get_session())


@cache
def _once(name: str) -> Callable[..., Any]:
    make, made = getattr(ClientCreator, name), {}

    def make_once(creator: ClientCreator, service: str, *arguments: object, **options: object) -> Any:  # noqa: ANN401
        if service not in made:
            made[service] = make(creator, service, *arguments, **options)
        return made[service]

    return make_once


@contextmanager
def models_made_once() -> Iterator[None]:
    """Let all of botocore's clients of a service share its model and their class: a quarter of a test's time."""
    names = ("_load_service_model", "_create_client_class")
    with patch.multiple(ClientCreator, **{name: _once(name) for name in names}):
        yield


class VirtualTime:
    """A clock whose sleeps return at once, having moved it on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.restart()

    def restart(self) -> None:
        """Begin at zero."""
        self._now = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the virtual seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        with self._lock:
            self._now += seconds
            self.slept.append(seconds)

    @property
    def clock(self) -> Clock:
        """The handler's view of it."""
        return Clock(self.now, self.sleep, self.now)


@dataclass
class Context:
    """Lambda's context, on a clock."""

    invoked_function_arn = SERVICE_TOKEN

    now: Callable[[], float]
    ends: float

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the time-out."""
        return int((self.ends - self.now()) * 1000)


@dataclass
class ResponseBucket:
    """CloudFormation's side of the ResponseURL: HTTPS, each PUT is kept; `statuses` are answered in turn, then 200."""

    url: str
    puts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def responses(self) -> list[dict[str, Any]]:
        """The bodies, parsed."""
        return [json.loads(body) for _, body in self.puts]


@contextmanager
def response_bucket(authority: trustme.CA) -> Iterator[ResponseBucket]:
    """Serve a ResponseURL on loopback, with a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bucket.puts.append((dict(self.headers.items()), body))
            self.send_response(bucket.statuses.pop(0) if bucket.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    bucket = ResponseBucket(f"https://127.0.0.1:{server.server_port}/response?X-Amz-Signature=presigned-secret")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Topology:
    """Where the two VPCs lie, and whether the function acts on the requester's side by a role."""

    account: str = HUB
    peer_account: str = PEER_ACCOUNT
    region: str = "us-east-1"
    peer_region: str = "eu-west-1"

    def __str__(self) -> str:
        account = "hub" if self.account != HUB else "other" if self.peer_account != self.account else "same"
        return f"{account}-account-{'other' if self.region != self.peer_region else 'same'}-region"


TOPOLOGIES = [
    Topology(peer_account=HUB, peer_region="us-east-1"),
    Topology(peer_account=HUB),
    Topology(peer_region="us-east-1"),
    Topology(),
    Topology(account=ACCOUNT),
]


@dataclass
class World:
    """Two VPCs of a topology, the roles to reach them, and stacks that peer them."""

    aws: StrictAws
    bucket: ResponseBucket
    topology: Topology
    time: VirtualTime
    store: Store = field(default_factory=MemoryStore)
    guard: Guard = field(default_factory=Guard)
    maintained: bool = False
    count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        """Make the roles; VPCs come on demand."""
        trusted = {self.topology.account, self.topology.peer_account} - {HUB}
        self.roles = {a: make_role(self.aws.url, a, "VpcPeeringAccess", HUB, EXTERNAL_ID) for a in sorted(trusted)}

    def vpc(self, name: str, cidr: str, **options: Any) -> Vpc:  # noqa: ANN401  # of make_vpc
        """Make a VPC on the requester's side."""
        return make_vpc(self.aws.url, self.topology.account, self.topology.region, name, cidr, **options)

    def peer_vpc(self, name: str, cidr: str, **options: Any) -> Vpc:  # noqa: ANN401  # of make_vpc
        """Make a VPC on the accepter's side."""
        return make_vpc(self.aws.url, self.topology.peer_account, self.topology.peer_region, name, cidr, **options)

    def properties(self, vpc: Vpc, peer: Vpc, **more: object) -> dict[str, Any]:
        """Return the properties that peer two VPCs in this topology; None takes one out."""
        given: dict[str, Any] = {"ServiceToken": SERVICE_TOKEN, "VpcId": vpc.id, "PeerVpcId": peer.id}
        if vpc.region != "us-east-1":
            given["Region"] = vpc.region
        if peer.region != vpc.region:
            given["PeerRegion"] = peer.region
        if peer.account != vpc.account:
            given["PeerOwnerId"] = peer.account
        for prefix, account in (("", vpc.account), ("Peer", peer.account)):
            if role := self.roles.get(account):
                given |= {f"{prefix}RoleArn": role, f"{prefix}ExternalId": EXTERNAL_ID}
        given |= {"Routes": {"AllRouteTables": "true"}, "PeerRoutes": {"AllRouteTables": "true"}, **more}
        return {key: value for key, value in given.items() if value is not None}

    def stack(self, name: str = "network") -> "Stack":
        """Return a stack with one resource, served by a function whose sandbox it keeps."""
        return Stack(self, name, self.resource())

    def resource(self, store: Store | None = None) -> PeeringResource:
        """Start a fresh sandbox of the function; without a store of its own it has that of all others."""
        registry = Registry(store or self.store, self.time.clock)
        return PeeringResource(Lifecycle(sessions(), INSTALLATION, self.guard, maintained=self.maintained), registry)

    def maintenance(self, mode: Mode = Mode.REPAIR) -> Maintenance:
        """Start a fresh sandbox of the function for maintenance, with a queue and a topic."""
        sqs, sns = (client(self.aws.url, service, HUB, "us-east-1") for service in ("sqs", "sns"))
        queue = sqs.create_queue(QueueName="maintenance.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        topic = sns.create_topic(Name="findings")["TopicArn"]
        lifecycle = Lifecycle(sessions(), INSTALLATION, self.guard, maintained=True)
        outbox = Outbox(botocore.session.get_session(), queue, topic)
        return Maintenance(lifecycle, Registry(self.store, self.time.clock), outbox, mode)

    def peer(self, vpc: Vpc, peer: Vpc, *, accept: bool = True, **more: Any) -> str:  # noqa: ANN401  # of EC2's call
        """Peer two VPCs by hand, as somebody who is not us, and return the id of the connection."""
        request = self.ec2(vpc).create_vpc_peering_connection(
            VpcId=vpc.id, PeerVpcId=peer.id, PeerOwnerId=peer.account, PeerRegion=peer.region, **more
        )
        connection_id: str = request["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        if accept:
            self.ec2(peer).accept_vpc_peering_connection(VpcPeeringConnectionId=connection_id)
        return connection_id

    def route(self, vpc: Vpc, table: int, destination: str, connection_id: str) -> None:
        """Make a route to a connection by hand."""
        self.ec2(vpc).create_route(
            RouteTableId=vpc.route_table_ids[table],
            DestinationCidrBlock=destination,
            VpcPeeringConnectionId=connection_id,
        )

    def snapshot(self, *vpcs: Vpc) -> list[Any]:
        """Return all that the accounts and Regions of some VPCs show of tables and connections."""
        shown = []
        for vpc in vpcs:
            ec2 = self.ec2(vpc)
            tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc.id]}])["RouteTables"]
            shown += [tables, ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]]
        return shown

    def routes(self, vpc: Vpc) -> dict[str, dict[str, str]]:
        """Return the targets of a VPC's routes by table and destination, without the local ones."""
        tables = routes(self.aws.url, vpc)
        return {
            table: {block: target for block, (target, _) in sorted(found.items()) if target != "local"}
            for table, found in tables.items()
        }

    def second_role(self, role_arn: str) -> str:
        """Make another role like one, and return its ARN."""
        return make_role(self.aws.url, role_arn.split(":")[4], "VpcPeeringOther", HUB, EXTERNAL_ID)

    def ec2(self, vpc: Vpc) -> Any:  # noqa: ANN401  # a boto3 client
        """Return EC2 as a person in the VPC's account and Region has it."""
        return client(self.aws.url, "ec2", vpc.account, vpc.region)

    def connection(self, vpc: Vpc, connection_id: str) -> dict[str, Any]:
        """Return a connection as the VPC's account and Region show it."""
        found = self.ec2(vpc).describe_vpc_peering_connections(VpcPeeringConnectionIds=[connection_id])
        return found["VpcPeeringConnections"][0]

    def status(self, vpc: Vpc, connection_id: str) -> str:
        """Return the status of a connection."""
        return self.connection(vpc, connection_id)["Status"]["Code"]

    def tags(self, vpc: Vpc, connection_id: str) -> dict[str, str]:
        """Return the tags that one side sees, without the owner tags."""
        tags = self.connection(vpc, connection_id).get("Tags", [])
        return {tag["Key"]: tag["Value"] for tag in tags if not tag["Key"].startswith("vpc-peering:")}

    def live(self, vpc: Vpc) -> list[str]:
        """Return the ids of all live connections that the VPC's account and Region show."""
        found = self.ec2(vpc).describe_vpc_peering_connections()["VpcPeeringConnections"]
        ended = {"deleted", "deleting", "rejected", "failed", "expired"}
        return [c["VpcPeeringConnectionId"] for c in found if c["Status"]["Code"] not in ended]

    @contextmanager
    def counted(self) -> Iterator[list[Call]]:
        """Collect the EC2 and STS calls made inside."""
        before, calls = len(self.aws.calls), []
        yield calls
        calls += self.aws.calls[before:]


def signed(url: str, now: float) -> str:
    """Return a ResponseURL as CloudFormation signs it at a time, in seconds since 1970."""
    return f"{url}&X-Amz-Date={datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"


def internet_gateway(world: World, vpc: Vpc) -> str:
    """Attach an internet gateway: a target for routes that are not ours."""
    ec2 = world.ec2(vpc)
    gateway: str = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc.id)
    return gateway


def operations(calls: list[Call], prefix: str = "") -> list[str]:
    """Return the operations of calls, in their order."""
    return [call.operation for call in calls if call.operation.startswith(prefix)]


def writes(calls: list[Call]) -> list[str]:
    """Return the operations that change something."""
    return [call.operation for call in calls if not call.operation.startswith(READS)]


@dataclass
class Stack:
    """One custom resource in a stack, as CloudFormation drives it; what it leaves to others is left to the test."""

    world: World
    name: str
    resource: PeeringResource
    seconds: float = 900
    physical_id: str | None = None
    current: dict[str, Any] = field(default_factory=dict)

    def send(self, request_type: str, properties: dict[str, Any], **more: object) -> dict[str, Any]:
        """Send one event as it stands, and return the response that was taken."""
        event = self.event(request_type, properties, **more)
        time = self.world.time
        self.resource(event, Context(time.now, time.now() + self.seconds))
        return self.world.bucket.responses[-1]

    def event(self, request_type: str, properties: dict[str, Any], **more: object) -> dict[str, Any]:
        """Return an event of CloudFormation, sent after all that were made before."""
        number = next(self.world.count)
        return {
            "RequestType": request_type,
            "ServiceToken": SERVICE_TOKEN,
            "ResponseURL": signed(self.world.bucket.url, self.world.time.now() + number),
            "StackId": f"arn:aws:cloudformation:us-east-1:{HUB}:stack/{self.name}/5d9c2f30-0000",
            "RequestId": f"request-{number}",
            "LogicalResourceId": "Peering",
            "ResourceType": "Custom::VpcPeering",
            "ResourceProperties": properties,
            **more,
        }

    def create(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Create the resource."""
        response = self.send("Create", properties)
        self.physical_id, self.current = response["PhysicalResourceId"], properties
        return response

    def update(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Update the resource; the caller sends the clean-up of a replacement."""
        response = self.send(
            "Update", properties, PhysicalResourceId=self.physical_id, OldResourceProperties=self.current
        )
        if response["Status"] == "SUCCESS":
            self.physical_id, self.current = response["PhysicalResourceId"], properties
        return response

    def delete(self, physical_id: str | None = None, properties: dict[str, Any] | None = None) -> dict[str, Any]:
        """Delete the resource, or what an earlier id and its properties stand for."""
        return self.send("Delete", properties or self.current, PhysicalResourceId=physical_id or self.physical_id)
