"""What is remembered of a resource decides who is served, who waits, who is answered again, and who is late."""

from dataclasses import replace
from typing import Any

import pytest

from handler.item import (
    HISTORY,
    KEPT_SECONDS,
    LEASE_SECONDS,
    Claim,
    Item,
    LeaseLost,
    Served,
    Superseded,
    admitted,
    answered,
    forgotten,
    held,
    packed,
    parted,
    remembered,
    unpacked,
)
from handler.model import Option, RouteRecord, Side, Stood
from handler.response import BODY_LIMIT
from tests.unit.given import PCX, key, peer_key, request

NOW = 1_000_000.0
INVENTED = "network-Peering-1ABCDEFGHIJK"
CREATE = Claim(request("Create", "create"), "worker-1")
DELETE = Claim(request("Delete", "delete", PhysicalResourceId=PCX), "worker-2")
FIRST, SECOND = RouteRecord(key(), PCX, "igw-1"), RouteRecord(key("10.9.0.0/16"), PCX)
MOVED = RouteRecord(key(), "pcx-new", PCX)


def claim(request_type: str, request_id: str, physical_id: str = PCX, holder: str = "worker-3") -> Claim:
    """Return another invocation's claim."""
    return Claim(request(request_type, request_id, PhysicalResourceId=physical_id), holder)


def answer(claim: Claim, status: str = "SUCCESS", physical_id: str = PCX) -> dict[str, Any]:
    """Return the answer to a claim's request."""
    data = {"RequesterVpcId": "vpc-hub", "AccepterVpcId": f"vpc-of-{physical_id}"}
    return {"Status": status, "PhysicalResourceId": physical_id, "RequestId": claim.request.request_id, "Data": data}


def finished(item: Item, claim: Claim, status: str = "SUCCESS", physical_id: str = PCX) -> Item:
    """Return the item after a whole invocation."""
    return answered(admitted(item, claim, NOW), claim, NOW, answer(claim, status, physical_id), ())


CREATED = finished(Item(), CREATE)
DELETED = finished(CREATED, DELETE)


# Lease


def test_first_request_has_the_lease() -> None:
    """Nobody waits for nobody."""
    item = admitted(Item(), CREATE, NOW)

    assert item.lease
    assert ("worker-1", "create", NOW + LEASE_SECONDS) == (item.lease.holder, item.lease.request_id, item.lease.until)
    assert (Served(request_id="create", request_type="Create"),) == item.requests


def test_admission_is_repeatable() -> None:
    """Whoever waits asks again and again: nothing grows by that."""
    item = admitted(admitted(Item(), CREATE, NOW), DELETE, NOW)

    assert item == admitted(item, DELETE, NOW + 1)


def test_newer_request_fences_and_waits() -> None:
    """A Delete that arrives while the Create still runs is to be served, but not before the Create has ended."""
    item = admitted(admitted(Item(), CREATE, NOW), DELETE, NOW)

    assert item.lease
    assert ("worker-1", "delete") == (item.lease.holder, item.newest)
    with pytest.raises(Superseded, match="delete"):
        held(item, CREATE, NOW, ())
    ended = answered(item, CREATE, NOW, answer(CREATE, "FAILED"), ())
    taken = admitted(ended, DELETE, NOW)
    assert taken.lease
    assert "worker-2" == taken.lease.holder


@pytest.mark.parametrize(("seconds", "holder"), [(LEASE_SECONDS - 1, "worker-1"), (LEASE_SECONDS, "worker-2")])
def test_lease_of_a_dead_process_ends(seconds: int, holder: str) -> None:
    """Nobody tells that a process died: only the time does."""
    item = admitted(admitted(Item(), CREATE, NOW), DELETE, NOW + seconds)

    assert item.lease
    assert holder == item.lease.holder


def test_lease_is_renewed_with_the_record() -> None:
    """What is written ahead is written while the lease is held, and with it."""
    item = held(admitted(Item(), CREATE, NOW), CREATE, NOW + 10, [FIRST])

    assert item.lease
    assert (NOW + 10 + LEASE_SECONDS, (FIRST,)) == (item.lease.until, unpacked(item.routes))


def test_repeated_event_takes_over_from_a_dead_process() -> None:
    """Lambda repeats an event after a time-out: what the first invocation still wants then, it must not do."""
    repeated = replace(CREATE, holder="worker-9")
    item = admitted(admitted(Item(), CREATE, NOW), repeated, NOW + LEASE_SECONDS)

    assert item.lease
    assert ("worker-9", 1) == (item.lease.holder, len(item.requests))
    with pytest.raises(LeaseLost):
        held(item, CREATE, NOW, ())
    with pytest.raises(LeaseLost):
        answered(item, CREATE, NOW, answer(CREATE), ())


def test_lease_that_nobody_has_cannot_be_renewed() -> None:
    """A table that was restored to an earlier moment must not let two work at once."""
    with pytest.raises(LeaseLost):
        held(admitted(Item(), CREATE, NOW).model_copy(update={"lease": None}), CREATE, NOW, ())


# Replay


def test_answer_stands() -> None:
    """A repeated event gets what the first one got, and changes nothing."""
    assert CREATED == admitted(CREATED, replace(CREATE, holder="worker-9"), NOW)
    served = CREATED.served("create")
    assert served
    assert answer(CREATE) == served.answer
    assert CREATED == answered(CREATED, replace(CREATE, holder="worker-9"), NOW, answer(CREATE, "FAILED"), ())


def test_answer_releases_the_resource() -> None:
    """The next request does not wait."""
    assert CREATED.lease is None


def test_superseded_request_is_answered_too() -> None:
    """Its answer is recorded, and takes neither the lease nor the record of the newer one that has them by now."""
    item = admitted(admitted(Item(), CREATE, NOW), DELETE, NOW + LEASE_SECONDS)
    item = held(item, DELETE, NOW, [FIRST])

    item = answered(item, CREATE, NOW, answer(CREATE, "FAILED"), [SECOND])

    served = item.served("create")
    assert served
    assert served.answer
    assert item.lease
    assert ("worker-2", "delete", (FIRST,)) == (item.lease.holder, item.newest, unpacked(item.routes))


def test_only_so_many_requests_are_remembered() -> None:
    """An item has at most 400 KB, and a stack may be updated for years."""
    item = CREATED
    for number in range(HISTORY + 5):
        item = finished(item, claim("Update", f"update-{number}"))

    assert [f"update-{number}" for number in range(5, HISTORY + 5)] == [served.request_id for served in item.requests]


# Late requests


def test_request_before_the_newest_is_late() -> None:
    """Lambda repeats an Update that died after the rollback has been served: it must not undo the rollback."""
    item = finished(admitted(CREATED, claim("Update", "forward"), NOW), claim("Update", "back"))

    with pytest.raises(Superseded, match="back"):
        admitted(item, claim("Update", "forward", holder="worker-9"), NOW + LEASE_SECONDS)


def sent(request_type: str, seconds: float, physical_id: str = PCX) -> Claim:
    """Return the claim of a request that CloudFormation sent so many seconds after another one."""
    name = f"{request_type} {seconds}"
    return Claim(request(request_type, name, NOW + seconds, PhysicalResourceId=physical_id), name)


@pytest.mark.parametrize("physical_id", [PCX, INVENTED])
@pytest.mark.parametrize("late", ["Create", "Update"])
def test_request_that_was_sent_before_a_delete(physical_id: str, late: str) -> None:
    """Lambda delivers it after the Delete: it would make a connection that no stack owns."""
    overtaken = finished(Item(), sent("Delete", 60, physical_id), physical_id=physical_id)

    with pytest.raises(Superseded, match="Delete 60"):
        admitted(overtaken, sent(late, 0), NOW + 90)
    assert admitted(overtaken, sent("Create", 90), NOW + 90).lease


def test_update_that_was_sent_before_its_rollback() -> None:
    """Lambda delivers it after the rollback has been answered, or while it is served: it must not undo that."""
    back = sent("Update", 60)
    running = admitted(CREATED, back, NOW + 60)

    for item in (running, finished(CREATED, back)):
        with pytest.raises(Superseded, match="Update 60"):
            admitted(item, sent("Update", 0), NOW + 61)
    assert held(running, back, NOW + 61, ())


@pytest.mark.parametrize(
    ("first", "second", "late"),
    [("Delete", "Create", True), ("Update", "Update", False), ("Delete", "Delete", False), ("Create", "Delete", False)],
)
def test_requests_of_one_second(first: str, second: str, late: bool) -> None:
    """The signature's time has no fractions; a Delete ends what came before it, others are taken as they come."""
    item = finished(Item(), sent(first, 0))
    again = Claim(request(second, "again", NOW, PhysicalResourceId=PCX), "worker-9")

    if late:
        with pytest.raises(Superseded):
            admitted(item, again, NOW)
    else:
        assert "again" == admitted(item, again, NOW).newest


@pytest.mark.parametrize(("earlier", "later"), [(None, 0), (0, None), (None, None)])
def test_request_without_a_time(earlier: float | None, later: float | None) -> None:
    """Where either ResponseURL does not say when it was signed, what comes later counts as sent later."""
    delete = Claim(request("Delete", "delete", earlier, PhysicalResourceId=PCX), "worker-2")

    assert admitted(finished(Item(), delete), Claim(request("Create", "create", later), "worker-3"), NOW).lease


def test_answer_to_a_late_request_is_remembered_as_the_oldest() -> None:
    """However many are remembered: the newest one stays the newest, or whoever serves it would give up."""
    item = CREATED
    for number in range(HISTORY):
        item = finished(item, sent("Update", number + 1))
    late = sent("Create", 0)

    item = answered(item, late, NOW, answer(late, "FAILED"), ())

    assert (HISTORY, f"Update {HISTORY}") == (len(item.requests), item.newest)
    assert item.served("Create 0")


def test_answer_to_what_began_without_the_registry() -> None:
    """It is the newest request, and a Delete has ended the resource; whoever still works on it learns that."""
    delete = sent("Delete", 60)

    ended = answered(CREATED, delete, NOW, answer(delete), ())
    working = admitted(Item(), sent("Create", 0), NOW)
    overtaken = answered(working, delete, NOW, answer(delete), ())

    assert ("Delete 60", (), NOW + KEPT_SECONDS) == (ended.newest, ended.living, ended.expires_at)
    assert ("Delete 60", None) == (overtaken.newest, overtaken.expires_at)
    with pytest.raises(Superseded, match="Delete 60"):
        held(overtaken, sent("Create", 0), NOW, ())


@pytest.mark.parametrize(("seconds", "concluded"), [(LEASE_SECONDS - 1, False), (LEASE_SECONDS, True)])
def test_lease_of_another_while_a_delete_is_answered(seconds: int, concluded: bool) -> None:
    """What still runs may make something; what has died does not."""
    working = admitted(CREATED, sent("Update", 0), NOW)
    delete = sent("Delete", 60)

    item = answered(working, delete, NOW + seconds, answer(delete), ())

    assert concluded is (item.expires_at is not None)


@pytest.mark.parametrize("known", [False, True])
def test_late_success_concludes_nothing(known: bool) -> None:
    """It is answered after a newer request has been: what that one left is what there is."""
    delete = sent("Delete", 0)
    item = admitted(CREATED, delete, NOW) if known else CREATED
    newer = finished(item.model_copy(update={"lease": None}), sent("Update", 60))

    left = answered(newer, delete, NOW, answer(delete), ())
    assert ((PCX,), None) == (left.living, left.expires_at)


def test_answer_while_a_call_hangs() -> None:
    """Whoever comes next waits for the end of the lease: the call may take effect until then."""
    working = admitted(Item(), CREATE, NOW)

    item = answered(working, CREATE, NOW, answer(CREATE, "FAILED"), (), release=False)

    assert working.lease == item.lease
    waiting = admitted(item, DELETE, NOW + 1).lease
    assert waiting
    assert "worker-1" == waiting.holder


def test_delete_after_a_create_that_was_never_answered() -> None:
    """It died, CloudFormation invented an id: the Create is known, and so is its repetition; a new one is none."""
    died = admitted(Item(), CREATE, NOW)
    deleted = answered(
        admitted(died, claim("Delete", "delete", INVENTED), NOW + LEASE_SECONDS),
        claim("Delete", "delete", INVENTED),
        NOW,
        answer(DELETE, physical_id=INVENTED),
        (),
    )

    with pytest.raises(Superseded):
        admitted(deleted, replace(CREATE, holder="worker-9"), NOW + 2 * LEASE_SECONDS)
    assert admitted(deleted, claim("Create", "another"), NOW).lease


def test_id_that_comes_back_is_updated() -> None:
    """A connection of somebody else may be adopted, left, and adopted again."""
    back = finished(DELETED, claim("Create", "again"))

    assert admitted(back, claim("Update", "update"), NOW).lease


# Life


def test_living_ids_of_a_replacement() -> None:
    """The old connection lives until its clean-up, which is not the end of the resource."""
    replaced = finished(CREATED, claim("Update", "update"), physical_id="pcx-new")
    assert (PCX, "pcx-new") == replaced.living

    cleaned = finished(replaced, DELETE)

    assert (("pcx-new",), None) == (cleaned.living, cleaned.expires_at)
    assert {"pcx-new": ("vpc-hub", "vpc-of-pcx-new")} == cleaned.vpc_ids
    assert cleaned.properties is not None


def test_update_tells_what_lives() -> None:
    """An item that was lost is made anew from what CloudFormation says: its rollback must not end the resource."""
    item = finished(Item(), claim("Update", "update"), physical_id="pcx-new")

    assert (PCX,) == finished(item, claim("Delete", "delete", "pcx-new"), physical_id="pcx-new").living


def test_desired_state_is_that_of_the_last_success() -> None:
    """A failed Update is rolled back: until then what stood before is what is wanted."""
    reference = "{{resolve:ssm-secure:/vpc-peering/external-id/spoke}}"
    kept = {"VpcId": "vpc-1", "ServiceToken": "arn", "PeerExternalId": reference}
    properties = {**kept, "ExternalId": "secret"}
    updated = finished(
        CREATED, Claim(request("Update", "u", PhysicalResourceId=PCX, ResourceProperties=properties), "w")
    )

    assert kept == updated.properties
    assert kept == finished(updated, claim("Update", "u2"), "FAILED").properties


def test_states_that_cloudformation_rolls_back_to() -> None:
    """That of the last success, whatever external id it comes with; and that of what a replacement has not ended."""
    properties = {"VpcId": "vpc-1", "ServiceToken": "arn", "ExternalId": "secret"}
    first = Claim(request("Update", "u", PhysicalResourceId=PCX, ResourceProperties=properties), "w")
    item = finished(CREATED, first)
    failed = finished(item, claim("Update", "u2"), "FAILED")
    replaced = finished(item, claim("Update", "u2"), physical_id="pcx-new")

    assert [True, True, False] == [each.had({**properties, "ExternalId": "x"}, PCX) for each in (item, failed, CREATED)]
    assert (False, False) == (item.had({**properties, "Tags": []}, PCX), item.had({**properties, "Tags": []}, None))
    assert (True, False) == (replaced.had(properties, PCX), replaced.had(properties, "pcx-new"))


def deployed(physical_id: str, item: Item = CREATED) -> Item:
    """Return the item after an Update that answers an id, whose properties and place are named after that."""
    name = f"update {len(item.requests)}"
    given = request("Update", name, PhysicalResourceId=item.living[-1], ResourceProperties={"Of": physical_id})
    made = {"RequesterOwnerId": "111111111111", "RequesterRegion": physical_id}
    update = Claim(given, "worker-3")
    told = {**answer(update, physical_id=physical_id), "Data": made}
    item = answered(admitted(item, update, NOW), update, NOW, told, ())
    return item.model_copy(update={"findings": (physical_id,)})


def counts(item: Item) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """Return what a resource is kept as: whose properties, where, and what was found of it."""
    return (item.properties or {}).get("Of"), item.places[:1], item.findings


def deleted(item: Item, physical_id: str) -> Item:
    """Return the item after the Delete of an id."""
    return finished(item, claim("Delete", f"delete {physical_id}", physical_id), physical_id=physical_id)


def test_former_deployment_counts_again() -> None:
    """The rollback of a replacement comes as Delete of the new id: what was asked for with the old one is kept then."""
    first = deployed(PCX)
    replaced = deployed("pcx-new", first)
    assert (("pcx-new", ("111111111111/pcx-new",), ("pcx-new",)), {PCX}) == (counts(replaced), {*replaced.former})

    back = deleted(replaced, "pcx-new")

    assert ((PCX, ("111111111111/pcx-ours",), ()), {}) == (counts(back), back.former)
    assert (counts(replaced), {}) == (counts(deleted(replaced, PCX)), deleted(replaced, PCX).former)
    assert back == Item.model_validate_json(back.model_dump_json(by_alias=True, exclude_defaults=True))


def test_former_deployment_is_updated() -> None:
    """The rollback may come as an Update with either id: what is kept follows the id that is answered."""
    replaced = deployed("pcx-new", deployed(PCX))

    begun = admitted(replaced, claim("Update", "back"), NOW)
    back = deployed(PCX, replaced)

    assert (PCX, ("111111111111/pcx-ours",), ()) == counts(begun)
    assert {"pcx-new": {"Of": "pcx-new"}} == {each: kept.properties for each, kept in begun.former.items()}
    assert (counts(deployed(PCX)), {"pcx-new"}) == (counts(back), {*back.former})
    assert counts(back) == counts(deleted(back, "pcx-new"))


def test_attempt_that_died_keeps_nobody_from_the_answer() -> None:
    """A Create is cut, and overtaken by a Delete that still waits: the next attempt is heard when it says so."""
    waiting = admitted(admitted(Item(), CREATE, NOW), DELETE, NOW + 1)
    again = Claim(CREATE.request, "worker-9")

    with pytest.raises(LeaseLost):
        answered(waiting, again, NOW + LEASE_SECONDS - 1, answer(again, "FAILED"), ())
    told = answered(waiting, again, NOW + LEASE_SECONDS, answer(again, "FAILED"), ())

    assert (answer(again, "FAILED"), waiting.lease) == (told.requests[0].answer, told.lease)


def test_only_one_former_deployment_is_kept() -> None:
    """Clean-ups may fail for years, and an item has at most 400 KB: CloudFormation goes one step back."""
    item = deployed("pcx-3", deployed("pcx-2", deployed(PCX)))

    assert {"pcx-2"} == {*item.former}
    once = deleted(item, "pcx-3")
    assert "pcx-2" == counts(once)[0]
    assert ((None, (), ()), (PCX,)) == (counts(deleted(once, "pcx-2")), deleted(once, "pcx-2").living)


def test_findings_stay_while_an_older_connection_is_cleaned_up() -> None:
    """They are of the last connection, which is there before and after."""
    item = deployed("pcx-3", deployed("pcx-2", deployed(PCX)))

    assert (("pcx-2", "pcx-3"), ("pcx-3",)) == (deleted(item, PCX).living, deleted(item, PCX).findings)


def test_former_deployment_in_an_item_that_an_earlier_function_has_written() -> None:
    """Nobody knows what the connection was deployed with: it is left alone until it is deployed again."""
    earlier = deployed("pcx-new", deployed(PCX)).model_copy(update={"former": {}})

    back = deleted(earlier, "pcx-new")

    assert ((None, (), ()), False) == (counts(back), back.rests(NOW))
    assert PCX == counts(deployed(PCX, back))[0]
    assert deployed(PCX, back).rests(NOW)


@pytest.mark.parametrize("physical_id", [PCX, INVENTED])
def test_deleted_resource_is_remembered_for_a_while(physical_id: str) -> None:
    """Nothing of its state, only that it is gone; an id that is no connection's stands for all it had."""
    stood = CREATED.model_copy(update={"stood": {PCX: {}}})
    item = answered(
        admitted(stood, claim("Delete", "delete", physical_id), NOW),
        claim("Delete", "delete", physical_id),
        NOW,
        answer(DELETE, physical_id=physical_id),
        [FIRST],
    )

    assert ((), None, {}, {}) == (item.living, item.properties, item.routes, item.stood)
    assert NOW + KEPT_SECONDS == item.expires_at


def test_failed_delete_keeps_everything() -> None:
    """It will be repeated, by hand mostly."""
    item = finished(CREATED, DELETE, "FAILED")

    assert ((PCX,), None) == (item.living, item.expires_at)


def test_resource_that_comes_back_does_not_expire() -> None:
    """The same logical id in the same stack, a day later."""
    assert finished(DELETED, claim("Create", "another")).expires_at is None


# Record


def test_earlier_record_stays() -> None:
    """A route that comes back to the connection after a rolled back replacement keeps its first former target."""
    assert (FIRST, SECOND, MOVED) == remembered([FIRST, SECOND, MOVED], [RouteRecord(key(), PCX, "pcx-new")])


def test_target_that_is_none_of_ours_is_the_last_to_be_given_back() -> None:
    """Somebody led the route elsewhere since, and it was taken from there: that counts, not what was before."""
    again = RouteRecord(key(), PCX, "igw-2")

    assert (again,) == remembered([FIRST], [again])
    assert (again,) == remembered([RouteRecord(key(), PCX, found=True)], [again])
    assert (FIRST,) == remembered([FIRST], [RouteRecord(key(), PCX)])


@pytest.mark.parametrize("former", ["igw-1", None])
def test_routes_of_one_connection_are_forgotten(former: str | None) -> None:
    """After the clean-up of the old connection of a replacement the new one has to give back what the old one took."""
    first = replace(FIRST, former=former)

    assert (replace(MOVED, former=former),) == forgotten([first, SECOND, MOVED], PCX, None)


def test_route_that_has_come_back_has_no_former_target() -> None:
    """A replacement that was rolled back without any record: a route is not to be given back to its own connection."""
    back = RouteRecord(key(), PCX, "pcx-new")

    assert (replace(back, former=None),) == forgotten([replace(MOVED, former=PCX), back], "pcx-new", None)


def test_former_target_that_took_nothing() -> None:
    """A connection that is left, and whose record is lost, is no target that a route could be given back to."""
    assert (replace(MOVED, former=None),) == forgotten([SECOND, MOVED], PCX, None)


def test_what_was_found_goes_back() -> None:
    """A route that led to a connection before us is given back to it, though we have left it."""
    moved = replace(MOVED, former=PCX)

    assert (moved,) == forgotten([replace(FIRST, key=moved.key, former=None, found=True), moved], PCX, None)


def test_former_target_that_is_none_of_ours_stays() -> None:
    """A connection that is left has nothing to tell of what another one took from somebody else."""
    taken = replace(MOVED, former="igw-9")

    assert (taken,) == forgotten([FIRST, taken], PCX, None)


def test_single_routes_are_forgotten() -> None:
    """A route that was taken off leaves the record, the others of its connection stay, and so do former targets."""
    assert (SECOND, MOVED) == forgotten([FIRST, SECOND, MOVED], PCX, [FIRST.key])


def test_record_is_packed_and_unpacked() -> None:
    """Side, table, destination, former target and what was found survive the table."""
    records = (
        FIRST,
        SECOND,
        replace(SECOND, key=peer_key(), found=True),
        RouteRecord(key("2001:db8::/56", table_id="rtb-2"), PCX, "pcx-old", found=True),
        MOVED,
    )

    assert set(records) == set(unpacked(packed(records)))


def test_what_stood_survives_the_table() -> None:
    """Tags and options come back as they were recorded; a connection that we made keeps its empty record."""
    stood = {PCX: {}, "pcx-2": {Side.ACCEPTER: Stood({"team": "net"}, frozenset({Option.DNS}))}}
    item = Item(stood=stood)

    assert item == Item.model_validate_json(item.model_dump_json(by_alias=True, exclude_defaults=True))


def test_what_stood_on_a_connection_that_was_left_is_dropped() -> None:
    """It may change there while it is nobody's of ours; what is known of others stays."""
    item = Item(stood={PCX: {Side.ACCEPTER: Stood()}, "pcx-2": {}})

    assert Item(stood={"pcx-2": {}}) == parted(item, [PCX])


@pytest.mark.parametrize(("destinations", "moved", "fits"), [(50, False, True), (50, True, False), (35, True, True)])
def test_how_many_routes_fit(destinations: int, *, moved: bool, fits: bool) -> None:
    """What DynamoDB takes as one item: 10,000 routes of 200 tables, 7,000 while they are moved; with full answers."""
    old, new = (f"pcx-{number:017x}" for number in range(2))
    keys = [
        key(f"100.100.{block + 100}.0/24", table_id=f"rtb-{table:017x}")
        for table in range(200)
        for block in range(destinations)
    ]
    records = [RouteRecord(key, old) for key in keys] + [RouteRecord(key, new, old) for key in keys if moved]
    answer = {"Status": "SUCCESS", "Data": {"SkippedRoutes": "x" * BODY_LIMIT}}
    served = [Served(request_id=f"{n:036}", sent=NOW, request_type="Update", answer=answer) for n in range(HISTORY)]
    item = Item(requests=tuple(served), living=(old, new), routes=packed(records))

    assert fits is (
        len(item.model_dump_json(by_alias=True, exclude_defaults=True)) + len(" ".join(item.names)) < 400 * 1024
    )
