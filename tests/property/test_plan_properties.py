"""Laws that hold of every plan, whatever the world is."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from handler.changes import CreateRoute, DeleteRoute, ReplaceRoute, Stage
from handler.model import Connection, Desired, Observed, ObservedSide, OnConflict, Route, Side, Status
from handler.plan import Plan, plan
from tests.property.laws import cases, law, others, safe, touched
from tests.property.simulator import NEW, activated, converge, subject, targets, worlds
from tests.property.strangers import one_sides
from tests.property.strategies import DEAD, FOREIGN, FORMER, OURS


def _meanings(observed: Observed) -> tuple[object, ...]:
    """Return what matters of a world: routes by place, connections by side."""
    connections = [(side, c) for side, view in observed.sides() for c in view.connections]
    return targets(observed), connections


@law
@given(st.booleans().flatmap(lambda present: cases(present=present, foreign=True)))
def test_plan_is_total(case: tuple[Desired, Observed]) -> None:
    """EC2 shows every state in every combination: planning itself never fails, and its order is that of the stages."""
    planned = plan(*case)

    stages = [change.stage for change in planned.changes]
    assert sorted(stages) == stages
    assert len(planned.changes) == len({str(change) for change in planned.changes})
    assert planned.changes == plan(*case).changes


@law
@given(cases())
def test_plan_converges(case: tuple[Desired, Observed]) -> None:
    """A plan that is carried out leaves nothing to plan: a second run, or an empty Update, writes nothing."""
    wanted, observed = case
    wanted, planned = safe(wanted, observed)

    after = converge(wanted, observed, planned)

    assert Plan(
        connection=after.view(Side.REQUESTER).connection(subject(wanted, planned)),
        active=planned.active,
        routes=planned.routes,
        skipped=planned.skipped,
    ) == plan(wanted, after)


@law
@given(cases())
def test_pending_connection_converges_once_accepted(case: tuple[Desired, Observed]) -> None:
    """With AutoAccept false the other party accepts some day; the Update after that does the rest, and then nothing."""
    wanted, observed = case
    wanted, planned = safe(replace(wanted, auto_accept=False, wait_for_acceptance=False), observed)
    accepted = activated(converge(wanted, observed, planned), subject(wanted, planned))

    wanted, rest = safe(wanted, accepted)

    assert rest.active
    assert () == plan(wanted, converge(wanted, accepted, rest)).changes


@law
@given(cases(), st.data())
def test_interrupted_plan_is_resumed(case: tuple[Desired, Observed], data: st.DataObject) -> None:
    """A run may end after any change: the next one leads to the very world that the first would have led to."""
    wanted, observed = case
    wanted, planned = safe(wanted, observed)
    steps = list(worlds(wanted, observed, planned))
    whole = converge(wanted, observed, planned)
    interrupted = replace(
        data.draw(st.sampled_from(steps)), records=(*whole.records, *(set(observed.records) - set(whole.records)))
    )

    resumed = converge(wanted, interrupted, plan(wanted, interrupted))

    assert _meanings(whole) == _meanings(resumed)


@law
@given(st.booleans().flatmap(lambda present: cases(present=present, foreign=True)))
def test_no_other_route_is_touched(case: tuple[Desired, Observed]) -> None:
    """Only routes of ours, of the connection we replace, of a dead one, and under Replace of another target change."""
    desired, observed = case
    planned = plan(desired, observed)
    if planned.refusals:
        return
    before = targets(observed)
    ours = {OURS, DEAD, desired.connection_id, planned.connection.connection_id if planned.connection else None}
    policies = {side: wish.on_conflict for side in Side if (wish := desired.side(side).routes)}

    taken = {key for key in touched(planned) if before.get(key) not in {*ours, None}}

    assert set() == {key for key in taken if not desired.present or policies.get(key.side) is not OnConflict.REPLACE}
    for change in planned.changes:
        if isinstance(change, DeleteRoute) or (isinstance(change, ReplaceRoute) and change.target):
            assert before[change.route] in {OURS, FORMER} & ours
        if isinstance(change, ReplaceRoute):
            assert change.former == before[change.route]


@law
@given(st.booleans().flatmap(lambda present: cases(present=present, foreign=True)))
def test_everything_else_stays_as_it_is(case: tuple[Desired, Observed]) -> None:
    """Other connections, other routes and the user's own tags are the same after as before, to the byte."""
    desired, observed = case
    planned = plan(desired, observed)
    if planned.refusals:
        return
    ours = subject(desired, planned)
    after = converge(desired, observed, planned)
    untouched = targets(observed).keys() - touched(planned)

    assert others(observed, ours) == others(after, ours)
    assert {key: targets(observed)[key] for key in untouched} == {key: targets(after)[key] for key in untouched}
    for before, now in zip(observed.sides(), after.sides(), strict=True):
        assert _not_static(before[1]) == _not_static(now[1])
        assert _unmanaged(desired, before[1].connection(ours)) == _unmanaged(desired, now[1].connection(ours))


def _not_static(view: ObservedSide) -> list[Route]:
    return [route for table in view.tables for route in table.routes if route.origin != "CreateRoute"]


def _unmanaged(desired: Desired, seen: Connection | None) -> Mapping[str, str]:
    """Return the tags that no properties gave, and Name apart."""
    wishes = [desired, *([desired.previous] if desired.previous else [])]
    given_keys = {key for wish in wishes for side in Side for key in wish.side(side).tags} | {"Name"}
    tags = seen.tags if seen else {}
    return {k: v for k, v in tags.items() if k not in given_keys and not k.startswith("vpc-peering:")}


@law
@given(st.booleans().flatmap(lambda present: cases(present=present, foreign=True) | one_sides(present=present)))
def test_only_managed_sides_are_written(case: tuple[Desired, Observed]) -> None:
    """The other party's side is not ours to write, and one that could not be read is not written blindly."""
    desired, observed = case

    for change in plan(desired, observed).changes:
        side = getattr(change, "side", Side.REQUESTER)  # what names none acts on the connection as its requester
        assert desired.side(side).managed
        assert observed.side(side) is not None


@law
@given(cases())
def test_delete_undoes_create(case: tuple[Desired, Observed]) -> None:
    """What a Create has made, its Delete takes away: the tables are as before, but for routes to dead connections."""
    wanted, observed = case
    wanted = replace(wanted, previous=None, connection_id=None)
    bare = replace(observed, records=())
    for side, view in observed.sides():
        bare = bare.with_side(side, connections=tuple(c for c in view.connections if not c.status.live))
    wanted, created = safe(wanted, bare)
    made = converge(wanted, bare, created)

    removed = converge(replace(wanted, present=False, connection_id=NEW), made, _deletion(wanted, made))

    assert {k: t for k, t in targets(bare).items() if t != DEAD} == {
        k: t for k, t in targets(removed).items() if t != DEAD
    }
    assert [] == [c for _, view in removed.sides() for c in view.connections if c.status.live]
    assert () == plan(replace(wanted, present=False, connection_id=NEW), removed).changes


def _deletion(wanted: Desired, made: Observed) -> Plan:
    """Plan the Delete by id, which must find the same as the Delete by owner tags."""
    by_id = plan(replace(wanted, present=False, connection_id=NEW), made)
    assert () == by_id.refusals
    assert by_id == plan(replace(wanted, present=False), made)
    return by_id


@law
@given(cases(present=False))
def test_delete_converges(case: tuple[Desired, Observed]) -> None:
    """A Delete that is repeated finds nothing more to do, and nothing of ours is left."""
    desired, observed = case
    planned = plan(desired, observed)
    if planned.refusals or not (planned.connection or desired.connection_id):
        return
    doomed = subject(desired, planned)

    after = converge(desired, observed, planned)

    assert () == plan(desired, after).changes
    recorded = {r.key for r in observed.records if r.connection_id == doomed and not r.found}
    assert set() == {key for key in recorded if targets(after).get(key) == doomed}


@law
@given(cases())
def test_make_before_break(case: tuple[Desired, Observed]) -> None:
    """No destination that had a route and is to keep one is without it for a moment, and none is taken too early."""
    wanted, observed = case
    wanted, planned = safe(wanted, observed)
    lasting = planned.routes & targets(observed).keys()

    for world in worlds(wanted, observed, planned):
        assert set() == lasting - targets(world).keys()
    made = [change.stage for change in planned.changes if isinstance(change, CreateRoute | ReplaceRoute)]
    broken = [change.stage for change in planned.changes if isinstance(change, DeleteRoute)]
    assert max(made, default=Stage.REQUEST) < min(broken, default=Stage.DELETE)


@law
@given(cases())
def test_foreign_pair_is_left_alone(case: tuple[Desired, Observed]) -> None:
    """Somebody else's living connection refuses a Create, unless ours is active: then nobody can accept theirs."""
    desired, observed = replace(case[0], adopt=False), case[1]
    foreign = Connection(FOREIGN, Status.PENDING_ACCEPTANCE, *desired.ends)
    crowded = observed.with_side(Side.REQUESTER, connections=(*observed.view(Side.REQUESTER).connections, foreign))

    ours = (c for c in observed.view(Side.REQUESTER).connections if desired.owns(c) and c.ends == desired.ends)
    established = any(c.status is Status.ACTIVE for c in ours)
    assert established is not any(FOREIGN in refusal.cause for refusal in plan(desired, crowded).refusals)
