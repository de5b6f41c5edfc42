import time
from collections.abc import Iterator

import pytest

from local.world import Vpc
from tests.e2e.installed import FUNCTION, Installed, no_routes, writes

TIMEOUT = 4


@pytest.fixture
def vpc(lab: Installed) -> Vpc:
    """Make the requester's VPC."""
    return lab.vpc("hub", "10.0.0.0/16")


@pytest.fixture
def peer(lab: Installed) -> Vpc:
    """Make the accepter's VPC."""
    return lab.peer_vpc("spoke", "10.8.0.0/16")


@pytest.fixture
def short_timeout(lab: Installed) -> Iterator[None]:
    """Give the function a time-out that a test can wait for."""
    function = lab.aws.client("lambda")
    function.update_function_configuration(FunctionName=FUNCTION, Timeout=TIMEOUT)
    yield
    function.update_function_configuration(FunctionName=FUNCTION, Timeout=900)


def test_every_wrong_property_is_named_at_once(lab: Installed, vpc: Vpc) -> None:
    """One deployment shows all that is to be mended, and no AWS call was made for it."""
    wrong = {"VpcId": vpc.id, "PeerVpcID": "vpc-1", "PeerOwnerId": "42", "AutoAccept": "yes"}
    stack = lab.stack()
    with lab.counted() as calls:
        assert stack.deploy(wrong) == "ROLLBACK_COMPLETE"
    assert stack.failure.startswith("InvalidRequest: ")
    assert len(stack.failure) <= 1000
    assert all(name in stack.failure for name in ("PeerVpcID", "PeerVpcId", "PeerOwnerId", "AutoAccept"))
    assert not calls


def test_role_that_cannot_be_assumed_is_named(lab: Installed, vpc: Vpc, peer: Vpc) -> None:
    """The wrong external id is the commonest mistake: which role, by whom, and nothing is left behind."""
    stack = lab.stack()
    with lab.counted() as calls:
        assert stack.deploy(lab.properties(vpc, peer, PeerExternalId="another-one")) == "ROLLBACK_COMPLETE"
    assert stack.failure.startswith("AccessDenied: ")
    assert "VpcPeeringAccepter" in stack.failure
    assert not writes(calls)


def test_overlap_is_found_before_the_request(lab: Installed, vpc: Vpc) -> None:
    """EC2 would only answer a connection that turns failed a moment later."""
    peer = lab.peer_vpc("same", "10.8.0.0/16", secondary=["10.0.128.0/17"])
    stack = lab.stack()
    with lab.counted() as calls:
        assert stack.deploy(lab.properties(vpc, peer)) == "ROLLBACK_COMPLETE"
    assert all(word in stack.failure for word in ("InvalidRequest", "10.0.0.0/16", "10.0.128.0/17"))
    assert not writes(calls)


@pytest.mark.usefixtures("short_timeout")
def test_answer_comes_before_the_timeout_with_the_id(
    lab: Installed, vpc: Vpc, peer: Vpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 does not finish: CloudFormation hears why before Lambda ends the function, and can delete what was made."""
    monkeypatch.setattr(lab.aws.strict.settings, "provisioning_reads", 10_000)
    stack = lab.stack()
    began = time.monotonic()
    status = stack.deploy(lab.properties(vpc, peer))
    assert status == "ROLLBACK_COMPLETE"
    assert time.monotonic() - began < 2 * TIMEOUT + 2
    assert stack.failure.startswith("NotStabilized: ")
    create, delete = stack.requests
    assert create["attempts"] == [None]
    assert stack.sent == [("Create", None), ("Delete", stack.answers[0]["PhysicalResourceId"])]
    assert delete["event"]["PhysicalResourceId"].startswith("pcx-")
    assert not lab.live(vpc) + lab.live(peer)
    assert lab.routes(vpc) == no_routes(vpc)
