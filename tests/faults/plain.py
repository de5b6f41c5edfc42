"""The same resource as it is usually written with crhelper: right as long as nothing fails.

It proves the campaign: that this one breaks invariants shows that they can be broken, and where.
"""

from collections.abc import Callable
from os import environ
from typing import Any
from unittest.mock import patch

import boto3
from botocore.config import Config
from crhelper import CfnResource

from tests.faults.engine import Handler
from tests.faults.inprocess import Hook, InProcess

Event = dict[str, Any]
OPTION = "AllowDnsResolutionFromRemoteVpc"


def plain(here: InProcess) -> Callable[[Hook], Handler]:
    """Start processes of it."""

    def start(hook: Hook) -> Handler:
        here.begin(hook)
        with patch.dict(environ, {"AWS_SAM_LOCAL": "1"}):  # spares it clients that it never uses
            return make_handler(boto3.Session(botocore_session=here.session))

    return start


def make_handler(session: boto3.Session) -> CfnResource:  # noqa: C901  # one function a request, as usual
    """Return the handler."""
    helper = CfnResource(log_level="ERROR", sleep_on_delete=0)

    def client(properties: Event, prefix: str) -> Any:  # noqa: ANN401  # boto3's
        region = properties.get(f"{prefix}Region") or properties.get("Region") or "us-east-1"
        credentials = {}
        if role := properties.get(f"{prefix}RoleArn"):
            asked = {"RoleArn": role, "RoleSessionName": "peering", "ExternalId": properties[f"{prefix}ExternalId"]}
            given = session.client("sts").assume_role(**asked)["Credentials"]
            credentials = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
        return session.client("ec2", region_name=region, config=Config(retries={"mode": "standard"}), **credentials)

    def tables(ec2: Any, vpc_id: str, rule: Event | None) -> list[Event]:  # noqa: ANN401
        found = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["RouteTables"]
        if not rule:
            return []
        return found if "AllRouteTables" in rule else found[:1]

    def sides(properties: Event) -> list[tuple[Any, str, str, str]]:
        ec2, peer = client(properties, ""), client(properties, "Peer")
        vpc, peer_vpc = properties["VpcId"], properties["PeerVpcId"]
        blocks = [e.describe_vpcs(VpcIds=[v])["Vpcs"][0]["CidrBlock"] for e, v in ((ec2, vpc), (peer, peer_vpc))]
        return [(ec2, vpc, blocks[1], "Routes"), (peer, peer_vpc, blocks[0], "PeerRoutes")]

    def named(properties: Event) -> list[Event]:
        ends = ((client(properties, prefix), properties[f"{prefix}VpcId"]) for prefix in ("", "Peer"))
        found = [ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"] for ec2, vpc in ends]
        names = [next(tag["Value"] for tag in tags if tag["Key"] == "Name") for tags in found]
        return [{"Key": "Name", "Value": "-to-".join(names)}, *properties["Tags"]]

    def configure(properties: Event, connection_id: str) -> None:
        for (ec2, vpc, block, rule), role in zip(sides(properties), ("Requester", "Accepter"), strict=True):
            ec2.create_tags(Resources=[connection_id], Tags=named(properties))
            option = properties.get(("" if role == "Requester" else "Peer") + OPTION) == "true"
            ec2.modify_vpc_peering_connection_options(
                VpcPeeringConnectionId=connection_id, **{f"{role}PeeringConnectionOptions": {OPTION: option}}
            )
            for table in tables(ec2, vpc, properties.get(rule)):
                if block not in [route.get("DestinationCidrBlock") for route in table["Routes"]]:
                    ec2.create_route(
                        RouteTableId=table["RouteTableId"],
                        DestinationCidrBlock=block,
                        VpcPeeringConnectionId=connection_id,
                    )

    @helper.create
    def create(event: Event, _: object) -> str:
        properties = event["ResourceProperties"]
        ec2, peer = client(properties, ""), client(properties, "Peer")
        answer = ec2.create_vpc_peering_connection(
            VpcId=properties["VpcId"],
            PeerVpcId=properties["PeerVpcId"],
            PeerOwnerId=properties.get("PeerOwnerId", ""),
            PeerRegion=properties.get("PeerRegion") or properties.get("Region") or "us-east-1",
        )
        connection_id: str = answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        peer.get_waiter("vpc_peering_connection_exists").wait(VpcPeeringConnectionIds=[connection_id])
        peer.accept_vpc_peering_connection(VpcPeeringConnectionId=connection_id)
        configure(properties, connection_id)
        return connection_id

    @helper.update
    def update(event: Event, context: object) -> str:
        properties, old = event["ResourceProperties"], event["OldResourceProperties"]
        if (properties["VpcId"], properties["PeerVpcId"]) != (old["VpcId"], old["PeerVpcId"]):
            replaced: str = create(event, context)
            return replaced
        connection_id: str = event["PhysicalResourceId"]
        remove({**old, "Routes": None}, connection_id)
        configure(properties, connection_id)
        return connection_id

    def remove(properties: Event, connection_id: str) -> None:
        for ec2, vpc, block, rule in sides(properties):
            for table in tables(ec2, vpc, properties.get(rule)):
                if connection_id in [route.get("VpcPeeringConnectionId") for route in table["Routes"]]:
                    ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock=block)

    @helper.delete
    def delete(event: Event, _: object) -> None:
        properties, connection_id = event["ResourceProperties"], event["PhysicalResourceId"]
        if connection_id.startswith("pcx-"):
            remove(properties, connection_id)
            client(properties, "").delete_vpc_peering_connection(VpcPeeringConnectionId=connection_id)

    return helper
