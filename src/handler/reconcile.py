"""Observe, plan, apply: the one way from any state of the world to the desired one. Delete is "desired: absent"."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from handler.apply import Refused, apply, taken_off, written_ahead
from handler.calls import VISIBLE_WITHIN
from handler.changes import (
    AcceptConnection,
    Change,
    CreateConnection,
    DeleteRoute,
    ModifyOptions,
    ReplaceRoute,
    RouteChange,
    Stage,
    TagConnection,
    UntagConnection,
)
from handler.clock import Deadline, backoff
from handler.errors import (
    AccessDenied,
    AlreadyExists,
    InvalidRequest,
    NotFound,
    NotStabilized,
    Overtaken,
    PeeringError,
    ResourceConflict,
    ServiceLimitExceeded,
)
from handler.item import Superseded
from handler.model import Connection, Desired, Observed, RouteRecord, Side, Status
from handler.observe import Sides, observe, with_quotas
from handler.ownership import doomed
from handler.parallel import WORKERS, run
from handler.plan import Plan, plan
from handler.preflight import near_limits
from handler.registry import Tenure
from handler.routes import Taken, lost_routes, plan_removal, still_stands
from handler.rules import rule_of
from handler.settings import plan_settings
from handler.telemetry import logger
from handler.upkeep import certain, permitted

READ_BACK_WITHIN: Final = 300.0
"""Seconds that EC2 may take until options and tags show ("up to minutes")."""

BLOCKS_SHOW_WITHIN: Final = 30.0
"""Seconds that an active connection may take until the CIDR blocks of its VPCs show."""

FRESH_FOR: Final = 2.0
"""Seconds for which routes are replaced and deleted by what the tables showed; only throttling takes longer."""

PART: Final = WORKERS
"""Routes of a side that are replaced or deleted by one reading of the tables."""

LONG_AGO: Final = float("-inf")
"""When a reading was made that counts no more, since something was changed."""


REFUSED: Final = (AccessDenied, AlreadyExists, InvalidRequest, NotFound, ServiceLimitExceeded)
"""What EC2 answers to a request of which nothing comes."""

OF_ONE_CHANGE: Final = (AccessDenied, InvalidRequest, NotFound, ResourceConflict, ServiceLimitExceeded)
"""What forbids one change; maintenance, which would meet it at each sweep anew, goes on with the others."""


class Witness(Protocol):
    """Told what happens while it happens: what is told stands, whatever fails later."""

    def planned(self, plan: Plan) -> None:
        """Take note of a plan before it is applied, or refused."""

    def identified(self, connection_id: str, *, new: bool) -> None:
        """Take note of the connection the moment that it is known to be ours, and whether it became so in this run."""

    def applied(self, change: Change) -> None:
        """Take note of a change that EC2 has made; called from several threads."""

    def refused(self, failure: PeeringError) -> None:
        """Take note of why a change could not be made, where the others go on; called from several threads."""


@dataclass(frozen=True)
class Outcome:
    """What a reconciliation led to; `connection` is None once it is gone.

    `refused` is why the accepter's side kept routes to a connection that was deleted.
    """

    connection: Connection | None
    observed: Observed
    plan: Plan
    refused: AccessDenied | None = None


@dataclass(frozen=True)
class Reconciler:
    """Brings one resource to its desired state, within a deadline."""

    sides: Sides
    tenure: Tenure
    deadline: Deadline
    witness: Witness
    upkeep: bool = False
    """Whether this is maintenance, which makes and deletes no connection."""
    blind: bool = False
    """Whether maintenance could not reach the other side."""

    def until(self, deadline: Deadline) -> "Reconciler":
        """Return the same with another deadline."""
        sides = {side: ec2.until(deadline) for side, ec2 in self.sides.items()}
        return replace(self, sides=sides, deadline=deadline)

    def reconcile(self, desired: Desired) -> Outcome:
        """Lead the world to the desired state.

        Raises:
            PeeringError: a refusal, before anything was written; or the failure of a call or of a wait.

        """
        read_at = self.deadline.clock.now()
        observed = self._observe(desired)
        self._raise_if_deleted(desired, observed)
        desired = _completed(desired, observed)
        observed, planned = self._plan(desired, observed)
        self.witness.planned(planned)
        planned.raise_if_unsafe()
        reach = self._converge if desired.present else self._remove
        return reach(desired, observed, planned, read_at)

    def _observe(self, desired: Desired) -> Observed:
        """Observe; a Delete that finds nothing looks again for what must be there, and may not show at this moment.

        That is what was requested just now, or what CloudFormation was told of and does not name now.
        """
        observed = self._read(desired)
        named = desired.connection_id or desired.foreign_id
        seeks = not desired.present and (self.tenure.unseen or (named is None and bool(self.tenure.living)))
        patience, pauses = self.deadline.within(VISIBLE_WITHIN), backoff(1, 20)
        while seeks and not _shown(desired, observed) and patience.remaining > 0:
            self.deadline.pause(next(pauses), "EC2 did not show the connection of this resource yet")
            observed = self._read(desired)
        return observed

    def look(self, desired: Desired) -> Outcome:
        """Find out what is not as desired, and change nothing of it; the records of routes that are gone are dropped.

        Raises:
            PeeringError: what is there cannot be read.

        """
        observed = self._read(desired)
        desired = _completed(desired, observed)
        observed, planned = self._plan(desired, observed)
        if self.upkeep and planned.connection and planned.connection.status is Status.PROVISIONING:
            observed, planned = self._plan(desired, self._provisioned(desired, observed, planned.connection))
        planned = certain(planned, observed) if self.blind else planned
        self._forget_lost(observed, planned)
        return Outcome(planned.connection, observed, planned)

    def _read(self, desired: Desired) -> Observed:
        tenure = self.tenure
        known = Observed(None, None, tenure.records, stood=tenure.stood, living=tenure.living)
        return observe(desired, self.sides, known)

    def _provisioned(self, desired: Desired, observed: Observed, connection: Connection) -> Observed:
        """Wait for what takes seconds after the acceptance; no event of EC2 tells when it has ended."""
        seen = run(partial(self._active, desired, side, connection.connection_id) for side in self.sides)
        return _with_connection(desired, observed, dict(zip(self.sides, seen, strict=True)), connection.connection_id)

    def _plan(self, desired: Desired, observed: Observed) -> tuple[Observed, Plan]:
        """Plan; where that comes near to a quota, it is asked for, and what was observed has it."""
        planned = plan(desired, observed)
        if desired.preflight and (asked := near_limits(observed, planned.changes)):
            observed = with_quotas(observed, self.sides, asked)
            planned = plan(desired, observed)
        return observed, planned

    def keep(self, desired: Desired) -> Outcome:
        """Lead the world back to the desired state, as far as maintenance may; the plan returned is the whole one.

        What forbids one change alone is told to the witness.

        Raises:
            PeeringError: the failure of a call or of a wait.

        """
        read_at = self.deadline.clock.now()
        seen = self.look(desired)
        desired = _completed(desired, seen.observed)
        allowed = permitted(seen.plan, seen.observed, self.tenure.findings)
        if allowed.changes:
            self._converge(desired, seen.observed, allowed, read_at)
        return seen

    def _raise_if_deleted(self, desired: Desired, observed: Observed) -> None:
        """Refuse a Create that comes again after what it had made was deleted: by a Delete that knew no registry."""
        if not (self.tenure.repeated and desired.present and desired.connection_id is None):
            return
        for connection in observed.view(desired.lead).connections:
            if desired.owns(connection) and not connection.status.live:
                raise Superseded(
                    f"{connection.connection_id}, made by an earlier attempt of this Create, was deleted meanwhile.",
                    "Look at the later event of the stack.",
                )

    def _converge(self, desired: Desired, observed: Observed, planned: Plan, read_at: float) -> Outcome:
        established = planned.of(Stage.REQUEST, Stage.ADOPT, Stage.ACCEPT)
        if planned.connection and desired.owns(planned.connection):
            anew = desired.foreign_id is not None and desired.foreign_id != desired.connection_id
            self.witness.identified(planned.connection.connection_id, new=anew)
        observed = self._remember_found(observed, planned)
        if established or (planned.active and planned.connection and not _seen_active(observed, planned.connection)):
            views = self._establish(desired, planned)
            again, sides = self.deadline.clock.now(), _overwritten(planned.changes)
            observed = _with_connection(desired, self._look_again(desired, observed, sides), views)
            planned = plan(desired, observed)
            read_at = again if _overwritten(planned.changes) <= sides else read_at
            planned = permitted(planned, observed, self.tenure.findings) if self.upkeep else planned
            planned.raise_if_unsafe()
            observed = self._remember_found(observed, planned)
        connection = planned.connection
        if connection is None:
            raise _ended_meanwhile(desired)
        made, broken = planned.of(Stage.MAKE), planned.of(Stage.BREAK)
        self._forget_lost(observed, planned)
        self.tenure.remember(written_ahead(made, connection.connection_id))
        refusals: list[PeeringError] = []

        def refused(_change: Change, failure: PeeringError) -> bool:
            if not self.upkeep or not isinstance(failure, OF_ONE_CHANGE) or isinstance(failure, Overtaken):
                return False
            refusals.append(failure)
            self.witness.refused(failure)
            return True

        self._apply(desired, observed, made, connection.connection_id, read_at, refused)
        self._apply(desired, observed, broken, connection.connection_id, LONG_AGO if made else read_at, refused)
        old = desired.connection_id
        if old and old in observed.gone - {connection.connection_id}:
            # The Delete of its id may come with another pair: that of the Update which is rolled back.
            self._apply(desired, observed, [*plan_removal(desired, observed, old)], old, LONG_AGO, refused)
        settings = (ModifyOptions, TagConnection, UntagConnection)
        if not refusals and any(isinstance(change, settings) for change in (*made, *broken)):
            observed = self._read_back(desired, observed, planned)
        seen = observed.view(desired.lead).connection(connection.connection_id)
        return Outcome(seen or connection, observed, planned)

    def _forget_lost(self, observed: Observed, planned: Plan) -> None:
        """Drop the record of routes that are not asked for, and ours no more: what is there later is somebody's.

        They were taken off by an invocation that died, or by others, or were never made.
        """
        if planned.connection and self.tenure.settled:
            connection_id = planned.connection.connection_id
            self.tenure.forget(connection_id, lost_routes(observed, connection_id) - planned.routes)

    def _remember_found(self, observed: Observed, planned: Plan) -> Observed:
        """Record what was there before the connection became ours: it is not for us to remove."""
        if planned.connection:
            found = [RouteRecord(key, planned.connection.connection_id, found=True) for key in planned.found]
            self.tenure.remember(found, planned.stood)
        return replace(observed, stood=self.tenure.stood)

    def _establish(self, desired: Desired, planned: Plan) -> dict[Side, Connection | None]:
        """Request, adopt and accept the connection as planned, and wait until each side sees what is to be seen."""
        lead = self.sides[desired.lead]
        if planned.connection is None:
            connection_id = self._request(desired, planned)
        else:
            connection_id = planned.connection.connection_id
            if planned.connection.status is Status.INITIATING_REQUEST:
                lead.wait("ConnectionRequested", connection_id)
            self._adopt(desired, planned, planned.connection)
        if not planned.active:
            return {desired.lead: lead.connection(connection_id)}
        for accept in planned.changes:
            if isinstance(accept, AcceptConnection):
                self.sides[accept.side].accept_connection(connection_id)
                self.witness.applied(accept)
        seen = run(partial(self._active, desired, side, connection_id) for side in self.sides)
        return dict(zip(self.sides, seen, strict=True))

    def _adopt(self, desired: Desired, planned: Plan, connection: Connection) -> None:
        for adoption in planned.of(Stage.ADOPT):
            try:
                apply([adoption], self.sides, connection.connection_id, self.witness.applied)
            except AccessDenied as denied:
                remedy = (
                    "Adoption must be allowed: deploy the function (with RoleArn: its role) with AllowAdoption=true."
                )
                raise AccessDenied(denied.cause, remedy) from denied
            self._prove_ours(desired, connection)
            self.witness.identified(connection.connection_id, new=True)

    def _active(self, desired: Desired, side: Side, connection_id: str) -> Connection | None:
        """Wait until a side sees the connection active, and what its routes rest on: EC2 may show that later."""
        ec2, blind = self.sides[side], side.other not in self.sides
        try:
            seen = ec2.wait("ConnectionActive", connection_id)
        except NotStabilized as late:
            if desired.auto_accept:
                raise
            raise _not_accepted(desired, connection_id) from late
        patience, pauses = self.deadline.within(BLOCKS_SHOW_WITHIN), backoff(0.2, 5)
        rests = blind and desired.side(side).routes is not None and rule_of(desired, side).to_whole_vpc
        while rests and seen and not desired.facing(seen).cidr_blocks.get(side.other) and patience.remaining > 0:
            self.deadline.clock.sleep(next(pauses))
            seen = ec2.connection(connection_id)
        return seen

    def _request(self, desired: Desired, planned: Plan) -> str:
        """Request the connection until EC2 hands out a living one of ours, and return its id.

        Right after a Delete EC2 may hand out the id that is being deleted (hashicorp/terraform #4781). What the answer
        shows as a new request with our tags is ours at once, and taken back if anything fails before it shows.
        """
        requester = self.sides[Side.REQUESTER]
        (create,) = (change for change in planned.changes if isinstance(change, CreateConnection))
        pauses = backoff(0.5, 5)
        while True:
            before = self.tenure.requested_at
            self.tenure.requesting(self.deadline.clock.wall())
            try:
                made = requester.create_connection(*desired.ends, create.tags)
            except REFUSED:
                with suppress(PeeringError):  # that EC2 has refused is what counts
                    self.tenure.requesting(before)
                raise
            connection_id = made.connection_id
            ours = desired.owns(made) and made.status is Status.INITIATING_REQUEST
            if ours:
                self.witness.identified(connection_id, new=True)
            seen = requester.wait("ConnectionRequested", connection_id)
            if seen is not None and seen.status.live:
                self._prove_ours(desired, seen, known=ours)
                self.witness.identified(connection_id, new=True)
                self.witness.applied(create)
                return connection_id
            requester.wait("ConnectionDeleted", connection_id)
            self.deadline.pause(next(pauses), f"EC2 still handed out {connection_id}, which is being deleted")

    def _prove_ours(self, desired: Desired, connection: Connection, *, known: bool = False) -> None:
        """Wait until a connection that was requested or adopted shows our owner tags, on which the rest relies.

        For a pair that somebody peered since we looked, EC2 returns theirs; two may adopt the same connection at once.
        That it is ours may be `known` before.
        """
        seen: Connection | None = connection
        patience, pauses = self.deadline.within(VISIBLE_WITHIN), backoff(0.2, 2)
        while not (seen and desired.owns(seen)) and patience.remaining > 0:
            self.deadline.clock.sleep(next(pauses))
            seen = self.sides[Side.REQUESTER].connection(connection.connection_id)
            seen = desired.facing(seen) if seen else None
        if seen and desired.owns(seen):
            return
        if known:
            raise NotStabilized(f"{connection.connection_id} did not show its owner tags yet.", "Deploy again.")
        raise AlreadyExists(
            f"{connection.connection_id}, which does not show this resource's owner tags, already joins the two VPCs.",
            "Find out who made or adopted it meanwhile before you delete it: two VPCs have one peering at a time.",
        )

    def _look_again(self, desired: Desired, observed: Observed, sides: Collection[Side]) -> Observed:
        """Bring the tables of some sides up to date."""
        tables = run(partial(self.sides[side].route_tables, desired.side(side).end.vpc_id) for side in sides)
        for side, fresh in zip(sides, tables, strict=True):
            observed = observed.with_side(side, tables=fresh)
        return observed

    def _apply(  # noqa: PLR0913, PLR0917  # what is to be written, and what that rests on
        self,
        desired: Desired,
        observed: Observed,
        changes: Collection[Change],
        connection_id: str,
        read_at: float,
        refused: Refused = lambda _change, _failure: False,
    ) -> None:
        """Apply changes of one stage, in parts: each rests on a fresh reading of its tables.

        EC2's ReplaceRoute and DeleteRoute take no expected target: a route that leads elsewhere by now is left alone.

        Raises:
            Taken: another target has a route that was to be moved to the connection.

        """

        def applied(change: Change) -> None:
            self.witness.applied(change)
            if desired.present:  # else all are forgotten together
                self.tenure.forget(connection_id, taken_off([change]))

        def failed(change: Change, failure: PeeringError) -> bool:
            if isinstance(failure, Taken):
                self.tenure.forget(connection_id, [record.key for record in written_ahead([change], connection_id)])
            return refused(change, failure)

        def stands(change: Change) -> bool:
            try:
                return still_stands(observed, change, connection_id)
            except Taken as taken:
                if not failed(change, taken):
                    raise
                return False

        clock = self.deadline.clock
        for part in _parts(changes):
            if (sides := _overwritten(part)) and clock.now() - read_at > FRESH_FOR:
                read_at = clock.now()
                observed = self._look_again(desired, observed, sides)
            apply([change for change in part if stands(change)], self.sides, connection_id, applied, failed)

    def _read_back(self, desired: Desired, observed: Observed, planned: Plan) -> Observed:
        """Read until options and tags show as they were set: EC2 is eventually consistent here."""
        connection_id = planned.connection.connection_id if planned.connection else ""
        patience = self.deadline.within(READ_BACK_WITHIN)
        pauses = backoff(0.2, 5)
        while True:
            seen = run(partial(ec2.connection, connection_id) for ec2 in self.sides.values())
            observed = _with_connection(desired, observed, dict(zip(self.sides, seen, strict=True)), connection_id)
            shown = observed.view(desired.lead).connection(connection_id)
            if shown and not shown.status.live:
                raise _ended_meanwhile(desired)
            settings = plan_settings(desired, observed, shown, active=planned.active)
            missing = [change for change in settings if isinstance(change, ModifyOptions) or not self.blind]
            if shown and not missing:
                return observed
            patience.pause(next(pauses), f"{connection_id} did not show yet: {missing[0] if missing else 'itself'}")

    def _remove(self, desired: Desired, observed: Observed, planned: Plan, read_at: float) -> Outcome:
        known = desired.connection_id or desired.foreign_id
        connection_id = planned.connection.connection_id if planned.connection else known
        if connection_id is None:
            return Outcome(None, observed, planned)
        if planned.connection:
            self.witness.identified(connection_id, new=False)
        changes = planned.of(Stage.MAKE, Stage.BREAK)
        refused = run(
            partial(self._take_off, desired, observed, side, changes, connection_id, read_at) for side in Side
        )
        apply(planned.of(Stage.DELETE), self.sides, connection_id, self.witness.applied)
        if planned.connection and not desired.keeps(planned.connection, observed):
            self.sides[Side.REQUESTER].wait("ConnectionDeleted", connection_id)
        self.tenure.forget(connection_id)
        return Outcome(None, observed, planned, refused=next(filter(None, refused), None))

    def _take_off(  # noqa: PLR0913, PLR0917  # as `_apply`
        self,
        desired: Desired,
        observed: Observed,
        side: Side,
        changes: tuple[Change, ...],
        connection_id: str,
        read_at: float,
    ) -> AccessDenied | None:
        """Take what is ours on one side off a connection that is to go, or to be left.

        The other side may refuse, all or a part: the lead alone can end a connection of ours, and that must not wait.
        """
        denied: list[AccessDenied] = []

        def refused(change: Change, failure: PeeringError) -> bool:
            if side is desired.lead or not isinstance(failure, AccessDenied):
                return False
            logger.warning("the accepter's side refused a change", change=str(change), reason=failure.reason)
            denied.append(failure)
            return True

        changes_there = [change for change in changes if _side_of(change) is side]
        try:
            self._apply(desired, observed, changes_there, connection_id, read_at, refused)
        except AccessDenied as failure:  # of a reading
            if side is desired.lead:
                raise
            return failure
        return denied[0] if denied else None


def _completed(desired: Desired, observed: Observed) -> Desired:
    return desired.completed(observed.view(desired.lead).connection(desired.foreign_id))


def _overwritten(changes: Collection[Change]) -> set[Side]:
    """Return the sides on which routes are there that the changes overwrite or delete."""
    return {change.side for change in changes if isinstance(change, ReplaceRoute | DeleteRoute)}


def _parts(changes: Collection[Change]) -> Iterator[list[Change]]:
    """Yield changes in parts; all that overwrites nothing goes with the first."""
    first = [change for change in changes if not isinstance(change, ReplaceRoute | DeleteRoute)]
    rest = {side: [c for c in changes if isinstance(c, ReplaceRoute | DeleteRoute) and c.side is side] for side in Side}
    for start in range(0, max(1, *map(len, rest.values())), PART):
        yield [*(first if start == 0 else []), *(c for some in rest.values() for c in some[start : start + PART])]


def _shown(desired: Desired, observed: Observed) -> bool:
    """Tell whether EC2 shows what is to be deleted, with the tags that prove it ours."""
    known = observed.view(desired.lead).connection(desired.connection_id)
    return desired.owner.owns(known) if known else doomed(desired, observed) is not None


def _seen_active(observed: Observed, connection: Connection) -> bool:
    """Tell whether each side shows a connection, and as active: tags and options are compared with what it shows."""
    shown = (view.connection(connection.connection_id) for _, view in observed.sides())
    return connection.status is Status.ACTIVE and all(shown)


def _side_of(change: Change) -> Side | None:
    return change.side if isinstance(change, RouteChange | ModifyOptions | TagConnection | UntagConnection) else None


def _with_connection(
    desired: Desired, observed: Observed, views: Mapping[Side, Connection | None], connection_id: str = ""
) -> Observed:
    """Return what was observed with one connection as the sides see it now; the others, which were looked at, stay."""
    ids = {connection_id, *(seen.connection_id for seen in views.values() if seen)}
    for side, seen in views.items():
        others = [each for each in observed.view(side).connections if each.connection_id not in ids]
        observed = observed.with_side(side, connections=(*([desired.facing(seen)] if seen else []), *others))
    return observed


def _not_accepted(desired: Desired, connection_id: str) -> NotStabilized:
    end = desired.accepter.end
    return NotStabilized(
        f"nobody accepted {connection_id} for {end.vpc_id} while the function could wait.",
        f"Have it accepted in {end.region} of {end.account}, then deploy again; or leave out WaitForAcceptance.",
    )


def _ended_meanwhile(desired: Desired) -> NotStabilized:
    requester, accepter = desired.ends
    return NotStabilized(
        f"the connection of {requester.vpc_id} and {accepter.vpc_id} ended while it was worked on.",
        "Find out who deleted or rejected it, then deploy again.",
    )
