"""Workflows use nothing that could change behind our back, and may do nothing that is not asked for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))

every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    """Read a workflow."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_there_are_workflows() -> None:
    """The tests below would pass for a folder that was moved."""
    assert ["campaign", "release", "test"] == [path.stem for path in WORKFLOWS]


@every_workflow
def test_actions_are_pinned(path: Path) -> None:
    """A tag can be moved to other code, a commit cannot; the comment tells people its version."""
    used = re.findall(r"\buses:(.*)", path.read_text(encoding="utf-8"))
    assert used
    assert [] == [each for each in used if not re.fullmatch(r" [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)]


@every_workflow
def test_nothing_is_permitted_by_default(path: Path) -> None:
    """Each job asks for what it needs; what is forgotten is denied, not granted."""
    workflow = read(path)
    assert {} == workflow["permissions"]
    assert [] == [name for name, job in workflow["jobs"].items() if not job["permissions"]]


def test_who_may_write_runs_no_code_of_ours() -> None:
    """Code, and whatever it has installed, could use a permission to write for something else."""
    jobs = read(ROOT / ".github/workflows/release.yml")["jobs"]
    writing = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
    assert {"publish"} == writing
    commands = [step.get("run", step.get("uses", "")) for step in jobs["publish"]["steps"]]
    assert [] == [command for command in commands if re.search(r"make|python|checkout", command)]


@every_workflow
def test_targets_exist(path: Path) -> None:
    """Nobody runs a workflow before it is pushed."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", path.read_text(encoding="utf-8"))) <= targets


def test_every_supported_python_is_tested() -> None:
    """What pyproject.toml promises begins with the first that is tested."""
    versions = read(ROOT / ".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert ["3.11", "3.12", "3.13", "3.14"] == versions
    assert f">={versions[0]}" == project["requires-python"]
