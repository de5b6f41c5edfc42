"""The guard rails of an installation, as the function tells them."""

from dataclasses import replace

import pytest

from handler.changes import (
    AcceptConnection,
    AdoptConnection,
    Change,
    CreateConnection,
    CreateRoute,
    DeleteRoute,
    ReplaceRoute,
)
from handler.guard import OPT_IN, forbidden_places, without_consent
from handler.model import End, Guard, Observed, Owner, Side
from handler.plan import plan
from tests.unit.given import ALL, ENDS, OWNER, desired, observed, peer_key, table

HUB, SPOKE = (end.account for end in ENDS)
ROLES = {Side.REQUESTER: None, Side.ACCEPTER: f"arn:aws:iam::{SPOKE}:role/net/VpcPeeringAccess"}


def told(guard: Guard, owner: Owner = OWNER, roles: dict[Side, str | None] = ROLES) -> list[str]:
    """Return the causes for which a peering of the hub with the spoke is refused."""
    asked = replace(desired(), guard=replace(guard, account=HUB), owner=owner)
    return [failure.cause for failure in forbidden_places(asked, roles)]


@pytest.mark.parametrize(
    "guard",
    [
        Guard(),
        Guard(peer_accounts=("999999999999", SPOKE)),
        Guard(organization="o-1234567890"),
        Guard(role_pattern="net/VpcPeering*"),
        Guard(role_pattern="*/VpcPeeringAcces?"),
    ],
)
def test_what_is_permitted(guard: Guard) -> None:
    """A guard rail that stops the traffic that it was made for would be taken down."""
    assert [] == told(guard)


def test_account_that_is_not_permitted() -> None:
    """The accounts are the installation's choice, and the message says whose parameter it is."""
    assert [f"Account {SPOKE} (PeerVpcId) is not in AllowedPeerAccounts."] == told(
        Guard(peer_accounts=("999999999999",))
    )


def test_vpc_that_is_not_permitted() -> None:
    """Of the function's own account the installation names VPCs; those of other accounts are their owners' to name."""
    expected = "VpcId vpc-hub is not in VpcIds of the installation."

    assert [expected] == told(Guard(vpc_ids=("vpc-other",)))
    assert [] == told(Guard(vpc_ids=("vpc-other", "vpc-hub")))
    looked_for = replace(desired(), guard=Guard(account=HUB, vpc_ids=("vpc-other",)))
    unknown = replace(looked_for.requester, end=replace(looked_for.requester.end, vpc_id=""))
    assert [] == [*forbidden_places(replace(looked_for, requester=unknown), {})]
    assert expected in [refusal.cause for refusal in plan(looked_for, observed()).refusals]


def test_own_account_is_always_permitted() -> None:
    """Two VPCs of the function's own account need no list."""
    asked = replace(desired(), guard=Guard(account=HUB, peer_accounts=("",)))
    home = replace(asked.accepter, end=replace(asked.accepter.end, account=HUB))

    assert [] == [*forbidden_places(replace(asked, accepter=home), {})]


@pytest.mark.parametrize("pattern", ["VpcPeering*", "other/*", "net/VpcPeering", "NET/*"])
def test_role_that_is_not_permitted(pattern: str) -> None:
    """The name is compared with its path, as IAM does."""
    expected = f"PeerRoleArn {ROLES[Side.ACCEPTER]} is not of PeerRoleNamePattern {pattern}."

    assert [expected] == told(Guard(role_pattern=pattern))


def test_organization_is_proven_by_a_role_that_is_assumed() -> None:
    """IAM lets the function assume roles of its organization only: of an account that it leaves alone nothing is known.

    That a role is named proves nothing: with AutoAccept false and nothing asked of that side it is never assumed.
    """
    guard = Guard(account=HUB, organization="o-1234567890")
    asked = replace(desired(), guard=guard)
    left_alone = replace(asked, accepter=replace(asked.accepter, managed=False))
    expected = f"Account {SPOKE} (PeerVpcId) is not proven to be of OrganizationId o-1234567890."

    assert [expected] == [failure.cause for failure in forbidden_places(left_alone, ROLES)]
    assert expected in [refusal.cause for refusal in plan(left_alone, observed()).refusals]


@pytest.mark.parametrize(("account", "refused"), [(HUB, 0), (SPOKE, 0), ("999999999999", 1)])
def test_stack_of_a_third_account(account: str, refused: int) -> None:
    """Where the ServiceToken is shared, one account must not have the function act between two others."""
    owner = replace(OWNER, stack_id=OWNER.stack_id.replace(HUB, account))
    causes = told(Guard(), owner, roles={})

    assert [f"The stack is of account {account}, and neither VPC is."][:refused] == causes


def test_stack_of_another_account_names_roles_of_its_own() -> None:
    """An external id that several accounts share would else let one of them act in the others."""
    owner = replace(OWNER, stack_id=OWNER.stack_id.replace(HUB, SPOKE))
    theirs = f"arn:aws:iam::{HUB}:role/VpcPeeringAccess"

    assert [] == told(Guard(role_pattern="*"), owner)
    assert [f"RoleArn {theirs} is not of account {SPOKE}, as the stack is."] == told(
        Guard(role_pattern="*"), owner, roles={Side.REQUESTER: theirs, Side.ACCEPTER: ROLES[Side.ACCEPTER]}
    )


def test_all_is_told_at_once() -> None:
    """Who has to ask for three changes of an installation asks once."""
    guard = Guard(peer_accounts=("999999999999",), organization="o-1234567890", role_pattern="Other*")

    assert 2 == len(told(guard))
    assert 3 == len(told(guard, roles=dict.fromkeys(Side, ROLES[Side.ACCEPTER])))


def test_account_of_a_stranger() -> None:
    """Of a request of somebody else the account shows only when EC2 is asked: then it is refused as well."""
    stranger = End("vpc-9", "999999999999", "us-east-1")
    asked = replace(desired(), guard=Guard(account=HUB, peer_accounts=(SPOKE,)))
    asked = replace(asked, requester=replace(asked.requester, end=stranger))

    refusals = plan(asked, observed()).refusals

    assert "Account 999999999999 (VpcId) is not in AllowedPeerAccounts." in [refusal.cause for refusal in refusals]


# Opt-in


def consenting(world: Observed, *, vpcs: bool = True, tables: bool = True) -> Observed:
    """Return a world whose VPCs and tables carry the tag."""
    for side, view in world.sides():
        assert view.vpc
        if vpcs:
            world = world.with_side(side, vpc=replace(view.vpc, tags=OPT_IN))
        if tables:
            world = world.with_side(side, tables=tuple(replace(table, tags=OPT_IN) for table in view.tables))
    return world


def closed(world: Observed, *changes: Change, opt_in: bool = True) -> list[str]:
    """Return what the changes may not touch."""
    asked = replace(desired(), guard=Guard(account=HUB, opt_in=opt_in))
    return [failure.cause.partition(" lacks")[0] for failure in without_consent(asked, world, changes)]


WORLD = observed(tables=(table(),), peer_tables=(table(table_id="rtb-spoke"), table(table_id="rtb-other")))
JOIN = CreateConnection({})
ROUTE = CreateRoute(peer_key())


def test_consent_is_not_asked_for() -> None:
    """Without RequireOptIn no tag is needed."""
    assert [] == closed(WORLD, JOIN, ROUTE, opt_in=False)


def test_consent_is_given() -> None:
    """What carries the tags can be peered."""
    assert [] == closed(consenting(WORLD), JOIN, ROUTE)


@pytest.mark.parametrize("change", [JOIN, AcceptConnection(), AdoptConnection("pcx-1", {})])
def test_vpcs_without_consent(change: Change) -> None:
    """Both VPCs must be open where they are joined, by whichever of the ways."""
    world = consenting(WORLD, vpcs=False)

    assert ["VpcId vpc-hub", "PeerVpcId vpc-spoke"] == closed(world, change)
    assert [] == closed(world, ROUTE)


def test_wrong_value_is_no_consent() -> None:
    """A tag of the same name that says false means it."""
    world = consenting(WORLD)
    hub = world.view(Side.REQUESTER).vpc
    assert hub

    assert ["VpcId vpc-hub"] == closed(
        world.with_side(Side.REQUESTER, vpc=replace(hub, tags=dict.fromkeys(OPT_IN, "false"))), JOIN
    )


def test_tables_without_consent() -> None:
    """A table is open or not by itself; to take a route out of it, or give it back, needs nobody's consent."""
    world = consenting(WORLD, tables=False)

    assert [f"Route table {ROUTE.route.table_id}"] == closed(world, JOIN, ROUTE)
    assert [f"Route table {ROUTE.route.table_id}"] == closed(world, ReplaceRoute(ROUTE.route, "tgw-1"))
    assert [] == closed(world, DeleteRoute(ROUTE.route), ReplaceRoute(ROUTE.route, "pcx-1", "tgw-1"))


def test_a_plan_needs_consent() -> None:
    """What it would change is looked at, in the world that was observed."""
    asked = replace(desired(routes=ALL), guard=Guard(account=HUB, opt_in=True))
    world = consenting(WORLD, vpcs=False, tables=False)

    causes = [refusal.cause.partition(" lacks")[0] for refusal in plan(asked, world).refusals]

    assert ["VpcId vpc-hub", "Route table rtb-hub", "PeerVpcId vpc-spoke"] == causes
    parts = [("requester", ""), ("requester", "rtb-hub"), ("accepter", "")]
    assert parts == [(refusal.side, refusal.part) for refusal in plan(asked, world).refusals]
    assert () == plan(asked, consenting(WORLD)).refusals
