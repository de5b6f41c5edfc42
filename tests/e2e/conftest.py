"""The function, built and deployed once with the real sam into one embedded AWS."""

from collections.abc import Iterator

import pytest

from local.demo.installation import Installation
from local.embedded import EmbeddedAws
from tests.e2e.installed import OTHER, Installed


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start the embedded AWS, and build."""
    directory = tmp_path_factory.mktemp("e2e")
    with EmbeddedAws(directory / "aws") as aws:
        installed = Installation(aws, directory)
        installed.build()
        yield installed


@pytest.fixture(scope="session")
def roles(installation: Installation) -> tuple[str, str]:
    """Deploy the function, and the role in the other account; return the role's ARN and that of the function's."""
    function_role_arn = installation.deploy()["FunctionRoleArn"]
    return installation.deploy_role(OTHER), function_role_arn


@pytest.fixture
def lab(installation: Installation, roles: tuple[str, str]) -> Installed:
    """Give each test an EC2 of its own."""
    return Installed.fresh(installation, *roles)
