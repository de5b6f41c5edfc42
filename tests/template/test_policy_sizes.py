"""IAM takes the roles with lists as long as the documents say."""

import json
from typing import Any

import pytest

from tests.template.rendered import Load, Rendered

INLINE, ATTACHED, POLICIES = 10_240, 6_144, 10
"""IAM's characters of all policies within a role, and of each that is attached; and how many may be."""

MOST = 50
VPCS = ",".join(f"vpc-{number:017x}" for number in range(MOST))
ACCOUNTS = ",".join(f"{number:012d}" for number in range(MOST))
LONGEST = "x" * 48
ALL: dict[str, str] = {
    "AWS::Partition": "aws-us-gov",
    "AWS::AccountId": "111111111111",
    "AWS::Region": "ap-southeast-1",
    **{f"{queue}.Arn": f"arn:aws-us-gov:sqs:ap-southeast-1:111111111111:{'x' * 80}" for queue in ("FailedEvents",)},
    "MaintenanceQueue.Arn": f"arn:aws-us-gov:sqs:ap-southeast-1:111111111111:{'x' * 80}",
    "Registry.Arn": f"arn:aws-us-gov:dynamodb:ap-southeast-1:111111111111:table/{'x' * 255}",
    "PeeringFunctionLogGroup.Arn": f"arn:aws-us-gov:logs:ap-southeast-1:111111111111:log-group:/aws/lambda/{LONGEST}:*",
    "InstallationName": LONGEST,
    "VpcIds": VPCS,
    "AllowedPeerAccounts": ACCOUNTS,
    "AccepterAccountIds": ACCOUNTS,
    "OrganizationId": f"o-{'x' * 32}",
    "PeerRoleNamePattern": "x" * 128,
    "FindingsTopicArn": f"arn:aws-us-gov:sns:ap-southeast-1:111111111111:{'x' * 256}",
    "KmsKeyArn": f"arn:aws-us-gov:kms:ap-southeast-1:111111111111:key/{'x' * 64}",
    "SubnetIds": "subnet-0123456789abcdef0",
    "FunctionAccountId": "111111111111",
    **dict.fromkeys(("RequireOptIn", "AllowAdoption", "AllowReplacingRoutes", "AllowRequesting"), "true"),
}


def size(policy: dict[str, Any]) -> int:
    """Return what IAM counts: all but white space."""
    return len("".join(json.dumps(policy, separators=(",", ":")).split()))


@pytest.mark.parametrize(
    ("path", "role"), [("template.yaml", "PeeringFunctionRole"), ("accepter/role.yaml", "Role")], ids=str
)
def test_iam_takes_the_longest_lists(load: Load, path: str, role: str) -> None:
    """A list that is a little too long fails the deployment with a limit that nobody can raise."""
    within, attached = Rendered(load(path), **ALL).policies(role)

    assert sum(map(size, within)) <= INLINE
    assert [] == [size(policy) for policy in attached if size(policy) > ATTACHED]
    assert len(attached) <= POLICIES


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("template.yaml", "VpcIds"),
        ("template.yaml", "AllowedPeerAccounts"),
        ("accepter/role.yaml", "VpcIds"),
        ("accepter/role.yaml", "AccepterAccountIds"),
    ],
)
def test_the_most_is_stated(load: Load, path: str, parameter: str) -> None:
    """CloudFormation cannot count a list: its description says how long it may be."""
    assert f"At most {MOST}" in load(path)["Parameters"][parameter]["Description"]
