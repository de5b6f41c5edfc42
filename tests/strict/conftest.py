from collections.abc import Iterator

import pytest

from local.strict import Settings, StrictAws
from tests.strict.lab import Clock, Lab


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[StrictAws, Clock]]:
    """One server for all tests: each finds it empty."""
    clock = Clock()
    with StrictAws(Settings(), clock=clock) as aws:
        yield aws, clock


@pytest.fixture
def clock(server: tuple[StrictAws, Clock]) -> Clock:
    """Set the server's clock to zero."""
    server[1].now = 0.0
    return server[1]


@pytest.fixture
def aws(server: tuple[StrictAws, Clock], clock: Clock) -> StrictAws:
    """Empty the server."""
    server[0].reset(Settings())
    assert clock.now == 0.0
    return server[0]


@pytest.fixture
def lab(aws: StrictAws) -> Lab:
    """Empty the server, and give it short names."""
    return Lab(aws)
