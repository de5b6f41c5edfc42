"""Two accounts, two Regions, and short names for what the tests of the strict EC2 do all the time."""

from typing import Any, Self

import pytest
from botocore.exceptions import ClientError

from local.strict import StrictAws
from local.world import Vpc, client, make_vpc

A, B, C = "111111111111", "222222222222", "333333333333"
US, EU = "us-east-1", "eu-west-1"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class Lab:
    """A running server, and the calls of a peering's life in few words."""

    def __init__(self, aws: StrictAws) -> None:
        self.aws = aws

    def ec2(self, end: Vpc | tuple[str, str]) -> Any:  # noqa: ANN401 - a boto3 client
        """Return a client of that account and Region."""
        account, region = (end.account, end.region) if isinstance(end, Vpc) else end
        return client(self.aws.url, "ec2", account, region)

    def vpc(self, account: str = A, region: str = US, cidr: str = "10.0.0.0/16", **more: Any) -> Vpc:  # noqa: ANN401
        """Make a VPC with one table and without subnets, unless `more` says otherwise."""
        return make_vpc(self.aws.url, account, region, "lab", cidr, **({"tables": 1, "subnets": 0} | more))

    def ends(self, **more: Any) -> tuple[Vpc, Vpc]:  # noqa: ANN401
        """Make two VPCs, of two accounts and two Regions."""
        return self.vpc(**more), self.vpc(B, EU, "10.1.0.0/16", **more)

    def request(self, requester: Vpc, accepter: Vpc, **more: Any) -> str:  # noqa: ANN401
        """Create a connection; `more` are parameters of that call."""
        connection_id: str = self.ec2(requester).create_vpc_peering_connection(
            VpcId=requester.id,
            PeerVpcId=accepter.id,
            PeerOwnerId=accepter.account,
            PeerRegion=accepter.region,
            **more,
        )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        return connection_id

    def accept(self, accepter: Vpc, connection_id: str) -> dict[str, Any]:
        """Accept it, as that VPC's owner in its Region."""
        answer = self.ec2(accepter).accept_vpc_peering_connection(VpcPeeringConnectionId=connection_id)
        connection: dict[str, Any] = answer["VpcPeeringConnection"]
        return connection

    def peer(self, requester: Vpc, accepter: Vpc) -> str:
        """Request and accept."""
        connection_id = self.request(requester, accepter)
        self.accept(accepter, connection_id)
        return connection_id

    def delete(self, end: Vpc, connection_id: str) -> None:
        """Delete it, as either end."""
        self.ec2(end).delete_vpc_peering_connection(VpcPeeringConnectionId=connection_id)

    def describe(self, end: Vpc | tuple[str, str], connection_id: str) -> dict[str, Any]:
        """Read, which counts for that side."""
        answer = self.ec2(end).describe_vpc_peering_connections(VpcPeeringConnectionIds=[connection_id])
        connection: dict[str, Any] = answer["VpcPeeringConnections"][0]
        return connection

    def status(self, end: Vpc | tuple[str, str], connection_id: str) -> str:
        """Read, which counts for that side."""
        code: str = self.describe(end, connection_id)["Status"]["Code"]
        return code

    def listed(self, end: Vpc | tuple[str, str], **filters: str) -> list[str]:
        """Find ids by filter; a filter's name with `_` for `-` and `__` for `.`."""
        given = [
            {"Name": name.replace("__", ".").replace("_", "-"), "Values": [value]} for name, value in filters.items()
        ]
        answer = self.ec2(end).describe_vpc_peering_connections(Filters=given)
        return [connection["VpcPeeringConnectionId"] for connection in answer["VpcPeeringConnections"]]

    def route(self, vpc: Vpc, connection_id: str, cidr: str, verb: str = "create") -> None:
        """Write a route of the main route table, by CreateRoute or ReplaceRoute."""
        family = "DestinationIpv6CidrBlock" if ":" in cidr else "DestinationCidrBlock"
        write = getattr(self.ec2(vpc), f"{verb}_route")
        write(RouteTableId=vpc.route_table_ids[0], VpcPeeringConnectionId=connection_id, **{family: cidr})

    def unroute(self, vpc: Vpc, cidr: str) -> None:
        """Delete a route of the main route table."""
        family = "DestinationIpv6CidrBlock" if ":" in cidr else "DestinationCidrBlock"
        self.ec2(vpc).delete_route(RouteTableId=vpc.route_table_ids[0], **{family: cidr})

    def routes(self, vpc: Vpc) -> list[dict[str, Any]]:
        """List all routes but the local ones of the main route table."""
        answer = self.ec2(vpc).describe_route_tables(RouteTableIds=[vpc.route_table_ids[0]])
        return [route for route in answer["RouteTables"][0]["Routes"] if route.get("GatewayId") != "local"]


class Refused:
    """The block must be refused by AWS with that error code: `with Refused("InvalidRoute.NotFound") as refusal:`."""

    def __init__(self, code: str, status: int = 400) -> None:
        self.code, self.status = code, status
        self._raises = pytest.raises(ClientError)

    def __enter__(self) -> Self:
        self._caught = self._raises.__enter__()
        return self

    def __exit__(self, *raised: object) -> bool:
        swallowed = self._raises.__exit__(*raised)
        response = self._caught.value.response
        assert self.code == response["Error"]["Code"]
        assert self.status == response["ResponseMetadata"]["HTTPStatusCode"]
        self.message: str = response["Error"]["Message"]
        return bool(swallowed)
