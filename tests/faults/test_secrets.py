"""No secret is written anywhere, whatever a resource lives through and however much is logged."""

import json
from collections.abc import Callable, Iterator
from io import StringIO

import pytest

from handler.telemetry import logger
from tests.faults.inprocess import in_process
from tests.faults.invariants import checked, credentials
from tests.faults.paths import asked, cleaned, created, deleted, found, maintained, meddled, reverted, updated
from tests.faults.runs import FOUR, captured
from tests.faults.scene import MORE_TAGS, Scene
from tests.harness import EXTERNAL_ID


def planned(scene: Scene) -> None:
    """Ask what a Create would do, as an operator who gives the external id."""
    asked(Action="Plan", ResourceProperties=scene.properties(peer=1))(scene)


MAINTAINED = (asked(Action="Sweep"), meddled, maintained, planned)
LIFE = (
    created,
    *MAINTAINED,
    updated(Tags=MORE_TAGS),
    reverted(Tags=MORE_TAGS),
    updated(peer=1),
    cleaned,
    deleted,
    found,
    deleted,
)


@pytest.fixture
def lived() -> Iterator[tuple[Scene, StringIO]]:
    """Play a life in which everything happens once, with every line that the function can write."""
    with in_process() as here, captured() as log:
        logger.setLevel("DEBUG")
        scene = Scene(here, FOUR[-1], here.start)
        for play in LIFE:
            play(scene)
        yield scene, log
        logger.setLevel("INFO")


def test_a_life_writes_no_secret(lived: tuple[Scene, StringIO]) -> None:
    """Neither logs nor metrics, responses or the registry have a signature, a credential or an external id."""
    scene, log = lived

    assert [] == [*checked(scene, log.getvalue())]


def test_all_was_searched(lived: tuple[Scene, StringIO]) -> None:
    """There were secrets to tell, and something was written to every place that is searched."""
    scene, log = lived
    lines = [json.loads(line) for line in log.getvalue().splitlines()]

    assert {"DEBUG", "INFO"} <= {line.get("level") for line in lines}
    assert any("_aws" in line for line in lines)
    assert scene.here.items()
    assert all(scene.here.sent())
    (engine,) = scene.engines
    assert any("Changes" in answer for answer in engine.answers if answer)
    assert len([*credentials()]) > len(LIFE)
    sent = {call.params.get("ExternalId") for call in scene.here.aws.calls if call.operation == "AssumeRole"}
    assert {EXTERNAL_ID} == sent


@pytest.mark.parametrize(
    "told",
    [lambda: EXTERNAL_ID, lambda: "https://bucket/x?X-Amz-Signature=1", lambda: next(iter(credentials()))],
    ids=["external id", "signature", "credential"],
)
def test_a_secret_would_be_found(lived: tuple[Scene, StringIO], told: Callable[[], str]) -> None:
    """A search that finds nothing proves nothing unless it can."""
    scene, log = lived

    assert ["no secret is told"] == [each.invariant for each in checked(scene, log.getvalue() + told())]
