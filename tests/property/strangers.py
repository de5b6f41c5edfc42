"""Connections that somebody else has made, and resources that take them over or manage the accepter's side of them."""

from dataclasses import replace

from hypothesis import strategies as st

from handler.model import Connection, Desired, Observed, OnConflict, Option, Side, Status
from tests.property.laws import with_policy
from tests.property.strategies import BLOCKS, FOREIGN, STRANGER, can_be_read, desires, observations, one_sided, options


@st.composite
def strangers(draw: st.DrawFn, desired: Desired, statuses: st.SearchStrategy[Status]) -> Connection:
    """Draw a living connection of the pair that somebody else has made, in either direction, with or without tags."""
    status = draw(statuses)
    blocks = {side: BLOCKS[side][:1] for side in Side} if status is Status.ACTIVE else {}
    tags = {**draw(st.dictionaries(st.sampled_from(["Name", "Team"]), st.sampled_from(["1", "2"])))}
    tags |= draw(st.sampled_from([{}, STRANGER.tags]))
    # Multipath resilience in a request is refused by a law of its own, see tests/unit/test_ownership.py.
    shown = {side: found - {Option.MULTIPATH} for side, found in draw(options).items()}
    made = Connection(FOREIGN, status, *desired.ends, tags=tags, options=shown, cidr_blocks=blocks)
    return replace(made, reversed=draw(st.booleans()))


@st.composite
def adoptions(draw: st.DrawFn) -> tuple[Desired, Observed]:
    """Draw a resource that takes over what it finds, and a connection to find."""
    policy = draw(st.sampled_from([OnConflict.SKIP, OnConflict.REPLACE]))  # under Fail a conflict ends it all
    asked = replace(draw(desires()), wait_for_acceptance=draw(st.booleans()), adopt=True)
    desired = with_policy(replace(asked, previous=None, connection_id=None), policy)
    observed = replace(draw(observations(desired)), records=())
    theirs = draw(strangers(desired, st.sampled_from([s for s in Status if s.live])))
    for side, view in observed.sides():
        shown = theirs if side is Side.REQUESTER or desired.shared_tags else replace(theirs, tags={})
        others = tuple(c for c in view.connections if not c.status.live)
        observed = observed.with_side(side, connections=(*others, shown))
    return desired, observed


@st.composite
def one_sides(draw: st.DrawFn, *, present: bool = True) -> tuple[Desired, Observed]:
    """Draw a resource for the accepter's side alone, and the connection that it names."""
    policy = draw(st.sampled_from([OnConflict.SKIP, OnConflict.REPLACE]))
    desired = with_policy(replace(draw(one_sided(present=present)), wait_for_acceptance=draw(st.booleans())), policy)
    # Multipath resilience is refused within one Region.
    asked: dict[Option, bool] = {o: on for o, on in desired.accepter.options.items() if o is not Option.MULTIPATH}
    desired = replace(desired, accepter=replace(desired.accepter, options=asked))
    observed = draw(observations(desired))
    theirs = replace(draw(strangers(desired, st.sampled_from([s for s in Status if s.live]))), reversed=False)
    theirs = replace(theirs, requester=desired.requester.end, accepter=desired.accepter.end)
    view = replace(observed.view(Side.ACCEPTER), connections=(theirs,))
    return desired, replace(observed, requester=None, accepter=view)


def creations() -> st.SearchStrategy[tuple[Desired, Observed]]:
    """Draw the Create of a resource that takes a connection over, or manages one side of it; nothing is recorded."""
    return (adoptions() | one_sides()).map(
        lambda case: (replace(case[0], connection_id=None), replace(case[1], records=()))
    )


@st.composite
def updates(draw: st.DrawFn) -> tuple[Desired, Desired, Observed]:
    """Draw a Create, and an Update of the same resource that asks for other tags, options and routes."""
    created, observed = draw(creations())
    other = draw(one_sides() if created.foreign_id else adoptions())[0]
    readable = created.accepter.managed and not created.foreign_id
    sides = {
        side.value: replace(
            mine, tags=asked.tags, options=asked.options, routes=can_be_read(asked.routes, managed=readable)
        )
        for side in Side
        if (mine := created.side(side)).managed and (asked := other.side(side)).managed
    }
    return created, replace(created, **sides, connection_id=FOREIGN, previous=created), observed  # type: ignore[arg-type]
