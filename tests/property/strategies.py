"""Arbitrary worlds: two VPCs, their tables and connections in every state, and what a resource may ask of them."""

from dataclasses import replace
from typing import Final

from hypothesis import strategies as st

from handler.model import (
    ADOPTED,
    Connection,
    Desired,
    DesiredSide,
    End,
    Observed,
    ObservedSide,
    OnConflict,
    Option,
    Owner,
    PrefixList,
    Route,
    RouteKey,
    RouteRecord,
    RouteRule,
    RouteTable,
    Side,
    Status,
    Subnet,
    Vpc,
    adopted_tag,
)

OWNER: Final = Owner("stack/network", "Peering", "installation")
STRANGER: Final = Owner("stack/other", "Peering", "installation")
OURS, FORMER, DEAD, FOREIGN = "pcx-ours", "pcx-former", "pcx-dead", "pcx-foreign"
REQUESTER: Final = End("vpc-hub", "111111111111", "us-east-1")
ACCEPTERS: Final = (
    End("vpc-spoke", "111111111111", "us-east-1"),
    End("vpc-spoke", "111111111111", "eu-west-1"),
    End("vpc-spoke", "222222222222", "us-east-1"),
)
OLD: Final = (End("vpc-old", "111111111111", "us-east-1"), ACCEPTERS[0])

BLOCKS: Final = {
    Side.REQUESTER: ("10.0.0.0/16", "10.1.0.0/16", "2001:db8::/56"),
    Side.ACCEPTER: ("10.8.0.0/16", "10.9.0.0/16", "2001:db8:8::/56"),
}
ELSEWHERE: Final = ("192.168.0.0/16", "172.16.0.0/12")
PREFIX_LIST: Final = "pl-1"
SUBNETS: Final = {
    Side.REQUESTER: (Subnet("subnet-h1", ("10.0.1.0/24",), {"Tier": "1"}), Subnet("subnet-h2", ("10.0.2.0/24",))),
    Side.ACCEPTER: (Subnet("subnet-s1", ("10.8.1.0/24",), {"Tier": "1"}), Subnet("subnet-s2", ("10.8.2.0/24",))),
}
TABLES: Final = {
    Side.REQUESTER: ("rtb-h1", "rtb-h2", "rtb-h3"),
    Side.ACCEPTER: ("rtb-s1", "rtb-s2", "rtb-s3"),
}
TARGETS: Final = ("igw-1", "tgw-1", OURS, FORMER, DEAD, FOREIGN)

tags = st.dictionaries(st.sampled_from(["Name", "Team", "Own"]), st.sampled_from(["", "1", "2"]), max_size=3)
maybe = st.sampled_from([None, True, False])
options = st.fixed_dictionaries({side: st.frozensets(st.sampled_from(Option)) for side in Side})


def some(items: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """Draw some of a few items, in their order."""
    chosen = st.lists(st.sampled_from(items), unique=True, max_size=len(items))
    return chosen.map(lambda few: tuple(item for item in items if item in few))


def rules(side: Side) -> st.SearchStrategy[RouteRule | None]:
    """Draw a rule of one side, of tables that may exist and destinations outside its VPC.

    What is excluded exists, and something is left: the rest is refused, see tests/unit/test_rules.py.
    """
    destinations = (*BLOCKS[side.other], *ELSEWHERE)
    drawn = st.builds(
        RouteRule,
        route_table_ids=some(TABLES[side][:1]),
        subnet_ids=some(tuple(subnet.subnet_id for subnet in SUBNETS[side])),
        subnet_tags=st.sampled_from([(), (("Tier", None),)]),
        all_route_tables=st.booleans(),
        main_route_table=st.booleans(),
        exclude_route_table_ids=some(TABLES[side][1:2]),
        destination_cidr_blocks=st.none() | some(destinations),
        destination_subnet_ids=some(tuple(subnet.subnet_id for subnet in SUBNETS[side.other])),
        destination_prefix_list_ids=some((PREFIX_LIST,)),
        exclude_cidr_blocks=some(destinations[:3]),
        on_conflict=st.sampled_from(OnConflict),
    )
    left = drawn.map(
        lambda rule: replace(rule, main_route_table=rule.main_route_table or bool(rule.exclude_route_table_ids))
    )
    return st.none() | left


@st.composite
def desires(draw: st.DrawFn, *, present: bool = True) -> Desired:
    """Draw what a resource asks for, and what it may have asked for before."""
    ends = REQUESTER, draw(st.sampled_from(ACCEPTERS))
    auto_accept, adopt = draw(st.booleans()), draw(st.booleans())
    managed = auto_accept or draw(st.booleans())
    # The blocks of a side that is closed to us show only after the wait: then one plan is not enough.
    wait = managed and draw(st.booleans())

    def wish(pair: tuple[End, End]) -> Desired:
        requester, accepter = (
            DesiredSide(
                end,
                managed or side is Side.REQUESTER,
                tags=draw(tags),
                options={option: on for option in Option if (on := draw(maybe)) is not None},
                routes=can_be_read(draw(rules(side)), managed=managed),
            )
            for side, end in zip(Side, pair, strict=True)
        )
        return Desired(
            OWNER, requester, accepter, auto_accept=auto_accept, wait_for_acceptance=wait, adopt=adopt, present=present
        )

    previous = draw(st.sampled_from([None, ends, OLD]))
    return replace(
        wish(ends),
        previous=wish(previous) if previous else None,
        connection_id=draw(st.sampled_from([None, OURS, FORMER])),
    )


def can_be_read(rule: RouteRule | None, *, managed: bool) -> RouteRule | None:
    """Leave out what the properties refuse: subnets of a side that cannot be read."""
    return rule if managed or rule is None else replace(rule, destination_subnet_ids=())


@st.composite
def one_sided(draw: st.DrawFn, *, present: bool = True) -> Desired:
    """Draw what manages the accepter's side of a connection that somebody else has requested."""
    wanted = draw(desires(present=present))
    rule = can_be_read(wanted.accepter.routes, managed=False)
    return replace(
        wanted,
        requester=DesiredSide(wanted.requester.end, managed=False),
        accepter=replace(wanted.accepter, managed=True, routes=rule),
        adopt=False,
        previous=None,
        connection_id=draw(st.sampled_from([None, FOREIGN])),
        foreign_id=FOREIGN,
    )


@st.composite
def tables(draw: st.DrawFn, side: Side, blocks: tuple[str, ...]) -> tuple[RouteTable, ...]:
    """Draw the tables of a side: the local routes, static ones to any target, and propagated ones beside them."""
    found = []
    for number, table_id in enumerate(TABLES[side]):
        if number > 1 and draw(st.booleans()):
            continue
        routes = [Route(block, "local", "CreateRouteTable") for block in blocks]
        for destination in draw(some((*BLOCKS[side.other], *ELSEWHERE))):
            target = draw(st.sampled_from(TARGETS))
            routes.append(Route(destination, target, blackhole=target == DEAD))
        propagated = draw(some(BLOCKS[side.other]))
        routes.extend(Route(destination, "vgw-1", "EnableVgwRoutePropagation") for destination in propagated)
        if draw(st.booleans()):
            routes.append(Route(PREFIX_LIST, draw(st.sampled_from(TARGETS))))
        gateway = number == 2 and draw(st.booleans())
        associated = SUBNETS[side][number - 1 : number] if number else ()
        subnet_ids = frozenset(subnet.subnet_id for subnet in associated)
        found.append(RouteTable(table_id, not number, tuple(routes), gateway, subnet_ids))
    return tuple(found)


@st.composite
def connections(draw: st.DrawFn, desired: Desired, *, foreign: bool) -> tuple[Connection, ...]:
    """Draw the connections of the pair as the requester sees them: ours or none, and perhaps other people's."""
    statuses = st.sampled_from(Status)
    found = []
    if draw(st.booleans()):
        ours = Connection(OURS, draw(statuses), *desired.ends, options=draw(options))
        shown = {**draw(tags), **OWNER.tags}
        if draw(st.booleans()):
            # Multipath resilience in a pending request is refused, see tests/unit/test_ownership.py.
            ours = replace(ours, options={side: on - {Option.MULTIPATH} for side, on in ours.options.items()})
            ours = draw(st.sampled_from([ours, ours.turned]))
            shown[ADOPTED] = adopted_tag(replace(ours, options=draw(options)), ())
        found.append(replace(ours, tags=shown))
    if foreign and draw(st.booleans()):
        ends = draw(st.sampled_from([desired.ends, desired.ends[::-1]]))
        owner = draw(st.sampled_from([{}, STRANGER.tags, OWNER.tags]))
        theirs = Connection(FOREIGN, draw(statuses), *ends, tags={**draw(tags), **owner}, options=draw(options))
        found.append(theirs.facing(desired.ends))
    if desired.connection_id == FORMER:
        found.append(Connection(FORMER, draw(statuses), *OLD, tags=OWNER.tags))
    return tuple(found)


@st.composite
def observations(draw: st.DrawFn, desired: Desired, *, foreign: bool = False) -> Observed:
    """Draw the world that a desired state meets; `foreign` allows what makes a plan refuse."""
    views: dict[Side, ObservedSide | None] = {}
    seen = draw(connections(desired, foreign=foreign))
    blocks = {side: (BLOCKS[side][0], *draw(some(BLOCKS[side][1:]))) for side in Side}
    if foreign and draw(st.booleans()):
        blocks[Side.ACCEPTER] = BLOCKS[Side.REQUESTER]
    for side in Side:
        end = desired.side(side).end
        own = Vpc(end.vpc_id, end.account, blocks[side], draw(st.sampled_from([{}, {"Name": side.value}])))
        shown = [replace(c, cidr_blocks=blocks if c.status is Status.ACTIVE else {}) for c in seen]
        if side is Side.ACCEPTER and not desired.shared_tags:
            shown = [replace(c, tags=draw(tags)) for c in shown]
        hidden = foreign and draw(st.integers(0, 9)) == 0
        lists = (PrefixList(PREFIX_LIST, ipv6=False, max_entries=5),)
        views[side] = ObservedSide(
            None if hidden else own, draw(tables(side, blocks[side])), tuple(shown), SUBNETS[side], lists
        )
    records = draw(st.lists(_records(), max_size=3, unique_by=lambda r: (r.connection_id, r.key)))
    accepter = views[Side.ACCEPTER] if desired.accepter.managed else None
    return Observed(views[Side.REQUESTER] or ObservedSide(), accepter, tuple(records), frozenset({DEAD}))


def _records() -> st.SearchStrategy[RouteRecord]:
    keys = [RouteKey(s, t, d) for s in Side for t in TABLES[s] for d in (*BLOCKS[s.other], *ELSEWHERE)]
    formers = st.sampled_from([None, "igw-1", DEAD, FORMER])
    ids = st.sampled_from([OURS, FORMER, FOREIGN])
    return st.builds(RouteRecord, st.sampled_from(keys), ids, formers) | st.builds(
        RouteRecord, st.sampled_from(keys), ids, found=st.just(True)
    )
