"""The native types of a peering, which a migration starts from: made in the strict EC2, deleted and retained."""

from typing import Any

import pytest

from local import stacks
from local.embedded import EmbeddedAws
from local.world import Vpc, make_role, make_vpc

OTHER = "222222222222"


@pytest.fixture
def pair(aws: EmbeddedAws) -> tuple[Vpc, Vpc]:
    """Make two VPCs in two accounts and Regions."""
    aws.strict.reset()
    aws.strict.settings.iam_url = aws.url
    return (
        make_vpc(aws.strict.url, "111111111111", "us-east-1", "here", "10.0.0.0/16"),
        make_vpc(aws.strict.url, OTHER, "eu-west-1", "there", "10.8.0.0/16"),
    )


def template(vpc: Vpc, peer: Vpc, role_arn: str, policy: str) -> dict[str, Any]:
    """Return a stack with a connection to another account and one route."""
    connection = {
        "VpcId": vpc.id,
        "PeerVpcId": peer.id,
        "PeerOwnerId": peer.account,
        "PeerRegion": peer.region,
        "PeerRoleArn": role_arn,
        "Tags": [{"Key": "Name", "Value": "native"}],
    }
    route = {
        "RouteTableId": vpc.route_table_ids[0],
        "DestinationCidrBlock": "10.8.0.0/16",
        "VpcPeeringConnectionId": {"Ref": "Connection"},
    }
    kinds = {"Connection": ("VPCPeeringConnection", connection), "Route": ("Route", route)}
    return {
        "Resources": {
            name: {"Type": f"AWS::EC2::{kind}", "DeletionPolicy": policy, "Properties": properties}
            for name, (kind, properties) in kinds.items()
        },
        "Outputs": {"Id": {"Value": {"Fn::GetAtt": ["Connection", "Id"]}}},
    }


@pytest.mark.parametrize(("policy", "status"), [("Delete", "deleted"), ("Retain", "active")])
def test_native_peering(aws: EmbeddedAws, pair: tuple[Vpc, Vpc], policy: str, status: str) -> None:
    """The connection is requested here and accepted there by PeerRoleArn; what is retained outlives the stack."""
    vpc, peer = pair
    cloudformation, name = aws.client("cloudformation"), f"native-{policy.lower()}"
    role_arn = make_role(aws.url, OTHER, f"Peer{policy}", "111111111111")

    assert stacks.deploy(cloudformation, name, template(vpc, peer, role_arn, policy)) == "CREATE_COMPLETE"
    connection_id = stacks.outputs(cloudformation, name)["Id"]
    route = {"10.8.0.0/16": connection_id}
    assert aws.strict.routes_of(vpc.route_table_ids[0]) == route
    assert stacks.delete(cloudformation, name) == "DELETE_COMPLETE"

    shown = aws.client("ec2").describe_vpc_peering_connections(VpcPeeringConnectionIds=[connection_id])
    assert shown["VpcPeeringConnections"][0]["Status"]["Code"] == status
    assert aws.strict.routes_of(vpc.route_table_ids[0]) == (route if policy == "Retain" else {})
