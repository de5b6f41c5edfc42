"""The world that the events of `events/` speak of: the same calls in the same order give the same ids every time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.world import Vpc, client, make_role, make_vpc

REQUESTER, ACCEPTER = "111111111111", "222222222222"
ROLE, EXTERNAL_ID = "VpcPeeringAccepter", "vpc-peering-example"
MANAGED_BY = "vpc-peering"


@dataclass(frozen=True)
class EventWorld:
    """`connections` are those of `requester` with `accepter` and `other_accepter`, as far as the event needs them."""

    requester: Vpc
    neighbour: Vpc
    accepter: Vpc
    other_accepter: Vpc
    connections: tuple[str, ...]


def make_event_world(url: str, event: Mapping[str, Any]) -> EventWorld:
    """Make VPCs, the accepter's role and the connections up to the event's physical id, in a server just reset."""
    make_role(url, ACCEPTER, ROLE, REQUESTER, EXTERNAL_ID)
    requester = make_vpc(url, REQUESTER, "us-east-1", "hub", "10.0.0.0/16", secondary=["10.1.0.0/16"])
    neighbour = make_vpc(url, REQUESTER, "us-east-1", "neighbour", "10.4.0.0/16")
    accepter = make_vpc(url, ACCEPTER, "eu-west-1", "spoke", "10.8.0.0/16", secondary=["10.9.0.0/16"])
    other = make_vpc(url, ACCEPTER, "eu-west-1", "other-spoke", "10.12.0.0/16")
    connections: list[str] = []
    physical_id = event.get("PhysicalResourceId", "")
    for peer in (accepter, other):
        if physical_id.startswith("pcx-") and physical_id not in connections:
            connections.append(_connect(url, requester, peer, event))
    return EventWorld(requester, neighbour, accepter, other, tuple(connections))


def _connect(url: str, requester: Vpc, accepter: Vpc, event: Mapping[str, Any]) -> str:
    """Make an active connection that carries the owner tags of the event's resource."""
    owner = {"stack-id": event["StackId"], "logical-id": event["LogicalResourceId"], "managed-by": MANAGED_BY}
    tags = [{"Key": f"vpc-peering:{name}", "Value": value} for name, value in owner.items()]
    connection = client(url, "ec2", requester.account, requester.region).create_vpc_peering_connection(
        VpcId=requester.id,
        PeerVpcId=accepter.id,
        PeerOwnerId=accepter.account,
        PeerRegion=accepter.region,
        TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": tags}],
    )["VpcPeeringConnection"]
    accepter_ec2 = client(url, "ec2", accepter.account, accepter.region)
    accepter_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=connection["VpcPeeringConnectionId"])
    return str(connection["VpcPeeringConnectionId"])
