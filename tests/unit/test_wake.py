"""What events of CloudTrail are about, in the shapes that EC2 gives them."""

from typing import Any

import pytest

from handler.wake import names, ours, woken

PLACE = {"recipientAccountId": "222222222222", "awsRegion": "eu-west-1"}
HERE = "222222222222/eu-west-1"
MARK = "custom-vpc-peering/(arn:aws:events:us-east-1:111111111111:event-bus/vpc-peering)"


@pytest.mark.parametrize(
    ("event", "parameters", "answer", "expected"),
    [
        ("CreateRouteTable", {"vpcId": "vpc-1"}, {"routeTable": {"routeTableId": "rtb-1"}}, {"vpc-1", "rtb-1"}),
        ("CreateRoute", {"routeTableId": "rtb-1", "destinationCidrBlock": "10.0.0.0/16"}, {"_return": True}, {"rtb-1"}),
        ("CreateRoute", {"routeTableId": "rtb-1", "vpcPeeringConnectionId": "pcx-1"}, None, {"rtb-1", "pcx-1"}),
        ("CreateSubnet", {"vpcId": "vpc-1"}, {"subnet": {"subnetId": "subnet-1", "vpcId": "vpc-1"}}, {"vpc-1"}),
        (
            "AssociateVpcCidrBlock",
            {"AssociateVpcCidrBlockRequest": {"VpcId": "vpc-1", "CidrBlock": "10.1.0.0/16"}},
            None,
            {"vpc-1"},
        ),
        (
            "CreateTags",
            {"resourcesSet": {"items": [{"resourceId": "subnet-1"}]}, "tagSet": {"items": [{"key": "k"}]}},
            None,
            {HERE},
        ),
        ("DeleteTags", {"resourcesSet": {"items": [{"resourceId": "rtb-1"}]}}, None, {"rtb-1", HERE}),
        ("AssociateRouteTable", {"routeTableId": "rtb-1", "subnetId": "subnet-1"}, None, {"rtb-1", HERE}),
        ("DisassociateRouteTable", {"associationId": "rtbassoc-1"}, {"_return": True}, {HERE}),
        ("ReplaceRouteTableAssociation", {"associationId": "rtbassoc-1"}, {"_return": True}, {HERE}),
        ("CreateTags", {"resourcesSet": {"items": [{"resourceId": "i-1"}]}}, {"_return": True}, set()),
        (
            "DeleteVpcPeeringConnection",
            {"DeleteVpcPeeringConnectionRequest": {"VpcPeeringConnectionId": "pcx-1"}},
            None,
            {"pcx-1"},
        ),
        ("CreateTags", None, None, set()),
    ],
)
def test_names(
    event: str, parameters: dict[str, Any] | None, answer: dict[str, Any] | None, expected: set[str]
) -> None:
    """Ids are known by what they begin with; a place stands for what a selector chooses by tags or associations."""
    assert expected == names({"eventName": event, "requestParameters": parameters, "responseElements": answer, **PLACE})


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (f"Botocore/1.44 {MARK}", True),
        (f"Botocore/1.44 {MARK.replace('/vpc-peering)', '/vpc-peering-dev)')}", False),
        (f"Botocore/1.44 {MARK.replace('111111111111', '222222222222')}", False),
        ("console.amazonaws.com", False),
        ("", False),
    ],
)
def test_ours(agent: str, *, expected: bool) -> None:
    """Another installation is somebody else: what it does to our tables matters."""
    assert expected is ours({"userAgent": agent}, MARK)


def test_woken() -> None:
    """One name in common is enough, and needed."""
    assert woken({"vpc-1", "rtb-9"}, {"vpc-1", "pcx-1"})
    assert not woken({"vpc-2"}, {"vpc-1", "pcx-1"})
    assert not woken(set(), {"vpc-1"})
