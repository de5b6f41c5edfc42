"""The demo within the embedded AWS, from its start to its end."""

import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from local.demo.installation import Installation, InstallationError
from local.demo.screen import Screen
from local.demo.stage import DoesNotHoldError
from local.demo.story import Story
from local.embedded import EmbeddedAws
from local.strict import Settings

SETTINGS = Settings(latency=0.03, initiating_reads=1, provisioning_reads=2, hidden_reads_accepter=1)
"""As slow as EC2 is from a function in another Region, and as late to show what it was told."""

WELCOME = """\
The life of one VPC peering between two accounts and two Regions, with the real tools.

[bold]111111111111[/] us-east-1  hub              function, stack and requester
[bold]222222222222[/] eu-west-1  spoke, spoke-2   accepter: nothing of ours but a role

AWS is played on this machine, on 127.0.0.1 alone: no account, no Docker, no credentials.
sam, the stacks' events, Lambda's runtime client, botocore and HTTP are real; EC2 is strict,
takes 30 ms a call, and shows late what it was told, as the real one does."""

NEXT = """\
Next: [bold]README.md, "Deploy it to a real account"[/] - the same three things in an account of yours:
  1. sam build && sam deploy --guided
  2. accepter/role.yaml in the other account
  3. examples/cross-account.yaml, the stack to copy"""


def run() -> int:
    """Tell the story; return 0, or 1 when a step does not hold."""
    screen, began = Screen(), time.monotonic()
    screen.welcome(WELCOME)
    with TemporaryDirectory(prefix="vpc-peering-demo-") as directory:
        try:
            _tell(screen, Path(directory))
        except (DoesNotHoldError, InstallationError) as failure:
            screen.failed(str(failure))
            return 1
    screen.done(time.monotonic() - began, NEXT)
    return 0


def _tell(screen: Screen, directory: Path) -> None:
    with EmbeddedAws(directory / "aws", settings=SETTINGS) as aws:
        Story(Installation(aws, directory), screen).tell()
    if any(map(_listens, (aws.url, aws.strict.url))):
        raise DoesNotHoldError("a server of the embedded AWS still listens")


def _listens(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname, address.port)) == 0
