"""ModifyVpcPeeringConnectionOptions."""

from typing import Any

import pytest

from local.world import Vpc
from tests.strict.lab import EU, US, A, B, Lab, Refused

DNS = "AllowDnsResolutionFromRemoteVpc"


def modify(lab: Lab, end: Vpc, connection: str, role: str, **options: bool) -> dict[str, Any]:
    """Set the options of one role, as that end."""
    answer: dict[str, Any] = lab.ec2(end).modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=connection, **{f"{role}PeeringConnectionOptions": options}
    )
    return answer


def dns(shown: dict[str, Any]) -> list[bool]:
    """Read the DNS option of requester and accepter."""
    return [shown[f"{role}VpcInfo"]["PeeringOptions"][DNS] for role in ("Requester", "Accepter")]


def test_each_side_sets_its_own(lab: Lab) -> None:
    """From its own account and Region; both see it."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    modify(lab, accepter, connection, "Accepter", **{DNS: True})
    assert dns(lab.describe(requester, connection)) == [False, True]
    modify(lab, requester, connection, "Requester", **{DNS: True})
    assert dns(lab.describe(accepter, connection)) == [True, True]


def test_one_call_for_both_sides_is_valid_only_in_one_place(lab: Lab) -> None:
    """Same account and Region: allowed; any other topology: not."""
    near, far = lab.vpc(cidr="10.2.0.0/16"), lab.vpc(A, EU, "10.1.0.0/16")
    requester = lab.vpc()
    both = {f"{role}PeeringConnectionOptions": {DNS: True} for role in ("Requester", "Accepter")}
    ec2 = lab.ec2(requester)
    ec2.modify_vpc_peering_connection_options(VpcPeeringConnectionId=lab.peer(requester, near), **both)
    with Refused("OperationNotPermitted"):
        ec2.modify_vpc_peering_connection_options(VpcPeeringConnectionId=lab.peer(requester, far), **both)


def test_read_back_lags(lab: Lab) -> None:
    """Modify has answered, Describe still shows the old option, on each side by itself."""
    lab.aws.settings.options_reads = 1
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    answer = modify(lab, requester, connection, "Requester", **{DNS: True})
    assert answer["RequesterPeeringConnectionOptions"][DNS] is True
    assert [dns(lab.describe(requester, connection))[0] for _ in range(2)] == [False, True]
    assert dns(lab.describe(accepter, connection))[0] is False


@pytest.mark.parametrize("off", ["requester", "accepter"])
def test_dns_needs_hostnames_on_both_vpcs(lab: Lab, off: str) -> None:
    """Whichever side lacks them."""
    requester = lab.vpc(dns=off != "requester")
    accepter = lab.vpc(B, EU, "10.1.0.0/16", dns=off != "accepter")
    connection = lab.peer(requester, accepter)
    with Refused("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"):
        modify(lab, requester, connection, "Requester", **{DNS: True})
    modify(lab, requester, connection, "Requester", **{DNS: False})


def test_dns_needs_support_too(lab: Lab) -> None:
    """EnableDnsSupport is the other half."""
    requester, accepter = lab.ends()
    lab.ec2(accepter).modify_vpc_attribute(VpcId=accepter.id, EnableDnsSupport={"Value": False})
    with Refused("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"):
        modify(lab, requester, lab.peer(requester, accepter), "Requester", **{DNS: True})


def test_classic_link_is_refused(lab: Lab) -> None:
    """It is gone: these members must never be sent."""
    requester, accepter = lab.ends()
    with Refused("InvalidParameterValue"):
        modify(
            lab,
            requester,
            lab.peer(requester, accepter),
            "Requester",
            AllowEgressFromLocalVpcToRemoteClassicLink=False,
        )


def test_multipath_is_for_other_regions_only(lab: Lab) -> None:
    """Within a Region it is refused; elsewhere it shows once the connection is active."""
    multipath = {"RequesterPeeringConnectionOptions": {"AllowMultipathResilience": True}}
    requester, accepter, near = *lab.ends(), lab.vpc(B, US, "10.2.0.0/16")
    with Refused("InvalidParameterValue"):
        lab.request(requester, near, **multipath)
    connection = lab.request(requester, accepter, **multipath)
    assert lab.describe(requester, connection)["MultipathResilienceStatus"] == "pending"
    lab.accept(accepter, connection)
    assert lab.describe(accepter, connection)["MultipathResilienceStatus"] == "enabled"
