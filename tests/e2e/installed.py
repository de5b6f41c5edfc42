"""The function installed in the embedded AWS, and stacks that use it, as CloudFormation drives them."""

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local import stacks
from local.demo.installation import EXTERNAL_ID, Installation
from local.embedded import ROOT, EmbeddedAws
from local.strict import Call, Settings
from local.world import Vpc, make_vpc, routes

HOME, OTHER = "111111111111", "222222222222"
"""The account of the function, the stacks and the requesters; the accepters'."""
FUNCTION = "vpc-peering"
EXAMPLES = {path.stem: path.read_text() for path in (ROOT / "examples").glob("*.yaml")}
BROKEN = {"PeerVpcId": "vpc-0"}
"""Properties of a resource that fails after `Peering`."""
ATTRIBUTES = (
    "Id",
    "VpcPeeringConnectionId",
    "Status",
    *(f"{side}{name}" for side in ("Requester", "Accepter") for name in ("VpcId", "OwnerId", "Region", "CidrBlocks")),
    "RouteCount",
    "PeerRouteCount",
    "SkippedRoutes",
    "PeerSkippedRoutes",
)
READS = ("Describe", "AssumeRole", "Get")

RoutesOf = dict[str, dict[str, str]]
_names = itertools.count(1)


@dataclass(frozen=True)
class Installed:
    """An empty EC2 around the function that the whole folder shares."""

    aws: EmbeddedAws
    role_arn: str

    @classmethod
    def fresh(cls, installation: Installation, role_arn: str, function_role_arn: str) -> "Installed":
        """Empty EC2 and forget all settings; what stacks have made stays."""
        aws = installation.aws
        aws.strict.reset(Settings(iam_url=aws.url, principals={HOME: function_role_arn}))
        return cls(aws, role_arn)

    def vpc(self, name: str, cidr: str, account: str = HOME, **options: Any) -> Vpc:  # noqa: ANN401 - of make_vpc
        """Make a VPC on the requester's side."""
        return make_vpc(self.aws.strict.url, account, "us-east-1", name, cidr, **options)

    def peer_vpc(self, name: str, cidr: str, account: str = OTHER, **options: Any) -> Vpc:  # noqa: ANN401 - of make_vpc
        """Make a VPC on the accepter's side."""
        return make_vpc(self.aws.strict.url, account, "eu-west-1", name, cidr, **options)

    def properties(self, vpc: Vpc, peer: Vpc, **more: object) -> dict[str, Any]:
        """Return the properties that peer the two, with routes in all tables."""
        return {
            "VpcId": vpc.id,
            "PeerVpcId": peer.id,
            "PeerOwnerId": peer.account,
            "PeerRegion": peer.region,
            "PeerRoleArn": self.role_arn,
            "PeerExternalId": EXTERNAL_ID,
            "Routes": {"AllRouteTables": True},
            "PeerRoutes": {"AllRouteTables": True},
            **more,
        }

    def stack(self, **metadata: str) -> "Stack":
        """Name a stack that no other test has."""
        return Stack(self, f"network-{next(_names)}", metadata)

    def ec2(self, vpc: Vpc) -> Any:  # noqa: ANN401 - a boto3 client
        """Return EC2 as a person in the VPC's account and Region has it."""
        return self.aws.client("ec2", vpc.account, vpc.region)

    def routes(self, vpc: Vpc) -> RoutesOf:
        """Return the targets by table and destination, without the local routes."""
        return {
            table: {block: target for block, (target, _) in found.items() if target != "local"}
            for table, found in routes(self.aws.strict.url, vpc).items()
        }

    def connection(self, vpc: Vpc, connection_id: str) -> dict[str, Any]:
        """Return a connection as the VPC's account and Region show it."""
        reply = self.ec2(vpc).describe_vpc_peering_connections(VpcPeeringConnectionIds=[connection_id])
        return dict(reply["VpcPeeringConnections"][0])

    def live(self, vpc: Vpc) -> list[str]:
        """Return the ids of the connections in the VPC's account and Region that have not ended."""
        found = self.ec2(vpc).describe_vpc_peering_connections()["VpcPeeringConnections"]
        return [c["VpcPeeringConnectionId"] for c in found if c["Status"]["Code"] != "deleted"]

    def settle(self) -> None:
        """Wait until every invocation is over: the next one then runs where the first one ran, with its record.

        A stack goes on before its function ends, and while that is busy another environment takes the next request.
        """
        while not all(entry["attempts"] for entry in self.aws.events):
            time.sleep(stacks.POLL_SECONDS)

    @contextmanager
    def counted(self) -> Iterator[list[Call]]:
        """Collect the EC2 and STS calls made inside."""
        first = len(self.aws.strict.calls)
        calls: list[Call] = []
        yield calls
        calls += self.aws.strict.calls[first:]


def routes_to(vpc: Vpc, peer: Vpc, connection_id: str) -> RoutesOf:
    """Return the routes of a VPC of which every table leads to every block of the other one."""
    return {table_id: dict.fromkeys(peer.cidr_blocks, connection_id) for table_id in vpc.route_table_ids}


def no_routes(vpc: Vpc) -> RoutesOf:
    """Return the routes of a VPC that has none."""
    return {table_id: {} for table_id in vpc.route_table_ids}


def writes(calls: list[Call]) -> list[str]:
    """Return the operations that change something."""
    return [call.operation for call in calls if not call.operation.startswith(READS)]


@dataclass
class Stack:
    """A stack with the custom resource `Peering`, and `Last`, which depends on it, where a test asks for it."""

    lab: Installed
    name: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Stacks live in the function's account and Region."""
        self.cloudformation = self.lab.aws.client("cloudformation")

    def deploy(self, properties: Mapping[str, Any], last: Mapping[str, Any] | None = None) -> str:
        """Create or update; return the status."""
        resources = {"Peering": _resource(properties)}
        if last is not None:
            resources["Last"] = {**_resource(last), "DependsOn": "Peering"}
        outputs: dict[str, Any] = {name: {"Value": {"Fn::GetAtt": ["Peering", name]}} for name in ATTRIBUTES}
        outputs["Ref"] = {"Value": {"Ref": "Peering"}}
        template = {"Metadata": self.metadata, "Resources": resources, "Outputs": outputs}
        return stacks.deploy(self.cloudformation, self.name, template)

    def deploy_example(self, name: str, parameters: Mapping[str, str]) -> str:
        """Create a stack of examples/; return the status."""
        return stacks.deploy(self.cloudformation, self.name, EXAMPLES[name], parameters)

    def delete(self) -> str:
        """Delete; return the status."""
        return stacks.delete(self.cloudformation, self.name)

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs by name."""
        return stacks.outputs(self.cloudformation, self.name)

    @property
    def connection_id(self) -> str:
        """The physical id."""
        return self.outputs["Ref"]

    @property
    def reasons(self) -> list[str]:
        """The events of the stack as text."""
        return stacks.reasons(self.cloudformation, self.name)

    @property
    def failure(self) -> str:
        """What the function answered as the reason of the one failure of `Peering`."""
        (message,) = (
            text.partition("Message returned: ")[2].rpartition(" (RequestId")[0]
            for text in self.reasons
            if text.startswith(("Peering CREATE_FAILED", "Peering UPDATE_FAILED"))
        )
        return message

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What CloudFormation sent for `Peering`, and what came of it."""
        mine = (entry for entry in self.lab.aws.events if f":stack/{self.name}/" in entry["event"]["StackId"])
        return [entry for entry in mine if entry["event"]["LogicalResourceId"] == "Peering"]

    @property
    def sent(self) -> list[tuple[str, str | None]]:
        """The requests for `Peering`: type and physical id."""
        return [(e["event"]["RequestType"], e["event"].get("PhysicalResourceId")) for e in self.requests]

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The responses that were taken."""
        return [json.loads(answer["body"]) for entry in self.requests for answer in entry["answers"]]


def _resource(properties: Mapping[str, Any]) -> dict[str, Any]:
    token = f"arn:aws:lambda:us-east-1:{HOME}:function:{FUNCTION}"
    return {"Type": "Custom::VpcPeering", "Properties": {"ServiceToken": token, **properties}}
