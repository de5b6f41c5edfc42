"""The life of one resource: from a request of CloudFormation to what it is to be answered."""

from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_pascal

from handler.changes import Change
from handler.clock import Deadline
from handler.desire import desire
from handler.ec2 import Ec2
from handler.errors import AccessDenied, InvalidRequest, PeeringError
from handler.model import REPLACES, Desired, Owner, Side
from handler.parallel import run
from handler.plan import Plan
from handler.properties import Home, Properties, parse, salvage
from handler.reconcile import Outcome, Reconciler
from handler.registry import Registry
from handler.sessions import Access, Sessions, session_name
from handler.telemetry import logger

UNDO_SECONDS: Final = 60.0
"""Of the time of an Update, what is kept for taking a failed replacement back; at most a quarter of it."""


def _alias(field: str) -> str:
    return "ResponseURL" if field == "response_url" else to_pascal(field)


class Request(BaseModel):
    """CloudFormation's event. Values of the properties arrive as strings, lists and objects."""

    model_config = ConfigDict(alias_generator=_alias, frozen=True, hide_input_in_errors=True)

    request_type: Literal["Create", "Update", "Delete"]
    service_token: Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:\w+:[\w-]+:\d{12}:.+$")]
    response_url: Annotated[str, StringConstraints(pattern="^https://")]
    stack_id: Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:cloudformation:[\w-]+:\d{12}:stack/.+$")]
    request_id: str
    logical_resource_id: str
    physical_resource_id: str | None = None
    resource_properties: dict[str, Any] = {}
    old_resource_properties: dict[str, Any] = {}

    @property
    def account(self) -> str:
        """The function's account; the emulators of Lambda put an invented one into the context's ARN."""
        return self.service_token.split(":")[4]

    @property
    def connection_id(self) -> str | None:
        """The physical id, where it is a connection's."""
        known = self.physical_resource_id or ""
        return known if known.startswith("pcx-") else None

    @property
    def deterministic_id(self) -> str:
        """The physical id while no connection is known: the same at every retry, and never a connection's."""
        name = f"{self.stack_id}/{self.logical_resource_id}"
        return f"vpc-peering-{sha256(name.encode()).hexdigest()[:17]}"


@dataclass
class Progress:
    """What has become of a request so far; it stands, whatever fails later.

    `found` tells whether a connection of ours is known, `created` whether this very request made it, `changes` all that
    EC2 has made, and `left_behind` whether something remained on an accepter's side that could not be reached.
    """

    physical_id: str
    attributes: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    found: bool = False
    created: bool = False
    left_behind: bool = False

    def planned(self, plan: Plan) -> None:
        """Log a plan that is about to be applied, or refused."""
        logger.info(
            "plan",
            counts=plan.counts,
            changes=[str(change) for change in plan.changes],
            refusals=[str(r) for r in plan.refusals],
        )

    def identified(self, connection_id: str, *, created: bool) -> None:
        """Take note of the connection, the moment that it is known to be ours."""
        self.found, self.created = True, created
        self.physical_id = connection_id
        logger.append_keys(connection_id=connection_id)

    def applied(self, change: Change) -> None:
        """Take note of a change that EC2 has made."""
        self.changes.append(change)

    def reached(self, desired: Desired, outcome: Outcome) -> None:
        """Take note of what a Create or an Update led to."""
        self.attributes = attributes(desired, outcome)
        for route in outcome.plan.skipped:
            logger.warning("a route was left to another target (OnConflict: Skip)", route=str(route))

    def removed(self, desired: Desired, outcome: Outcome) -> None:
        """Name what a Delete had to leave on the accepter's side."""
        unreached = desired.accepter.managed and outcome.observed.accepter is None and self.found
        if unreached or outcome.refused:
            self.left_behind = True
            end = desired.accepter.end
            logger.warning(
                "routes to the deleted connection may remain as blackholes on the accepter's side",
                vpc_id=end.vpc_id,
                account=end.account,
                region=end.region,
                reason=outcome.refused.reason if outcome.refused else "the side could not be reached",
            )


@dataclass(frozen=True)
class Lifecycle:
    """Serves requests: opens the sides, and reconciles."""

    sessions: Sessions
    registry: Registry
    managed_by: str

    def serve(self, request: Request, deadline: Deadline, progress: Progress) -> None:
        """Serve a request. What is reached is written into `progress`.

        Raises:
            PeeringError: what the FAILED response shall say.

        """
        _, partition, _, region, *_ = request.stack_id.split(":")
        home = Home(request.account, region, partition, self.sessions.regions(partition))
        owner = Owner(request.stack_id, request.logical_resource_id, self.managed_by)
        if request.request_type == "Delete":
            self._delete(request, home, owner, deadline, progress)
        else:
            self._create_or_update(request, home, owner, deadline, progress)

    def _create_or_update(
        self, request: Request, home: Home, owner: Owner, deadline: Deadline, progress: Progress
    ) -> None:
        properties = parse(request.resource_properties, home)
        desired = desire(properties, home, owner)
        if request.request_type == "Update":
            old_properties = salvage(request.old_resource_properties, home)
            previous = desire(old_properties, home, owner)
            desired = replace(desired, previous=previous, connection_id=request.connection_id)
            if previous.accepter.managed and previous.ends == desired.ends and properties.reaches_accepter(home):
                # What the old properties made on the accepter's side is taken back, though nothing new is asked there.
                desired = replace(desired, accepter=replace(desired.accepter, managed=True))
            self._remove_remnant(old_properties, desired, deadline, progress)
        sides = self._open(properties, desired, deadline)
        reconciler = Reconciler(sides, self.registry, deadline, progress)
        if request.request_type == "Create":
            outcome = reconciler.reconcile(desired)
        else:
            outcome = _reconcile_or_undo(reconciler, desired, request, progress)
        progress.reached(desired, outcome)

    def _remove_remnant(
        self, old_properties: Properties, desired: Desired, deadline: Deadline, progress: Progress
    ) -> None:
        """Remove what a replacement left that failed and could not be taken back.

        The rollback then comes as an Update from the pair that failed, still with the id that was to be replaced. A
        connection of ours between that pair which names this id as its predecessor is the remnant; its routes go back.
        """
        previous = desired.previous
        if previous is None or previous.ends == desired.ends or desired.connection_id is None:
            return
        access = Access("", previous.requester.end, old_properties.role_arn, old_properties.external_id)
        try:
            requester = self.sessions.open(access, _session_name(desired.owner), deadline)
            between = requester.connections_between([end.vpc_id for end in previous.ends])
        except AccessDenied as failure:
            logger.warning("the old role cannot look for a failed replacement", reason=failure.reason)
            return
        for connection in between:
            named = connection.status.live and connection.tags.get(REPLACES) == desired.connection_id
            if named and previous.owns(connection):
                logger.warning("a failed replacement is taken back", new_connection_id=connection.connection_id)
                doomed = replace(previous, present=False, connection_id=connection.connection_id)
                sides = self._open(old_properties, doomed, deadline)
                Reconciler(sides, self.registry, deadline, progress).reconcile(doomed)

    def _delete(self, request: Request, home: Home, owner: Owner, deadline: Deadline, progress: Progress) -> None:
        properties = salvage(request.resource_properties, home)
        desired = desire(properties, home, owner, present=False)
        desired = replace(desired, connection_id=request.connection_id)
        if not all(end.vpc_id for end in desired.ends):
            if request.connection_id is None:
                logger.info("nothing to delete: with these properties nothing was ever made")
                return
            raise InvalidRequest(
                f"{request.connection_id} cannot be proven ours without VpcId and PeerVpcId.",
                "Retain the resource in the stack and delete the connection by hand.",
            )
        progress.found = request.connection_id is not None
        try:
            sides = self._open(properties, desired, deadline)
            reconciler = Reconciler(sides, self.registry, deadline, progress)
            outcome = reconciler.reconcile(desired)
        except AccessDenied as failure:
            if progress.found:
                raise
            # The Delete that follows a Create which was refused for the same reason must not block the rollback.
            logger.warning("no connection is known, and none can be looked for", reason=failure.reason)
            progress.left_behind = True
            return
        progress.removed(desired, outcome)

    def _open(self, properties: Properties, desired: Desired, deadline: Deadline) -> dict[Side, Ec2]:
        """Open both sides at once; the accepter's only if something is asked of it. Delete goes on without it."""
        accesses = {Side.REQUESTER: Access("", desired.requester.end, properties.role_arn, properties.external_id)}
        if desired.accepter.managed:
            accesses[Side.ACCEPTER] = Access(
                "Peer", desired.accepter.end, properties.peer_role_arn, properties.peer_external_id
            )
        opened = run(partial(self._open_side, desired, side, access, deadline) for side, access in accesses.items())
        return {side: ec2 for side, ec2 in zip(accesses, opened, strict=True) if ec2}

    def _open_side(self, desired: Desired, side: Side, access: Access, deadline: Deadline) -> Ec2 | None:
        try:
            return self.sessions.open(access, _session_name(desired.owner), deadline)
        except AccessDenied as failure:
            if desired.present or side is Side.REQUESTER:
                raise
            logger.warning("the accepter's side cannot be reached", reason=failure.reason)
            return None


def _session_name(owner: Owner) -> str:
    return session_name(owner.stack_id, owner.logical_id)


def _reconcile_or_undo(reconciler: Reconciler, desired: Desired, request: Request, progress: Progress) -> Outcome:
    """Reconcile an Update; a replacement that fails half way is taken back, and the old id stands."""
    undo_seconds = min(UNDO_SECONDS, reconciler.deadline.remaining / 4)
    try:
        return reconciler.until(reconciler.deadline.earlier(undo_seconds)).reconcile(desired)
    except PeeringError:
        if progress.created:
            _undo(reconciler, replace(desired, present=False, previous=None, connection_id=progress.physical_id))
        progress.identified(request.physical_resource_id or request.deterministic_id, created=False)
        raise


def _undo(reconciler: Reconciler, doomed: Desired) -> None:
    """Delete the connection of a failed replacement, and give its routes back to the one that it was to replace."""
    logger.warning("the replacement failed and is taken back", new_connection_id=doomed.connection_id)
    try:
        reconciler.reconcile(doomed)
    except PeeringError as failure:
        logger.error(  # the failure says it all
            "the failed replacement could not be taken back: delete its connection by hand",
            new_connection_id=doomed.connection_id,
            reason=failure.reason,
        )


def attributes(desired: Desired, outcome: Outcome) -> dict[str, str]:
    """Return the attributes of Fn::GetAtt; lists are joined by commas."""
    connection = outcome.connection
    if connection is None:
        return {}
    values = {
        "Id": connection.connection_id,
        "VpcPeeringConnectionId": connection.connection_id,
        "Status": connection.status.value,
    }
    for side, count in ((Side.REQUESTER, "RouteCount"), (Side.ACCEPTER, "PeerRouteCount")):
        view, end = outcome.observed.side(side), desired.side(side).end
        blocks = view.vpc.cidr_blocks if view and view.vpc else connection.cidr_blocks.get(side, ())
        values |= {
            f"{side.title()}VpcId": end.vpc_id,
            f"{side.title()}OwnerId": end.account,
            f"{side.title()}Region": end.region,
            f"{side.title()}CidrBlocks": ",".join(blocks),
            count: str(sum(route.side is side for route in outcome.plan.routes)),
        }
    return values
