"""The registry on a real DynamoDB table: what one process of the function has written, another one knows."""

import json
from typing import Any

import botocore.session
import pytest

from handler.clock import Deadline
from handler.errors import AccessDenied, Throttling
from handler.registry import DynamoStore, Key, Revision
from handler.sessions import Sessions
from local.world import Vpc, client
from tests.harness import EXTERNAL_ID, HUB, Context, Stack, World, writes

TABLE = "vpc-peering-registry"
INVENTED = "network-Peering-1ABCDEFGHIJK"


@pytest.fixture
def dynamodb(world: World) -> Any:  # noqa: ANN401  # a boto3 client
    """Make the table, with the keys of template.yaml, and let every process of the function use it."""
    dynamodb = client(world.aws.url, "dynamodb", HUB, "us-east-1")
    names = {"StackId": "HASH", "LogicalResourceId": "RANGE"}
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in names.items()],
    )
    world.store = DynamoStore(botocore.session.get_session(), TABLE)
    return dynamodb


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make the two VPCs."""
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


def repeat(stack: Stack, event: dict[str, Any]) -> dict[str, Any]:
    """Send an event once more, to another process of the function."""
    time = stack.world.time
    stack.world.resource()(event, Context(time.now, time.now() + 900))
    return stack.world.bucket.responses[-1]


@pytest.mark.usefixtures("dynamodb")
def test_repeated_event_gets_the_same_answer_and_changes_nothing(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Lambda delivers at least once, to whatever process: even after the next Update has changed the routes."""
    stack = world.stack()
    event = stack.event("Create", world.properties(*pair))
    first = repeat(stack, event)
    stack.physical_id, stack.current = first["PhysicalResourceId"], event["ResourceProperties"]
    stack.update(world.properties(*pair, PeerRoutes=None))
    before = world.snapshot(*pair)

    with world.counted() as calls:
        again = repeat(stack, event)

    assert (first, []) == (again, calls)
    assert before == world.snapshot(*pair)


@pytest.mark.usefixtures("dynamodb")
def test_answer_that_nobody_took_is_delivered_by_the_retry(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """The function fails loudly, Lambda sends the event again, and the outcome is told without any work."""
    stack = world.stack()
    event = stack.event("Create", world.properties(*pair))
    world.bucket.statuses += [503] * 1000
    with pytest.raises(Exception, match="did not take the response"):
        repeat(stack, event)
    refused = world.bucket.responses[-1]
    world.bucket.statuses.clear()

    with world.counted() as calls:
        assert refused == repeat(stack, event)
    assert ("SUCCESS", []) == (refused["Status"], calls)


class OnceRead(DynamoStore):
    """A table that can be read once by each process, and not again."""

    def __init__(self) -> None:
        super().__init__(botocore.session.get_session(), TABLE)
        self._read = False

    def load(self, key: Key, deadline: Deadline) -> Revision | None:
        """Return an item, or fail."""
        if self._read:
            raise Throttling("the registry cannot be used.", "Deploy again.")
        self._read = True
        return super().load(key, deadline)


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize("status", ["SUCCESS", "FAILED"])
def test_answer_that_is_known_needs_no_second_look(world: World, pair: tuple[Vpc, Vpc], status: str) -> None:
    """What a retry has read is told, though the registry fails then: any other answer would be made up."""
    stack = world.stack()
    more = {} if status == "SUCCESS" else {"PeerVpcId": "vpc-0123456789abcdef0"}
    event = stack.event("Create", world.properties(*pair, **more))
    first = repeat(stack, event)
    world.store = OnceRead()

    assert (status, first) == (first["Status"], repeat(stack, event))


@pytest.mark.usefixtures("dynamodb")
def test_delete_that_can_neither_read_nor_look(
    world: World, pair: tuple[Vpc, Vpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One policy can refuse both the table and EC2: then SUCCESS would be a guess."""
    stack, properties = world.stack(), world.properties(*pair)
    stack.create(properties)
    denied = AccessDenied("nothing may be read.", "Have it permitted.")

    def refuse(*_: object) -> None:
        raise denied

    monkeypatch.setattr(DynamoStore, "load", refuse)
    monkeypatch.setattr(Sessions, "open", refuse)

    assert "FAILED" == stack.delete(INVENTED)["Status"]


@pytest.mark.usefixtures("dynamodb")
def test_create_that_a_delete_overtook_makes_nothing(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """CloudFormation cancels a Create at once, and Lambda delivers the two in any order (roadmap #1730)."""
    stack, properties = world.stack(), world.properties(*pair)
    before = world.snapshot(*pair)
    create = stack.event("Create", properties)
    world.time.sleep(1)

    assert "SUCCESS" == stack.delete(INVENTED, properties)["Status"]
    late = repeat(stack, create)

    assert "FAILED" == late["Status"]
    assert "CloudFormation has sent a later request" in late["Reason"]
    assert before == world.snapshot(*pair)
    world.time.sleep(1)
    assert "SUCCESS" == stack.create(properties)["Status"]


@pytest.mark.usefixtures("dynamodb")
def test_process_that_never_saw_the_create_knows_its_routes(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A route that Replace took over goes back to its former target, whichever process serves the Delete."""
    vpc, peer = pair
    stack = world.stack()
    properties = world.properties(vpc, peer, Routes={"AllRouteTables": "true", "OnConflict": "Replace"})
    stranger = world.peer(vpc, world.peer_vpc("stranger", "10.9.0.0/16"))
    world.route(vpc, 0, "10.8.0.0/16", stranger)
    stack.create(properties)
    stack.resource = world.resource()

    assert "SUCCESS" == stack.delete()["Status"]

    assert {"10.8.0.0/16": stranger} == world.routes(vpc)[vpc.route_table_ids[0]]


def test_item(world: World, dynamodb: Any, pair: tuple[Vpc, Vpc]) -> None:  # noqa: ANN401  # a boto3 client
    """What an operator finds: keys, version, answers, desired state and routes; after the Delete a trace."""
    stack, properties = world.stack(), world.properties(*pair)
    created = stack.create(properties)

    (found,) = dynamodb.scan(TableName=TABLE)["Items"]
    body = json.loads(found["Body"]["S"])
    assert ("1", "Peering", [created["PhysicalResourceId"]]) == (
        found["Version"]["N"],
        found["LogicalResourceId"]["S"],
        body["Living"],
    )
    assert created == body["Requests"][0]["Answer"]
    assert properties["VpcId"] == body["Properties"]["VpcId"]
    assert {created["PhysicalResourceId"]} == body["Routes"].keys()
    assert not [secret for secret in (EXTERNAL_ID, "presigned-secret") if secret in json.dumps(found)]
    stack.delete()
    (left,) = dynamodb.scan(TableName=TABLE)["Items"]
    assert world.time.now() < int(left["ExpiresAt"]["N"])
    assert not {"Properties", "Routes", "Living", "Lease"} & json.loads(left["Body"]["S"]).keys()


def test_item_of_a_newer_function(world: World, dynamodb: Any, pair: tuple[Vpc, Vpc]) -> None:  # noqa: ANN401
    """Whoever goes back to an older function must not have it overwrite what it does not understand."""
    stack = world.stack()
    stack.create(world.properties(*pair))
    (found,) = dynamodb.scan(TableName=TABLE)["Items"]
    dynamodb.put_item(TableName=TABLE, Item={**found, "Version": {"N": "2"}})

    with world.counted() as calls:
        updated = stack.update(world.properties(*pair, PeerRoutes=None))

    assert ("FAILED", []) == (updated["Status"], calls)
    assert "has version 2" in updated["Reason"]
    deleted = stack.delete()
    assert ("FAILED", True) == (deleted["Status"], "has version 2" in deleted["Reason"])
    assert [stack.physical_id] == world.live(pair[0])


def test_table_that_is_not_there(world: World, dynamodb: Any, pair: tuple[Vpc, Vpc]) -> None:  # noqa: ANN401
    """A Create fails before anything is made, an Update before anything is changed; a Delete goes by the owner tags."""
    stack = world.stack()
    stack.create(world.properties(*pair))
    dynamodb.delete_table(TableName=TABLE)

    with world.counted() as calls:
        updated = stack.update(world.properties(*pair, PeerRoutes=None))
        created = world.stack("another").create(world.properties(*pair))

    assert ("FAILED", "FAILED", []) == (updated["Status"], created["Status"], writes(calls))
    assert f"the registry, table {TABLE}, cannot be used" in created["Reason"]
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(pair[0])
    assert {} == {table: found for vpc in pair for table, found in world.routes(vpc).items() if found}
