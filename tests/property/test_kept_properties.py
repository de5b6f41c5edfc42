"""Laws of connections that somebody else has made: taken over, or managed on one side. They outlive the resource."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from handler.changes import AdoptConnection, DeleteConnection
from handler.model import ADOPTED, Connection, Desired, Observed, Option, RouteKey, Side, Status
from handler.plan import plan
from tests.property.laws import cases, law, safe, touched
from tests.property.simulator import converge, run, targets
from tests.property.strangers import adoptions, creations, one_sides, updates
from tests.property.strategies import DEAD, FOREIGN, FORMER, OLD, OWNER


@law
@given(adoptions())
def test_adoption_is_a_claim_before_all_else(case: tuple[Desired, Observed]) -> None:
    """The owner tags come before any other change of somebody's connection; then it is as if it were ours."""
    wanted, observed = case
    wanted, planned = safe(wanted, observed)

    first, *rest = planned.changes
    assert isinstance(first, AdoptConnection)
    assert [] == [change for change in rest if isinstance(change, AdoptConnection)]
    after = run(wanted, observed)[-1]
    taken = after.view(Side.REQUESTER).connection(FOREIGN)
    assert taken is not None
    assert wanted.owns(taken)
    assert wanted.keeps(taken, after)
    assert () == plan(wanted, after).changes


def _lasting(observed: Observed) -> set[RouteKey]:
    """Return the routes that lead to somebody's connection, and are not ours to cut."""
    return {key for key, target in targets(observed).items() if target == FOREIGN}


def _alive(observed: Observed) -> dict[RouteKey, str]:
    """Return the targets of all routes but those to a dead connection, which may be taken over for good."""
    return {key: target for key, target in targets(observed).items() if target != DEAD}


def _leave(wanted: Desired, observed: Observed) -> Observed:
    """Return the world after the Delete, which never ends the connection."""
    gone = replace(wanted, present=False, previous=None, connection_id=FOREIGN)
    removal = plan(gone, observed)
    assert () == removal.refusals
    assert [] == [change for change in removal.changes if isinstance(change, DeleteConnection)]
    return converge(gone, observed, removal)


@law
@given(creations())
def test_no_route_is_cut(case: tuple[Desired, Observed]) -> None:
    """After every single change each route that led to the connection still does: no packet is dropped."""
    wanted, observed = case
    lasting = _lasting(observed)

    for world in run(wanted, observed):
        assert lasting <= _lasting(world)


@law
@given(creations())
def test_taking_over_converges(case: tuple[Desired, Observed]) -> None:
    """After a run there is nothing more to do, also where the blocks show only once the connection is active."""
    wanted, observed = case
    last = run(wanted, observed)[-1]

    assert ((), ()) == (plan(wanted, last).changes, plan(wanted, last).refusals)


@law
@given(creations())
def test_delete_undoes_taking_over(case: tuple[Desired, Observed]) -> None:
    """What was not ours is the same after Create and Delete, to the byte: every route, other tags, the options."""
    wanted, observed = case
    last = _leave(wanted, run(wanted, observed)[-1])

    assert _alive(observed) == _alive(last)
    for side, view in observed.sides():
        before, now = view.connection(FOREIGN), last.view(side).connection(FOREIGN)
        assert before is not None
        assert now is not None
        assert _tags_of_others(before) == _tags_of_others(now)
        assert {o for o in Option if before.allows(side, o)} == {o for o in Option if now.allows(side, o)}
        assert wanted.foreign_id or not any(key.startswith("vpc-peering:") for key in now.tags)


def _tags_of_others(seen: Connection) -> dict[str, str]:
    return {key: value for key, value in seen.tags.items() if not key.startswith("vpc-peering:")}


@law
@given(adoptions())
def test_delete_without_a_record_cuts_nothing(case: tuple[Desired, Observed]) -> None:
    """A new process knows of the adoption by the tag alone: what was there before stays, if need be with ours."""
    wanted, observed = case
    forgotten = replace(run(wanted, observed)[-1], records=())

    assert _lasting(observed) <= _lasting(_leave(wanted, forgotten))


@law
@given(updates())
def test_update_in_between_cuts_nothing(case: tuple[Desired, Desired, Observed]) -> None:
    """Rules that come to cover a route which was there before, or cover it no more, do not make it ours."""
    created, updated, observed = case
    lasting = _lasting(observed)

    for world in (steps := run(updated, run(created, observed)[-1])):
        assert lasting <= _lasting(world)
    assert () == plan(updated, steps[-1]).changes
    assert _alive(observed).items() >= _alive(_leave(updated, steps[-1])).items()
    assert lasting <= _lasting(_leave(updated, steps[-1]))


@law
@given(creations(), st.data())
def test_interrupted_run_is_resumed(case: tuple[Desired, Observed], data: st.DataObject) -> None:
    """A run may end after any change: the next one leads to the same routes, and Delete to those before."""
    wanted, observed = case
    steps = run(wanted, observed)
    interrupted = data.draw(st.sampled_from(steps))

    resumed = run(wanted, interrupted)[-1]

    assert targets(steps[-1]) == targets(resumed)
    assert _alive(observed) == _alive(_leave(wanted, resumed))


@law
@given(creations(), st.data())
def test_rollback_of_an_interrupted_create(case: tuple[Desired, Observed], data: st.DataObject) -> None:
    """Without a physical id, Delete finds by owner tags or records what is ours, and cuts nothing else."""
    wanted, observed = case
    interrupted = data.draw(st.sampled_from(run(wanted, observed)))
    gone = replace(wanted, present=False, connection_id=None)
    removal = plan(gone, interrupted)

    assert () == removal.refusals
    last = converge(gone, interrupted, removal)
    assert _alive(observed) == _alive(last)
    assert () == plan(gone, last).changes


@law
@given(one_sides(), st.booleans())
def test_routes_move_to_the_next_connection(case: tuple[Desired, Observed], back: bool) -> None:
    """Another VpcPeeringConnectionId is a replacement: clean-up touches nothing, a rollback moves them back."""
    wanted = replace(case[0], connection_id=None, auto_accept=True)
    first = run(wanted, replace(case[1], records=()))[-1]
    view = first.view(Side.ACCEPTER)
    second = replace(view.connections[0], connection_id=FORMER, tags={}, options={})
    both = first.with_side(Side.ACCEPTER, connections=(*view.connections, second))
    moving = replace(wanted, foreign_id=FORMER, connection_id=FOREIGN, previous=wanted)

    steps = run(moving, both)

    for world in steps:
        assert targets(both).keys() <= targets(world).keys()
    if back:
        undo = replace(moving, present=False, previous=None, connection_id=FORMER)
        assert _alive(both) == _alive(converge(undo, steps[-1], plan(undo, steps[-1])))
    else:
        assert targets(steps[-1]) == targets(_leave(wanted, steps[-1]))


@law
@given(adoptions())
def test_adoption_in_a_replacement_is_undone(case: tuple[Desired, Observed]) -> None:
    """The routes of the old connection go back to it where the new one was adopted too."""
    wanted, observed = case
    former = Connection(FORMER, Status.ACTIVE, *OLD, tags=OWNER.tags)
    seen = observed.view(Side.REQUESTER).connections
    observed = observed.with_side(Side.REQUESTER, connections=(*seen, former))
    old = (replace(wanted.side(side), end=end) for side, end in zip(Side, OLD, strict=True))
    wanted = replace(wanted, previous=replace(wanted, requester=next(old), accepter=next(old)), connection_id=FORMER)

    assert _alive(observed) == _alive(_leave(wanted, run(wanted, observed)[-1]))


@law
@given(one_sides())
def test_one_side_converges(case: tuple[Desired, Observed]) -> None:
    """The accepter's side alone is written, no owner tag ever, and then there is nothing more to do."""
    wanted, observed = case
    wanted, planned = safe(wanted, observed)
    after = converge(wanted, observed, planned)

    sides = {getattr(change, "side", Side.REQUESTER) for change in planned.changes}
    assert sides <= {Side.ACCEPTER}
    assert after.requester is None
    seen = after.view(Side.ACCEPTER).connection(FOREIGN)
    before = observed.view(Side.ACCEPTER).connection(FOREIGN)
    assert seen is not None
    assert before is not None
    assert {k: v for k, v in before.tags.items() if k.startswith("vpc-peering:")} == {
        k: v for k, v in seen.tags.items() if k.startswith("vpc-peering:")
    }
    if before.status is Status.ACTIVE or not wanted.auto_accept:
        assert () == plan(wanted, after).changes


@law
@given(one_sides(present=False))
def test_one_side_is_left(case: tuple[Desired, Observed]) -> None:
    """Delete never ends the connection, takes no found route, and is done in one run."""
    gone, observed = case
    planned = plan(gone, observed)
    after = converge(gone, observed, planned)

    assert [] == [change for change in planned.changes if isinstance(change, DeleteConnection)]
    found = {record.key for record in observed.records if record.found and record.connection_id == FOREIGN}
    assert set() == found & touched(planned)
    if gone.connection_id is None:
        recorded = {record.key for record in observed.records if record.connection_id == FOREIGN}
        assert touched(planned) <= recorded
    assert () == plan(gone, after).changes


@law
@given(cases(present=False, foreign=True))
def test_found_routes_stay(case: tuple[Desired, Observed]) -> None:
    """What was recorded as found is neither deleted nor pointed elsewhere, however the connection became ours."""
    desired, observed = case
    planned = plan(desired, observed)

    kept = planned.connection.connection_id if planned.connection else desired.connection_id
    found = {record.key for record in observed.records if record.found and record.connection_id == kept}
    assert set() == found & touched(planned)


@law
@given(creations())
def test_delete_can_be_repeated(case: tuple[Desired, Observed]) -> None:
    """A Delete that did its work comes again if its answer was lost: that is no failure, and nothing to do."""
    wanted, observed = case
    last = _leave(wanted, run(wanted, observed)[-1])

    assert last == _leave(wanted, last)


@law
@given(cases(present=False, foreign=True))
def test_what_is_adopted_is_never_deleted(case: tuple[Desired, Observed]) -> None:
    """Whatever else has happened to it: the tag keeps it."""
    desired, observed = case
    adopted = {c.connection_id for c in observed.view(Side.REQUESTER).connections if ADOPTED in c.tags}

    doomed = {c.connection_id for c in plan(desired, observed).changes if isinstance(c, DeleteConnection)}
    assert set() == adopted & doomed
