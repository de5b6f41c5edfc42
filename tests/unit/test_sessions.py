import json
import re
from dataclasses import replace

import botocore.session
import pytest

from handler.sessions import CONFIG, SESSION_SECONDS, Access, Sessions, session_name
from local.strict.policy import Context, allowing
from tests.unit.given import ENDS

ROLE = "arn:aws:iam::222222222222:role/P"
EC2 = "arn:aws:ec2:eu-west-1:222222222222:"
OWN, OTHER = f"{EC2}vpc/vpc-spoke", "arn:aws:ec2:us-east-1:111111111111:vpc/vpc-hub"
PCX = f"{EC2}vpc-peering-connection/pcx-1"
STACK = "arn:aws:cloudformation:us-east-1:111111111111:stack/{}/5d9c2f30-0000"


@pytest.mark.parametrize(
    ("stack", "logical_id", "expected"),
    [
        ("network", "Peering", "network.Peering"),
        ("n", "P", "n.P"),
        ("s" * 128, "Peering", "s" * 56 + ".Peering"),
        ("network", "P" * 255, "network." + "P" * 40),
        ("s" * 128, "P" * 255, "s" * 23 + "." + "P" * 40),
    ],
)
def test_session_name(stack: str, logical_id: str, expected: str) -> None:
    """CloudTrail shows the session's name: it leads to the stack and the resource, within the 64 that STS takes."""
    name = session_name(STACK.format(stack), logical_id)

    assert expected == name
    assert re.fullmatch(r"[\w+=,.@-]{2,64}", name)


def test_session_name_of_no_arn() -> None:
    """An event written by hand may have any StackId: what STS would refuse is replaced."""
    assert "my-stack-.Peering-1" == session_name("my stack!", "Peering#1")


def test_place_of_an_access() -> None:
    """Messages name the side's properties, its account, Region and role; never its external id."""
    access = Access("Peer", *ENDS[::-1], ROLE, "secret")

    assert "eu-west-1 of account 222222222222" == str(access.place)
    assert ("Peer", access.role_arn) == (access.place.prefix, access.place.role_arn)
    assert "secret" not in repr(access.place)


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "eu-west-1"), ("aws-cn", "cn-northwest-1"), ("aws-us-gov", "us-gov-west-1")]
)
def test_regions_of_a_partition(partition: str, region: str) -> None:
    """Bad Regions are told before any call, from what the bundled botocore knows."""
    sessions = Sessions(botocore.session.get_session())

    assert region in sessions.regions(partition)
    assert not any(region in sessions.regions(other) for other in {"aws", "aws-cn", "aws-us-gov"} - {partition})


def test_regions_of_an_unknown_partition() -> None:
    """A partition that botocore does not know has none."""
    assert () == Sessions(botocore.session.get_session()).regions("aws-moon")


def test_botocore_does_not_repeat() -> None:
    """Its own retries know no deadline, and would multiply ours."""
    assert {"total_max_attempts": 1, "mode": "standard"} == CONFIG.retries  # type: ignore[attr-defined]


def test_session_outlives_the_longest_run() -> None:
    """900 seconds are STS's least and Lambda's most."""
    assert 900 == SESSION_SECONDS


def ends(requester: str, accepter: str) -> Context:
    """Return what EC2 knows of the ends of a connection when it asks for a permission."""
    return {"ec2:requestervpc": requester, "ec2:acceptervpc": accepter}


@pytest.mark.parametrize(
    ("action", "resource", "context", "expected"),
    [
        ("ec2:DescribeRouteTables", "*", {}, True),
        ("servicequotas:GetServiceQuota", "*", {}, True),
        ("ec2:DescribeInstances", "*", {}, True),
        ("ec2:RunInstances", "*", {}, False),
        ("ec2:AcceptVpcPeeringConnection", OWN, {}, True),
        ("ec2:AcceptVpcPeeringConnection", f"{EC2}vpc/vpc-1", {}, False),
        ("ec2:AcceptVpcPeeringConnection", PCX, ends(OTHER, OWN), True),
        ("ec2:AcceptVpcPeeringConnection", PCX, ends(OTHER[:-3] + "other", OWN), False),
        ("ec2:DeleteVpcPeeringConnection", PCX, ends(OWN, OTHER), True),
        ("ec2:DeleteVpcPeeringConnection", PCX, ends(OWN, OWN[:-5] + "other"), False),
        ("ec2:ModifyVpcPeeringConnectionOptions", PCX, ends(OTHER, OWN[:-5] + "other"), False),
        ("ec2:CreateRoute", f"{EC2}route-table/rtb-1", {"ec2:vpc": OWN}, True),
        ("ec2:ReplaceRoute", f"{EC2}route-table/rtb-1", {"ec2:vpc": f"{EC2}vpc/vpc-1"}, False),
        ("ec2:CreateRoute", "arn:aws:ec2:us-east-1:222222222222:route-table/rtb-1", {"ec2:vpc": OWN}, False),
        ("ec2:CreateTags", PCX, ends(OTHER, OWN), True),
        ("ec2:CreateTags", PCX, {"ec2:createaction": "CreateVpcPeeringConnection"}, True),
        ("ec2:CreateTags", f"{EC2}instance/i-1", {}, False),
        ("ec2:DeleteTags", PCX, {}, True),
        ("ec2:DeleteTags", OWN, {}, False),
    ],
)
def test_session_policy(action: str, resource: str, context: Context, *, expected: bool) -> None:
    """A session that leaks is worth no more than the request that it was opened for, whatever the role allows."""
    policy = json.loads(Access("Peer", *ENDS[::-1], ROLE).policy)

    assert expected is bool([*allowing(policy, action, resource, context)])


def test_session_policy_of_a_known_connection() -> None:
    """The connection of a stranger is named; of the ends nothing may be known yet."""
    unknown = replace(ENDS[0], vpc_id="", account="", region="")
    policy = json.loads(Access("Peer", ENDS[1], unknown, ROLE, connection_id="pcx-1").policy)
    modify = "ec2:ModifyVpcPeeringConnectionOptions"

    assert [*allowing(policy, modify, PCX, ends(OTHER, OWN))]
    assert [] == [*allowing(policy, modify, f"{PCX}2", ends(OTHER, OWN))]
    assert [] == [*allowing(policy, modify, PCX, ends(OWN[:-5] + "other", OWN[:-5] + "another"))]


def test_session_policy_while_the_vpc_is_looked_for() -> None:
    """Before it is known what a request is about, it can change nothing."""
    policy = json.loads(Access("Peer", replace(ENDS[1], vpc_id=""), ENDS[0], ROLE).policy)

    assert [["ec2:Describe*", "servicequotas:Get*"]] == [each["Action"] for each in policy["Statement"]]


def test_session_policy_fits() -> None:
    """STS takes 2,048 characters: the longest names must fit."""
    longest = [replace(end, vpc_id=f"vpc-{n:017x}", region="us-iso-northeast-12") for n, end in enumerate(ENDS)]
    role_arn = ROLE.replace("aws", "aws-iso-b", 1)

    assert 2048 >= len(Access("Peer", *longest, role_arn, connection_id=f"pcx-{0:017x}").policy)
