"""What pip is to install in the training image, and what it must leave as it is. Run by Dockerfile.gpu in its base.

Standard library only: nothing else is there yet.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

OLDEST = (3, 11)


def wanted(project: Mapping[str, Any], extras: Sequence[str]) -> list[str]:
    """The project's requirements and those of the extras. Raises ValueError for an extra that there is not."""
    optional = project.get("optional-dependencies", {})
    unknown = [extra for extra in extras if extra not in optional]
    if unknown:
        raise ValueError(f"no extra {', '.join(unknown)}; there are {', '.join(optional)}")
    return [*project["dependencies"], *(line for extra in extras for line in optional[extra])]


def pinned(requirements: Sequence[str], package: str) -> str:
    """The version that a requirement `package==version` asks for. Raises ValueError where none does."""
    for requirement in requirements:
        name, equal, asked = requirement.partition("==")
        if equal and name.strip() == package:
            return asked.strip()
    raise ValueError(f"{package} is not pinned to one version")


def keep(package: str, asked: str, found: str | None) -> list[str]:
    """Constraints under which pip keeps the base's build of a package. Raises ValueError if the base has another one.

    found: the base's version, with its local part ("2.13.0+cu126"); None if it has none, and pip fetches one.
    """
    if found is None:
        return []
    if found.partition("+")[0] != asked:
        raise ValueError(
            f"the base has {package} {found}, the project needs {asked}. pip would fetch gigabytes and might bring a "
            f"build for other drivers.\n  fix: make gpu-image BASE=<an image with {package} {asked}, or with none>"
        )
    return [f"{package}=={found}"]


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pyproject", type=Path)
    parser.add_argument("--extras", default="", help="names separated by commas")
    parser.add_argument("--out", type=Path, required=True, help="folder for requirements.txt and constraints.txt")
    options = parser.parse_args(arguments)
    if sys.version_info < OLDEST:
        print(f"error: the base's Python is {sys.version.split()[0]}, older than 3.11", file=sys.stderr)
        return 2
    import tomllib  # noqa: PLC0415  # an older Python has none

    project = tomllib.loads(options.pyproject.read_text(encoding="utf-8"))["project"]
    try:
        requirements = wanted(project, options.extras.replace(",", " ").split())
        constraints = keep("torch", pinned(requirements, "torch"), installed("torch"))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, lines in (("requirements.txt", requirements), ("constraints.txt", constraints)):
        (options.out / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
