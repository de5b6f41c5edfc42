"""What tests, the demo and the events need to exist, made through real boto3 against the embedded AWS."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import ip_network
from itertools import islice
from typing import Any

import boto3
from botocore.config import Config

CONFIG = Config(retries={"total_max_attempts": 1}, max_pool_connections=20)
TARGETS = (
    "VpcPeeringConnectionId",
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "NetworkInterfaceId",
    "EgressOnlyInternetGatewayId",
)
DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


@dataclass(frozen=True)
class Vpc:
    """A VPC that was made here; the first route table is the main one, the first CIDR block the primary one."""

    id: str
    account: str
    region: str
    cidr_blocks: tuple[str, ...]
    """IPv4, then IPv6."""
    route_table_ids: tuple[str, ...]
    subnet_ids: tuple[str, ...]
    """The first uses the main route table, each further one a table of its own as long as there are any."""


@cache
def _session() -> boto3.Session:
    return boto3.Session()


@lru_cache(maxsize=64)
def client(url: str, service: str, account: str, region: str) -> Any:  # noqa: ANN401 - any boto3 client
    """Return a boto3 client whose key means the account; it never retries, and is kept for the next caller."""
    return _session().client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=account,
        aws_secret_access_key="local",  # noqa: S106 - the embedded AWS takes any
        config=CONFIG,
    )


def make_vpc(  # noqa: PLR0913 - a VPC has that many parts
    url: str,
    account: str,
    region: str,
    name: str,
    cidr: str,
    *,
    secondary: Sequence[str] = (),
    ipv6: bool = False,
    tables: int = 2,
    subnets: int = 2,
    dns: bool = True,
) -> Vpc:
    """Make a VPC with so many route tables (the main one counts) and subnets; `dns`: both DNS attributes."""
    ec2 = client(url, "ec2", account, region)
    tags = [{"Key": "Name", "Value": name}]
    vpc_id = ec2.create_vpc(
        CidrBlock=cidr,
        AmazonProvidedIpv6CidrBlock=ipv6,
        TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}],
    )["Vpc"]["VpcId"]
    for block in secondary:
        ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock=block)
    if dns:
        ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    table_ids = _make_tables(ec2, vpc_id, tables)
    subnet_ids = _make_subnets(ec2, vpc_id, cidr, table_ids[1:], subnets)
    return Vpc(vpc_id, account, region, cidr_blocks(ec2, vpc_id), table_ids, subnet_ids)


def _make_tables(ec2: Any, vpc_id: str, count: int) -> tuple[str, ...]:  # noqa: ANN401 - a boto3 client
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
    main = ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["RouteTableId"]
    more = (ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"] for _ in range(count - 1))
    return main, *more


def _make_subnets(
    ec2: Any,  # noqa: ANN401 - a boto3 client
    vpc_id: str,
    cidr: str,
    table_ids: Sequence[str],
    count: int,
) -> tuple[str, ...]:
    blocks = islice(ip_network(cidr, strict=False).subnets(new_prefix=28), count)
    ids = [ec2.create_subnet(VpcId=vpc_id, CidrBlock=str(block))["Subnet"]["SubnetId"] for block in blocks]
    for subnet_id, table_id in zip(ids[1:], table_ids, strict=False):
        ec2.associate_route_table(SubnetId=subnet_id, RouteTableId=table_id)
    return tuple(ids)


def cidr_blocks(ec2: Any, vpc_id: str) -> tuple[str, ...]:  # noqa: ANN401 - a boto3 client
    """List the CIDR blocks of a VPC as it is now: IPv4, the primary first, then IPv6."""
    vpc = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]
    v4, v6 = vpc["CidrBlockAssociationSet"], vpc.get("Ipv6CidrBlockAssociationSet", [])
    return (
        *(block["CidrBlock"] for block in v4 if block["CidrBlockState"]["State"] == "associated"),
        *(block["Ipv6CidrBlock"] for block in v6 if block["Ipv6CidrBlockState"]["State"] == "associated"),
    )


def make_prefix_list(url: str, account: str, region: str, name: str, *cidr_blocks: str, max_entries: int) -> str:
    """Make a managed prefix list of the address family of its blocks, and return its id."""
    prefix_list = client(url, "ec2", account, region).create_managed_prefix_list(
        PrefixListName=name,
        Entries=[{"Cidr": block} for block in cidr_blocks],
        MaxEntries=max_entries,
        AddressFamily="IPv6" if ":" in cidr_blocks[0] else "IPv4",
    )
    prefix_list_id: str = prefix_list["PrefixList"]["PrefixListId"]
    return prefix_list_id


def make_role(url: str, account: str, name: str, trusted_account: str, external_id: str | None = None) -> str:
    """Make a role that the other account may assume, in the IAM served there, and return its ARN."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{trusted_account}:root"},
        "Action": "sts:AssumeRole",
    }
    if external_id:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = client(url, "iam", account, "us-east-1").create_role(RoleName=name, AssumeRolePolicyDocument=policy)
    arn: str = role["Role"]["Arn"]
    return arn


def routes(url: str, vpc: Vpc) -> dict[str, dict[str, tuple[str, str]]]:
    """Read target and state of every route of the VPC, by table and destination; local routes too."""
    pages = client(url, "ec2", vpc.account, vpc.region).get_paginator("describe_route_tables")
    filters = [{"Name": "vpc-id", "Values": [vpc.id]}]
    tables = [table for page in pages.paginate(Filters=filters) for table in page["RouteTables"]]
    return {table["RouteTableId"]: dict(map(_route, table["Routes"])) for table in tables}


def _route(route: dict[str, Any]) -> tuple[str, tuple[str, str]]:
    destination = next(route[name] for name in DESTINATIONS if name in route)
    target = next((route[name] for name in TARGETS if name in route), "")
    return destination, (target, route["State"])
