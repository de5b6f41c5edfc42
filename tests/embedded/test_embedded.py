import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local import stacks
from local.embedded import ROOT, EmbeddedAws

CHILD = """
import signal
import sys
from pathlib import Path
from conftest import Stack
from local.embedded import EmbeddedAws

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
with EmbeddedAws(Path(sys.argv[1])) as aws:
    stack = Stack(aws, "child")
    stack.deploy()
    stack.finished()
    print(stack.logs[0], flush=True)
    sys.stdin.read()
"""


def is_alive(group: int) -> bool:
    """Tell whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_the_parent(tmp_path: Path, signal_number: signal.Signals) -> None:
    """Ctrl-C and even a kill leave neither MiniStack nor a function behind."""
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    command = [sys.executable, "-c", CHILD, tmp_path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(  # noqa: S603 - this interpreter
        command, env={**os.environ, "PYTHONPATH": path}, **pipes
    ) as child:
        assert child.stdout
        group = json.loads(child.stdout.readline())["group"]
        assert is_alive(group)
        child.send_signal(signal_number)
        assert child.wait() != 0
    deadline = time.monotonic() + 5
    while is_alive(group) and time.monotonic() < deadline:
        time.sleep(stacks.POLL_SECONDS)
    assert not is_alive(group)


def test_accounts_and_regions_are_apart(aws: EmbeddedAws) -> None:
    """The key is the account: a stack of one account is not seen by another, nor in another Region."""
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    here, there = aws.client("cloudformation"), aws.client("cloudformation", "222222222222", "eu-west-1")
    assert stacks.deploy(there, "apart", template) == "CREATE_COMPLETE"
    assert not stacks.exists(here, "apart")
    assert not stacks.exists(aws.client("cloudformation", "222222222222"), "apart")
    assert ":222222222222:" in stacks.describe(there, "apart")["StackId"]


def test_role_of_a_stack_can_be_assumed_from_the_other_account(aws: EmbeddedAws) -> None:
    """The strict STS asks MiniStack's IAM: the accepter's stack alone makes its role usable."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "toy-external-id"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "Toy", "AssumeRolePolicyDocument": policy}}
    there = aws.client("cloudformation", "222222222222", "eu-west-1")
    assert stacks.deploy(there, "role", {"Resources": {"Role": role}}) == "CREATE_COMPLETE"
    assumed = aws.client("sts").assume_role(
        RoleArn="arn:aws:iam::222222222222:role/Toy", RoleSessionName="test", ExternalId="toy-external-id"
    )
    assert ":222222222222:assumed-role/Toy/test" in assumed["AssumedRoleUser"]["Arn"]


def test_environment_has_nothing_of_the_hosts_aws(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's real credentials must never reach a child process, nor a child process the real AWS."""
    monkeypatch.setenv("AWS_PROFILE", "production")
    environment = aws.environment("222222222222", "eu-west-1")
    assert "AWS_PROFILE" not in environment
    assert aws.url == environment["AWS_ENDPOINT_URL"]
    assert (environment["AWS_ACCESS_KEY_ID"], environment["AWS_REGION"]) == ("222222222222", "eu-west-1")
