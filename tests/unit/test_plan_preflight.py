"""What EC2 would refuse half way is found before the first write; and findings that are told together."""

from typing import Any

import pytest

from handler.errors import AccessDenied, InvalidRequest, NotFound, PeeringError, ServiceLimitExceeded, several
from handler.model import Observed, Option, PrefixList, Quota, Route, RouteRule, Side, Status
from handler.plan import plan
from handler.preflight import AttributesOff, near_limits
from tests.unit.given import ALL, NAME, connection, desired, key, observed, table, to

MANY = tuple(Route(f"192.168.{n}.0/24", "igw-1") for n in range(50))
ROUTES, PEERINGS = Quota.ROUTES_PER_TABLE, Quota.PEERINGS_PER_VPC


def causes(wanted: Any, world: Observed) -> list[tuple[type[PeeringError], str]]:  # noqa: ANN401  # Desired
    """Return the kinds and causes of what forbids a plan."""
    return [(type(refusal), refusal.cause) for refusal in plan(wanted, world).refusals]


# DNS


def test_dns_attributes_that_are_off() -> None:
    """EC2 needs both attributes in both VPCs, and says so only when the connection stands."""
    world = observed().with_side(Side.REQUESTER, dns_off=("enableDnsHostnames",))
    world = world.with_side(Side.ACCEPTER, dns_off=("enableDnsSupport", "enableDnsHostnames"))
    text = "off, which DNS resolution over a peering needs in both VPCs."

    assert [
        (AttributesOff, f"VpcId vpc-hub has enableDnsHostnames {text}"),
        (AttributesOff, f"PeerVpcId vpc-spoke has enableDnsSupport {text}"),
        (AttributesOff, f"PeerVpcId vpc-spoke has enableDnsHostnames {text}"),
    ] == causes(desired(peer_allow_dns=True), world)
    assert {"options"} == {refusal.part for refusal in plan(desired(peer_allow_dns=True), world).refusals}


@pytest.mark.parametrize("allow_dns", [None, False])
def test_dns_attributes_do_not_matter(allow_dns: bool | None) -> None:
    """To turn the option off, or to leave it alone, needs nothing."""
    world = observed(connection(options={Side.REQUESTER: frozenset({Option.DNS})}))

    assert [] == causes(desired(allow_dns=allow_dns), world.with_side(Side.REQUESTER, dns_off=("enableDnsSupport",)))


@pytest.mark.parametrize("status", [None, Status.PENDING_ACCEPTANCE])
def test_dns_attributes_of_a_request_that_is_left_pending(status: Status | None) -> None:
    """The option comes with the acceptance, when routes are made as well: what would fail then is told now."""
    seen = () if status is None else (connection(status),)
    world = observed(*seen).with_side(Side.REQUESTER, dns_off=("enableDnsHostnames",))

    assert 1 == len(causes(desired(allow_dns=True, auto_accept=False), world))
    assert [] == causes(desired(allow_dns=False, auto_accept=False), world)
    assert [] == causes(desired(auto_accept=False), world)


def test_dns_attributes_that_were_switched_off_since() -> None:
    """The option is on, and nothing is to be asked of EC2: maintenance tells of it, and goes on."""
    on = {side: frozenset({Option.DNS}) for side in Side}
    world = observed(connection(options=on)).with_side(Side.REQUESTER, dns_off=("enableDnsHostnames",))

    assert [] == causes(desired(allow_dns=True, peer_allow_dns=True), world)


# Quotas


@pytest.mark.parametrize(
    ("routes", "rule", "asked"),
    [
        (MANY, ALL, True),
        (MANY[:49], ALL, False),
        (MANY[:49], RouteRule(all_route_tables=True, destination_prefix_list_ids=("pl-1",)), True),
        ((*MANY, to("pcx-ours")), ALL, False),
        ((Route("10.0.0.0/16", "local", "CreateRouteTable"), *MANY[:49]), ALL, False),
    ],
    ids=["51 routes", "50 routes", "a list of 10", "nothing to make", "local routes"],
)
def test_quotas_are_asked_only_near_their_least(routes: tuple[Route, ...], rule: RouteRule, asked: bool) -> None:
    """Nobody has a quota below the least default: most resources never ask, and need no permission."""
    seen = connection()
    world = observed(seen, tables=(table(*routes),))
    world = world.with_side(Side.REQUESTER, prefix_lists=(PrefixList("pl-1", ipv6=False, max_entries=10),))
    changes = plan(desired(routes=rule), world).changes

    assert ({Side.REQUESTER: [ROUTES]} if asked else {}) == near_limits(world, changes)


@pytest.mark.parametrize(("peerings", "asked"), [(49, {}), (50, {Side.ACCEPTER: [PEERINGS]}), (None, {})])
def test_peerings_are_asked_for_where_one_more_is_made(peerings: int | None, asked: dict[Side, list[Quota]]) -> None:
    """A connection that is there already counts itself."""
    world = observed().with_side(Side.ACCEPTER, peerings=peerings)
    made = observed(connection()).with_side(Side.ACCEPTER, peerings=peerings)

    assert asked == near_limits(world, plan(desired(), world).changes)
    assert {} == near_limits(made, plan(desired(), made).changes)


def test_too_many_routes() -> None:
    """The table, how many it would hold, and the quota; families count by themselves, a list with its maximum."""
    lists = (PrefixList("pl-4", ipv6=False, max_entries=10), PrefixList("pl-6", ipv6=True, max_entries=40))
    rule = RouteRule(all_route_tables=True, destination_prefix_list_ids=("pl-4", "pl-6"))
    world = observed(connection(), tables=(table(*MANY),)).with_side(
        Side.REQUESTER, prefix_lists=lists, quotas={ROUTES: 55}
    )

    assert [(ServiceLimitExceeded, "rtb-hub would have 60 IPv4 routes, and its quota is 55.")] == causes(
        desired(routes=rule), world
    )
    (refusal,) = plan(desired(routes=rule), world).refusals
    assert ("requester", "rtb-hub") == (refusal.side, refusal.part)
    assert [] == causes(desired(routes=rule), world.with_side(Side.REQUESTER, quotas={ROUTES: 60}))


def test_too_many_peerings() -> None:
    """The VPC, how many it has, and the quota."""
    world = observed().with_side(Side.REQUESTER, peerings=60, quotas={PEERINGS: 60})

    assert [(ServiceLimitExceeded, "vpc-hub has 60 active peerings, and its quota is 60.")] == causes(desired(), world)
    assert [] == causes(desired(), world.with_side(Side.REQUESTER, quotas={PEERINGS: 61}))


def test_all_findings_are_told() -> None:
    """Whoever mends one thing must not meet the next one in the next deployment."""
    world = observed(tables=(table(to("igw-1")),), peer_blocks=("10.0.128.0/17",))
    world = world.with_side(Side.ACCEPTER, dns_off=("enableDnsSupport",))
    rule = RouteRule(("rtb-x",), all_route_tables=True, destination_cidr_blocks=("10.8.0.0/16",))

    assert [
        "CIDR block 10.0.0.0/16 of vpc-hub overlaps 10.0.128.0/17 of vpc-spoke.",
        "Routes.RouteTableIds: rtb-x is not a table of vpc-hub (us-east-1, 111111111111).",
        "rtb-hub routes 10.8.0.0/16 to igw-1 already.",
        "PeerVpcId vpc-spoke has enableDnsSupport off, which DNS resolution over a peering needs in both VPCs.",
    ] == [cause for _, cause in causes(desired(routes=rule, allow_dns=True), world)]


def test_a_table_of_another_vpc_hides_nothing() -> None:
    """Routes that can be planned are planned all the same."""
    world = observed(connection(), tables=(table(),), peer_connections=(connection(owner=None, tags=NAME),))

    assert key() in plan(desired(routes=RouteRule(("rtb-x", "rtb-hub"))), world).routes


# Several findings in one message


def test_one_finding_is_told_as_it_is() -> None:
    """Its kind and its words are its own."""
    only = NotFound("rtb-1 is not there.", "Give another.")

    assert only is several([only])


def test_a_shared_remedy_is_given_once() -> None:
    """Three routes in the way have one way out."""
    findings = [AccessDenied(f"{name} is wrong.", "Correct it.") for name in ("one", "two", "three")]

    told = "3 findings: (1) one is wrong. Correct it. (2) two is wrong. (3) three is wrong."
    assert f"AccessDenied: {told} Nothing was changed." == several(findings).reason


@pytest.mark.parametrize("count", [2, 10, 40, 1000])
@pytest.mark.parametrize("length", [10, 90, 400])
def test_what_does_not_fit_is_counted(count: int, length: int) -> None:
    """CloudFormation shows no more: the log has the rest, and the number says that there is one."""
    findings = [InvalidRequest(f"{n} {'x' * length}.", f"Correct {n}.") for n in range(count)]
    reason = several(findings).reason

    shown = reason.count(") ")
    left = f" And {count - shown} more in the function's log. " if shown < count else " "
    assert len(reason) <= 1000
    assert reason.endswith(f"{left}Nothing was changed.")
    assert f"InvalidRequest: {count} findings: (1) 0 " == reason[: len(f"InvalidRequest: {count} findings: (1) 0 ")]
