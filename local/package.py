"""`python -m local.package`: build/vpc-peering-VERSION.zip, the release, from the bundle that `make package` has built.

It holds function.zip, which Lambda gets as it is, the templates, and what is read with them. Times and modes are
constant: the same commit makes the same bytes.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

ROOT: Final = Path(__file__).parents[1]
BUILD: Final = ROOT / "build"
FUNCTION: Final = BUILD / "function.zip"
WITH_IT: Final = ("*.md", "LICENSE", "samconfig.toml", "accepter/*", "docs/*", "examples/*")

Member = tuple[str, bytes]
"""A path in an archive, and what is there."""


def archive(target: Path, members: Iterable[Member]) -> None:
    """Write a zip."""
    with ZipFile(target, "w", ZIP_DEFLATED) as file:
        for name, content in sorted(members):
            info = ZipInfo(name)
            info.compress_type = ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            file.writestr(info, content)


def template() -> bytes:
    """Return the function's template, with the bundle as its code."""
    before, after = (ROOT / "template.yaml").read_text(encoding="utf-8").split("CodeUri: src/\n")
    return f"{before}CodeUri: {FUNCTION.name}\n{after}".encode()


def package() -> Path:
    """Write the release, and return its path."""
    bundle = BUILD / "function"
    files = (path for path in bundle.rglob("*") if path.is_file())
    archive(FUNCTION, ((path.relative_to(bundle).as_posix(), path.read_bytes()) for path in files))

    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    name = f"vpc-peering-{version}"
    beside = [path for pattern in WITH_IT for path in ROOT.glob(pattern)]
    release = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in beside}
    release |= {"template.yaml": template(), FUNCTION.name: FUNCTION.read_bytes()}
    archive(BUILD / f"{name}.zip", ((f"{name}/{path}", content) for path, content in release.items()))
    return BUILD / f"{name}.zip"


if __name__ == "__main__":
    print(package().relative_to(ROOT))
