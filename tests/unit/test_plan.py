from dataclasses import replace
from itertools import product

import pytest

from handler.changes import (
    AcceptConnection,
    Change,
    CreateConnection,
    CreateRoute,
    DeleteConnection,
    DeleteRoute,
    ModifyOptions,
    ReplaceRoute,
    Stage,
    TagConnection,
    UntagConnection,
)
from handler.errors import AlreadyExists, InvalidRequest, NotFound, PeeringError, ResourceConflict
from handler.model import (
    REPLACES,
    Connection,
    Desired,
    End,
    Observed,
    ObservedSide,
    OnConflict,
    Option,
    Owner,
    RouteRecord,
    RouteRule,
    Side,
    Status,
    Stood,
    Vpc,
)
from handler.plan import Plan, plan
from tests.unit.given import (
    ALL,
    BLOCK,
    ENDS,
    NAME,
    ONE_PLACE,
    OWNER,
    PCX,
    PEER_BLOCK,
    STRANGER,
    as_accepter,
    connection,
    desired,
    key,
    observed,
    peer_key,
    table,
    to,
)

DNS = frozenset({Option.DNS})
CREATE = CreateConnection({**NAME, **OWNER.tags})
ACCEPT = AcceptConnection()
NAME_IT = TagConnection(Side.ACCEPTER, NAME)
ENDED = (Status.DELETING, Status.DELETED, Status.REJECTED, Status.FAILED, Status.EXPIRED)
LIVE = (Status.INITIATING_REQUEST, Status.PENDING_ACCEPTANCE, Status.PROVISIONING, Status.ACTIVE)
TO_ACCEPT = (Status.INITIATING_REQUEST, Status.PENDING_ACCEPTANCE)


def refusals(wanted: Desired, world: Observed) -> list[tuple[type[PeeringError], str]]:
    """Return the refusals of a plan: their kinds and their causes."""
    return [(type(refusal), refusal.cause) for refusal in plan(wanted, world).refusals]


def changes(wanted: Desired, world: Observed) -> list[Change]:
    """Return the changes of a plan that nothing forbids."""
    planned = plan(wanted, world)
    planned.raise_if_unsafe()
    return list(planned.changes)


@pytest.mark.parametrize(
    ("auto_accept", "owner", "backwards"), list(product((True, False), (OWNER, STRANGER, None), (False, True)))
)
@pytest.mark.parametrize("status", ENDED)
def test_ended_connection_counts_as_none(
    status: Status, auto_accept: bool, owner: Owner | None, backwards: bool
) -> None:
    """EC2 shows connections for hours after their end: whoever owned them, they are neither used nor in the way."""
    ended = connection(status, owner=owner, ends=ENDS[::-1] if backwards else ENDS)

    assert ([CREATE, ACCEPT, NAME_IT] if auto_accept else [CREATE]) == changes(
        desired(auto_accept=auto_accept), observed(ended)
    )


@pytest.mark.parametrize("auto_accept", [True, False])
@pytest.mark.parametrize("status", LIVE)
def test_own_connection_is_carried_on(status: Status, auto_accept: bool) -> None:
    """A retry finds what an earlier try has made, in any state, and does only what is missing."""
    planned = plan(desired(auto_accept=auto_accept), observed(connection(status)))

    assert ((ACCEPT,) if auto_accept and status in TO_ACCEPT else ()) == planned.changes
    assert () == planned.refusals
    assert PCX == (planned.connection.connection_id if planned.connection else None)
    assert (auto_accept or status is Status.ACTIVE) == planned.active


@pytest.mark.parametrize("auto_accept", [True, False])
@pytest.mark.parametrize(
    ("owner", "backwards"), [(OWNER, True), (STRANGER, False), (STRANGER, True), (None, False), (None, True)]
)
@pytest.mark.parametrize("status", LIVE)
def test_foreign_connection_is_refused(status: Status, owner: Owner | None, backwards: bool, auto_accept: bool) -> None:
    """Two VPCs have one peering: what somebody else made of the pair, in either direction, is named and left alone."""
    ends = ENDS[::-1] if backwards else ENDS
    foreign = connection(status, connection_id="pcx-theirs", owner=owner, ends=ends)
    tags = f"owner tags: stack-id {owner.stack_id}, logical-id Peering, managed-by installation" if owner else ""
    theirs = tags or "no owner tags"

    assert [
        (AlreadyExists, f"pcx-theirs ({status}) already joins {ends[0].vpc_id} to {ends[1].vpc_id} ({theirs}).")
    ] == refusals(desired(auto_accept=auto_accept), observed(foreign))


@pytest.mark.parametrize("other", [ENDS[1], End("vpc-third", "111111111111", "us-east-1")], ids=["account", "vpc"])
def test_connection_of_another_pair_is_none_of_ours(other: End) -> None:
    """Connections of one owner exist twice during a replacement: only the pair tells which one is meant."""
    elsewhere = connection(connection_id="pcx-former", ends=(replace(other, region="us-west-2"), ENDS[0]))

    assert [CREATE, ACCEPT, NAME_IT] == changes(desired(), observed(elsewhere))


def test_active_connection_is_preferred() -> None:
    """EC2 may show a second one of ours for a moment: what carries packets is what counts."""
    pending = connection(Status.PENDING_ACCEPTANCE, connection_id="pcx-second")

    assert connection() == plan(desired(), observed(pending, connection())).connection


def test_create_everything() -> None:
    """A first Create is one ordered list of values: request, accept, then settings and routes of both sides."""
    wanted = desired(
        routes=ALL,
        peer_routes=ALL,
        tags={"Team": "net"},
        peer_tags={"Team": "app"},
        allow_dns=True,
        peer_allow_dns=True,
    )
    world = observed(tables=(table(),), peer_tables=(table(table_id="rtb-spoke"),))

    planned = plan(wanted, world)

    assert (
        CreateConnection({**NAME, "Team": "net", **OWNER.tags}),
        AcceptConnection(),
        ModifyOptions(Side.REQUESTER, {Option.DNS: True}),
        TagConnection(Side.ACCEPTER, {**NAME, "Team": "app"}),
        ModifyOptions(Side.ACCEPTER, {Option.DNS: True}),
        CreateRoute(peer_key()),
        CreateRoute(key()),
    ) == planned.changes
    assert {
        "CreateConnection": 1,
        "AcceptConnection": 1,
        "ModifyOptions": 2,
        "TagConnection": 1,
        "CreateRoute": 2,
    } == planned.counts
    assert planned.active
    assert None is planned.connection


def test_converged_world_needs_nothing() -> None:
    """An Update that changes nothing makes no write at all."""
    wanted = desired(
        routes=ALL,
        peer_routes=ALL,
        tags={"Team": "net"},
        peer_tags={"Team": "app"},
        allow_dns=True,
        peer_allow_dns=False,
    )
    seen = connection(tags={**NAME, "Team": "net", "own": "kept"}, options={Side.REQUESTER: DNS})
    world = observed(
        seen,
        peer_connections=(as_accepter(seen, {**NAME, "Team": "app"}),),
        tables=(table(to(PCX)),),
        peer_tables=(table(to(PCX, BLOCK), table_id="rtb-spoke"),),
    )

    planned = plan(replace(wanted, previous=wanted, connection_id=PCX), world)

    routes = frozenset({key(), peer_key()})
    assert Plan(connection=seen, active=True, routes=routes, stood={PCX: {}}) == planned
    assert {} == planned.counts


def test_changes_are_in_the_order_of_their_stages() -> None:
    """Make before break: nothing is taken away before all that replaces it is there."""
    wanted = desired(routes=RouteRule(("rtb-new",)), tags={"New": "1"}, allow_dns=True)
    previous = desired(routes=RouteRule(("rtb-hub",)), tags={"Old": "1"})
    seen = connection(Status.PENDING_ACCEPTANCE, tags={**NAME, "Old": "1"})
    world = observed(seen, tables=(table(to(PCX)), table(table_id="rtb-new")))

    planned = plan(replace(wanted, previous=previous), world)

    assert [
        AcceptConnection(),
        TagConnection(Side.REQUESTER, {"New": "1"}),
        ModifyOptions(Side.REQUESTER, {Option.DNS: True}),
        CreateRoute(key(table_id="rtb-new")),
        UntagConnection(Side.REQUESTER, {"Old": "1"}),
        DeleteRoute(key()),
    ] == list(planned.changes)
    assert planned.changes[-2:] == planned.of(Stage.BREAK)
    assert planned.changes[:1] + planned.changes[-2:] == planned.of(Stage.BREAK, Stage.ACCEPT)


# Options


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("asked", "shown", "expected"),
    [(None, True, []), (None, False, []), (True, True, []), (False, False, []), (True, False, [1]), (False, True, [1])],
)
def test_option_is_written_only_where_it_differs(
    side: Side, asked: bool | None, shown: bool, expected: list[int]
) -> None:
    """An absent option is not managed; a given one is sent only when it changes something, by its own side."""
    wanted = desired(allow_dns=asked) if side is Side.REQUESTER else desired(peer_allow_dns=asked)
    world = observed(connection(options={side if shown else side.other: DNS}))

    assert [ModifyOptions(side, {Option.DNS: bool(asked)}) for _ in expected] == changes(wanted, world)


def test_option_is_read_from_its_own_side() -> None:
    """The other side's view of an option may lag for minutes: what the side itself shows is the truth."""
    seen = connection(options={Side.ACCEPTER: DNS})
    world = observed(seen, peer_connections=(replace(as_accepter(seen), options={}),))

    assert [ModifyOptions(Side.ACCEPTER, {Option.DNS: True})] == changes(desired(peer_allow_dns=True), world)


# Tags


def test_tags_that_differ_are_written_on_their_side() -> None:
    """Each side has a set of its own: only what is missing or has another value is written there."""
    seen = connection(tags={**NAME, "Same": "1", "Other": "old"})
    wanted = desired(tags={"Same": "1", "Other": "new"}, peer_tags={"Peer": "1"})

    assert [
        TagConnection(Side.REQUESTER, {"Other": "new"}),
        TagConnection(Side.ACCEPTER, {"Peer": "1"}),
    ] == changes(wanted, observed(seen))


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ({"Team": "net"}, [UntagConnection(Side.REQUESTER, {"Team": "net"})]),
        ({"Team": "changed by hand"}, []),
        ({}, []),
    ],
    ids=["ours", "changed", "gone"],
)
def test_tag_that_is_given_no_more_goes_while_it_is_ours(present: dict[str, str], expected: list[Change]) -> None:
    """A tag whose value somebody changed since is somebody's own."""
    wanted = desired(previous=desired(tags={"Team": "net"}))

    assert expected == changes(wanted, observed(connection(tags={**NAME, **present})))


def test_tag_of_the_accepter_goes_from_the_accepter() -> None:
    """Removal knows the side as writing does."""
    seen = connection(tags={**NAME, "Team": "net"})
    world = observed(seen, peer_connections=(as_accepter(seen, {**NAME, "Team": "net"}),))
    wanted = desired(tags={"Team": "net"}, previous=desired(tags={"Team": "net"}, peer_tags={"Team": "net"}))

    assert [UntagConnection(Side.ACCEPTER, {"Team": "net"})] == changes(wanted, world)


def test_tags_of_an_accepter_of_whom_nothing_is_asked_any_more() -> None:
    """What was put there is taken back, and what stood there comes back; new tags are the requester's alone."""
    before = {"Team": "net", "Own": "ours"}
    seen = connection(tags={**NAME, "Team": "platform"})
    world = observed(seen, peer_connections=(as_accepter(seen, {**NAME, **before, "CostCentre": "42"}),))
    wanted = desired(tags={"Team": "platform"}, peer_tags={"Team": "platform"}, previous=desired(peer_tags=before))
    wanted = replace(wanted, accepter=replace(wanted.accepter, given_up=True))

    assert [UntagConnection(Side.ACCEPTER, {**NAME, **before})] == changes(wanted, world)
    stood = replace(world, stood={PCX: {Side.ACCEPTER: Stood({"Own": "kept"})}})
    assert [
        TagConnection(Side.ACCEPTER, {"Own": "kept"}),
        UntagConnection(Side.ACCEPTER, {**NAME, "Team": "net"}),
    ] == changes(wanted, stood)
    assert [] == changes(wanted, world.with_side(Side.ACCEPTER, connections=()))


def test_tags_of_the_user_are_never_touched() -> None:
    """Only what the properties gave can be taken away: cost tools and people tag connections too."""
    seen = connection(tags={**NAME, "CostCentre": "42"})
    wanted = desired(tags={"Team": "net"}, previous=desired())

    assert [TagConnection(Side.REQUESTER, {"Team": "net"})] == changes(wanted, observed(seen))


def test_tags_of_another_pair_are_not_taken_away() -> None:
    """The old properties of a replacement speak of another connection."""
    previous = desired(ends=(End("vpc-old", "111111111111", "us-east-1"), ENDS[1]), tags={"Team": "net"})

    assert [] == changes(desired(previous=previous), observed(connection(tags={**NAME, "Team": "net"})))


def test_shared_tag_set_is_written_once() -> None:
    """In one account and Region EC2 keeps one set for both sides: two writers would fight over it."""
    seen = connection(ends=ONE_PLACE, tags={})
    wanted = desired(ends=ONE_PLACE, tags={"Team": "net"}, peer_tags={"Peer": "1"})

    assert [TagConnection(Side.REQUESTER, {**NAME, "Peer": "1", "Team": "net"})] == changes(
        wanted, observed(seen, ends=ONE_PLACE)
    )


def test_shared_tag_set_is_cleaned_once() -> None:
    """A tag that only PeerTags gave goes from the one set, by the requester; one that Tags still give stays."""
    seen = connection(ends=ONE_PLACE, tags={**NAME, "Both": "1", "Peer": "1"})
    previous = desired(ends=ONE_PLACE, tags={"Both": "1"}, peer_tags={"Both": "1", "Peer": "1"})
    wanted = desired(ends=ONE_PLACE, tags={"Both": "1"}, previous=previous)

    assert [UntagConnection(Side.REQUESTER, {"Peer": "1"})] == changes(wanted, observed(seen, ends=ONE_PLACE))


def test_given_name_wins_over_the_automatic_one() -> None:
    """The automatic Name is a default, side by side."""
    seen = connection(tags={"Name": "mine"})

    assert [] == changes(desired(tags={"Name": "mine"}), observed(seen))


def test_name_that_is_given_no_more_becomes_automatic() -> None:
    """Taking Name out of Tags brings the default back, not a connection without a name."""
    wanted = desired(previous=desired(tags={"Name": "mine"}))

    assert [TagConnection(Side.REQUESTER, NAME)] == changes(wanted, observed(connection(tags={"Name": "mine"})))


@pytest.mark.parametrize(
    ("name", "peer_name", "expected"),
    [
        ("hub", "spoke", "hub-to-spoke"),
        (None, "spoke", "vpc-hub-to-spoke"),
        ("hub", None, "hub-to-vpc-spoke"),
        ("h" * 256, "s" * 256, "h" * 126 + "-to-" + "s" * 126),
    ],
    ids=["names", "no name", "no peer name", "long"],
)
def test_automatic_name(name: str | None, peer_name: str | None, expected: str) -> None:
    """The Name says who talks to whom, falls back to the ids, and stays within EC2's 256 characters."""
    world = observed()
    tags, peer_tags = ({"Name": each} if each else {} for each in (name, peer_name))
    world = world.with_side(Side.REQUESTER, vpc=Vpc("vpc-hub", "111111111111", (BLOCK,), tags))
    world = world.with_side(Side.ACCEPTER, vpc=Vpc("vpc-spoke", "222222222222", (PEER_BLOCK,), peer_tags))

    create = changes(desired(), world)[0]

    assert CreateConnection({"Name": expected, **OWNER.tags}) == create


def test_automatic_name_without_a_view_of_the_accepter() -> None:
    """With AutoAccept false the other account may be closed to us: its VPC's id serves."""
    world = replace(observed(), accepter=None)

    assert [CreateConnection({"Name": "hub-to-vpc-spoke", **OWNER.tags})] == changes(desired(auto_accept=False), world)


def test_owner_tags_win() -> None:
    """Whatever was parsed, ownership is never spoofed or lost."""
    assert [CreateConnection({**NAME, **OWNER.tags})] == changes(
        desired(auto_accept=False, tags={"vpc-peering:stack-id": "spoofed"}), observed()
    )


# Refusals


@pytest.mark.parametrize(
    ("blocks", "peer_blocks", "named"),
    [
        ((BLOCK,), (BLOCK,), (BLOCK, BLOCK)),
        ((BLOCK, "10.8.0.0/24"), (PEER_BLOCK,), ("10.8.0.0/24", PEER_BLOCK)),
        ((BLOCK,), (PEER_BLOCK, "10.0.0.0/8"), (BLOCK, "10.0.0.0/8")),
        ((BLOCK, "2001:db8::/56"), (PEER_BLOCK, "2001:db8::/60"), ("2001:db8::/56", "2001:db8::/60")),
    ],
    ids=["primary", "secondary", "peer's secondary", "IPv6"],
)
def test_overlap_is_refused(blocks: tuple[str, ...], peer_blocks: tuple[str, ...], named: tuple[str, str]) -> None:
    """EC2 says so only after the request, in a status message: we say it before, with both blocks and VPCs."""
    assert (InvalidRequest, f"CIDR block {named[0]} of vpc-hub overlaps {named[1]} of vpc-spoke.") in refusals(
        desired(), observed(blocks=blocks, peer_blocks=peer_blocks)
    )


def test_overlap_does_not_matter_to_a_connection_that_exists() -> None:
    """A block that was added later is EC2's business: it cannot make a living connection unusable for an Update."""
    assert [] == changes(desired(), observed(connection(), peer_blocks=(PEER_BLOCK, "10.0.128.0/17")))


@pytest.mark.parametrize("side", list(Side))
def test_missing_vpc_is_refused(side: Side) -> None:
    """EC2 would answer a wrong VPC with a connection that fails later; the message says where it was looked for."""
    end = ENDS[0] if side is Side.REQUESTER else ENDS[1]

    assert [
        (NotFound, f"{side.prefix}VpcId {end.vpc_id} is not in {end.region} of account {end.account}.")
    ] == refusals(desired(), observed().with_side(side, vpc=None))


@pytest.mark.parametrize("side", list(Side))
def test_missing_vpc_that_a_query_had_found(side: Side) -> None:
    """The template has no id to check: it is told what was found, and how to lead to another."""
    wanted = desired()
    asked = replace(wanted.side(side), vpc_tags=(("Name", "x"),))
    wanted = replace(wanted, requester=asked) if side is Side.REQUESTER else replace(wanted, accepter=asked)

    (refusal,) = plan(wanted, observed().with_side(side, vpc=None)).refusals

    end, name = asked.end, f"{side.prefix}VpcTags"
    cause = (
        f"{end.vpc_id}, which {name} found for this resource, is not in {end.region} of account {end.account} any more."
    )
    assert (NotFound, cause) == (type(refusal), refusal.cause)
    assert f"Give the id of the new VPC as {side.prefix}VpcId, or change {name}" in refusal.remedy


@pytest.mark.parametrize("side", list(Side))
def test_vpc_of_another_account_is_refused(side: Side) -> None:
    """A participant of a shared VPC sees it but cannot peer it."""
    end = ENDS[0] if side is Side.REQUESTER else ENDS[1]
    shared = Vpc(end.vpc_id, "999999999999", ("172.16.0.0/16",))

    assert [
        (
            InvalidRequest,
            f"{side.prefix}VpcId {end.vpc_id} belongs to account 999999999999, not to {end.account}.",
        )
    ] == refusals(desired(), observed().with_side(side, vpc=shared))


def test_swapped_vpcs_are_recognised() -> None:
    """Swapping VpcId and PeerVpcId asks for the reverse of the own connection: the message says just that."""
    backwards = connection(ends=ENDS[::-1])

    assert [
        (AlreadyExists, "VpcId and PeerVpcId are swapped: pcx-ours of this resource joins the same VPCs.")
    ] == refusals(desired(connection_id=PCX, previous=desired(ends=ENDS[::-1])), observed(backwards))


def test_own_connection_without_owner_tags_is_not_taken() -> None:
    """An id alone proves nothing: without its tags the connection is left alone, and the message says how to go on."""
    planned = plan(desired(connection_id=PCX), observed(connection(owner=None)))

    assert ["pcx-ours carries no owner tags of this resource (no owner tags)."] == [r.cause for r in planned.refusals]
    with pytest.raises(ResourceConflict):
        planned.raise_if_unsafe()


def test_refusals_become_one() -> None:
    """All are told at once, each with its remedy, as a failure of the first one's kind."""
    first, second = NotFound("first.", "Do this."), InvalidRequest("second.", "Do that.")

    with pytest.raises(NotFound) as raised:
        Plan(refusals=(first, second)).raise_if_unsafe()

    told = "2 findings: (1) first. Do this. (2) second. Do that."
    assert (told, "Nothing was changed.") == (raised.value.cause, raised.value.remedy)


def test_refused_world_plans_no_routes() -> None:
    """Blocks of a VPC that is not there cannot be routed to: no second refusal hides the first."""
    world = observed(tables=(table(to("igw-1")),)).with_side(Side.ACCEPTER, vpc=None)

    assert [NotFound] == [kind for kind, _ in refusals(desired(routes=ALL), world)]


# Without AutoAccept


@pytest.mark.parametrize("status", [None, *LIVE])
def test_pending_connection_gets_no_routes_and_no_options(status: Status | None) -> None:
    """A route to a pending connection is a blackhole, and EC2 refuses options: all of it waits for the other party."""
    wanted = desired(auto_accept=False, routes=ALL, peer_routes=ALL, allow_dns=True, peer_tags={"Team": "app"})
    world = observed(*([connection(status)] if status else []), tables=(table(),))
    settled = [
        ModifyOptions(Side.REQUESTER, {Option.DNS: True}),
        TagConnection(Side.ACCEPTER, {"Team": "app"}),
        CreateRoute(key()),
    ]

    assert ([CREATE] if status is None else settled if status is Status.ACTIVE else []) == changes(wanted, world)


def test_pending_connection_gets_the_requesters_tags() -> None:
    """What is the requester's alone needs no acceptance."""
    seen = connection(Status.PENDING_ACCEPTANCE)

    assert [TagConnection(Side.REQUESTER, {"Team": "net"})] == changes(
        desired(auto_accept=False, tags={"Team": "net"}), observed(seen)
    )


# Delete


def absent(**more: object) -> Desired:
    """Return the desired state of a Delete."""
    return desired(present=False, routes=ALL, peer_routes=ALL, **more)  # type: ignore[arg-type]  # Desired's fields


def routed(*connections: Connection, target: str = PCX, **more: object) -> Observed:
    """Return a world with a route to our connection on both sides."""
    return observed(
        *connections,
        tables=(table(to(target)),),
        peer_tables=(table(to(target, BLOCK), table_id="rtb-spoke"),),
        **more,  # type: ignore[arg-type]  # observed's arguments
    )


REMOVAL: list[Change] = [DeleteRoute(peer_key()), DeleteRoute(key())]


@pytest.mark.parametrize("connection_id", [PCX, None])
@pytest.mark.parametrize("status", LIVE)
def test_delete_removes_routes_then_the_connection(status: Status, connection_id: str | None) -> None:
    """In this order no blackhole remains; the connection is found by its id, or else by owner tags and pair."""
    assert [*REMOVAL, DeleteConnection(PCX)] == changes(absent(connection_id=connection_id), routed(connection(status)))


def test_delete_waits_for_one_that_is_being_deleted() -> None:
    """Deleting it again is refused by EC2; its routes go all the same."""
    world = routed(connection(Status.DELETING))

    assert REMOVAL == changes(absent(connection_id=PCX), world)
    assert None is not plan(absent(connection_id=PCX), world).connection


@pytest.mark.parametrize("owner", [OWNER, STRANGER, None])
@pytest.mark.parametrize("status", [s for s in ENDED if s is not Status.DELETING])
def test_delete_of_one_that_ended_removes_leftover_routes(status: Status, owner: Owner | None) -> None:
    """EC2 refuses to delete what has ended; routes of ours that still name it are blackholes, and go."""
    assert REMOVAL == changes(absent(connection_id=PCX), routed(connection(status, owner=owner)))


def test_delete_of_one_that_is_gone_removes_leftover_routes() -> None:
    """Somebody deleted the connection by hand, long ago: success, and nothing of ours stays."""
    assert REMOVAL == changes(absent(connection_id=PCX), routed())


def test_delete_of_what_was_never_made() -> None:
    """A Delete after a refused Create has an id that is no connection's: nothing is found, nothing is touched."""
    assert Plan() == plan(absent(), routed(target="pcx-theirs"))


@pytest.mark.parametrize("owner", [STRANGER, None])
def test_delete_of_a_foreign_connection_by_id_is_refused(owner: Owner | None) -> None:
    """Without owner tags of ours nothing is deleted, not even a route."""
    planned = plan(absent(connection_id=PCX), routed(connection(owner=owner)))

    assert () == planned.changes
    assert [ResourceConflict] == [type(refusal) for refusal in planned.refusals]


@pytest.mark.parametrize("owner", [STRANGER, None])
def test_delete_without_an_id_finds_only_ours(owner: Owner | None) -> None:
    """The pair alone proves nothing: what somebody else made meanwhile survives."""
    assert Plan() == plan(absent(), routed(connection(owner=owner)))


def test_delete_without_an_id_finds_only_the_pair() -> None:
    """During a replacement two connections have the same owner tags."""
    elsewhere = connection(ends=(ENDS[0], End("vpc-third", "222222222222", "eu-west-1")))

    assert Plan() == plan(absent(), routed(elsewhere))


def test_delete_without_an_id_finds_the_living_one() -> None:
    """EC2 shows one that is being deleted for a while, perhaps first: it must not hide the one that lives."""
    earlier = connection(Status.DELETING, connection_id="pcx-earlier")

    assert [DeleteConnection(PCX)] == changes(absent(), observed(earlier, connection()))


def test_delete_by_id_is_never_widened_to_the_pair() -> None:
    """After a re-creation the clean-up of the old id has the properties of the living one, which must survive."""
    living = connection(connection_id="pcx-new")

    assert [] == changes(absent(connection_id="pcx-old"), routed(living, target="pcx-new"))


def test_delete_without_the_accepters_role_converges() -> None:
    """The requester alone can delete: the active connection shows the blocks, what stays there is for the log."""
    seen = replace(connection(), cidr_blocks={Side.ACCEPTER: (PEER_BLOCK,)})
    world = replace(routed(seen), accepter=None)

    assert [DeleteRoute(key()), DeleteConnection(PCX)] == changes(absent(connection_id=PCX), world)


def test_delete_without_vpcs_converges() -> None:
    """A VPC that was deleted first took its tables along."""
    world = Observed(ObservedSide(None, (), (connection(),)), ObservedSide())

    assert [DeleteConnection(PCX)] == changes(absent(connection_id=PCX), world)


@pytest.mark.parametrize(
    ("former", "gone", "expected"),
    [
        (None, frozenset(), DeleteRoute(key())),
        ("igw-1", frozenset(), ReplaceRoute(key(), former=PCX, target="igw-1")),
        ("pcx-former", frozenset(), ReplaceRoute(key(), former=PCX, target="pcx-former")),
        ("pcx-former", frozenset({"pcx-former"}), DeleteRoute(key())),
    ],
    ids=["made", "replaced", "replacement", "former gone"],
)
def test_delete_gives_routes_back(former: str | None, gone: frozenset[str], expected: Change) -> None:
    """What we took a route from gets it back, without a gap, as long as it lives: so is a rollback whole."""
    world = observed(connection(), tables=(table(to(PCX)),), records=(RouteRecord(key(), PCX, former),), gone=gone)

    assert [expected, DeleteConnection(PCX)] == changes(absent(connection_id=PCX), world)


def test_delete_removes_recorded_routes_beyond_the_rules() -> None:
    """A rule selects by the world as it is now: what was made before the world changed is known by its record."""
    record = RouteRecord(key("10.9.0.0/16"), PCX)
    world = observed(connection(), tables=(table(to(PCX, "10.9.0.0/16")),), records=(record,))

    assert [DeleteRoute(key("10.9.0.0/16")), DeleteConnection(PCX)] == changes(absent(connection_id=PCX), world)


def test_delete_ignores_records_of_another_connection() -> None:
    """Records are kept for each connection: the clean-up of the old one leaves the routes of the new one."""
    record = RouteRecord(key("10.9.0.0/16"), "pcx-new", former=PCX)
    world = observed(connection(), tables=(table(to(PCX, "10.9.0.0/16")),), records=(record,))

    assert [DeleteConnection(PCX)] == changes(absent(connection_id=PCX), world)


def test_delete_leaves_routes_that_have_moved_on() -> None:
    """At the moment of deletion a route is ours only if it still targets our connection."""
    record = RouteRecord(key(), PCX, "igw-1")
    world = observed(connection(), tables=(table(to("tgw-1")),), records=(record,))

    assert [DeleteConnection(PCX)] == changes(absent(connection_id=PCX), world)


def test_delete_ignores_conflicts_and_bad_rules() -> None:
    """A Delete must never be refused for what its properties would do: they may be those of a refused Create."""
    rule = RouteRule(("rtb-missing",), destination_cidr_blocks=(BLOCK,), on_conflict=OnConflict.FAIL)
    wanted = desired(present=False, connection_id=PCX, routes=rule)

    assert [DeleteConnection(PCX)] == changes(wanted, routed(connection(), target="igw-1", blocks=(PEER_BLOCK,)))


# The rollback of a replacement, in a process that has recorded nothing

OLD_ENDS = (ENDS[0], End("vpc-old", "222222222222", "eu-west-1"))


def test_replacement_tells_what_it_replaces() -> None:
    """The new connection carries the id of the one whose place it takes: memory that outlives every process."""
    create = changes(desired(connection_id="pcx-old"), observed())[0]

    assert CreateConnection({**NAME, **OWNER.tags, REPLACES: "pcx-old"}) == create


@pytest.mark.parametrize(
    ("status", "owner", "block", "expected"),
    [
        (Status.ACTIVE, OWNER, PEER_BLOCK, ReplaceRoute(key(), former=PCX, target="pcx-old")),
        (Status.ACTIVE, OWNER, "10.8.4.0/24", ReplaceRoute(key(), former=PCX, target="pcx-old")),
        (Status.ACTIVE, OWNER, "10.99.0.0/16", DeleteRoute(key())),
        (Status.ACTIVE, STRANGER, PEER_BLOCK, DeleteRoute(key())),
        (Status.DELETED, OWNER, PEER_BLOCK, DeleteRoute(key())),
        (Status.DELETING, OWNER, PEER_BLOCK, DeleteRoute(key())),
    ],
    ids=["same block", "part", "other block", "stranger's", "deleted", "deleting"],
)
def test_delete_of_a_replacement_gives_routes_back_without_a_record(
    status: Status, owner: Owner, block: str, expected: Change
) -> None:
    """The old connection lives on after the rollback: it gets what leads into its VPC, and nothing else does."""
    old = replace(
        connection(status, connection_id="pcx-old", owner=owner, ends=OLD_ENDS), cidr_blocks={Side.ACCEPTER: (block,)}
    )
    new = connection(tags={**NAME, REPLACES: "pcx-old"})

    assert [expected, DeleteConnection(PCX)] == changes(
        absent(connection_id=PCX), observed(new, old, tables=(table(to(PCX)),))
    )


def test_record_says_more_than_the_tag() -> None:
    """Where this process has recorded what it did, a route that was made, not moved, is not given to the old one."""
    old = replace(connection(connection_id="pcx-old", ends=OLD_ENDS), cidr_blocks={Side.ACCEPTER: (PEER_BLOCK,)})
    new = connection(tags={**NAME, REPLACES: "pcx-old"})
    world = observed(new, old, tables=(table(to(PCX)),), records=(RouteRecord(key(), PCX),))

    assert [DeleteRoute(key()), DeleteConnection(PCX)] == changes(absent(connection_id=PCX), world)


def test_status_that_is_not_known_is_not_taken_for_absent() -> None:
    """Of our pair, one of ours is kept and one of others refused: a second request would be worse than to wait."""
    ours, theirs = connection(Status.UNKNOWN), connection(Status.UNKNOWN, owner=None)

    assert PCX == getattr(plan(desired(), observed(ours)).connection, "connection_id", None)
    assert [AlreadyExists] == [type(refusal) for refusal in plan(desired(), observed(theirs)).refusals]
