"""What an installation permits, and external ids that a stack gives by reference: through the whole function."""

import io
import json
from typing import Any

import pytest

from handler.model import Guard
from handler.telemetry import logger
from local.world import Vpc, client
from tests.harness import EXTERNAL_ID, HUB, Topology, World, operations, writes

ACROSS = pytest.mark.parametrize("world", [Topology()], indirect=True, ids=str)
NAME = "vpc-peering/external-id/spoke"
PARAMETER = f"{{{{resolve:ssm-secure:/{NAME}}}}}"
SECRET = f"{{{{resolve:secretsmanager:{NAME}}}}}"
OF_JSON = f"{{{{resolve:secretsmanager:{NAME}:SecretString:id}}}}"


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


def store(world: World, *, parameter: str | None = None, secret: str | None = None) -> str | None:
    """Store an external id in the function's account; the ARN of a secret."""
    if parameter:
        ssm = client(world.aws.url, "ssm", HUB, "us-east-1")
        ssm.put_parameter(Name=f"/{NAME}", Value=parameter, Type="SecureString")
    if secret is None:
        return None
    manager = client(world.aws.url, "secretsmanager", HUB, "us-east-1")
    arn: str = manager.create_secret(Name=NAME, SecretString=secret)["ARN"]
    return arn


# Guard rails


@ACROSS
@pytest.mark.parametrize(
    ("guard", "rule"),
    [
        (Guard(peer_accounts=("999999999999",)), "AllowedPeerAccounts"),
        (Guard(role_pattern="Other*"), "PeerRoleNamePattern Other*"),
        (Guard(vpc_ids=("vpc-0",)), "VpcIds of the installation"),
    ],
)
def test_what_is_forbidden_is_told_before_any_call(
    world: World, pair: tuple[Vpc, Vpc], guard: Guard, rule: str
) -> None:
    """The reason names the rule; nothing was asked of any account, and the Delete that follows has nothing to do."""
    world.guard = guard
    stack = world.stack()

    with world.counted() as calls:
        refused = stack.create(world.properties(*pair))

    assert ("FAILED", True) == (refused["Status"], rule in refused["Reason"])
    assert [] == calls
    assert "SUCCESS" == stack.delete()["Status"]


@ACROSS
def test_consent_is_told_before_any_write(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """All that lacks the tag is named at once; with the tags it works."""
    world.guard = Guard(opt_in=True)
    stack = world.stack()
    with world.counted() as calls:
        refused = stack.create(world.properties(*pair))

    named = [each for vpc in pair for each in (vpc.id, *vpc.route_table_ids) if each in refused["Reason"]]
    assert [each for vpc in pair for each in (vpc.id, *vpc.route_table_ids)] == named
    assert [] == writes(calls)

    for vpc in pair:
        world.ec2(vpc).create_tags(
            Resources=[vpc.id, *vpc.route_table_ids], Tags=[{"Key": "vpc-peering:opt-in", "Value": "true"}]
        )
    assert "SUCCESS" == stack.create(world.properties(*pair))["Status"]


@ACROSS
def test_what_was_permitted_can_be_taken_away(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """An installation that becomes stricter keeps no stack from being deleted, and changes nothing that is there."""
    stack = world.stack()
    stack.create(world.properties(*pair))
    world.guard = Guard(vpc_ids=("vpc-0",), peer_accounts=("999999999999",), role_pattern="Other*", opt_in=True)
    stack.resource = world.resource()

    refused = stack.update(world.properties(*pair, Tags=[{"Key": "Team", "Value": "net"}]))
    deleted = stack.delete()

    assert ("FAILED", "SUCCESS") == (refused["Status"], deleted["Status"])
    assert [] == world.live(pair[0])


def of_account(account: str) -> dict[str, Any]:
    """Return what a stack of another account sends."""
    return {"StackId": f"arn:aws:cloudformation:us-east-1:{account}:stack/theirs/1"}


@ACROSS
@pytest.mark.parametrize(("physical_id", "status"), [("refused", "SUCCESS"), ("pcx-0123456789abcdef0", "FAILED")])
def test_stack_that_never_was_permitted_reads_nothing_when_it_is_deleted(
    world: World, pair: tuple[Vpc, Vpc], physical_id: str, status: str
) -> None:
    """Who gives another account's role and external id would else see by a Delete what no Create shows."""
    stack, stranger = world.stack(), of_account("777777777777")

    with world.counted() as calls:
        refused = stack.send("Create", world.properties(*pair), **stranger)
        deleted = stack.send("Delete", world.properties(*pair), **stranger, PhysicalResourceId=physical_id)

    assert ("FAILED", status) == (refused["Status"], deleted["Status"])
    assert [] == calls


@ACROSS
def test_update_that_never_was_permitted_reads_nothing_when_it_is_rolled_back(
    world: World, pair: tuple[Vpc, Vpc]
) -> None:
    """The rollback looks for what the Update has left: of one that was refused nothing can be."""
    other = "arn:aws:iam::333333333333:role/VpcPeeringAccess"
    refused = world.properties(*pair, VpcId="vpc-0123456789abcdef0", OwnerId="333333333333", RoleArn=other)
    stack = world.stack()

    with world.counted() as calls:
        stack.send(
            "Update",
            world.properties(*pair),
            OldResourceProperties=refused,
            PhysicalResourceId="pcx-0123456789abcdef0",
            **of_account(pair[1].account),
        )

    assumed = {call.params["RoleArn"] for call in calls if call.operation == "AssumeRole"}
    assert {world.roles[pair[1].account]} == assumed


# External ids by reference


@ACROSS
@pytest.mark.parametrize(
    ("reference", "stored"),
    [
        (PARAMETER, {"parameter": EXTERNAL_ID}),
        (SECRET, {"secret": EXTERNAL_ID}),
        (OF_JSON, {"secret": json.dumps({"id": EXTERNAL_ID})}),
        (f"{OF_JSON[:-2]}:AWSCURRENT}}}}", {"secret": json.dumps({"id": EXTERNAL_ID})}),
    ],
    ids=["parameter", "secret", "key of a secret", "version of a secret"],
)
def test_external_id_by_reference(
    world: World, pair: tuple[Vpc, Vpc], reference: str, stored: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudFormation leaves the reference as it is; the function reads it, and what it reads is written nowhere."""
    store(world, **stored)
    log = io.StringIO()
    (handler,) = logger.handlers
    monkeypatch.setattr(handler, "stream", log)
    logger.setLevel("DEBUG")

    created = world.stack().create(world.properties(*pair, PeerExternalId=reference))
    logger.setLevel("INFO")

    assert "SUCCESS" == created["Status"]
    assert EXTERNAL_ID not in log.getvalue()


@ACROSS
def test_external_id_by_the_arn_of_a_secret(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """An ARN has colons of its own."""
    arn = store(world, secret=json.dumps({"id": EXTERNAL_ID}))
    reference = f"{{{{resolve:secretsmanager:{arn}:SecretString:id}}}}"

    assert "SUCCESS" == world.stack().create(world.properties(*pair, PeerExternalId=reference))["Status"]


@ACROSS
@pytest.mark.parametrize(
    ("reference", "stored", "expected"),
    [
        (PARAMETER, {}, f"ParameterNotFound: Parameter /{NAME} not found"),
        (SECRET, {}, "ResourceNotFoundException"),
        (OF_JSON, {"secret": EXTERNAL_ID}, f"PeerExternalId {OF_JSON} leads to a value that is not an external id."),
        (OF_JSON, {"secret": "{}"}, "leads to a value that is not an external id."),
        (PARAMETER, {"parameter": "what nobody can send"}, "leads to a value that is not an external id."),
    ],
)
def test_reference_that_leads_nowhere(
    world: World, pair: tuple[Vpc, Vpc], reference: str, stored: dict[str, str], expected: str
) -> None:
    """The reason says which reference, and nothing of what it leads to; no role was tried."""
    store(world, **stored)

    with world.counted() as calls:
        refused = world.stack().create(world.properties(*pair, PeerExternalId=reference))

    assert ("FAILED", True) == (refused["Status"], expected in refused["Reason"])
    assert [] == operations(calls, "AssumeRole")
    assert not any(value in refused["Reason"] for value in stored.values() if len(value) > len("{}"))


@ACROSS
def test_reference_of_a_stack_of_another_account(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """No other account can have the function use an external id that it does not know itself."""
    store(world, parameter=EXTERNAL_ID)
    stack = world.stack()
    foreign: dict[str, Any] = {"StackId": f"arn:aws:cloudformation:us-east-1:{pair[1].account}:stack/theirs/1"}

    with world.counted() as calls:
        refused = stack.send("Create", world.properties(*pair, PeerExternalId=PARAMETER), **foreign)

    assert f"which stacks of account {HUB} alone may use" in refused["Reason"]
    assert [] == calls


@ACROSS
@pytest.mark.parametrize("request_type", ["Update", "Delete"])
def test_old_reference_of_a_stack_of_another_account(world: World, pair: tuple[Vpc, Vpc], request_type: str) -> None:
    """What is taken away is refused nothing, and so must not read what no Create could."""
    store(world, parameter=EXTERNAL_ID)
    given = world.properties(*pair, PeerExternalId=PARAMETER)
    foreign: dict[str, Any] = {
        "StackId": f"arn:aws:cloudformation:us-east-1:{pair[1].account}:stack/theirs/1",
        "PhysicalResourceId": "pcx-0123456789abcdef0",
    }
    asked = given if request_type == "Delete" else world.properties(pair[0], world.peer_vpc("more", "10.9.0.0/16"))

    with world.counted() as calls:
        world.stack().send(request_type, asked, OldResourceProperties=given, **foreign)

    assert calls
    assert [] == operations(calls, "GetParameter")


@ACROSS
@pytest.mark.parametrize("prefix", ["", "Peer"])
@pytest.mark.parametrize("stored", [{}, {"parameter": "what nobody can send"}])
def test_create_without_an_external_id_can_be_rolled_back(
    world: World, pair: tuple[Vpc, Vpc], prefix: str, stored: dict[str, str]
) -> None:
    """Nothing was made: the Delete that follows must not block the rollback, as after a role that is not there."""
    store(world, **stored)
    stack = world.stack()
    given = {f"{prefix}RoleArn": world.roles[pair[1].account], f"{prefix}ExternalId": PARAMETER}

    assert stack.create(world.properties(*pair, **given))["Reason"].startswith("AccessDenied: ")
    assert "SUCCESS" == stack.delete()["Status"]


@ACROSS
def test_delete_after_the_external_id_has_gone(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The requester alone can delete a connection: what opened the other side may have been cleaned up before."""
    store(world, parameter=EXTERNAL_ID)
    stack = world.stack()
    stack.create(world.properties(*pair, PeerExternalId=PARAMETER))
    client(world.aws.url, "ssm", HUB, "us-east-1").delete_parameter(Name=f"/{NAME}")

    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(pair[0])


@ACROSS
def test_rollback_of_an_update_without_an_external_id(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The way back asks the properties that failed only for what they may have left."""
    stack = world.stack()
    good, bad = world.properties(*pair), world.properties(pair[0], world.peer_vpc("other", "10.9.0.0/16"))
    bad |= {"RoleArn": world.roles[pair[1].account], "ExternalId": PARAMETER}
    created = stack.create(good)
    assert "FAILED" == stack.update(bad)["Status"]
    stack.current = bad

    back = stack.update(good)

    assert ("SUCCESS", created["PhysicalResourceId"]) == (back["Status"], back["PhysicalResourceId"])


@ACROSS
def test_reference_to_what_maintenance_keeps(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The external ids of roles are kept from all stacks: one must not use another's."""
    kept = "{{resolve:ssm-secure:/vpc-peering/external-id/role/222222222222-0}}"

    with world.counted() as calls:
        refused = world.stack().create(world.properties(*pair, PeerExternalId=kept))

    assert "PeerExternalId value is not an external id" in refused["Reason"]
    assert "nor a reference to one of yours" in refused["Reason"]
    assert [] == calls


@ACROSS
def test_account_that_is_left_alone_is_not_proven(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A request that leaves this organization cannot be passed by naming a role that is never assumed."""
    world.guard = Guard(organization="o-1234567890")
    alone = {"AutoAccept": "false", "PeerRoutes": None}

    with world.counted() as calls:
        refused = world.stack().create(world.properties(*pair, **alone))

    assert f"Account {pair[1].account} (PeerVpcId) is not proven to be of OrganizationId" in refused["Reason"]
    assert [] == calls
    assert "SUCCESS" == world.stack("whole").create(world.properties(*pair))["Status"]
