"""`AWS::EC2::VPCPeeringConnection` and `AWS::EC2::Route`, made in the strict EC2 as CloudFormation makes them.

MiniStack's own EC2 is another one, and weaker. These two are what a stack has before it is migrated.
"""

from typing import Any

import boto3  # type: ignore[import-not-found, unused-ignore]
from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners, stacks

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]
CONNECTION, ROUTE = "AWS::EC2::VPCPeeringConnection", "AWS::EC2::Route"
DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


def install() -> None:
    """Take the place of MiniStack's own types, and let them run beside its event loop: their calls come back to it."""
    provisioners._RESOURCE_HANDLERS |= {  # noqa: SLF001 - MiniStack has no public seams
        CONNECTION: {"create": _peer, "delete": _unpeer},
        ROUTE: {"create": _route, "delete": _unroute},
    }
    on_a_thread = stacks._runs_on_worker_thread  # noqa: SLF001
    stacks._runs_on_worker_thread = lambda kind: kind in {CONNECTION, ROUTE} or on_a_thread(kind)  # noqa: SLF001


def _ec2(region: str | None = None, role_arn: str | None = None) -> Any:  # noqa: ANN401 - a boto3 client
    keys = {"aws_access_key_id": get_account_id(), "aws_secret_access_key": "embedded"}
    if role_arn:
        sts = boto3.client("sts", region_name=get_region(), **keys)
        assumed = sts.assume_role(RoleArn=role_arn, RoleSessionName="cloudformation")["Credentials"]
        keys = {"aws_access_key_id": assumed["AccessKeyId"], "aws_secret_access_key": assumed["SecretAccessKey"]}
        keys["aws_session_token"] = assumed["SessionToken"]
    return boto3.client("ec2", region_name=region or get_region(), **keys)


def _peer(_logical_id: str, properties: Properties, _stack_name: str) -> Created:
    """Request, and accept as the peer: with PeerRoleArn in another account."""
    asked = {key: properties[key] for key in ("VpcId", "PeerVpcId", "PeerOwnerId", "PeerRegion") if key in properties}
    tags = [{"ResourceType": "vpc-peering-connection", "Tags": properties["Tags"]}] if properties.get("Tags") else []
    requested = _ec2().create_vpc_peering_connection(**asked, TagSpecifications=tags)
    connection_id: str = requested["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    peer = _ec2(properties.get("PeerRegion"), properties.get("PeerRoleArn"))
    peer.accept_vpc_peering_connection(VpcPeeringConnectionId=connection_id)
    return connection_id, {"Id": connection_id}


def _unpeer(connection_id: str, _properties: Properties) -> None:
    _ec2().delete_vpc_peering_connection(VpcPeeringConnectionId=connection_id)


def _route(_logical_id: str, properties: Properties, _stack_name: str) -> Created:
    _ec2().create_route(**properties)
    destination = next(properties[name] for name in DESTINATIONS if name in properties)
    return f"{properties['RouteTableId']}|{destination}", {}


def _unroute(_physical_id: str, properties: Properties) -> None:
    place = {name: value for name, value in properties.items() if name in {"RouteTableId", *DESTINATIONS}}
    _ec2().delete_route(**place)
