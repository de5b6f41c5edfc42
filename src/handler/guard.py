"""Guard rails: what the installation permits, whatever a stack asks for. Pure.

IAM enforces the same (`template.yaml`); here it is told by its name, before anything is changed. A parameter that has
become stricter has the code refuse no Delete: only what could never have been permitted is refused there too. But IAM
lets the function assume roles only as the parameters say now: without one the Delete goes on as far as it can.
"""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from handler.changes import AcceptConnection, AdoptConnection, Change, CreateConnection, CreateRoute, ReplaceRoute
from handler.errors import AccessDenied, PeeringError
from handler.model import Desired, Observed, Side
from handler.properties import account_of

OPT_IN: Final = {"vpc-peering:opt-in": "true"}
"""The tag of VPCs and route tables with which their owner consents, where the installation asks for it."""


def forbidden_places(
    desired: Desired, roles: Mapping[Side, str | None], references: Iterable[Side] = ()
) -> Iterator[PeeringError]:
    """Yield which accounts and roles are not permitted, and who asks for what is none of their business.

    `references` are the sides whose external id is a reference: to secrets of the function's account.
    """
    yield from forbidden_ends(desired)
    guard = desired.guard
    for side, role_arn in roles.items():
        if role_arn and not fnmatchcase(role_arn.partition(":role/")[2], guard.role_pattern):
            yield AccessDenied(
                f"{side.prefix}RoleArn {role_arn} is not of PeerRoleNamePattern {guard.role_pattern}.",
                "Give a role of such a name, or have the pattern of the installation changed.",
            )
    yield from forbidden_stack(desired, roles, references)


def forbidden_stack(
    desired: Desired, roles: Mapping[Side, str | None], references: Iterable[Side] = ()
) -> Iterator[PeeringError]:
    """Yield what a stack of this account may never ask for, whatever the parameters of the installation are."""
    guard, stack_account = desired.guard, desired.owner.account
    for side, role_arn in roles.items():
        if role_arn and stack_account not in {guard.account, account_of(role_arn)}:
            yield AccessDenied(
                f"{side.prefix}RoleArn {role_arn} is not of account {stack_account}, as the stack is.",
                f"Make the stack in {guard.account}: a stack of another account may have only its own roles assumed.",
            )
    for side in references:
        if stack_account != guard.account:
            yield AccessDenied(
                f"{side.prefix}ExternalId is a reference, which stacks of account {guard.account} alone may use.",
                "Give the external id itself, by a parameter with NoEcho.",
            )
    if stack_account not in {guard.account, *(end.account for end in desired.ends)}:
        yield AccessDenied(
            f"The stack is of account {stack_account}, and neither VPC is.",
            f"Make the stack in {guard.account}, or in the account of one of the VPCs.",
        )


def forbidden_ends(desired: Desired) -> Iterator[PeeringError]:
    """Yield which ends are not permitted; of a stranger's account, and a VPC looked for, it may not be known yet.

    That an account is of the organization is proven by the role that is assumed in it, which IAM permits no other: so
    only where its side is managed. The sides of the function's own account need no proof.
    """
    guard = desired.guard
    for side in Side:
        vpc_id, account = desired.side(side).end.vpc_id, desired.side(side).end.account
        if account == guard.account and vpc_id not in {"", *guard.vpc_ids} and "*" not in guard.vpc_ids:
            yield AccessDenied(
                f"{side.prefix}VpcId {vpc_id} is not in VpcIds of the installation.",
                "Give another VPC, or have it added to that parameter.",
            )
        if guard.organization and not desired.side(side).managed and account not in {guard.account, ""}:
            yield AccessDenied(
                f"Account {account} ({side.prefix}VpcId) is not proven to be of OrganizationId {guard.organization}.",
                f"Have the function act there, by {side.prefix}RoleArn: it can assume roles of that organization only.",
            )
        if account not in {guard.account, "", *guard.peer_accounts} and "*" not in guard.peer_accounts:
            yield AccessDenied(
                f"Account {account} ({side.prefix}VpcId) is not in AllowedPeerAccounts.",
                "Give another VPC, or have the account added to that parameter of the installation.",
            )


def without_consent(desired: Desired, observed: Observed, changes: Iterable[Change]) -> Iterator[PeeringError]:
    """Yield which VPCs and route tables the changes need that their owner has not opened to the installation."""
    if not desired.guard.opt_in:
        return
    made = list(changes)
    joins = any(isinstance(change, CreateConnection | AcceptConnection | AdoptConnection) for change in made)
    for side, view in observed.sides():
        vpc = view.vpc
        if joins and vpc and not vpc.tags.items() >= OPT_IN.items():
            yield _closed(side, f"{side.prefix}VpcId {vpc.vpc_id}")
        taken = (c for c in made if isinstance(c, CreateRoute) or (isinstance(c, ReplaceRoute) and c.target is None))
        routed = {change.route.table_id for change in taken if change.side is side}
        for table in view.tables:
            if table.table_id in routed and not table.tags.items() >= OPT_IN.items():
                yield _closed(side, f"Route table {table.table_id}", part=table.table_id)


def _closed(side: Side, what: str, part: str = "") -> PeeringError:
    ((key, value),) = OPT_IN.items()
    failure = AccessDenied(
        f"{what} lacks the tag {key}={value}, which RequireOptIn asks for.", "Have its owner tag it, or leave it out."
    )
    failure.side, failure.part = side, part
    return failure
