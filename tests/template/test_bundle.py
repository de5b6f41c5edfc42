"""What the function bundles is known, and may be given away."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from local import licences
from local.licences import ROOT, bundled
from local.package import archive, template

PERMISSIVE = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}


@pytest.fixture(scope="module")
def sbom() -> dict[str, Any]:
    """Return the bill of materials that `make sbom` has written."""
    return dict(json.loads((ROOT / "build/sbom.cdx.json").read_text(encoding="utf-8")))


def test_the_licences_are_up_to_date() -> None:
    """A package that is bundled and not listed is given away without its licence being known."""
    assert licences.DOCUMENT.read_text(encoding="utf-8") == licences.document(), "make docs"


@pytest.mark.parametrize("package", bundled())
def test_licences_are_permissive(package: str) -> None:
    """Who deploys the function takes on the licence of each package in it."""
    assert set() == {*licences.licences(package)} - PERMISSIVE
    assert [] != licences.licences(package)


@pytest.mark.parametrize(("package", "locked"), bundled().items())
def test_tests_run_with_what_is_bundled(package: str, locked: str) -> None:
    """A function that was tested with other versions was not tested; nor is the licence of another version its own."""
    assert locked == version(package)


def test_the_bill_of_materials_has_all_that_is_bundled(sbom: dict[str, Any]) -> None:
    """A package that it misses is one whose next vulnerability nobody notices."""
    found = {component["purl"] for component in sbom["components"]}
    assert {f"pkg:pypi/{package}@{locked}" for package, locked in bundled().items()} == found


def test_the_bill_of_materials_says_what_needs_what(sbom: dict[str, Any]) -> None:
    """It tells why a package is there: all of them are reached from the function."""
    needs = {each["ref"]: each.get("dependsOn", []) for each in sbom["dependencies"]}
    reached: set[str] = set()
    ahead = ["root-component"]
    while ahead:
        reached.add(ref := ahead.pop())
        ahead += {*needs[ref]} - reached
    assert {"root-component", *(component["bom-ref"] for component in sbom["components"])} == reached


def test_the_bill_of_materials_is_reproducible(sbom: dict[str, Any]) -> None:
    """Two builds of the same lock must not differ by when, where or by whom they were made."""
    assert "serialNumber" not in sbom
    assert "timestamp" not in sbom["metadata"]
    assert str(ROOT) not in json.dumps(sbom)


def test_the_released_template_has_the_bundle() -> None:
    """Whoever deploys a release builds nothing: its template takes the code that was tested and attested."""
    released = template().decode()
    assert "CodeUri: function.zip" in released
    assert (ROOT / "template.yaml").read_text(encoding="utf-8") == released.replace("function.zip", "src/")


def test_the_release_is_reproducible(tmp_path: Path) -> None:
    """Whoever builds the same commit can compare the bytes with what was attested."""
    members = [("b", b"2"), ("a", b"1")]
    archive(tmp_path / "one.zip", members)
    archive(tmp_path / "other.zip", reversed(members))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()
    (first, *_) = ZipFile(tmp_path / "one.zip").infolist()
    assert ("a", (1980, 1, 1, 0, 0, 0), 0o100644) == (first.filename, first.date_time, first.external_attr >> 16)
