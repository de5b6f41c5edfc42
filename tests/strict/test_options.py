"""ModifyVpcPeeringConnectionOptions."""

from typing import Any

import pytest

from local.world import Vpc
from tests.strict.lab import EU, US, A, B, Lab, Refused

DNS = "AllowDnsResolutionFromRemoteVpc"
MULTIPATH, MODE = "AllowMultipathResilience", "MultipathResilienceMode"


def modify(lab: Lab, end: Vpc, connection: str, role: str, **options: bool | str) -> dict[str, Any]:
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


@pytest.mark.parametrize("option", [DNS, MULTIPATH])
def test_read_back_lags(lab: Lab, option: str) -> None:
    """Modify has answered, Describe still shows the old option, on each side by itself."""

    def shown(end: Vpc) -> bool:
        on: bool = lab.describe(end, connection)["RequesterVpcInfo"]["PeeringOptions"][option]
        return on

    lab.aws.settings.options_reads = 1
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    answer = modify(lab, requester, connection, "Requester", **{option: True})
    assert answer["RequesterPeeringConnectionOptions"][option] is True
    assert [shown(requester) for _ in range(2)] == [False, True]
    assert shown(accepter) is False


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
    multipath = {"RequesterPeeringConnectionOptions": {MULTIPATH: True}}
    requester, accepter, near = *lab.ends(), lab.vpc(B, US, "10.2.0.0/16")
    with Refused("InvalidParameterValue"):
        lab.request(requester, near, **multipath)
    within = lab.peer(requester, near)
    with Refused("InvalidParameterValue"):
        modify(lab, requester, within, "Requester", **{MULTIPATH: True})
    assert MULTIPATH not in lab.describe(requester, within)["RequesterVpcInfo"]["PeeringOptions"]
    connection = lab.request(requester, accepter, **multipath)
    assert lab.describe(requester, connection)["MultipathResilienceStatus"] == "pending"
    lab.accept(accepter, connection)
    assert lab.describe(accepter, connection)["MultipathResilienceStatus"] == "enabled"


def test_accepting_consents_to_multipath(lab: Lab) -> None:
    """EC2: "Accepting the VPC peering connection request also allows multipath resilience for the accepter VPC"."""
    requester, accepter = lab.ends()
    asked = {"RequesterPeeringConnectionOptions": {MULTIPATH: True}}
    connection = lab.request(requester, accepter, **asked)
    lab.accept(accepter, connection)
    shown = lab.describe(accepter, connection)
    for end in ("RequesterVpcInfo", "AccepterVpcInfo"):
        assert shown[end]["PeeringOptions"][MULTIPATH]
        assert shown[end]["PeeringOptions"][MODE] == "always-on"


def test_each_side_consents_to_multipath_for_itself(lab: Lab) -> None:
    """It takes effect once both do; one of them can take it back."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    statuses = [lab.describe(requester, connection)["MultipathResilienceStatus"]]
    for end, role, on in (
        (requester, "Requester", True),
        (accepter, "Accepter", True),
        (requester, "Requester", False),
    ):
        modify(lab, end, connection, role, **{MULTIPATH: on})
        statuses.append(lab.describe(requester, connection)["MultipathResilienceStatus"])
    assert statuses == ["disabled", "pending", "enabled", "pending"]
    shown = lab.describe(accepter, connection)
    options = [shown[f"{role}VpcInfo"]["PeeringOptions"] for role in ("Requester", "Accepter")]
    assert [(each[MULTIPATH], each.get(MODE)) for each in options] == [(False, None), (True, "always-on")]


def test_a_mode_needs_the_option_itself(lab: Lab) -> None:
    """EC2: "You can specify this parameter only if AllowMultipathResilience is true"."""
    requester, accepter = lab.ends()
    alone = {MODE: "always-on"}
    with Refused("InvalidParameterCombination"):
        lab.request(requester, accepter, RequesterPeeringConnectionOptions=alone)
    with Refused("InvalidParameterCombination"):
        modify(lab, requester, lab.peer(requester, accepter), "Requester", **alone)


def test_one_option_leaves_the_other(lab: Lab) -> None:
    """What is not sent does not change."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    modify(lab, requester, connection, "Requester", **{DNS: True})
    modify(lab, requester, connection, "Requester", **{MULTIPATH: True})
    options = lab.describe(requester, connection)["RequesterVpcInfo"]["PeeringOptions"]
    assert (options[DNS], options[MULTIPATH]) == (True, True)
