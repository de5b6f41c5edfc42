"""The registry between deployments: which resources a sweep finds, and the hold of a maintenance run on one."""

from dataclasses import replace
from typing import Any

import pytest

from handler.clock import Deadline
from handler.item import KEPT_SECONDS, LEASE_SECONDS, Item, LeaseLost, Superseded
from handler.model import RouteRecord
from handler.registry import REACHED_WITHIN, Entry, Key, MemoryStore, Registry, Revision, Tenure
from tests.harness import VirtualTime
from tests.unit.given import OWNER, PCX, key, request

KEY: Key = (OWNER.stack_id, OWNER.logical_id)
OTHER: Key = (OWNER.stack_id, "Other")
PLACE, PEER_PLACE = "111111111111/us-east-1", "222222222222/eu-west-1"
TOKEN = "arn:aws:lambda:us-east-1:111111111111:function:vpc-peering"
PROPERTIES = {"ServiceToken": TOKEN, "VpcId": "vpc-hub"}
DATA = {
    "RequesterVpcId": "vpc-hub",
    "RequesterOwnerId": "111111111111",
    "RequesterRegion": "us-east-1",
    "AccepterVpcId": "vpc-spoke",
    "AccepterOwnerId": "222222222222",
    "AccepterRegion": "eu-west-1",
}
ANSWER: dict[str, Any] = {"Status": "SUCCESS", "PhysicalResourceId": PCX, "Data": DATA}
ROUTE = RouteRecord(key(), PCX)
FINDINGS = ("A route is gone.",)


class Seen(MemoryStore):
    """A store that writes down the deadlines, the keys and the names of the writings."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.names: list[str] = []

    def load(self, key: Key, deadline: Deadline) -> Revision | None:
        """Read."""
        self.seconds.append(deadline.remaining)
        return super().load(key, deadline)

    def save(self, key: Key, over: str | None, revision: Revision, deadline: Deadline) -> bool:
        """Write."""
        self.seconds.append(deadline.remaining)
        saved = super().save(key, over, revision, deadline)
        self.names += [revision.name] * saved
        return saved


@pytest.fixture
def time() -> VirtualTime:
    """Make a time that does not wait."""
    return VirtualTime()


@pytest.fixture
def store() -> Seen:
    """Make an empty store."""
    return Seen()


def work(store: MemoryStore, time: VirtualTime, request_type: str, request_id: str, **more: Any) -> Tenure:  # noqa: ANN401
    """Return the hold of an invocation that serves a request."""
    given = {} if request_type == "Create" else {"PhysicalResourceId": PCX}
    hold = Registry(store, time.clock).tenure(
        request(request_type, request_id, ResourceProperties=PROPERTIES, **given, **more)
    )
    hold.begin(Deadline(time.clock, 900))
    return hold


def created(
    store: MemoryStore, time: VirtualTime, answer: dict[str, Any] = ANSWER, logical_id: str = "Peering"
) -> None:
    """Let a Create be served."""
    hold = work(store, time, "Create", "create", LogicalResourceId=logical_id)
    hold.remember([ROUTE])
    hold.finish(answer, Deadline(time.clock, 900))


def resting(store: MemoryStore, time: VirtualTime) -> Tenure | None:
    """Return the hold of a maintenance run."""
    return Registry(store, time.clock).resting(KEY, Deadline(time.clock, 900))


def run(store: MemoryStore, time: VirtualTime) -> Tenure:
    """Return that of one which finds the resource at rest."""
    hold = resting(store, time)
    assert hold
    return hold


def test_what_a_run_knows(store: Seen, time: VirtualTime) -> None:
    """It acts for the last success as an Update that changes nothing does, and takes no lease for looking."""
    created(store, time)
    before = store.load(KEY, Deadline(time.clock, 900))
    store.seconds.clear()

    hold = run(store, time)

    asked = hold.claim.request
    assert ("Update", "create", PCX) == (asked.request_type, asked.request_id, asked.physical_resource_id)
    assert (*KEY, TOKEN, "") == (asked.stack_id, asked.logical_resource_id, asked.service_token, asked.response_url)
    assert (PROPERTIES, PROPERTIES) == (asked.resource_properties, asked.old_resource_properties)
    assert ((ROUTE,), before.name if before else "") == (hold.records, hold.revision)
    assert [900] == store.seconds
    assert before == store.load(KEY, Deadline(time.clock, 900))
    assert hold.claim.holder != run(store, time).claim.holder


def test_last_of_the_living_is_maintained(store: Seen, time: VirtualTime) -> None:
    """Between a replacement and its clean-up there are two."""
    created(store, time)
    work(store, time, "Update", "update").finish({**ANSWER, "PhysicalResourceId": "pcx-new"}, Deadline(time.clock, 9))

    assert "pcx-new" == run(store, time).claim.request.physical_resource_id


def test_what_does_not_rest(store: Seen, time: VirtualTime) -> None:
    """Nothing yet, a failure, a request that is being served or was never answered, and what was deleted."""
    assert resting(store, time) is None
    assert not Item(properties=PROPERTIES, living=(PCX,)).rests(0)
    created(store, time, {**ANSWER, "Status": "FAILED"})
    assert resting(store, time) is None
    work(store, time, "Update", "update-1").finish(ANSWER, Deadline(time.clock, 900))
    assert resting(store, time)
    work(store, time, "Update", "update-2")
    assert resting(store, time) is None
    time.sleep(LEASE_SECONDS)
    assert resting(store, time) is None
    work(store, time, "Update", "update-3").finish({**ANSWER, "Status": "FAILED"}, Deadline(time.clock, 900))
    assert resting(store, time) is None
    work(store, time, "Delete", "delete").finish(ANSWER, Deadline(time.clock, 900))
    assert resting(store, time) is None


def test_a_clean_up_that_failed(store: Seen, time: VirtualTime) -> None:
    """The stack is complete, and what lives is to be kept; a Delete of that which failed is another matter."""
    created(store, time)
    new = {**ANSWER, "PhysicalResourceId": "pcx-new"}
    work(store, time, "Update", "update").finish(new, Deadline(time.clock, 900))
    work(store, time, "Delete", "clean-up").finish({**ANSWER, "Status": "FAILED"}, Deadline(time.clock, 900))

    assert "pcx-new" == run(store, time).claim.request.physical_resource_id
    assert "clean-up" == run(store, time).claim.request.request_id
    work(store, time, "Delete", "delete").finish({**new, "Status": "FAILED"}, Deadline(time.clock, 900))
    assert resting(store, time) is None


@pytest.mark.parametrize(("request_type", "physical_id"), [("Update", "vpc-peering-0"), ("Delete", PCX)])
def test_what_failed_and_is_no_clean_up(store: Seen, time: VirtualTime, request_type: str, physical_id: str) -> None:
    """An Update, whatever its id, and the Delete of the only connection: nobody knows what they have left."""
    created(store, time)
    failed = {"Status": "FAILED", "PhysicalResourceId": physical_id}
    work(store, time, request_type, "failing").finish(failed, Deadline(time.clock, 900))

    assert resting(store, time) is None


def test_what_a_stack_has_let_go(store: Seen, time: VirtualTime) -> None:
    """With DeletionPolicy: Retain no Delete ever comes: told so, maintenance knows nothing of it any more."""
    registry, deadline = Registry(store, time.clock), Deadline(time.clock, 900)
    assert not registry.abandon(KEY, deadline)
    created(store, time)
    update = work(store, time, "Update", "update")
    assert not registry.abandon(KEY, deadline)
    update.finish(ANSWER, deadline)
    time.sleep(1000)

    assert registry.abandon(KEY, deadline)

    left = store.load(KEY, deadline)
    assert left
    assert Item(requests=left.item.requests, expires_at=1000 + KEPT_SECONDS) == left.item
    assert ["create", "update"] == [served.request_id for served in left.item.requests]
    assert left.name
    assert ([], None) == ([*store.entries(deadline)], resting(store, time))
    assert not registry.abandon(KEY, deadline)
    work(store, time, "Update", "again").finish(ANSWER, deadline)
    assert resting(store, time)


def test_what_a_stack_has_let_go_while_an_invocation_died(store: Seen, time: VirtualTime) -> None:
    """Its lease tells that somebody may still be at work, until it has ended."""
    registry, deadline = Registry(store, time.clock), Deadline(time.clock, 900)
    created(store, time)
    work(store, time, "Update", "update")
    time.sleep(LEASE_SECONDS - 1)
    assert not registry.abandon(KEY, deadline)
    time.sleep(1)

    assert registry.abandon(KEY, deadline)


def test_a_call_that_hangs_is_waited_for(store: Seen, time: VirtualTime) -> None:
    """The answer left before the last call ended: its lease ends by itself, and then the resource rests."""
    hold = work(store, time, "Create", "create")
    hold.finish(ANSWER, Deadline(time.clock, 900), release=False)
    assert resting(store, time) is None
    time.sleep(LEASE_SECONDS - 1)
    assert resting(store, time) is None
    time.sleep(1)

    assert resting(store, time)


def test_a_run_has_the_lease(store: Seen, time: VirtualTime) -> None:
    """One run at a time; its routes and findings are kept as it ends, and then the resource rests again."""
    created(store, time)
    hold, other = run(store, time), run(store, time)
    store.seconds.clear()

    hold.watch(Deadline(time.clock, 33))

    assert [33] == store.seconds
    assert ((ROUTE,), None) == (hold.records, resting(store, time))
    with pytest.raises(Superseded, match="create"):
        other.watch(Deadline(time.clock, 33))
    found = replace(ROUTE, key=key("10.9.0.0/16"))
    hold.remember([found])
    hold.forget(PCX, [ROUTE.key])
    store.seconds.clear()
    hold.leave(FINDINGS, Deadline(time.clock, 44))
    assert [44] == store.seconds
    again = run(store, time)
    assert (FINDINGS, (found,)) == (again.findings, again.records)


def test_lease_of_a_run_is_as_long_as_any(store: Seen, time: VirtualTime) -> None:
    """A run that died lets the next one in."""
    created(store, time)
    run(store, time).watch(Deadline(time.clock, 900))
    time.sleep(LEASE_SECONDS - 1)
    assert resting(store, time) is None
    time.sleep(1)

    run(store, time).watch(Deadline(time.clock, 900))


def test_a_request_ends_a_run(store: Seen, time: VirtualTime) -> None:
    """What the run has found is nothing to the request, and what it leaves does not disturb it."""
    created(store, time)
    hold, late = run(store, time), run(store, time)
    hold.watch(Deadline(time.clock, 900))
    time.sleep(LEASE_SECONDS)
    update = work(store, time, "Update", "update")

    hold.leave(FINDINGS, Deadline(time.clock, 900))
    with pytest.raises(Superseded, match="update"):
        late.watch(Deadline(time.clock, 900))

    update.check()
    update.finish(ANSWER, Deadline(time.clock, 900))
    assert () == run(store, time).findings


def test_a_run_that_lost_its_lease_writes_nothing(store: Seen, time: VirtualTime) -> None:
    """Another run has begun: its routes stay."""
    created(store, time)
    hold = run(store, time)
    hold.watch(Deadline(time.clock, 900))
    time.sleep(LEASE_SECONDS)
    other = run(store, time)
    other.watch(Deadline(time.clock, 900))

    with pytest.raises(LeaseLost):
        hold.remember([replace(ROUTE, key=key("10.9.0.0/16"))])
    hold.leave(FINDINGS, Deadline(time.clock, 900))

    other.check()
    other.leave((), Deadline(time.clock, 900))
    assert ((), (ROUTE,)) == (run(store, time).findings, run(store, time).records)


def test_findings_without_a_change_are_noted(store: Seen, time: VirtualTime) -> None:
    """So that they are told once; what is noted already costs no writing, and no lease is taken."""
    created(store, time)
    hold, late = run(store, time), run(store, time)
    assert () == hold.findings
    store.seconds.clear()
    store.names.clear()

    assert not hold.note((), Deadline(time.clock, 55))
    assert [] == store.seconds
    assert hold.note(FINDINGS, Deadline(time.clock, 55))
    assert not late.note(("Something else.",), Deadline(time.clock, 55))

    assert ([55, 55], [f"{hold.claim.holder}-note"]) == (store.seconds, store.names)
    assert FINDINGS == run(store, time).findings


def test_routes_that_are_gone_are_noted(store: Seen, time: VirtualTime) -> None:
    """So that one which somebody makes there later is theirs; the findings stay what they were."""
    created(store, time)
    run(store, time).note(FINDINGS, Deadline(time.clock, 900))
    hold, late = run(store, time), run(store, time)
    hold.forget(PCX, [ROUTE.key])
    late.forget(PCX, [ROUTE.key])

    assert hold.note(FINDINGS, Deadline(time.clock, 900))
    assert not late.note(FINDINGS, Deadline(time.clock, 900))

    again = run(store, time)
    assert ((), FINDINGS) == (again.records, again.findings)


def test_nothing_is_noted_of_what_is_not_known(store: Seen, time: VirtualTime) -> None:
    """A hold that has read nothing has nothing to write over."""
    hold = Registry(store, time.clock).tenure(request("Create"))

    assert not hold.note(FINDINGS, Deadline(time.clock, 900))
    assert [] == store.names


def test_a_success_forgets_the_findings(store: Seen, time: VirtualTime) -> None:
    """They were of what the stack asked for before: the next run tells anew."""
    created(store, time)
    run(store, time).note(FINDINGS, Deadline(time.clock, 900))

    work(store, time, "Update", "update").finish(ANSWER, Deadline(time.clock, 900))

    assert () == run(store, time).findings


def test_what_a_sweep_finds(store: Seen, time: VirtualTime) -> None:
    """What stacks have, by place, whose reads are then shared; not what was never made, or is deleted."""
    created(store, time, logical_id="Other")
    elsewhere = {**DATA, "RequesterRegion": "af-south-1"}
    created(store, time, {**ANSWER, "Data": elsewhere})
    created(store, time, {**ANSWER, "Status": "FAILED"}, logical_id="Failed")
    names = frozenset({PCX, "vpc-hub", "vpc-spoke", "rtb-hub"})

    found = [*Registry(store, time.clock).store.entries(Deadline(time.clock, 900))]

    assert [
        Entry(KEY, ("111111111111/af-south-1", PEER_PLACE), names),
        Entry(OTHER, (PLACE, PEER_PLACE), names),
    ] == found


@pytest.mark.parametrize(
    ("rule", "is_open"),
    [
        ({"MainRouteTable": "true"}, True),
        ({"SubnetIds": ["subnet-1"]}, True),
        ({"SubnetTags": [{"Key": "Tier"}]}, True),
        ({"RouteTableTags": [{"Key": "Tier"}]}, True),
        ({"AllRouteTables": "true"}, False),
        ({"RouteTableIds": ["rtb-1"]}, False),
    ],
)
def test_places_where_anything_may_be_chosen(
    store: Seen, time: VirtualTime, rule: dict[str, object], *, is_open: bool
) -> None:
    """An association names neither the VPC nor a table that is known; whatever makes a table names its VPC."""
    properties = {**PROPERTIES, "PeerRoutes": rule}
    hold = Registry(store, time.clock).tenure(request("Create", "create", ResourceProperties=properties))
    hold.begin(Deadline(time.clock, 900))
    hold.finish(ANSWER, Deadline(time.clock, 900))

    (entry,) = store.entries(Deadline(time.clock, 900))

    assert {PCX, "vpc-hub", "vpc-spoke"} | ({PEER_PLACE} if is_open else set()) == entry.names


@pytest.mark.parametrize(
    ("data", "places"),
    [
        (DATA, (PLACE, PEER_PLACE)),
        ({"RequesterRegion": "us-east-1", "AccepterOwnerId": "222222222222"}, ("/us-east-1", "222222222222/")),
        ({}, ("/", "/")),
    ],
)
def test_places_are_those_of_the_answer(
    store: Seen, time: VirtualTime, data: dict[str, str], places: tuple[str, str]
) -> None:
    """Account and Region of either side, as far as they were told."""
    created(store, time, {**ANSWER, "Data": data})

    left = store.load(KEY, Deadline(time.clock, 900))

    assert left
    assert places == left.item.places
    (entry,) = store.entries(Deadline(time.clock, 900))
    assert places == entry.places


def test_what_was_made_before_places_were_known(store: Seen, time: VirtualTime) -> None:
    """An item of an earlier version of the function has none."""
    created(store, time)
    left = store.load(KEY, Deadline(time.clock, 900))
    assert left
    store.save(KEY, left.name, Revision("old", left.item.model_copy(update={"places": ()})), Deadline(time.clock, 900))

    (entry,) = store.entries(Deadline(time.clock, 900))

    assert ("/",) == entry.places


@pytest.mark.parametrize(
    ("requests", "repeated"),
    [
        ([("Create", "create")], True),
        ([], False),
        ([("Create", "other")], False),
        ([("Create", "create"), ("Delete", "delete")], False),
    ],
)
def test_repeated_create(store: Seen, time: VirtualTime, requests: list[tuple[str, str]], repeated: bool) -> None:
    """Only one that was begun before, and whose resource nobody has deleted since."""
    for request_type, request_id in requests:
        work(store, time, request_type, request_id)
        time.sleep(LEASE_SECONDS)
    hold = Registry(store, time.clock).tenure(request("Create", "create"))

    if ("Delete", "delete") in requests:
        with pytest.raises(Superseded):
            hold.begin(Deadline(time.clock, 900))
    else:
        hold.begin(Deadline(time.clock, 900))

    assert repeated is hold.repeated


def test_repetition_that_waits_for_a_first_one(store: Seen, time: VirtualTime) -> None:
    """What it wrote itself, while it waited for the lease, does not make it repeated."""
    work(store, time, "Update", "update")
    hold = Registry(store, time.clock).tenure(request("Create", "create"))

    hold.begin(Deadline(time.clock, 900))

    assert time.now() >= LEASE_SECONDS - REACHED_WITHIN
    assert not hold.repeated
