import re

import botocore.session
import pytest

from handler.model import End
from handler.sessions import CONFIG, SESSION_SECONDS, Access, Sessions, session_name

STACK = "arn:aws:cloudformation:us-east-1:111111111111:stack/{}/5d9c2f30-0000"


@pytest.mark.parametrize(
    ("stack", "logical_id", "expected"),
    [
        ("network", "Peering", "network.Peering"),
        ("n", "P", "n.P"),
        ("s" * 128, "Peering", "s" * 56 + ".Peering"),
        ("network", "P" * 255, "network." + "P" * 40),
        ("s" * 128, "P" * 255, "s" * 23 + "." + "P" * 40),
    ],
)
def test_session_name(stack: str, logical_id: str, expected: str) -> None:
    """CloudTrail shows the session's name: it leads to the stack and the resource, within the 64 that STS takes."""
    name = session_name(STACK.format(stack), logical_id)

    assert expected == name
    assert re.fullmatch(r"[\w+=,.@-]{2,64}", name)


def test_session_name_of_no_arn() -> None:
    """An event written by hand may have any StackId: what STS would refuse is replaced."""
    assert "my-stack-.Peering-1" == session_name("my stack!", "Peering#1")


def test_place_of_an_access() -> None:
    """Messages name the side's properties, its account, Region and role; never its external id."""
    access = Access("Peer", End("vpc-1", "222222222222", "eu-west-1"), "arn:aws:iam::222222222222:role/P", "secret")

    assert "eu-west-1 of account 222222222222" == str(access.place)
    assert ("Peer", access.role_arn) == (access.place.prefix, access.place.role_arn)
    assert "secret" not in repr(access.place)


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "eu-west-1"), ("aws-cn", "cn-northwest-1"), ("aws-us-gov", "us-gov-west-1")]
)
def test_regions_of_a_partition(partition: str, region: str) -> None:
    """Bad Regions are told before any call, from what the bundled botocore knows."""
    sessions = Sessions(botocore.session.get_session())

    assert region in sessions.regions(partition)
    assert not any(region in sessions.regions(other) for other in {"aws", "aws-cn", "aws-us-gov"} - {partition})


def test_regions_of_an_unknown_partition() -> None:
    """A partition that botocore does not know has none."""
    assert () == Sessions(botocore.session.get_session()).regions("aws-moon")


def test_botocore_does_not_repeat() -> None:
    """Its own retries know no deadline, and would multiply ours."""
    assert {"total_max_attempts": 1, "mode": "standard"} == CONFIG.retries  # type: ignore[attr-defined]


def test_session_outlives_the_longest_run() -> None:
    """900 seconds are STS's least and Lambda's most."""
    assert 900 == SESSION_SECONDS
