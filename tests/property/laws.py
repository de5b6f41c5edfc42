"""What the laws share: how they are tried, the cases they are tried on, and how a plan is made of one."""

from dataclasses import replace

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st

from handler.changes import CreateRoute, DeleteRoute, ReplaceRoute
from handler.model import Connection, Desired, Observed, OnConflict, RouteKey, Side
from handler.plan import Plan, plan
from tests.property.strategies import desires, observations

law = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def cases(draw: st.DrawFn, *, present: bool = True, foreign: bool = False) -> tuple[Desired, Observed]:
    """Draw a desired state and the world that it meets."""
    desired = draw(desires(present=present))
    return desired, draw(observations(desired, foreign=foreign))


def safe(desired: Desired, observed: Observed) -> tuple[Desired, Plan]:
    """Plan; where a conflict forbids it, plan the same with Skip, so that no case is wasted."""
    planned = plan(desired, observed)
    if planned.refusals:
        desired = with_policy(desired, OnConflict.SKIP)
        planned = plan(desired, observed)
    note("\n".join(map(str, planned.changes)))
    assert () == planned.refusals
    return desired, planned


def with_policy(desired: Desired, on_conflict: OnConflict) -> Desired:
    """Return the same with one policy for both sides."""
    sides = {
        side.value: replace(wish, routes=replace(wish.routes, on_conflict=on_conflict))
        for side in Side
        if (wish := desired.side(side)).routes
    }
    return replace(desired, **sides)  # type: ignore[arg-type]  # a side each


def touched(planned: Plan) -> set[RouteKey]:
    """Return the places of all routes that a plan changes."""
    return {c.route for c in planned.changes if isinstance(c, CreateRoute | ReplaceRoute | DeleteRoute)}


def others(observed: Observed, connection_id: str) -> list[Connection]:
    """Return all connections but one, as each side sees them."""
    return [c for _, view in observed.sides() for c in view.connections if c.connection_id != connection_id]
