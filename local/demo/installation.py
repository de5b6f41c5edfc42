"""The function in the embedded AWS, as people install it: with sam, and the role's stack in the other account."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from local import stacks
from local.demo.interruption import held
from local.embedded import ACCOUNT, REGION, ROOT, EmbeddedAws

SAM = ROOT / ".tools/sam/bin/sam"
SAMS_OWN_STACK = "aws-sam-cli-managed-default"
STACK, ROLE_STACK = "vpc-peering", "vpc-peering-role"
EXTERNAL_ID = "vpc-peering-demo"


class InstallationError(RuntimeError):
    """A program or a stack of the installation failed; the text says how."""


@dataclass(frozen=True)
class Installation:
    """The project in account 111111111111 and us-east-1. `directory` gets what sam builds, outside of the project."""

    aws: EmbeddedAws
    directory: Path

    def build(self) -> None:
        """`sam build`, with packages for this machine's processor, since the function runs here."""
        self._sam("build", "--template-file", str(ROOT / "template.yaml"))

    def deploy(self) -> dict[str, str]:
        """`sam deploy`; return the outputs of the stack."""
        self._sam("deploy", "--config-file", str(ROOT / "samconfig.toml"), "--region", REGION)
        outputs = stacks.outputs(self.aws.client("cloudformation"), STACK)
        # In AWS the function's credentials are its role's; the embedded STS has to be told whom its key stands for.
        self.aws.strict.settings.principals[ACCOUNT] = outputs["FunctionRoleArn"]
        return outputs

    def deploy_role(self, account: str, **parameters: str) -> str:
        """Deploy accepter/role.yaml into an account; return the role's ARN."""
        cloudformation = self.aws.client("cloudformation", account)
        given = {"FunctionAccountId": ACCOUNT, "ExternalId": EXTERNAL_ID, **parameters}
        template = (ROOT / "accepter/role.yaml").read_text()
        if stacks.deploy(cloudformation, ROLE_STACK, template, given) != "CREATE_COMPLETE":
            raise InstallationError("\n".join(stacks.reasons(cloudformation, ROLE_STACK)))
        return stacks.outputs(cloudformation, ROLE_STACK)["RoleArn"]

    def remove_role(self, account: str) -> None:
        """Delete the role's stack."""
        stacks.delete(self.aws.client("cloudformation", account), ROLE_STACK)

    def remove(self) -> None:
        """`sam delete`, and the stack that sam made for its own bucket."""
        self._sam("delete", "--stack-name", STACK, "--region", REGION, "--no-prompts")
        stacks.delete(self.aws.client("cloudformation"), SAMS_OWN_STACK)

    def _sam(self, *words: str) -> None:
        """Run sam in a session of its own: what interrupts it here ends its children too."""
        environment = self.aws.environment()
        paths = (str(SAM.parent), str(Path(sys.executable).parent), environment["PATH"])
        environment |= {"PATH": os.pathsep.join(paths), "BUILD_FOR": "host", "TMPDIR": str(self.directory)}
        with ExitStack() as stack:
            with held():
                process = stack.enter_context(
                    subprocess.Popen(
                        [SAM, *words],
                        cwd=self.directory,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        text=True,
                        start_new_session=True,
                    )
                )
                stack.callback(_end, process)
            output, _ = process.communicate()
        if process.returncode:
            raise InstallationError(f"sam {' '.join(words)}\n{output}")


def _end(process: "subprocess.Popen[str]") -> None:
    """End a process and its children, if it has not ended by itself."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
