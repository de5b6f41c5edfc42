"""Whose a connection is: made by us, adopted, somebody else's; and what Delete leaves of it."""

from dataclasses import replace
from typing import Any

import pytest

from handler.changes import (
    AcceptConnection,
    AdoptConnection,
    Change,
    CreateRoute,
    DeleteConnection,
    DeleteRoute,
    ModifyOptions,
    ReleaseConnection,
    ReplaceRoute,
    TagConnection,
    UntagConnection,
)
from handler.errors import AlreadyExists, InvalidRequest, NotFound, ResourceConflict
from handler.model import (
    ADOPTED,
    REPLACES,
    Connection,
    Desired,
    End,
    Observed,
    Option,
    Owner,
    RouteRecord,
    RouteRule,
    Side,
    Status,
    Stood,
)
from handler.plan import Plan, plan
from tests.unit.given import (
    ALL,
    BLOCK,
    ENDS,
    NAME,
    OWNER,
    PCX,
    PEER_BLOCK,
    STRANGER,
    connection,
    desired,
    key,
    observed,
    peer_key,
    table,
    to,
)

DNS, MULTIPATH = frozenset({Option.DNS}), frozenset({Option.MULTIPATH})
OTHERS = "pcx-others"
ENDED = (Status.DELETING, Status.DELETED, Status.REJECTED, Status.FAILED, Status.EXPIRED)
PENDING = (Status.INITIATING_REQUEST, Status.PENDING_ACCEPTANCE)


def theirs(status: Status = Status.ACTIVE, *, owner: Owner | None = None, **more: Any) -> Connection:  # noqa: ANN401
    """Return a connection that somebody else has made."""
    return connection(status, connection_id=OTHERS, owner=owner, **more)


def adopted(value: str = "requester", **more: Any) -> Connection:  # noqa: ANN401  # of connection
    """Return a connection that this resource has adopted."""
    return connection(tags={**NAME, ADOPTED: value}, **more)


def adopting(**more: Any) -> Desired:  # noqa: ANN401  # of desired
    """Return what asks for a peering, and takes one that exists."""
    return desired(adopt=True, **more)


def changes(wanted: Desired, world: Observed) -> list[Change]:
    """Return the changes of a plan that nothing forbids."""
    planned = plan(wanted, world)
    planned.raise_if_unsafe()
    return list(planned.changes)


def causes(planned: Plan) -> list[tuple[type[Exception], str]]:
    """Return the kinds and causes of what forbids a plan."""
    return [(type(refusal), refusal.cause) for refusal in planned.refusals]


# Adoption


@pytest.mark.parametrize("owner", [None, STRANGER])
@pytest.mark.parametrize(
    ("ends", "role", "accept"), [(ENDS, "requester", Side.ACCEPTER), (ENDS[::-1], "accepter", Side.REQUESTER)]
)
def test_adoption(owner: Owner | None, ends: tuple[End, End], role: str, accept: Side) -> None:
    """Whoever made it, in either direction: our tags come first, and EC2's accepter accepts what is pending."""
    adopt = AdoptConnection(OTHERS, {**OWNER.tags, ADOPTED: f"{role}+Tags+PeerTags"})

    assert [adopt] == changes(adopting(), observed(theirs(owner=owner, ends=ends)))
    for status in PENDING:
        seen = observed(theirs(status, owner=owner, ends=ends))
        assert [adopt, AcceptConnection(accept)] == changes(adopting(), seen)
        assert [adopt] == changes(adopting(auto_accept=False), seen)


@pytest.mark.parametrize("status", ENDED)
def test_only_what_lives_is_adopted(status: Status) -> None:
    """A connection that has ended stays visible for hours, and is nothing to take over."""
    assert "CreateConnection" in plan(adopting(), observed(theirs(status))).counts


def test_the_tag_tells_what_was_there() -> None:
    """Options that were on, and whether desired routes were there, on which side: that is what Delete needs."""
    seen = theirs(options={Side.REQUESTER: DNS | MULTIPATH, Side.ACCEPTER: DNS})
    world = observed(seen, tables=(table(to(OTHERS)),), peer_tables=(table(table_id="rtb-spoke"),))
    (adopt,) = (c for c in changes(adopting(routes=ALL, peer_routes=ALL), world) if isinstance(c, AdoptConnection))

    told = "AllowDnsResolutionFromRemoteVpc+AllowMultipathResilience+PeerAllowDnsResolutionFromRemoteVpc"
    assert f"requester+Routes+Tags+PeerTags+{told}" == adopt.tags[ADOPTED]


def test_adoption_leaves_routes_that_are_there() -> None:
    """They are found, and not ours; what is missing is added."""
    world = observed(theirs(), tables=(table(to(OTHERS)), table(table_id="rtb-new")))
    planned = plan(adopting(routes=ALL), world)

    assert [CreateRoute(key(table_id="rtb-new"))] == [c for c in planned.changes if isinstance(c, CreateRoute)]
    assert frozenset({key()}) == planned.found
    assert frozenset({key(), key(table_id="rtb-new")}) == planned.routes


def test_a_rule_that_comes_to_cover_a_route() -> None:
    """It led to the connection before this resource asked for it, and leads there when it asks no more."""
    world = observed(adopted(), tables=(table(to(PCX)),))
    covering = adopting(routes=ALL, previous=adopting(), connection_id=PCX)

    assert frozenset({key()}) == plan(covering, world).found
    recorded = replace(world, records=(RouteRecord(key(), PCX, found=True),))
    assert [] == changes(adopting(previous=adopting(routes=ALL), connection_id=PCX), recorded)


def test_a_route_that_we_made_is_not_found() -> None:
    """An Update that asks for the same again must not forget whose the route is."""
    world = observed(adopted(), tables=(table(to(PCX)),), records=(RouteRecord(key(), PCX),))

    assert frozenset() == plan(adopting(routes=ALL, previous=adopting(routes=ALL), connection_id=PCX), world).found
    assert frozenset() == plan(adopting(routes=ALL, previous=adopting(), connection_id=PCX), world).found


def test_an_active_connection_is_preferred_and_then_our_direction() -> None:
    """Of two that live one is active at most; the other is a request that nobody can accept."""
    forward, backward = theirs(Status.PENDING_ACCEPTANCE), theirs(ends=ENDS[::-1])
    two = replace(backward, connection_id="pcx-2")
    requests = theirs(Status.PENDING_ACCEPTANCE), replace(two, status=Status.PENDING_ACCEPTANCE)

    assert "pcx-2" == getattr(plan(adopting(), observed(forward, two)).connection, "connection_id", None)
    assert OTHERS == getattr(plan(adopting(), observed(*requests[::-1])).connection, "connection_id", None)


def test_our_own_comes_before_anybody_elses() -> None:
    """A request of somebody in the other direction is no reason to let go of our own."""
    world = observed(theirs(Status.PENDING_ACCEPTANCE, ends=ENDS[::-1]), connection())

    assert [] == changes(adopting(), world)


def test_an_active_connection_takes_the_place_of_our_pending_request() -> None:
    """EC2 accepts no request beside it; only Adopt takes it, and only where the Delete of the old id withdraws ours."""
    mine, backward = connection(Status.PENDING_ACCEPTANCE), theirs(ends=ENDS[::-1])
    world = observed(mine, backward)
    again = adopting(connection_id=PCX, previous=adopting(auto_accept=False))

    (adopt,) = plan(again, world).changes

    assert isinstance(adopt, AdoptConnection)
    assert (OTHERS, PCX) == (adopt.connection_id, adopt.tags[REPLACES])
    assert PCX == getattr(plan(adopting(), world).connection, "connection_id", None)
    assert PCX == getattr(plan(replace(again, adopt=False), world).connection, "connection_id", None)
    assert [AlreadyExists] == [kind for kind, _ in causes(plan(replace(again, adopt=False), world))]
    pending = observed(mine, replace(backward, status=Status.PENDING_ACCEPTANCE))
    assert PCX == getattr(plan(again, pending).connection, "connection_id", None)


def test_options_go_to_the_true_role() -> None:
    """To EC2 the VPC of VpcId may be the accepter."""
    backward = adopted("accepter", ends=ENDS[::-1], options={Side.ACCEPTER: frozenset(), Side.REQUESTER: DNS})

    assert [ModifyOptions(Side.REQUESTER, {Option.DNS: True}, reversed=True)] == changes(
        desired(allow_dns=True, peer_allow_dns=True), observed(backward)
    )


def test_a_name_stays_unless_another_is_given() -> None:
    """The automatic Name is a convenience, not a wish; a Name in Tags is one."""
    named = theirs(tags={"Name": "legacy"})
    seen = observed(named, peer_connections=(replace(named, tags={"Name": "old"}),))

    assert [] == [c for c in changes(adopting(), seen) if isinstance(c, TagConnection)]
    given = {"Name": "new"}
    assert [TagConnection(Side.REQUESTER, given), TagConnection(Side.ACCEPTER, given)] == [
        c for c in changes(adopting(tags=given, peer_tags=given), seen) if isinstance(c, TagConnection)
    ]


def test_the_name_that_was_given_before_gives_way() -> None:
    """A Name that Tags gave and give no more is ours to change."""
    seen = observed(adopted(), peer_connections=(connection(owner=None, tags=NAME),))
    named = replace(adopted(), tags={**adopted().tags, "Name": "given"})
    world = seen.with_side(Side.REQUESTER, connections=(named,))

    assert [TagConnection(Side.REQUESTER, NAME)] == changes(
        adopting(previous=adopting(tags={"Name": "given"}), connection_id=PCX), world
    )


def test_adopted_is_ours() -> None:
    """A second look finds nothing to do, whatever the policy says by then."""
    for wanted in (adopting(), desired(), desired(connection_id=PCX)):
        assert [] == changes(wanted, observed(adopted()))
        assert [] == changes(wanted, observed(adopted("accepter", ends=ENDS[::-1])))


def test_adoption_in_a_replacement_names_the_predecessor() -> None:
    """The rollback has to know where the routes go back to."""
    (adopt,) = changes(adopting(connection_id="pcx-old"), observed(theirs()))

    assert isinstance(adopt, AdoptConnection)
    assert "pcx-old" == adopt.tags[REPLACES]


@pytest.mark.parametrize("wanted", [desired(), adopting()])
def test_swapped_vpcs_are_told_under_every_policy(wanted: Desired) -> None:
    """It is the same pair: to adopt the own connection the other way round would leave two ideas of one peering."""
    swapped = replace(wanted, previous=desired(ends=ENDS[::-1]), connection_id=PCX)

    assert [(AlreadyExists, "VpcId and PeerVpcId are swapped: pcx-ours of this resource joins the same VPCs.")] == (
        causes(plan(swapped, observed(connection(ends=ENDS[::-1]))))
    )


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        (None, "no owner tags"),
        (
            STRANGER,
            f"owner tags: stack-id {STRANGER.stack_id}, logical-id Peering, managed-by installation",
        ),
    ],
)
@pytest.mark.parametrize(("ends", "way"), [(ENDS, "vpc-hub to vpc-spoke"), (ENDS[::-1], "vpc-spoke to vpc-hub")])
def test_fail_names_all_of_it(owner: Owner | None, told: str, ends: tuple[End, End], way: str) -> None:
    """Id, status, direction and owner tags: what somebody needs to find who made it, uncut."""
    (refusal,) = plan(desired(), observed(theirs(owner=owner, ends=ends))).refusals

    assert f"pcx-others (active) already joins {way} ({told})." == refusal.cause
    assert refusal.cause in refusal.reason


# Multipath resilience


@pytest.mark.parametrize("ends", [ENDS, ENDS[::-1]])
def test_accepting_does_not_switch_on_what_costs(ends: tuple[End, End]) -> None:
    """To accept a request that carries multipath resilience is to consent, at extra cost: only if asked for."""
    other, side = (Side.REQUESTER, Side.ACCEPTER) if ends == ENDS else (Side.ACCEPTER, Side.REQUESTER)
    request = theirs(Status.PENDING_ACCEPTANCE, ends=ends, options={Side.REQUESTER: MULTIPATH})
    wanted = adopting()
    asked = replace(wanted.side(side), options={Option.MULTIPATH: True})
    consents = replace(wanted, **{side.value: asked})  # type: ignore[arg-type]  # a side

    (refusal,) = plan(wanted, observed(request)).refusals
    assert "pcx-others asks for multipath resilience, and to accept it allows that on both sides." == refusal.cause
    assert f"{side.prefix}AllowMultipathResilience: true" in refusal.remedy
    assert () == plan(consents, observed(request)).refusals
    assert () == plan(replace(wanted, auto_accept=False), observed(request)).refusals
    assert other is side.other


@pytest.mark.parametrize("ends", [ENDS, ENDS[::-1]])
@pytest.mark.parametrize("asked", [None, False, True])
def test_only_true_is_consent(asked: bool | None, ends: tuple[End, End]) -> None:
    """A property that says false, or is not there, does not allow what costs."""
    request = theirs(Status.PENDING_ACCEPTANCE, ends=ends, options={Side.REQUESTER: MULTIPATH})
    options = {} if asked is None else {Option.MULTIPATH: asked}
    wanted = adopting()
    requester, accepter = (replace(wanted.side(side), options=options) for side in Side)
    consents = replace(wanted, requester=requester, accepter=accepter)

    refused = [kind for kind, _ in causes(plan(consents, observed(request)))]
    assert ([] if asked else [InvalidRequest]) == refused


# The side of somebody else's request

VENDOR = End("vpc-vendor", "999999999999", "us-east-1")
FOREIGN = (VENDOR, ENDS[1])
NOBODY = End("", "", "")
SEEN, OWN = "vpc-vendor (us-east-1, 999999999999)", "vpc-spoke (eu-west-1, 222222222222)"


def one_side(requester: End = NOBODY, **more: Any) -> Desired:  # noqa: ANN401  # of desired
    """Return what manages the accepter's side of somebody's request."""
    wanted = desired(ends=(requester, ENDS[1]), foreign_id=OTHERS, **more)
    return replace(wanted, requester=replace(wanted.requester, managed=False))


def foreign(status: Status = Status.ACTIVE, **more: Any) -> Connection:  # noqa: ANN401  # of Connection
    """Return somebody's connection as its accepter sees it."""
    blocks = {Side.REQUESTER: ("10.0.0.0/16",)} if status is Status.ACTIVE else {}
    return replace(Connection(OTHERS, status, *FOREIGN, tags=dict(NAME), cidr_blocks=blocks), **more)


def accepter_sees(*seen: Connection, **more: Any) -> Observed:  # noqa: ANN401  # of observed
    """Return a world of which the accepter's side alone can be read."""
    return replace(observed(peer_connections=seen, **more), requester=None)


def plan_one_side(wanted: Desired, world: Observed) -> Plan:
    """Plan as the reconciler does, which takes over what the connection tells."""
    return plan(wanted.completed(world.view(Side.ACCEPTER).connection(OTHERS)), world)


@pytest.mark.parametrize("status", PENDING)
def test_a_request_of_somebody_is_accepted(status: Status) -> None:
    """By us, its accepter, and only if we are to accept at all."""
    assert (AcceptConnection(),) == plan_one_side(one_side(), accepter_sees(foreign(status))).changes
    assert () == plan_one_side(one_side(auto_accept=False), accepter_sees(foreign(status))).changes


def test_only_the_accepters_side_is_managed() -> None:
    """Routes lead to the blocks that the connection shows; no owner tag is written, nor a Name over theirs."""
    world = accepter_sees(foreign(), peer_tables=(table(table_id="rtb-spoke"),))
    planned = plan_one_side(one_side(peer_routes=ALL, peer_allow_dns=True, peer_tags={"Team": "net"}), world)

    assert [
        TagConnection(Side.ACCEPTER, {"Team": "net"}),
        ModifyOptions(Side.ACCEPTER, {Option.DNS: True}),
        CreateRoute(peer_key()),
    ] == list(planned.changes)


@pytest.mark.parametrize(
    ("requester", "accepter", "cause"),
    [
        (
            End("vpc-else", "999999999999", "us-east-1"),
            ENDS[1],
            f"the requester of pcx-others is {SEEN}, not vpc-else (us-east-1, 999999999999).",
        ),
        (
            End("", "888888888888", ""),
            ENDS[1],
            f"the requester of pcx-others is {SEEN}, not vpc-vendor (us-east-1, 888888888888).",
        ),
        (
            NOBODY,
            End("vpc-mine", "222222222222", "eu-west-1"),
            f"the accepter of pcx-others is {OWN}, not vpc-mine (eu-west-1, 222222222222).",
        ),
    ],
)
def test_both_ends_are_checked(requester: End, accepter: End, cause: str) -> None:
    """Peer phishing: a request that looks like the vendor's must not be accepted because its id was given."""
    wanted = one_side(requester)
    wanted = replace(wanted, accepter=replace(wanted.accepter, end=accepter))
    world = accepter_sees(foreign(Status.PENDING_ACCEPTANCE))
    mine = replace(world.view(Side.ACCEPTER).vpc or pytest.fail("no VPC"), vpc_id=accepter.vpc_id)

    assert [(InvalidRequest, cause)] == causes(plan_one_side(wanted, world.with_side(Side.ACCEPTER, vpc=mine)))


def test_a_request_that_is_not_there() -> None:
    """The accepter's account and Region are where it shows: the message says where was looked."""
    assert [(NotFound, "VpcPeeringConnectionId pcx-others is not in eu-west-1 of account 222222222222.")] == (
        causes(plan_one_side(one_side(), accepter_sees()))
    )


@pytest.mark.parametrize("known", [None, OTHERS])
@pytest.mark.parametrize("status", ENDED)
def test_a_request_that_has_ended(status: Status, known: str | None) -> None:
    """It cannot be revived, though we have had it all along: its requester has to send another one."""
    world = accepter_sees(foreign(status, message="Rejected by 222222222222"))

    assert (ResourceConflict, f"pcx-others is {status}: Rejected by 222222222222.") in causes(
        plan_one_side(one_side(connection_id=known), world)
    )


def test_our_own_connection_is_nobodys() -> None:
    """To give the id of the own connection would leave its requester's side to nobody."""
    wanted = one_side(previous=desired(), connection_id=OTHERS)

    assert (
        InvalidRequest,
        "VpcPeeringConnectionId pcx-others is the connection that this resource has itself made.",
    ) in causes(plan_one_side(wanted, accepter_sees(foreign())))


def test_multipath_within_one_region() -> None:
    """The requester's Region shows only with the connection."""
    seen = foreign(requester=End("vpc-vendor", "999999999999", "eu-west-1"))
    wanted = one_side()
    wanted = replace(wanted, accepter=replace(wanted.accepter, options={Option.MULTIPATH: True}))

    assert (InvalidRequest, "both ends of pcx-others are in eu-west-1.") in causes(
        plan_one_side(wanted, accepter_sees(seen))
    )


# Delete


def test_adopted_is_released() -> None:
    """Routes go, tags that still are as given go, options go back; the connection stays."""
    seen = adopted(options={Side.REQUESTER: DNS, Side.ACCEPTER: DNS})
    mine = replace(seen, tags={**seen.tags, "Team": "net", "Own": "kept"})
    world = observed(
        mine, peer_connections=(replace(mine, tags={"Team": "changed", **NAME}),), tables=(table(to(PCX)),)
    )
    tags = {"Team": "net"}
    gone = desired(
        routes=ALL, tags=tags, peer_tags=tags, allow_dns=True, peer_allow_dns=False, present=False, connection_id=PCX
    )

    assert [
        ModifyOptions(Side.REQUESTER, {Option.DNS: False}),
        DeleteRoute(key()),
        UntagConnection(Side.REQUESTER, {"Team": "net", **NAME}),
        UntagConnection(Side.ACCEPTER, NAME),
        ReleaseConnection(PCX, {**OWNER.tags, ADOPTED: "requester"}),
    ] == changes(gone, world)


def test_options_go_back_to_what_they_were() -> None:
    """Not simply off: it was on before, on that side, and somebody relies on it."""
    before = "requester+PeerAllowDnsResolutionFromRemoteVpc"
    seen = adopted(before, options={Side.REQUESTER: DNS, Side.ACCEPTER: frozenset()})
    gone = desired(allow_dns=True, peer_allow_dns=False, present=False, connection_id=PCX)

    assert [
        ModifyOptions(Side.REQUESTER, {Option.DNS: False}),
        ModifyOptions(Side.ACCEPTER, {Option.DNS: True}),
    ] == [c for c in changes(gone, observed(seen)) if isinstance(c, ModifyOptions)]


def test_routes_that_were_found_stay() -> None:
    """They carried packets before, and do so when the resource has gone."""
    found = (RouteRecord(key(), PCX, found=True), RouteRecord(key(table_id="rtb-two"), PCX))
    world = observed(adopted("requester"), tables=(table(to(PCX)), table(to(PCX), table_id="rtb-two")), records=found)
    gone = desired(routes=ALL, present=False, connection_id=PCX)

    assert [DeleteRoute(key(table_id="rtb-two"))] == [c for c in changes(gone, world) if isinstance(c, DeleteRoute)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("requester", [DeleteRoute(peer_key()), DeleteRoute(key())]),
        ("requester+Routes", [DeleteRoute(peer_key())]),
        ("requester+PeerRoutes", [DeleteRoute(key())]),
        ("requester+Routes+PeerRoutes", []),
    ],
)
def test_without_a_record_the_tag_decides(value: str, expected: list[Change]) -> None:
    """A route too many harms less than the one that was cut: none is taken for ours where some were there before."""
    world = observed(
        adopted(value), tables=(table(to(PCX)),), peer_tables=(table(to(PCX, "10.0.0.0/16"), table_id="rtb-spoke"),)
    )
    gone = desired(routes=ALL, peer_routes=ALL, present=False, connection_id=PCX)

    routes = [c for c in changes(gone, world) if isinstance(c, DeleteRoute)]
    assert sorted(expected, key=str) == sorted(routes, key=str)


def test_update_does_not_take_found_routes_away() -> None:
    """A table that is no longer asked for had its route before us."""
    records = (RouteRecord(key(), PCX, found=True),)
    world = observed(adopted("requester+Routes"), tables=(table(to(PCX)),), records=records)

    assert [] == changes(desired(previous=desired(routes=ALL), connection_id=PCX), world)


def test_a_target_that_was_replaced_gets_its_route_back() -> None:
    """What OnConflict: Replace took over is given back by a released connection too."""
    records = (RouteRecord(key(), PCX, former="igw-1"),)
    world = observed(adopted(), tables=(table(to(PCX)),), records=records)
    gone = desired(routes=ALL, present=False, connection_id=PCX)

    assert ReplaceRoute(key(), former=PCX, target="igw-1") in changes(gone, world)


def test_what_another_resource_has_adopted_since_is_left() -> None:
    """It is that one's now, with all its routes: this Delete has nothing left to do."""
    taken = replace(adopted(), tags={**STRANGER.tags, ADOPTED: "requester"})
    gone = desired(routes=ALL, present=False, connection_id=PCX)

    assert Plan() == plan(gone, observed(taken, tables=(table(to(PCX)),)))


def test_a_release_that_comes_again() -> None:
    """The answer to the first Delete was lost: the connection lives, and carries no tag of ours any more."""
    gone = adopting(routes=ALL, present=False, connection_id=PCX)

    assert Plan() == plan(gone, observed(connection(owner=None)))


def test_a_name_that_was_there_stays() -> None:
    """Somebody may have named it as we would: the automatic Name was not written then, so it is not ours to remove."""
    named = theirs(tags=NAME)
    world = observed(named)
    first = plan(adopting(), world)
    (adopt,) = first.changes
    assert isinstance(adopt, AdoptConnection)
    taken = replace(named, tags={**named.tags, **adopt.tags})
    gone = adopting(present=False, connection_id=OTHERS)

    assert [ReleaseConnection(OTHERS, dict(adopt.tags))] == changes(gone, observed(taken))


def test_somebody_elses_request_is_left() -> None:
    """Our routes, our tags, our option: the connection stays, whatever the tags on it say."""
    seen = foreign(options={Side.ACCEPTER: DNS}, tags={**OWNER.tags, "Team": "net"})
    world = accepter_sees(seen, peer_tables=(table(to(OTHERS, "10.0.0.0/16"), table_id="rtb-spoke"),))
    world = replace(world, stood={OTHERS: {Side.ACCEPTER: Stood()}})
    gone = one_side(
        peer_routes=ALL, peer_tags={"Team": "net"}, peer_allow_dns=True, present=False, connection_id=OTHERS
    )

    assert [
        ModifyOptions(Side.ACCEPTER, {Option.DNS: False}),
        DeleteRoute(peer_key()),
        UntagConnection(Side.ACCEPTER, {"Team": "net"}),
    ] == list(plan_one_side(gone, world).changes)


RECORD = {OTHERS: {Side.ACCEPTER: Stood({"Team": "net", "Own": "kept"}, DNS)}}


@pytest.mark.parametrize(
    ("stood", "expected"),
    [
        ({}, []),
        (RECORD, [TagConnection(Side.ACCEPTER, {"Own": "kept"}), UntagConnection(Side.ACCEPTER, {"New": "x"})]),
        (
            {OTHERS: {Side.ACCEPTER: Stood({"Team": "net"}, frozenset())}},
            [
                ModifyOptions(Side.ACCEPTER, {Option.DNS: False}),
                UntagConnection(Side.ACCEPTER, {"Own": "ours", "New": "x"}),
            ],
        ),
    ],
    ids=["unknown", "option and tags", "tags"],
)
def test_what_stood_before_is_left_as_it_was(stood: dict[str, dict[Side, Stood]], expected: list[Change]) -> None:
    """A vendor's live peering must not lose its tags and its DNS with our stack; without a record nothing is taken."""
    given_tags = {"Team": "net", "Own": "ours", "New": "x", "Changed": "by us"}
    seen = foreign(options={Side.ACCEPTER: DNS}, tags={**given_tags, "Changed": "since"})
    gone = one_side(peer_tags=given_tags, peer_allow_dns=True, present=False, connection_id=OTHERS)

    assert expected == list(plan_one_side(gone, replace(accepter_sees(seen), stood=stood)).changes)


def test_what_stood_is_recorded_before_the_first_write() -> None:
    """All tags but owner tags, and what is on, of the sides that are ours; not again once we have written there."""
    seen = foreign(options={Side.ACCEPTER: DNS, Side.REQUESTER: MULTIPATH}, tags={**STRANGER.tags, "Own": "kept"})
    new = {OTHERS: {Side.ACCEPTER: Stood({"Own": "kept"}, DNS)}}
    world = accepter_sees(seen)

    assert new == plan_one_side(one_side(), world).stood
    assert new == plan_one_side(one_side(connection_id="pcx-before", previous=one_side()), world).stood
    assert {} == plan_one_side(one_side(), replace(world, stood=RECORD)).stood
    assert {} == plan_one_side(one_side(connection_id=OTHERS, previous=one_side()), world).stood


def test_what_stood_is_recorded_at_adoption() -> None:
    """Of both sides; of one that becomes ours later, then; of what we have made, that there was nothing."""
    world = observed(theirs(options={Side.REQUESTER: DNS}), peer_connections=(theirs(tags={"Own": "kept"}),))
    both = {Side.REQUESTER: Stood(NAME, DNS), Side.ACCEPTER: Stood({"Own": "kept"})}
    assert {OTHERS: both} == plan(adopting(), world).stood

    before = desired()
    before = replace(before, accepter=replace(before.accepter, managed=False))
    later = observed(adopted("requester"))
    known = replace(later, stood={PCX: {Side.REQUESTER: Stood(NAME)}})
    assert {} == plan(desired(connection_id=PCX, previous=desired()), known).stood
    assert {PCX: {Side.REQUESTER: Stood(NAME), Side.ACCEPTER: Stood(NAME)}} == plan(
        desired(connection_id=PCX, previous=before), known
    ).stood

    assert {PCX: {}} == plan(desired(), observed(connection())).stood
    assert {} == plan(desired(), replace(observed(connection()), stood={PCX: {}})).stood
    assert {} == plan(desired(), observed()).stood


def test_a_record_of_what_stood_that_was_lost_is_made_anew_by_the_mark() -> None:
    """A Delete takes the mark off: if it dies then, the record alone tells that it had let go of what it left."""
    seen = adopted("requester+Tags+PeerAllowDnsResolutionFromRemoteVpc", options={Side.REQUESTER: DNS})
    again = desired(allow_dns=True, tags={"Team": "net"}, connection_id=PCX, previous=desired())
    told = {Side.REQUESTER: Stood(NAME), Side.ACCEPTER: Stood(options=DNS)}

    assert {PCX: told} == plan(again, observed(seen)).stood
    assert {PCX: told} == plan(replace(again, previous=again), observed(seen)).stood
    later = desired(connection_id=PCX, previous=replace(again, accepter=replace(again.accepter, managed=False)))
    assert {PCX: {**told, Side.ACCEPTER: Stood(NAME)}} == plan(later, observed(seen)).stood
    hidden = observed(seen).with_side(Side.ACCEPTER, connections=())
    assert {PCX: {Side.REQUESTER: Stood(NAME)}} == plan(again, hidden).stood
    left = replace(observed(connection(owner=None)), stood={PCX: told}, living=frozenset({PCX}))
    gone = desired(present=False, connection_id=PCX)
    assert [(), ()] == [plan(replace(gone, adopt=adopt), left).refusals for adopt in (False, True)]


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (replace(observed(adopted()), stood={PCX: {Side.REQUESTER: Stood({"Team": "net"})}}), []),
        (
            replace(observed(adopted()), stood={PCX: {Side.REQUESTER: Stood({"Team": "old"})}}),
            [TagConnection(Side.REQUESTER, {"Team": "old"})],
        ),
        (observed(adopted("requester+Tags")), []),
        (observed(adopted("requester+PeerTags")), [UntagConnection(Side.REQUESTER, {"Team": "net"})]),
        (observed(connection()), [UntagConnection(Side.REQUESTER, {"Team": "net"})]),
    ],
    ids=["stood", "overwritten", "some stood", "some stood elsewhere", "ours"],
)
def test_a_tag_that_is_given_no_more_and_stood_before(world: Observed, expected: list[Change]) -> None:
    """What an Update drops is taken away only where it is known to be ours."""
    (seen,) = world.view(Side.REQUESTER).connections
    shown = world.with_side(Side.REQUESTER, connections=(replace(seen, tags={**seen.tags, "Team": "net"}),))
    wanted = desired(connection_id=PCX, previous=desired(tags={"Team": "net"}))

    assert expected == changes(wanted, shown)


def test_a_tag_of_before_that_stands_on_what_is_adopted_now() -> None:
    """The connection that had ours has gone: the same tag on the one that somebody made in its place is theirs."""
    world = observed(theirs(tags={**NAME, "Team": "net"}))
    wanted = adopting(connection_id=PCX, previous=adopting(tags={"Team": "net"}))

    assert [AdoptConnection] == [type(change) for change in changes(wanted, world)]


def test_what_stood_counts_where_the_connection_is_another() -> None:
    """The resource asked for the same before, but not on this one."""
    world = observed(theirs(tags={"Team": "net"}), peer_connections=(theirs(tags={}),))
    wanted = adopting(tags={"Team": "net"}, connection_id=PCX, previous=adopting(tags={"Team": "net"}))

    (adopt,) = (change for change in changes(wanted, world) if isinstance(change, AdoptConnection))

    assert "requester+Tags" == adopt.tags[ADOPTED]


def test_a_name_that_was_overwritten_comes_back() -> None:
    """With the Name that the template gives no more, the one from before."""
    seen = adopted()
    world = replace(
        observed(replace(seen, tags={**seen.tags, "Name": "mine"})),
        stood={PCX: {Side.REQUESTER: Stood({"Name": "their"})}},
    )
    wanted = desired(connection_id=PCX, previous=desired(tags={"Name": "mine"}))

    assert [TagConnection(Side.REQUESTER, {"Name": "their"})] == changes(wanted, world)


# Owner tags that somebody has removed


@pytest.mark.parametrize("known", [{"living": frozenset({PCX})}, {"stood": {PCX: {}}}], ids=["living", "made"])
def test_what_cannot_be_proven_ours_is_not_let_go(known: dict[str, Any]) -> None:
    """A tag cleaner was there: success would leave a live connection, and routes, that nobody knows of."""
    gone = adopting(routes=ALL, present=False, connection_id=PCX)
    world = replace(observed(connection(owner=None), tables=(table(to(PCX)),)), **known)

    ((kind, told),) = causes(plan(gone, world))

    assert ResourceConflict is kind
    assert f"{PCX} carries no owner tags of this resource" in told
    assert () == plan(gone, world).changes


@pytest.mark.parametrize("adopt", [True, False])
def test_what_was_adopted_and_lost_its_tags_is_left(adopt: bool) -> None:
    """Only what the registry has recorded is ours: that goes, and the rest is told to stay."""
    seen = connection(owner=None, options={Side.REQUESTER: DNS})
    records = (RouteRecord(key(), PCX, former="igw-1"),)
    tables = (table(to(PCX)), table(to(PCX), table_id="rtb-two"))
    world = replace(observed(seen, tables=tables, records=records), stood={PCX: {Side.REQUESTER: Stood()}})
    gone = desired(adopt=adopt, routes=ALL, allow_dns=True, present=False, connection_id=PCX)

    assert Plan((ReplaceRoute(key(), former=PCX, target="igw-1"),), left=seen) == plan(gone, world)
    taken = replace(world, requester=replace(world.view(Side.REQUESTER), connections=(connection(owner=STRANGER),)))
    assert () == plan(gone, taken).changes
    assert [ResourceConflict] == [kind for kind, _ in causes(plan(gone, taken))]


@pytest.mark.parametrize("connection_id", [PCX, "pcx-new", None])
@pytest.mark.parametrize("adopt", [True, False])
def test_what_we_made_is_not_adopted(connection_id: str | None, *, adopt: bool) -> None:
    """IAM permits no adoption without the mark, with which it would outlive the stack that made it."""
    world = replace(observed(connection(owner=None), tables=(table(to(PCX)),)), stood={PCX: {}})
    again = desired(adopt=adopt, routes=ALL, connection_id=connection_id, previous=desired())

    planned = plan(again, world)

    assert (ResourceConflict, f"{PCX} carries no owner tags of this resource (no owner tags).") in causes(planned)
    assert not any(isinstance(refusal, AlreadyExists) for refusal in planned.refusals)
    assert frozenset() == planned.found


def test_what_we_made_may_be_another_ones_since() -> None:
    """It was retained at a replacement, and adopted by another stack: tags of ours put there would take it away."""
    seen = connection(owner=STRANGER, tags={ADOPTED: "Name"})
    world = replace(observed(seen), stood={PCX: {}})

    ((kind, cause),) = causes(plan(desired(connection_id="pcx-new"), world))

    assert (AlreadyExists, True) == (kind, cause.startswith(f"{PCX} (active) already joins"))


def test_what_we_did_to_an_adopted_connection_did_not_stand_before() -> None:
    """Adopted again after its tags were removed, it is marked with what others had there, and not with what we made."""
    tags = {"Team": "net"}
    asked = {"routes": RouteRule(route_table_ids=("rtb-hub",)), "tags": tags, "allow_dns": True}
    seen = connection(owner=None, tags={**NAME, **tags}, options={Side.REQUESTER: DNS, Side.ACCEPTER: DNS})
    world = observed(
        seen,
        tables=(table(to(PCX)), table(to(PCX), table_id="rtb-two")),
        peer_tables=(table(to(PCX, BLOCK), table_id="rtb-spoke"),),
        records=(RouteRecord(key(table_id="rtb-two"), PCX),),
    )

    def mark(**more: Any) -> str:  # noqa: ANN401  # of desired
        wanted = adopting(connection_id=PCX, previous=adopting(**asked), **{**asked, **more})
        (adopt,) = (c for c in plan(wanted, world).changes if isinstance(c, AdoptConnection))
        return adopt.tags[ADOPTED]

    assert "requester+PeerAllowDnsResolutionFromRemoteVpc" == mark()
    assert "requester+PeerAllowDnsResolutionFromRemoteVpc" == mark(routes=ALL)
    assert "requester+PeerRoutes+PeerAllowDnsResolutionFromRemoteVpc" == mark(peer_routes=ALL)
    world = replace(world, accepter=None)
    world = world.with_side(Side.REQUESTER, connections=(replace(seen, cidr_blocks={Side.ACCEPTER: (PEER_BLOCK,)}),))
    assert "requester+PeerAllowDnsResolutionFromRemoteVpc" == mark()
    world = replace(world, records=(RouteRecord(key(), PCX, found=True),))
    assert "requester+Routes+PeerAllowDnsResolutionFromRemoteVpc" == mark()


def test_a_refused_create_leaves_what_was_there() -> None:
    """Without the id that is told right before the first write, only recorded routes are ours."""
    tables = (table(to(OTHERS, "10.0.0.0/16"), table_id="rtb-spoke"),)
    gone = one_side(peer_routes=ALL, peer_tags=dict(NAME), present=False)
    recorded = (RouteRecord(peer_key(), OTHERS),)
    world = replace(accepter_sees(foreign(), peer_tables=tables), stood={OTHERS: {Side.ACCEPTER: Stood()}})

    assert () == plan_one_side(gone, world).changes
    assert (DeleteRoute(peer_key()),) == plan_one_side(
        gone, accepter_sees(foreign(), peer_tables=tables, records=recorded)
    ).changes


def test_what_we_requested_is_deleted() -> None:
    """And only that: the tag of adoption is what keeps a connection."""
    gone = desired(present=False, connection_id=PCX)

    assert [DeleteConnection(PCX)] == changes(gone, observed(connection()))
    assert DeleteConnection(PCX) not in changes(gone, observed(adopted()))
