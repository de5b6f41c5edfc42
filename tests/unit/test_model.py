"""The words of the model: which way a connection is seen, what a query matches, and what is known of a stranger."""

from dataclasses import replace
from typing import Any

import pytest

from handler.model import (
    ADOPTED,
    Connection,
    Desired,
    End,
    Option,
    Query,
    Quota,
    Side,
    Stood,
    adopted_tag,
    inside,
    matches,
    overlaps,
)
from tests.unit.given import ENDS, OWNER, PCX, STRANGER, connection, desired, observed

DNS = frozenset({Option.DNS})
SEEN = replace(
    connection(options={Side.REQUESTER: DNS, Side.ACCEPTER: frozenset()}),
    cidr_blocks={Side.REQUESTER: ("10.0.0.0/16",), Side.ACCEPTER: ("10.8.0.0/16",)},
)


def test_a_connection_turned() -> None:
    """All that belongs to an end goes with it."""
    turned = SEEN.turned

    assert (ENDS[::-1], True) == (turned.ends, turned.reversed)
    assert turned.allows(Side.ACCEPTER, Option.DNS)
    assert not turned.allows(Side.REQUESTER, Option.DNS)
    assert ("10.8.0.0/16",) == turned.cidr_blocks[Side.REQUESTER]
    assert SEEN == turned.turned


@pytest.mark.parametrize(
    ("ends", "turned"), [(ENDS, False), (ENDS[::-1], True), ((ENDS[0], End("vpc-third", "1", "us-east-1")), False)]
)
def test_a_connection_faces_its_pair(ends: tuple[End, End], turned: bool) -> None:
    """Only a connection of the very pair is turned, and only once."""
    assert (SEEN.turned if turned else SEEN) == SEEN.facing(ends) == SEEN.facing(ends).facing(ends)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ((("Name", "hub"),), True),
        ((("Name", None),), True),
        ((("Name", "hub"), ("Env", "")), True),
        ((("Name", "hub"), ("Env", "prod")), False),
        ((("Name", "Hub"),), False),
        ((("Missing", None),), False),
        ((), False),
    ],
)
def test_matches(query: Query, expected: bool) -> None:
    """All pairs must match, None any value, an empty one only itself; an empty query looks for nothing."""
    assert expected is matches(query, {"Name": "hub", "Env": "", "Other": "1"})


@pytest.mark.parametrize(
    ("seen", "stood", "expected"),
    [
        (connection(), (), "requester"),
        (connection().turned, (), "accepter"),
        (SEEN, (), "requester+AllowDnsResolutionFromRemoteVpc"),
        (SEEN.turned, (), "accepter+PeerAllowDnsResolutionFromRemoteVpc"),
        (SEEN, ("Routes",), "requester+Routes+AllowDnsResolutionFromRemoteVpc"),
        (connection(), ("Routes", "PeerTags"), "requester+Routes+PeerTags"),
    ],
)
def test_adopted_tag(seen: Connection, stood: tuple[str, ...], expected: str) -> None:
    """The role of VpcId's VPC, what stood there already, and which options were on, by the properties' names."""
    assert expected == adopted_tag(seen, stood)


def test_adopted_tag_fits() -> None:
    """EC2 takes 256 characters of a tag's value, whatever was on."""
    everything = replace(SEEN, options=dict.fromkeys(Side, frozenset(Option))).turned

    assert len(adopted_tag(everything, ("Routes", "Tags", "PeerRoutes", "PeerTags"))) <= 256


@pytest.mark.parametrize(
    ("seen", "owned"),
    [
        (connection(), True),
        (connection(owner=STRANGER), False),
        (connection(owner=None), False),
        (connection(ends=ENDS[::-1]), False),
        (connection(ends=ENDS[::-1]).turned, False),
        (connection(ends=ENDS[::-1], tags={ADOPTED: "accepter"}).turned, True),
    ],
    ids=["ours", "theirs", "nobody's", "other direction", "other direction, facing", "adopted"],
)
def test_owns(seen: Connection, owned: bool) -> None:
    """Owner tags and the pair decide; the other direction is ours only by adoption, for we request but ours."""
    assert owned is desired().owns(seen)


@pytest.mark.parametrize(
    ("wanted", "seen", "stood", "kept"),
    [
        (desired(), connection(), {}, False),
        (desired(), connection(), {PCX: {}}, False),
        (desired(), connection(), {PCX: {Side.REQUESTER: Stood()}}, True),
        (desired(), connection(tags={ADOPTED: "requester"}), {}, True),
        (desired(foreign_id=PCX), connection(owner=None), {}, True),
    ],
)
def test_keeps(wanted: Desired, seen: Connection, stood: dict[str, dict[Side, Stood]], kept: bool) -> None:
    """What somebody else has made outlives the resource, also where only the registry still knows."""
    assert kept is wanted.keeps(seen, replace(observed(), stood=stood))


def one_side(end: End = End("", "", ""), **more: Any) -> Desired:  # noqa: ANN401, B008  # of desired; it is frozen
    """Return what manages the accepter's side of a connection."""
    return desired(ends=(end, ENDS[1]), foreign_id=PCX, **more)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (End("", "", ""), ENDS[0]),
        (End("vpc-else", "", ""), replace(ENDS[0], vpc_id="vpc-else")),
        (End("", "999999999999", "us-west-2"), End("vpc-hub", "999999999999", "us-west-2")),
    ],
)
def test_completed(given: End, expected: End) -> None:
    """The connection tells what was not given of its requester; what was given stands, to be checked."""
    assert (expected, ENDS[1]) == one_side(given).completed(connection()).ends
    assert given == one_side(given).completed(None).requester.end
    assert desired() == desired().completed(connection())


def test_completed_is_the_same_pair_as_before() -> None:
    """To add VpcId to what is only checked is no replacement; another connection is."""
    before = one_side()
    same = one_side(ENDS[0], previous=before).completed(connection())
    other = replace(one_side(previous=before), foreign_id="pcx-other").completed(connection(connection_id="pcx-other"))

    assert ENDS == getattr(same.same_pair, "ends", None)
    assert None is other.same_pair


def test_lead() -> None:
    """The side whose account tells whose connection it is: the requester's, unless that is a stranger's."""
    assert (Side.REQUESTER, Side.ACCEPTER) == (desired().lead, one_side().lead)


def test_shared_tags_are_never_a_strangers() -> None:
    """Even where the requester is in our account and Region, its tags are not ours to set."""
    place = End("vpc-hub", ENDS[1].account, ENDS[1].region)

    assert desired(ends=(place, ENDS[1])).shared_tags
    assert not one_side(place).shared_tags


def test_owner_tags_are_of_one_prefix() -> None:
    """Policies allow and protect them by it."""
    assert all(name.startswith("vpc-peering:") for name in (*OWNER.tags, ADOPTED))


@pytest.mark.parametrize(
    ("block", "other", "within", "shared"),
    [
        ("10.0.0.0/16", "10.0.0.0/16", True, True),
        ("10.0.1.0/24", "10.0.0.0/16", True, True),
        ("10.0.0.0/8", "10.0.0.0/16", False, True),
        ("10.1.0.0/16", "10.0.0.0/16", False, False),
        ("2001:db8::/56", "10.0.0.0/16", False, False),
        ("2001:db8::/64", "2001:db8::/56", True, True),
    ],
)
def test_inside_and_overlaps(block: str, other: str, within: bool, shared: bool) -> None:
    """Families never meet."""
    assert (within, shared) == (inside(block, other), overlaps(block, other))
    assert shared is overlaps(other, block)


def test_quotas_are_those_of_vpc() -> None:
    """Codes of Service Quotas cannot be guessed from a name: these are the ones that AWS documents."""
    assert {"ROUTES_PER_TABLE": "L-93826ACB", "PEERINGS_PER_VPC": "L-7E9ECCDB"} == {q.name: q.value for q in Quota}
