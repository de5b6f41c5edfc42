"""`python -m local.licences`: docs/licences.md, what the function bundles and under which licence.

Names and versions are the lock's, licences those that the packages themselves declare.
"""

import re
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs/licences.md"
LOCK: Final = ROOT / "src/requirements.txt"

SPDX: Final = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: MIT No Attribution License (MIT-0)": "MIT-0",
}
"""Classifiers by their SPDX identifiers. The BSD licence of python-dateutil, the only one, has three clauses."""


def bundled() -> dict[str, str]:
    """Return the version of each bundled package."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def licences(package: str) -> list[str]:
    """Return the licences that an installed package declares, in the newest form that it knows."""
    given = metadata(package)
    classifiers = [each for each in given.get_all("Classifier", []) if each.startswith("License ::")]
    return (
        given.get_all("License-Expression", [])
        or [SPDX[classifier] for classifier in classifiers]
        or given.get_all("License", [])
    )


def document() -> str:
    """Return the whole document."""
    return "\n".join([*_head(), *_table()]) + "\n"


def _head() -> Iterator[str]:
    yield from ("# Licences", "", "<!-- Generated from the lock and the packages' metadata: make docs -->", "")
    yield "What the function bundles beside its own code ([Apache-2.0](../LICENSE)). All of it is permissive."
    yield "The texts and notices are in the bundle, in the `.dist-info` folder of each package."
    yield "`make sbom` writes the same as CycloneDX, with what needs what."


def _table() -> Iterator[str]:
    yield from ("", "| package | version | licence |", "| --- | --- | --- |")
    for package, version in bundled().items():
        yield f"| {package} | {version} | {', '.join(licences(package))} |"


if __name__ == "__main__":
    print(document(), end="")
