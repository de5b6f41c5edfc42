"""AssumeRole: the role exists, and its trust policy is really evaluated."""

import json
from typing import Any

import boto3
import pytest

from local.strict import StrictAws
from local.world import client, make_role
from tests.strict.lab import US, A, B, C, Lab, Refused

Principal = str | dict[str, str | list[str]]

ROLE = f"arn:aws:iam::{B}:role/peer"


def make(aws: StrictAws, *statements: dict[str, Any], path: str = "/") -> str:
    """Make the role `peer` of account B with that trust policy."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam = client(aws.url, "iam", B, US)
    arn: str = iam.create_role(RoleName="peer", Path=path, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    return arn


def trust(principal: Principal, effect: str = "Allow", **condition: dict[str, Any]) -> dict[str, Any]:
    """Write one statement."""
    return {
        "Effect": effect,
        "Principal": principal,
        "Action": "sts:AssumeRole",
        **({"Condition": condition} if condition else {}),
    }


def assume(aws: StrictAws, role: str = ROLE, account: str = A, **more: str) -> dict[str, Any]:
    """Assume it by the account's own key."""
    answer: dict[str, Any] = client(aws.url, "sts", account, US).assume_role(
        RoleArn=role, RoleSessionName="session", **more
    )
    return answer


def session(aws: StrictAws, answer: dict[str, Any], service: str) -> Any:  # noqa: ANN401 - a boto3 client
    """Make a client with the credentials that AssumeRole gave."""
    given = answer["Credentials"]
    return boto3.client(
        service,
        endpoint_url=aws.url,
        region_name=US,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


ROOT_A = {"AWS": f"arn:aws:iam::{A}:root"}


def test_session_acts_in_the_roles_account(lab: Lab) -> None:
    """Keys that this STS issued work in every service."""
    vpc = lab.vpc(B)
    answer = assume(lab.aws, make_role(lab.aws.url, B, "peer", A))
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{B}:assumed-role/peer/session"
    identity = session(lab.aws, answer, "sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (B, f"arn:aws:sts::{B}:assumed-role/peer/session")
    found = session(lab.aws, answer, "ec2").describe_vpcs(VpcIds=[vpc.id])["Vpcs"]
    assert [each["OwnerId"] for each in found] == [B]


def test_denial_has_the_words_of_aws(aws: StrictAws) -> None:
    """Who, what, on which role: handlers quote it."""
    with Refused("AccessDenied", 403) as refusal:
        assume(aws)
    assert (
        f"User: arn:aws:iam::{A}:root is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
        == refusal.message
    )


@pytest.mark.parametrize("principal", [ROOT_A, {"AWS": A}, {"AWS": [C, A]}, {"AWS": "*"}, "*"])
def test_trusted_principals(aws: StrictAws, principal: Principal) -> None:
    """The account in each of its spellings."""
    assume(aws, make(aws, trust(principal)))


def test_other_accounts_are_not_trusted(aws: StrictAws) -> None:
    """The principal decides."""
    make(aws, trust(ROOT_A))
    with Refused("AccessDenied", 403):
        assume(aws, account=C)


@pytest.mark.parametrize("given", [{}, {"ExternalId": "wrong"}])
def test_external_id_must_match(aws: StrictAws, given: dict[str, str]) -> None:
    """Missing or wrong: refused."""
    make_role(aws.url, B, "peer", A, "right")
    with Refused("AccessDenied", 403):
        assume(aws, **given)
    assume(aws, ExternalId="right")


@pytest.mark.parametrize(
    ("operator", "pattern", "trusted"),
    [
        ("StringEquals", f"arn:aws:iam::{A}:role/handler", True),
        ("StringEquals", f"arn:aws:iam::{A}:role/*", False),
        ("StringLike", f"arn:aws:iam::{A}:role/*", True),
        ("ArnLike", "arn:aws:iam::*:role/hand*", True),
        ("ArnEquals", [f"arn:aws:iam::{C}:role/handler", f"arn:aws:iam::{A}:role/handler"], True),
        ("ArnLike", f"arn:aws:iam::{A}:role/other", False),
    ],
)
def test_principal_arn_is_the_callers_role(
    aws: StrictAws, operator: str, pattern: str | list[str], trusted: bool
) -> None:
    """`aws:PrincipalArn` of a session is the ARN of its role, not of the session."""
    aws.settings.principals[A] = f"arn:aws:iam::{A}:role/handler"
    make(aws, trust(ROOT_A, **{operator: {"aws:PrincipalArn": pattern}}))
    if trusted:
        assume(aws)
    else:
        with Refused("AccessDenied", 403):
            assume(aws)


def test_a_session_is_known_by_its_role(aws: StrictAws) -> None:
    """A chain: the second role trusts the first one alone; the denial names the session."""
    first = make_role(aws.url, A, "first", C)
    second = make(aws, trust({"AWS": first}))
    chained = session(aws, assume(aws, first, account=C), "sts")
    chained.assume_role(RoleArn=second, RoleSessionName="session")
    with Refused("AccessDenied", 403) as refusal:
        chained.assume_role(RoleArn=first, RoleSessionName="session")
    assert f"User: arn:aws:sts::{A}:assumed-role/first/session is not authorized" in refusal.message
    with Refused("ValidationError"):
        chained.assume_role(RoleArn=second, RoleSessionName="session", DurationSeconds=7200)


def test_organization_is_refused_unless_there_is_one(aws: StrictAws) -> None:
    """No account here belongs to one by itself."""
    make(aws, trust("*", StringEquals={"aws:PrincipalOrgID": "o-1"}))
    with Refused("AccessDenied", 403):
        assume(aws)
    aws.settings.organization = "o-1"
    assume(aws)


def test_deny_wins(aws: StrictAws) -> None:
    """Over any Allow."""
    make(aws, trust("*"), trust(ROOT_A, "Deny"))
    with Refused("AccessDenied", 403):
        assume(aws)


def test_path_is_part_of_the_role(aws: StrictAws) -> None:
    """Without it there is no such role."""
    arn = make(aws, trust("*"), path="/peering/")
    assert arn == f"arn:aws:iam::{B}:role/peering/peer"
    assume(aws, arn)
    with Refused("AccessDenied", 403):
        assume(aws)


def test_roles_are_forgotten_at_reset(aws: StrictAws) -> None:
    """Nothing is cached."""
    assume(aws, make(aws, trust("*")))
    aws.reset()
    with Refused("AccessDenied", 403):
        assume(aws)


def test_roles_can_live_elsewhere(aws: StrictAws) -> None:
    """In another server's IAM, asked with the account's key; here the same server plays it, over HTTP."""
    role = make_role(aws.url, B, "peer", A)
    aws.settings.iam_url = aws.url
    assume(aws, role)
    with Refused("AccessDenied", 403):
        assume(aws, f"{role}s")


@pytest.mark.parametrize(
    "given", [{"RoleSessionName": "not valid"}, {"ExternalId": "not valid"}, {"RoleArn": f"arn:aws:iam::{B}:user/me"}]
)
def test_malformed_parameters_are_refused(aws: StrictAws, given: dict[str, str]) -> None:
    """By the patterns of the service model."""
    with Refused("ValidationError"):
        client(aws.url, "sts", A, US).assume_role(**({"RoleArn": ROLE, "RoleSessionName": "session"} | given))


def test_foreign_keys_are_refused(aws: StrictAws) -> None:
    """Neither an account, nor issued here."""
    with Refused("AuthFailure", 401):
        client(aws.url, "ec2", "AKIAIOSFODNN7EXAMPLE", US).describe_vpcs()
    with Refused("InvalidClientTokenId", 403):
        client(aws.url, "sts", "AKIAIOSFODNN7EXAMPLE", US).get_caller_identity()
