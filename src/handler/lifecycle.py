"""The life of one resource: from a request of CloudFormation to what it is to be answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from handler.calls import VISIBLE_WITHIN
from handler.clock import Deadline, backoff
from handler.desire import desire
from handler.ec2 import Ec2, Reads
from handler.errors import AccessDenied, InvalidRequest, PeeringError, several
from handler.find import find, recall
from handler.guard import forbidden_places, forbidden_stack
from handler.item import Superseded
from handler.model import REPLACES, Connection, Desired, Guard, Owner, Side
from handler.observe import Sides
from handler.parallel import run as parallel
from handler.parsing import parse, salvage
from handler.progress import Progress
from handler.properties import Home, Properties
from handler.reconcile import Outcome, Reconciler
from handler.registry import Tenure
from handler.request import Request
from handler.sessions import Access, Sessions, session_name
from handler.telemetry import logger

UNDO_SECONDS: Final = 60.0
"""Of the time of an Update, what is kept for taking a failed replacement back; at most a quarter of it."""


REMEMBERED_WITHIN: Final = 60.0
"""Seconds that may go into what only maintenance needs: Parameter Store takes few writings a second, of all stacks."""

ROLE_SHOWS_WITHIN: Final = 25.0
"""Seconds that a role may take until it can be assumed, after the same stack has made it."""

UNKNOWN_EXTERNAL_ID: Final = (
    "Maintenance knows no external id of it. If it needs one, deploy the stack once with a change of the resource; "
    "else check that it exists, and that it trusts the function's role."
)


@dataclass(frozen=True)
class Run:
    """One invocation: the time that it has, what becomes of its request, and its hold on the resource."""

    deadline: Deadline
    progress: Progress
    tenure: Tenure
    upkeep: bool = False
    """Whether it is maintenance, which CloudFormation sends no external ids for."""
    reads: Reads | None = None
    """What is looked at together with other resources; then nothing can be changed."""
    attributes: bool = False
    """Whether maintenance reads the DNS attributes of the VPCs too: a call each, which a sweep leaves out."""
    unreached: dict[Side, PeeringError] = field(default_factory=dict)
    """Why maintenance has to do without a side."""

    def reconciler(self, sides: Sides) -> Reconciler:
        """Return what acts on some sides."""
        return Reconciler(sides, self.tenure, self.deadline, self.progress, self.upkeep, bool(self.unreached))


@dataclass(frozen=True)
class Lifecycle:
    """Serves requests: opens the sides, and reconciles."""

    sessions: Sessions
    managed_by: str
    guard: Guard
    maintained: bool = False
    """Whether there may be maintenance, now or later, which has to know the external ids of roles."""

    def serve(self, request: Request, run: Run) -> None:
        """Serve a request. What is reached is written into the run's progress.

        Raises:
            PeeringError: what the FAILED response shall say.

        """
        home, owner = self._origin(request)
        if request.request_type == "Delete":
            self._delete(request, home, owner, run)
        else:
            self._create_or_update(request, home, owner, run)

    def upkeep(self, request: Request, run: Run, *, repair: bool) -> tuple[Desired, Outcome]:
        """Look at a resource as its stack asked for it last, and `repair` what is not so; the plan is the whole one.

        Where the other side than the lead cannot be reached, it is that of the rest, and the run has the reason.

        Raises:
            PeeringError: what is there cannot be read, or not be repaired.

        """
        home, owner = self._origin(request)
        properties = _parsed(request.resource_properties, home)
        asked = self._permitted(properties, home, owner)
        asked = replace(asked, connection_id=request.connection_id, wait_for_acceptance=False, restores=True)
        sides, desired = self._reach(properties, replace(asked, previous=asked, checks_dns=run.attributes), run)
        reconciler = run.reconciler(sides)
        return desired, reconciler.keep(desired) if repair else reconciler.look(desired)

    def planned(self, request: Request, run: Run) -> Outcome:
        """Return what a request would find and change.

        Raises:
            PeeringError: the properties cannot work, or what is there cannot be read.

        """
        home, owner = self._origin(request)
        if request.request_type == "Delete":
            properties = _salvaged(request.resource_properties, home, owner)
            desired = desire(properties, home, owner, present=False)
            sides, desired = self._reach(properties, replace(desired, connection_id=request.connection_id), run)
            return run.reconciler(sides).look(desired)
        properties = _parsed(request.resource_properties, home)
        desired = self._permitted(properties, home, owner)
        if request.request_type == "Create":
            sides, desired = self._reach(properties, desired, run)
        else:
            old_properties = _salvaged(request.old_resource_properties, home, owner)
            sides, desired = self._reach_anew(request, properties, old_properties, desired, run)
        return run.reconciler(sides).look(desired)

    def _origin(self, request: Request) -> tuple[Home, Owner]:
        _, partition, _, region, *_ = request.stack_id.split(":")
        home = Home(request.account, region, partition, self.sessions.regions(partition))
        return home, Owner(request.stack_id, request.logical_resource_id, self.managed_by)

    def _permitted(self, properties: Properties, home: Home, owner: Owner) -> Desired:
        """Return what the properties ask for, unless the installation forbids it."""
        desired = replace(desire(properties, home, owner), guard=replace(self.guard, account=home.account))
        if forbidden := [*forbidden_places(desired, _roles(properties), properties.references)]:
            raise several(forbidden)
        return desired

    def _create_or_update(self, request: Request, home: Home, owner: Owner, run: Run) -> None:
        properties = _parsed(request.resource_properties, home)
        desired = self._permitted(properties, home, owner)
        if request.request_type == "Create":
            sides, desired = self._reach(properties, desired, run)
            run.progress.reached(run.reconciler(sides).reconcile(desired))
            self._remember(properties, desired, run)
            return
        old_properties = _salvaged(request.old_resource_properties, home, owner)
        managed = desired.accepter.managed
        sides, desired = self._reach_anew(request, properties, old_properties, desired, run)
        self._remove_remnant(old_properties, desired, run)
        reconciler = run.reconciler(sides)
        outcome = _reconcile_or_undo(reconciler, desired, request, run.progress)
        run.progress.reached(outcome)
        remains = not managed and desired.same_pair is not None and desired.same_pair.accepter.routes is not None
        run.progress.left(desired, outcome, unreached=remains and outcome.observed.accepter is None)
        self._remember(properties, desired, run)

    def _remember(self, properties: Properties, desired: Desired, run: Run) -> None:
        """Keep the external ids that have opened the sides, for maintenance."""
        if self.maintained:
            for side, access in _accesses(properties, desired).items():
                if desired.side(side).managed:
                    self.sessions.remember(access, self.managed_by, run.deadline.within(REMEMBERED_WITHIN))

    def _reach(
        self, properties: Properties, desired: Desired, run: Run, *, remains: bool = False
    ) -> tuple[Sides, Desired]:
        """Open the sides, and find the VPCs; the sides to act on, and the desired state with its VPCs.

        Where something `remains` on the accepter's side of the same pair, that side is acted on too, if it can be.
        """
        managed = desired.accepter.managed or remains
        remembered = run.tenure.vpc_ids(desired.connection_id)
        desired = recall(desired, remembered)
        looking = _managing_accepter(desired, managed=managed)
        sides = self._open(properties, looking, run, remains=remains)
        desired = find(desired, sides, remembered)
        if desired.same_pair:
            managed = Side.ACCEPTER in sides if remains else managed
            desired = _managing_accepter(desired, managed=managed, given_up=remains)
        if desired.ends != looking.ends:  # the sessions of roles could only look so far
            sides = self._open(properties, desired, run, remains=remains)
        return {side: ec2 for side, ec2 in sides.items() if desired.side(side).managed}, desired

    def _reach_anew(
        self, request: Request, properties: Properties, old_properties: Properties, desired: Desired, run: Run
    ) -> tuple[Sides, Desired]:
        """Do as `_reach` for an Update, whose desired state has then what was asked for before.

        What the old properties made on the accepter's side is taken back, though nothing new is asked there: by the old
        role, where the new properties name none.
        """
        home, owner = self._origin(request)
        previous = desire(old_properties, home, owner)
        restores = run.tenure.had(desired.foreign_id)
        desired = replace(desired, previous=previous, connection_id=request.connection_id, restores=restores)
        remains = previous.accepter.managed and not desired.accepter.managed
        reaching = properties if properties.reaches_accepter(home) else properties.with_peer_role_of(old_properties)
        return self._reach(reaching, desired, run, remains=remains)

    def _remove_remnant(self, old_properties: Properties, desired: Desired, run: Run) -> None:
        """Remove what a replacement left that failed and could not be taken back.

        The rollback then comes as an Update from the pair that failed, still with the id that was to be replaced. A
        connection of ours between that pair which names this id as its predecessor is the remnant; its routes go back.
        """
        previous = desired.previous
        if previous is None or previous.ends == desired.ends or desired.connection_id is None or previous.foreign_id:
            return
        if not all(end.vpc_id for end in previous.ends):
            return
        if [*forbidden_stack(replace(previous, guard=desired.guard), _roles(old_properties))]:
            return  # that Update was refused before it made anything
        access = Access("", *previous.ends, old_properties.role_arn, old_properties.external_id)
        try:
            requester = self.sessions.open(access, _session_name(desired.owner), run.deadline)
            remnants = _remnants(requester, previous, desired.connection_id, run)
        except AccessDenied as failure:
            logger.warning("the old role cannot look for a failed replacement", reason=failure.reason)
            run.progress.left_behind = run.tenure.requested
            return
        for connection in remnants:
            if connection.status.live:
                logger.warning("a failed replacement is taken back", new_connection_id=connection.connection_id)
                doomed = replace(previous, present=False, connection_id=connection.connection_id)
                sides = self._open(old_properties, doomed, run)
                run.reconciler(sides).reconcile(doomed)

    def _delete(self, request: Request, home: Home, owner: Owner, run: Run) -> None:
        properties = _salvaged(request.resource_properties, home, owner)
        desired = desire(properties, home, owner, present=False)
        desired = replace(desired, connection_id=request.connection_id)
        if not _tells_its_vpcs(desired):
            if request.connection_id is None:
                logger.info("nothing to delete: with these properties nothing was ever made")
                return
            raise InvalidRequest(
                f"{request.connection_id} cannot be proven ours without VpcId and PeerVpcId.",
                "Retain the resource in the stack and delete the connection by hand.",
            )
        guarded = replace(desired, guard=replace(self.guard, account=home.account))
        if forbidden := [*forbidden_stack(guarded, _roles(properties))]:
            if request.connection_id or run.tenure.may_live:
                raise several(forbidden)
            logger.info("nothing to delete: a stack of this account was never permitted to ask for it")
            return
        run.progress.found = request.connection_id is not None
        try:
            sides, desired = self._reach(properties, desired, run)
            if not all(desired.side(side).end.vpc_id for side in sides):
                logger.info("nothing to delete: the connection is gone, and its VPCs are not to be found")
                return
            outcome = run.reconciler(sides).reconcile(desired)
        except AccessDenied as failure:
            if run.progress.found or run.tenure.may_live:
                raise
            # The Delete that follows a Create which was refused for the same reason must not block the rollback.
            logger.warning("no connection is known, and none can be looked for", reason=failure.reason)
            run.progress.left_behind = True
            return
        unreached = desired.accepter.managed and outcome.observed.accepter is None and run.progress.found
        run.progress.left(desired, outcome, unreached=unreached)

    def _open(self, properties: Properties, desired: Desired, run: Run, *, remains: bool = False) -> dict[Side, Ec2]:
        """Open the sides of which, or from which, something is asked, at once.

        A Delete and maintenance go on without the other one, and an Update where only something of old `remains` there.
        """
        accesses = _accesses(properties, desired)
        asked = [side for side in Side if desired.side(side).managed]
        opened = parallel(partial(self._open_side, desired, side, accesses[side], run, remains) for side in asked)
        return {side: ec2 for side, ec2 in zip(asked, opened, strict=True) if ec2}

    def _open_side(self, desired: Desired, side: Side, access: Access, run: Run, remains: bool) -> Ec2 | None:
        name = f"{self.managed_by}.maintenance" if run.reads else _session_name(desired.owner)
        try:
            if run.upkeep:
                access = self.sessions.recalled(access, self.managed_by, run.deadline, run.reads)
            waits = desired.present and not (run.upkeep or remains)
            return self._opened(access, name, run, ROLE_SHOWS_WITHIN if waits else 0)
        except AccessDenied as failure:
            unknown = run.upkeep and access.external_id is None
            told = failure.told(failure.cause, UNKNOWN_EXTERNAL_ID) if unknown else failure
            if run.upkeep and side is not desired.lead:
                run.unreached[side] = told
                return None
            if unknown:
                raise told from failure
            if side is desired.lead or (desired.present and not remains):
                raise
            logger.warning("the accepter's side cannot be reached", reason=failure.reason)
            return None

    def _opened(self, access: Access, name: str, run: Run, seconds: float) -> Ec2:
        """Open a side; a role that may not be assumed is tried again for some seconds."""
        patience, pauses = run.deadline.within(seconds), backoff(1, 5)
        while True:
            try:
                return self.sessions.open(access, name, run.deadline, run.reads)
            except AccessDenied as failure:
                pause = next(pauses)
                if failure.ec2_code != "accessdenied" or pause >= patience.remaining:
                    raise
                run.deadline.clock.sleep(pause)


def _remnants(requester: Ec2, failed: Desired, replaced: str, run: Run) -> list[Connection]:
    """Return the connections, live or not, that a failed replacement has requested in place of another.

    One that was requested just now may not show yet: it is looked for again.
    """
    patience, pauses = run.deadline.within(VISIBLE_WITHIN), backoff(0.5, 5)
    while True:
        between = requester.connections_between([end.vpc_id for end in failed.ends])
        named = [c for c in between if c.tags.get(REPLACES) == replaced and failed.owns(c.facing(failed.ends))]
        if named or not run.tenure.unseen or patience.remaining <= 0:
            return named
        run.deadline.pause(next(pauses), f"EC2 did not show yet what was requested in place of {replaced}")


def _salvaged(given: Mapping[str, Any], home: Home, owner: Owner) -> Properties:
    """Return what can be used of properties that nothing was refused for."""
    properties = salvage(given, home)
    # What the function's account has stored is none of another account's business, at a Delete neither.
    return properties if owner.account == home.account else properties.without_references()


def _roles(properties: Properties) -> dict[Side, str | None]:
    return {Side.REQUESTER: properties.role_arn, Side.ACCEPTER: properties.peer_role_arn}


def _accesses(properties: Properties, desired: Desired) -> dict[Side, Access]:
    requester, accepter = desired.ends
    role, peer_role = (
        (properties.role_arn, properties.external_id),
        (properties.peer_role_arn, properties.peer_external_id),
    )
    return {
        Side.REQUESTER: Access("", requester, accepter, *role),
        Side.ACCEPTER: Access("Peer", accepter, requester, *peer_role, desired.foreign_id),
    }


def _managing_accepter(desired: Desired, *, managed: bool, given_up: bool = False) -> Desired:
    return replace(desired, accepter=replace(desired.accepter, managed=managed, given_up=given_up))


def _tells_its_vpcs(desired: Desired) -> bool:
    """Tell whether the properties say which VPCs are meant: what was salvaged of them may not."""
    asked = [desired.accepter] if desired.foreign_id else [desired.requester, desired.accepter]
    return all(side.end.vpc_id or side.vpc_tags for side in asked)


def _session_name(owner: Owner) -> str:
    return session_name(owner.stack_id, owner.logical_id)


def _reconcile_or_undo(reconciler: Reconciler, desired: Desired, request: Request, progress: Progress) -> Outcome:
    """Reconcile an Update; a replacement that fails half way is taken back, and the old id stands."""
    undo_seconds = min(UNDO_SECONDS, reconciler.deadline.remaining / 4)
    try:
        return reconciler.until(reconciler.deadline.earlier(undo_seconds)).reconcile(desired)
    except Superseded:
        raise  # the later request takes it back
    except PeeringError:
        if progress.new:
            _undo(reconciler, replace(desired, present=False, previous=None, connection_id=progress.physical_id))
        progress.identified(request.physical_resource_id or request.deterministic_id, new=False)
        raise


def _parsed(raw: Mapping[str, Any], home: Home) -> Properties:
    """Parse, and log all that is wrong: a reason may have no room for it."""
    try:
        return parse(raw, home)
    except InvalidRequest as refused:
        logger.info("properties", problems=str(refused.__cause__))
        raise


def _undo(reconciler: Reconciler, doomed: Desired) -> None:
    """Delete the connection of a failed replacement, and give its routes back to the one that it was to replace."""
    logger.warning("the replacement failed and is taken back", new_connection_id=doomed.connection_id)
    try:
        reconciler.reconcile(doomed)
    except Superseded:
        raise  # the later request takes it back
    except PeeringError as failure:
        logger.error(  # the failure says it all
            "the failed replacement could not be taken back: delete its connection by hand",
            new_connection_id=doomed.connection_id,
            reason=failure.reason,
        )
