"""The server itself: the log of calls, faults, administration, the command, and the helpers of `local.world`."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from botocore.parsers import ResponseParserError

from local.strict import Fault, Settings, StrictAws
from local.world import client, routes
from tests.strict.lab import EU, US, A, B, Lab, Refused


def ask(url: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:  # noqa: ANN401 - JSON
    """Send one request to the administration side."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        text = answer.read()
    return json.loads(text) if text else None


def test_every_call_is_logged(lab: Lab) -> None:
    """What budgets are asserted on."""
    with Refused("InvalidVpcID.NotFound"):
        lab.ec2((A, EU)).describe_vpcs(VpcIds=["vpc-00000000"])
    call = lab.aws.calls[-1]
    assert (call.number, call.service, call.operation) == (1, "ec2", "DescribeVpcs")
    assert (call.account, call.region, call.params) == (A, EU, {"VpcIds": ["vpc-00000000"]})
    assert (call.status, call.error) == (400, "InvalidVpcID.NotFound")


def test_error_before_the_effect(lab: Lab) -> None:
    """Nothing has happened; it fires once."""
    ends = lab.ends()
    lab.aws.faults.append(Fault("CreateVpcPeeringConnection", code="Unavailable", status=503))
    with Refused("Unavailable", 503):
        lab.request(*ends)
    assert lab.listed(ends[0]) == []
    assert lab.aws.faults == []
    lab.request(*ends)


def test_reply_lost_after_the_effect(lab: Lab) -> None:
    """The SDK would repeat the call, and find it done."""
    ends = lab.ends()
    lab.aws.faults.append(Fault("CreateVpcPeeringConnection", "lost"))
    with pytest.raises(ConnectionClosedError):
        lab.request(*ends)
    assert lab.aws.calls[-1].status == 0
    assert len(lab.listed(ends[0])) == 1


def test_malformed_reply(lab: Lab) -> None:
    """A proxy in between."""
    lab.aws.faults.append(Fault("DescribeVpcs", "malformed"))
    with pytest.raises(ResponseParserError):
        lab.ec2((A, US)).describe_vpcs()


def test_delayed_reply(lab: Lab) -> None:
    """In real seconds, before the effect."""
    lab.aws.faults.append(Fault("DescribeVpcs", "delay", seconds=0.001))
    lab.ec2((A, US)).describe_vpcs()
    assert lab.aws.faults == []


def test_fault_waits_for_its_call(lab: Lab) -> None:
    """The nth, of that account and Region."""
    lab.aws.faults.append(Fault("DescribeVpcs", account=B, region=EU, nth=2))
    lab.ec2((A, US)).describe_vpcs()
    lab.ec2((B, EU)).describe_vpcs()
    with Refused("InternalError", 500):
        lab.ec2((B, EU)).describe_vpcs()


def test_unknown_action_is_refused(lab: Lab) -> None:
    """As a client's error, not as the server's."""
    credential = f"{A}/20260101/{US}/ec2/aws4_request"
    request = urllib.request.Request(  # noqa: S310 - loopback
        lab.aws.url,
        b"Action=MakeCoffee&Version=2016-11-15",
        {"Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=, Signature="},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)  # noqa: S310
    assert b"InvalidAction" in caught.value.read()
    caught.value.close()


def test_administration_over_http(lab: Lab) -> None:
    """For other processes: the log since a number, settings, reset."""
    ec2 = lab.ec2((A, US))
    ec2.describe_vpcs()
    ec2.describe_subnets()
    calls = ask(f"{lab.aws.url}/strict/calls?since=1", method="GET")
    assert [(call["number"], call["operation"]) for call in calls] == [(2, "DescribeSubnets")]
    ask(f"{lab.aws.url}/strict/settings", {"provisioning_reads": 3})
    assert lab.aws.settings.provisioning_reads == 3
    ask(f"{lab.aws.url}/strict/reset")
    assert lab.aws.calls == []
    assert lab.aws.settings.provisioning_reads == 3


def test_unknown_setting_is_refused(aws: StrictAws) -> None:
    """A typing error must not pass for a setting."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(f"{aws.url}/strict/settings", {"no_such": 1})
    assert caught.value.code == 400
    caught.value.close()


def test_one_account_for_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """MOTO_ACCOUNT_ID would silently make every topology the same account."""
    monkeypatch.setenv("MOTO_ACCOUNT_ID", A)
    with pytest.raises(RuntimeError, match="MOTO_ACCOUNT_ID"):
        StrictAws(Settings())


def test_command_serves_until_it_is_told_to_stop() -> None:
    """Prints its URL, answers, ends with exit code 0."""
    command = [sys.executable, "-m", "local.strict", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this project's
    assert process.stdout is not None
    with process, process.stdout:
        url = process.stdout.readline().strip()
        assert client(url, "sts", B, US).get_caller_identity()["Account"] == B
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_world_makes_what_it_says(lab: Lab) -> None:
    """The first table is the main one, further subnets have tables of their own."""
    vpc = lab.vpc(tables=3, subnets=3, secondary=["10.9.0.0/16"], ipv6=True)
    assert vpc.cidr_blocks[:2] == ("10.0.0.0/16", "10.9.0.0/16")
    assert len(vpc.cidr_blocks) == 3
    subnets = {"Name": "association.subnet-id", "Values": [vpc.subnet_ids[2]]}
    tables = lab.ec2(vpc).describe_route_tables(Filters=[subnets])["RouteTables"]
    assert [table["RouteTableId"] for table in tables] == [vpc.route_table_ids[2]]
    assert set(routes(lab.aws.url, vpc)) == set(vpc.route_table_ids)
    assert routes(lab.aws.url, vpc)[vpc.route_table_ids[1]]["10.9.0.0/16"] == ("local", "active")


def test_parallel_calls_do_not_disturb_each_other(lab: Lab) -> None:
    """Both sides are worked on at once; moto itself is not made for threads."""
    requester, accepter = lab.ends()
    connection = lab.peer(requester, accepter)
    cidrs = [f"10.1.{third}.0/24" for third in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda cidr: lab.route(requester, connection, cidr), cidrs))
    assert set(cidrs) == {route["DestinationCidrBlock"] for route in lab.routes(requester)}
    numbers = [call.number for call in lab.aws.calls]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
