"""What maintenance may do of a plan, and what it says of it."""

from dataclasses import replace

import pytest

from handler.changes import (
    AcceptConnection,
    AdoptConnection,
    Change,
    CreateConnection,
    CreateRoute,
    DeleteRoute,
    ModifyOptions,
    ReplaceRoute,
    TagConnection,
    UntagConnection,
)
from handler.errors import AccessDenied, InvalidRequest, PeeringError, ResourceConflict
from handler.model import Option, Side, Status
from handler.plan import Plan
from handler.upkeep import Finding, Kind, findings, of_failure, permitted, repaired
from tests.unit.given import PCX, connection, desired, key, observed, peer_key

ROUTE = CreateRoute(key())
CONFLICT = ResourceConflict("rtb-hub routes 10.8.0.0/16 to igw-1 already.", "Remove that route.")


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan((ROUTE,), connection=connection()), (ROUTE,)),
        (Plan((ROUTE,), (CONFLICT,), connection()), (ROUTE,)),
        (Plan((ROUTE,), (CONFLICT, InvalidRequest("a", "b")), connection()), ()),
        (Plan((ROUTE,), (AccessDenied("a", "b"),), connection()), ()),
        (Plan((CreateConnection({}), ROUTE)), ()),
        (Plan((AdoptConnection(PCX, {}), ROUTE), connection=connection(owner=None)), ()),
        (Plan((ROUTE,), connection=connection(Status.DELETED)), ()),
        (
            Plan((AcceptConnection(), ROUTE), connection=connection(Status.PENDING_ACCEPTANCE)),
            (AcceptConnection(), ROUTE),
        ),
    ],
)
def test_permitted(plan: Plan, expected: tuple[Change, ...]) -> None:
    """A conflict leaves the rest to be repaired; everything else that forbids the plan leaves all as it is."""
    allowed = permitted(plan)

    assert (expected, ()) == (allowed.changes, allowed.refusals)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ROUTE, Finding(Kind.DRIFT, Side.REQUESTER, "rtb-hub lacks the route to 10.8.0.0/16.")),
        (
            ReplaceRoute(peer_key(), "igw-1"),
            Finding(Kind.DRIFT, Side.ACCEPTER, "rtb-spoke routes 10.0.0.0/16 to igw-1."),
        ),
        (
            ReplaceRoute(key(), "pcx-dead"),
            Finding(Kind.BLACKHOLE, Side.REQUESTER, "rtb-hub routes 10.8.0.0/16 to pcx-dead, which has ended."),
        ),
        (
            DeleteRoute(key()),
            Finding(Kind.DRIFT, Side.REQUESTER, "rtb-hub still routes 10.8.0.0/16, which is not asked for."),
        ),
        (
            ModifyOptions(Side.ACCEPTER, {Option.DNS: True, Option.MULTIPATH: False}),
            Finding(
                Kind.DRIFT,
                Side.ACCEPTER,
                "AllowDnsResolutionFromRemoteVpc is off, AllowMultipathResilience is on.",
            ),
        ),
        (
            TagConnection(Side.REQUESTER, {"Team": "net", "Env": "test"}),
            Finding(Kind.DRIFT, Side.REQUESTER, "The connection lacks 2 tags: Env, Team."),
        ),
        (
            UntagConnection(Side.REQUESTER, {"Team": "net"}),
            Finding(Kind.DRIFT, Side.REQUESTER, "The connection has 1 tag that the stack gives no more: Team."),
        ),
        (AcceptConnection(), Finding(Kind.DRIFT, Side.ACCEPTER, "The connection waits to be accepted.")),
    ],
)
def test_what_is_said_of_a_change(change: Change, expected: Finding) -> None:
    """In plain words, what is not as it is asked for, and on which side; once it was made, that it is done."""
    world = observed(connection(), gone=frozenset({"pcx-dead"}))
    asked = replace(desired(), connection_id=PCX)

    found = [*findings(asked, world, Plan((change,), connection=connection()))]

    assert [expected] == found
    assert [replace(expected, done=True)] == repaired(found, [change], world)
    assert found == repaired(found, [], world)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, f"{PCX} is gone."),
        (connection(Status.DELETED), f"{PCX} is deleted: no message."),
        (connection(owner=None), f"{PCX} does not carry the owner tags of this resource any more."),
    ],
)
def test_what_is_said_of_a_connection_that_is_lost(seen: object, expected: str) -> None:
    """That alone: what hangs on it would be noise; and what to do about it."""
    world = observed(*([seen] if seen else []))  # type: ignore[list-item]  # a connection
    plan = Plan((CreateConnection({}), ROUTE), connection=None)

    (found,) = findings(replace(desired(), connection_id=PCX), world, plan)

    assert (Kind.CONNECTION, False) == (found.kind, found.done)
    assert found.text.startswith(expected)
    assert "deploy the stack" in found.text


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(AccessDenied("a.", "b."), Kind.ROLE), (CONFLICT, Kind.CONFLICT), (InvalidRequest("a.", "b."), Kind.FAILURE)],
)
def test_what_is_said_of_a_failure(failure: PeeringError, kind: Kind) -> None:
    """With its remedy: whoever reads it is to do something."""
    assert Finding(kind, "", f"{failure.cause} {failure.remedy}") == of_failure(failure)
