"""What goes to DynamoDB, to the byte: the keys, the condition, and what a failure of the table is told as."""

from collections.abc import Iterator
from typing import Any, Final

import botocore.session
import pytest
from botocore.stub import Stubber

from handler.calls import CONFIG
from handler.cfn import DELIVERY_SECONDS
from handler.clock import Deadline
from handler.errors import AccessDenied, InternalFailure, InvalidRequest, NetworkFailure, PeeringError
from handler.item import Item, Served
from handler.registry import IMPATIENT, DynamoStore, Entry, Key, NewerItem, Revision
from tests.harness import VirtualTime

KEY: Final[Key] = ("arn:aws:cloudformation:us-east-1:111111111111:stack/network/1", "Peering")
KEYS: Final = {"StackId": {"S": KEY[0]}, "LogicalResourceId": {"S": KEY[1]}}
BODY: Final = '{"Requests":[{"RequestId":"create","RequestType":"Create"}]}'
ITEM: Final = Item(requests=(Served(request_id="create", request_type="Create"),))
FOUND: Final = {**KEYS, "Revision": {"S": "worker-1"}, "Version": {"N": "1"}, "Body": {"S": BODY}}
READ: Final = {"TableName": "registry", "Key": KEYS, "ConsistentRead": True}
WRITTEN: Final = {
    "TableName": "registry",
    "Item": FOUND,
    "ConditionExpression": "Revision = :over",
    "ExpressionAttributeValues": {":over": {"S": "worker-0"}},
}


class Session:
    """A session that hands out one client, with answers of its own."""

    def __init__(self) -> None:
        self.client = botocore.session.get_session().create_client(
            "dynamodb", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        self.stubber = Stubber(self.client)
        self.asked: list[Any] = []

    def create_client(self, *service: str, **options: Any) -> Any:  # noqa: ANN401  # as botocore's
        """Write down what is asked for."""
        self.asked.append((service, options))
        return self.client


@pytest.fixture
def session() -> Iterator[Session]:
    """Make a session whose answers must all be asked for."""
    session = Session()
    with session.stubber:
        yield session
        session.stubber.assert_no_pending_responses()


@pytest.fixture
def store(session: Session) -> DynamoStore:
    """Make the store."""
    return DynamoStore(session, "registry")  # type: ignore[arg-type]  # all that it uses


@pytest.fixture
def deadline() -> Deadline:
    """Make a deadline that is far."""
    return Deadline(VirtualTime().clock, 60)


@pytest.mark.usefixtures("store")
def test_client_does_not_repeat_by_itself(session: Session) -> None:
    """The repetition that knows the deadline is ours, as for EC2; a call that hangs ends sooner than one to EC2."""
    assert [(("dynamodb",), {"config": IMPATIENT})] == session.asked
    options = vars(IMPATIENT)
    assert CONFIG.retries == options["retries"]  # type: ignore[attr-defined]  # set by botocore
    assert options["connect_timeout"] + options["read_timeout"] < DELIVERY_SECONDS


def test_load(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """A read that may be stale would let two work at once."""
    session.stubber.add_response("get_item", {"Item": FOUND}, READ)

    assert Revision("worker-1", ITEM) == store.load(KEY, deadline)


def test_load_of_what_is_not_there(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """Every resource begins so."""
    session.stubber.add_response("get_item", {}, READ)

    assert store.load(KEY, deadline) is None


def test_load_of_a_newer_version(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """What this code does not understand it neither reads nor overwrites, and it says who can."""
    session.stubber.add_response("get_item", {"Item": {**FOUND, "Version": {"N": "2"}}}, READ)

    with pytest.raises(NewerItem) as raised:
        store.load(KEY, deadline)

    assert (
        "the registry's item of this resource has version 2, this function knows 1.",
        "Deploy the newer version of the function again.",
    ) == (raised.value.cause, raised.value.remedy)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"Body": {"S": "{"}}, "ValidationError"),
        ({"Body": {"S": '{"Living": 5}'}}, "ValidationError"),
        ({"Version": {"N": "one"}}, "ValueError"),
        ({"Revision": {"N": "1"}}, "KeyError"),
    ],
)
def test_load_of_what_is_no_item(
    session: Session, store: DynamoStore, deadline: Deadline, wrong: dict[str, Any], error: str
) -> None:
    """Somebody has edited the table: the request fails with words, and is answered."""
    session.stubber.add_response("get_item", {"Item": {**FOUND, **wrong}}, READ)

    with pytest.raises(InternalFailure) as raised:
        store.load(KEY, deadline)

    assert (
        f"the registry, table registry, holds what is not an item of ours: {error}.",
        "Restore the item from the table's backup, or delete it: the owner tags tell what is ours.",
    ) == (raised.value.cause, raised.value.remedy)


def test_save_over(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """Only over the writing that was read: nobody's is lost."""
    session.stubber.add_response("put_item", {}, WRITTEN)

    assert store.save(KEY, "worker-0", Revision("worker-1", ITEM), deadline) is True


def test_save_first(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """Only where there is none; and DynamoDB removes what may go, from its time on."""
    item = {**FOUND, "ExpiresAt": {"N": "77"}, "Body": {"S": BODY[:-1] + ',"ExpiresAt":77}'}}
    condition = "attribute_not_exists(StackId)"
    session.stubber.add_response(
        "put_item", {}, {"TableName": "registry", "Item": item, "ConditionExpression": condition}
    )
    revision = Revision("worker-1", ITEM.model_copy(update={"expires_at": 77}))

    assert store.save(KEY, None, revision, deadline) is True


def test_save_that_comes_too_late(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """Somebody has written meanwhile: that is no failure, the caller decides anew."""
    session.stubber.add_client_error("put_item", "ConditionalCheckFailedException", http_status_code=400)

    assert store.save(KEY, "worker-0", Revision("worker-1", ITEM), deadline) is False


@pytest.mark.parametrize(
    ("code", "kind"),
    [("ResourceNotFoundException", InvalidRequest), ("AccessDeniedException", AccessDenied)],
)
def test_table_that_cannot_be_used(
    session: Session, store: DynamoStore, deadline: Deadline, code: str, kind: type[PeeringError]
) -> None:
    """The registry is named, or the reader looks for the fault in EC2; the failure keeps its kind and its remedy."""
    session.stubber.add_client_error("put_item", code, "Said", http_status_code=400)

    with pytest.raises(kind) as raised:
        store.save(KEY, "worker-0", Revision("worker-1", ITEM), deadline)

    assert raised.value.cause.startswith("the registry, table registry, cannot be used: ")
    assert "us-east-1 of the function" in raised.value.cause
    assert isinstance(raised.value.__cause__, PeeringError)
    assert raised.value.__cause__.remedy == raised.value.remedy


def test_item_that_is_too_large(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """What DynamoDB says names neither what is too large nor what to do: the routes of one resource are."""
    message = "Item size has exceeded the maximum allowed size"
    session.stubber.add_client_error("put_item", "ValidationException", message, 400, expected_params=WRITTEN)

    with pytest.raises(InvalidRequest) as raised:
        store.save(KEY, "worker-0", Revision("worker-1", ITEM), deadline)

    assert (
        "the record of this resource's routes is larger than the 400 KB that DynamoDB takes as one item.",
        "Split it into several resources, with fewer tables or destinations in each.",
    ) == raised.value.args


def test_table_that_takes_too_long(store: DynamoStore, deadline: Deadline) -> None:
    """Its patience is not the function's: a Delete that has time left goes on without the table."""
    with pytest.raises(NetworkFailure, match="cannot be used: the time was over") as raised:
        store.load(KEY, deadline.within(0))

    assert "Deploy again; if it recurs, check DynamoDB." == raised.value.remedy


ASKED: Final = {
    "TableName": "registry",
    "IndexName": "Maintained",
    "KeyConditionExpression": "Maintained = :yes",
    "ExpressionAttributeValues": {":yes": {"S": "yes"}},
}


PLACES = ("111111111111/us-east-1", "222222222222/eu-west-1")


def entry(number: int) -> dict[str, Any]:
    """Return what the index has of a resource."""
    names = {"Place": {"S": " ".join(PLACES)}, "Names": {"S": f"pcx-{number} vpc-{number}"}}
    return {**KEYS, "LogicalResourceId": {"S": f"Peering{number}"}, **names}


def test_entries_over_all_pages(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """DynamoDB answers a megabyte at a time: a sweep must not end with the first page."""
    last = {"StackId": {"S": KEY[0]}, "LogicalResourceId": {"S": "Peering0"}}
    session.stubber.add_response("query", {"Items": [entry(0)], "LastEvaluatedKey": last}, ASKED)
    session.stubber.add_response("query", {"Items": [entry(1)]}, {**ASKED, "ExclusiveStartKey": last})

    found = [*store.entries(deadline)]

    assert [
        Entry((KEY[0], f"Peering{number}"), PLACES, frozenset({f"pcx-{number}", f"vpc-{number}"}))
        for number in range(2)
    ] == found


def test_a_page_that_is_none(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """An answer without items is no empty registry: a sweep that looks at nothing must not look like success."""
    session.stubber.add_response("query", {}, ASKED)

    with pytest.raises(InternalFailure) as raised:
        [*store.entries(deadline)]

    assert ("the registry, table registry, answered no page.", "The next sweep asks it.") == (
        raised.value.cause,
        raised.value.remedy,
    )


def test_what_the_index_gets(session: Session, store: DynamoStore, deadline: Deadline) -> None:
    """Only what a stack has is found by a sweep; its names are those of its connections, VPCs and tables."""
    item = Item(
        living=("pcx-1",),
        properties={"Routes": {"SubnetTags": [{"Key": "Tier"}]}},
        vpc_ids={"pcx-1": ("vpc-1", "vpc-2"), "pcx-0": ("vpc-0", "vpc-2")},
        routes={"pcx-1": {"requester rtb-1": ["10.0.0.0/16"], "accepter rtb-2 igw-1": ["10.1.0.0/16"]}},
        places=PLACES,
    )
    names = "111111111111/us-east-1 pcx-1 rtb-1 rtb-2 vpc-1 vpc-2"
    index = {"Maintained": {"S": "yes"}, "Place": {"S": " ".join(PLACES)}, "Names": {"S": names}}
    body = {"S": item.model_dump_json(by_alias=True, exclude_defaults=True)}
    session.stubber.add_response("put_item", {}, {**WRITTEN, "Item": {**FOUND, "Body": body, **index}})

    assert store.save(KEY, "worker-0", Revision("worker-1", item), deadline)
