"""What a peering reads beside connections and tables: subnets, prefix lists, DNS attributes, quotas; and watchers."""

from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from local.strict import Call, Fault, StrictAws
from local.world import client, make_prefix_list
from tests.strict.lab import EU, US, A, B, Lab, Refused

ROUTES, PEERINGS = "L-93826ACB", "L-7E9ECCDB"


def found(lab: Lab, place: tuple[str, str], **filters: list[str]) -> list[dict[str, Any]]:
    """Describe prefix lists by filters, `_` for `-`."""
    given = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
    lists: list[dict[str, Any]] = lab.ec2(place).describe_managed_prefix_lists(Filters=given)["PrefixLists"]
    return lists


def ids(lab: Lab, place: tuple[str, str], kind: str, **filters: str) -> set[str]:
    """Describe `Vpc` or `Subnet` by filters, `_` for `-` and `__` for `:`, and return the ids."""
    given = [{"Name": name.replace("__", ":").replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    answer = getattr(lab.ec2(place), f"describe_{kind.lower()}s")(Filters=given)
    return {each[f"{kind}Id"] for each in answer[f"{kind}s"]}


def test_vpcs_are_found_by_filter(lab: Lab) -> None:
    """By id and by tag, in the caller's own account and Region; what is elsewhere is no error."""
    one, two = lab.vpc(), lab.vpc(cidr="10.1.0.0/16")
    lab.ec2(one).create_tags(Resources=[one.id], Tags=[{"Key": "env", "Value": "test"}])
    assert ids(lab, (A, US), "Vpc", vpc_id=one.id) == {one.id}
    assert ids(lab, (A, US), "Vpc", tag__Name="lab") == {one.id, two.id}
    assert ids(lab, (A, US), "Vpc", tag__Name="lab", tag_key="env") == {one.id}
    assert ids(lab, (A, EU), "Vpc", vpc_id=one.id) == ids(lab, (B, US), "Vpc", tag__env="test") == set()


def test_subnets_are_found_by_filter(lab: Lab) -> None:
    """By id, VPC and tag, in the caller's own account and Region; what is elsewhere is no error."""
    vpc, other = lab.vpc(subnets=2), lab.vpc(cidr="10.1.0.0/16", subnets=1)
    lab.ec2(vpc).create_tags(Resources=[vpc.subnet_ids[0], *other.subnet_ids], Tags=[{"Key": "tier", "Value": "web"}])
    assert ids(lab, (A, US), "Subnet", vpc_id=vpc.id) == set(vpc.subnet_ids)
    assert ids(lab, (A, US), "Subnet", subnet_id=vpc.subnet_ids[1]) == {vpc.subnet_ids[1]}
    assert ids(lab, (A, US), "Subnet", tag__tier="web", vpc_id=vpc.id) == {vpc.subnet_ids[0]}
    assert ids(lab, (A, US), "Subnet", tag_key="tier") == {vpc.subnet_ids[0], *other.subnet_ids}
    assert ids(lab, (B, US), "Subnet", subnet_id=vpc.subnet_ids[0]) == set()
    assert ids(lab, (A, EU), "Subnet", tag_key="tier") == set()


@pytest.mark.parametrize("operation", ["describe_vpcs", "describe_subnets", "describe_managed_prefix_lists"])
def test_what_a_peering_reads_comes_in_pages(lab: Lab, operation: str) -> None:
    """A reader that forgets NextToken must miss something here."""
    vpc = lab.vpc(subnets=3)
    lab.vpc(cidr="10.1.0.0/16")
    for name in "ab":
        make_prefix_list(lab.aws.url, A, US, name, "10.1.0.0/24", max_entries=1)
    read = getattr(lab.ec2(vpc), operation)
    whole = {key: value for key, value in read().items() if isinstance(value, list)}
    lab.aws.settings.page_size = 2
    pages = list(lab.ec2(vpc).get_paginator(operation).paginate())
    assert len(pages) > 1
    for member, items in whole.items():
        assert items == [item for page in pages for item in page[member]]
    with Refused("InvalidPaginationToken"):
        read(NextToken="!")


@pytest.mark.parametrize(
    ("operation", "largest"),
    [
        ("describe_vpcs", 1000),
        ("describe_subnets", 1000),
        ("describe_vpc_peering_connections", 1000),
        ("describe_route_tables", 100),
        ("describe_managed_prefix_lists", 100),
    ],
)
def test_pages_have_a_largest_size(lab: Lab, operation: str, largest: int) -> None:
    """Of each operation its own; boto3 checks the least one only."""
    read = getattr(lab.ec2((A, US)), operation)
    read(MaxResults=largest)
    with Refused("InvalidParameterValue"):
        read(MaxResults=largest + 1)


def test_prefix_lists_are_of_one_region_and_account(lab: Lab) -> None:
    """A filter for what is elsewhere finds nothing, and is no error."""
    prefix_list = make_prefix_list(lab.aws.url, A, US, "offices", "10.1.0.0/24", max_entries=7)
    six = make_prefix_list(lab.aws.url, A, US, "six", "2001:db8::/64", max_entries=3)
    both = [prefix_list, six]
    shown = {
        each["PrefixListId"]: (each["AddressFamily"], each["MaxEntries"])
        for each in found(lab, (A, US), prefix_list_id=both)
    }
    assert shown == {prefix_list: ("IPv4", 7), six: ("IPv6", 3)}
    assert found(lab, (A, EU), prefix_list_id=both) == found(lab, (B, US), prefix_list_id=both) == []
    assert len(found(lab, (A, US), prefix_list_name=["offices"], owner_id=[A])) == 1
    with Refused("InvalidParameterValue"):
        found(lab, (A, US), colour=["red"])
    with Refused("InvalidPrefixListID.NotFound"):
        lab.ec2((A, EU)).describe_managed_prefix_lists(PrefixListIds=[six])


def test_prefix_lists_of_aws_have_no_maximum(lab: Lab) -> None:
    """A reader that counts entries must not take it for granted."""
    offices = make_prefix_list(lab.aws.url, A, US, "offices", "10.1.0.0/24", max_entries=7)
    by_owner = {each["OwnerId"]: each for each in found(lab, (A, US))}
    assert by_owner.keys() == {A, "AWS"}
    assert by_owner["AWS"].keys().isdisjoint({"MaxEntries", "State"})
    assert (by_owner[A]["PrefixListId"], by_owner[A]["State"]) == (offices, "create-complete")


def test_dns_attributes_are_told_one_a_call(lab: Lab) -> None:
    """There is no way to get both at once."""
    vpc = lab.vpc(dns=False)
    ec2 = lab.ec2(vpc)
    assert ec2.describe_vpc_attribute(VpcId=vpc.id, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"]
    assert not ec2.describe_vpc_attribute(VpcId=vpc.id, Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"]
    assert [call.operation for call in lab.aws.calls][-2:] == ["DescribeVpcAttribute"] * 2


def quota(lab: Lab, operation: str, code: str) -> float:
    """Ask Service Quotas."""
    quotas = client(lab.aws.url, "service-quotas", A, US)
    value: float = getattr(quotas, operation)(ServiceCode="vpc", QuotaCode=code)["Quota"]["Value"]
    return value


def test_quotas_are_those_that_hold(lab: Lab) -> None:
    """Somebody has raised one: the applied value is what EC2 enforces, the default stays."""
    lab.aws.settings.routes_per_table, lab.aws.settings.active_peerings_per_vpc = 77, 60
    assert (quota(lab, "get_service_quota", ROUTES), quota(lab, "get_service_quota", PEERINGS)) == (77, 60)
    assert quota(lab, "get_aws_default_service_quota", PEERINGS) == 50
    assert [(call.service, call.operation) for call in lab.aws.calls[:1]] == [("servicequotas", "GetServiceQuota")]


def test_quotas_that_nobody_has_raised(lab: Lab) -> None:
    """AWS: "If the applied quota value is not available for a quota, the quota is not retrieved."""
    lab.aws.settings.applied_quotas = False
    with Refused("NoSuchResourceException"):
        quota(lab, "get_service_quota", ROUTES)
    assert quota(lab, "get_aws_default_service_quota", ROUTES) == 500


def test_quotas_may_be_denied(lab: Lab) -> None:
    """Many roles have no permission for Service Quotas."""
    lab.aws.faults.append(Fault("GetServiceQuota", code="AccessDeniedException", status=400))
    with Refused("AccessDeniedException"):
        quota(lab, "get_service_quota", ROUTES)


@pytest.mark.parametrize(
    ("operation", "code"), [("get_service_quota", "L-0"), ("get_aws_default_service_quota", "L-0")]
)
def test_unknown_quotas(lab: Lab, operation: str, code: str) -> None:
    """A code that is misspelled must not look like a quota."""
    with Refused("NoSuchResourceException"):
        quota(lab, operation, code)


def test_quotas_take_every_fault(lab: Lab) -> None:
    """A reply can be lost, late or broken there too."""
    lab.aws.faults.extend([Fault("GetServiceQuota", "lost"), Fault("GetServiceQuota", "delay", seconds=0.001, nth=2)])
    with pytest.raises(ConnectionClosedError):
        quota(lab, "get_service_quota", ROUTES)
    assert quota(lab, "get_service_quota", ROUTES) == 500
    assert [call.status for call in lab.aws.calls] == [0, 200]
    assert lab.aws.faults == []


def test_quotas_are_told_to_accounts_only(aws: StrictAws) -> None:
    """In the words of its own protocol; so is what is not served here."""
    with Refused("UnrecognizedClientException"):
        client(aws.url, "service-quotas", "AKIAIOSFODNN7EXAMPLE", US).get_service_quota(
            ServiceCode="vpc", QuotaCode=ROUTES
        )
    with Refused("NotImplemented", 501):
        client(aws.url, "service-quotas", A, US).list_services()


def test_watchers_see_the_world_after_every_call(lab: Lab) -> None:
    """To prove that no route was ever absent, each moment has to be looked at."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    table = requester.route_table_ids[0]
    seen: list[tuple[str, dict[str, str]]] = []

    def watch(call: Call) -> None:
        seen.append((call.operation, lab.aws.routes_of(table)))

    lab.aws.watchers.append(watch)
    lab.route(requester, connection, "10.1.0.0/16")
    lab.delete(requester, connection)
    lab.unroute(requester, "10.1.0.0/16")
    assert seen == [
        ("CreateRoute", {"10.1.0.0/16": connection}),
        ("DeleteVpcPeeringConnection", {}),
        ("DeleteRoute", {}),
    ]
