"""The distributions of this repository, and the copy of their sources that a release is built from."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tools.release_check.commands import ROOT

_REQUIREMENT = re.compile(r'^(    "(?P<name>swath[a-z-]*)(?:\[[a-z0-9,]+\])?)(?=",$)', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One distribution.

    Attributes:
        name: As pip knows it.
        folder: Its sources, from the top of the repository.
    """

    name: str
    folder: Path

    @property
    def stem(self) -> str:
        """Its name in names of files."""
        return self.name.replace("-", "_")


def version() -> str:
    """Return the version of all distributions."""
    return (ROOT / "VERSION").read_text().strip()


def distributions() -> list[Distribution]:
    """Return all distributions, by folder."""
    return [
        Distribution(tomllib.loads(project.read_text())["project"]["name"], project.parent.relative_to(ROOT))
        for project in sorted(ROOT.glob("libs/*/pyproject.toml")) + sorted(ROOT.glob("services/*/pyproject.toml"))
    ]


def repository_files(*below: str | Path) -> list[Path]:
    """Return the files that belong to the repository, from its top: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *map(str, below)]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(Path(name) for name in names if name and (ROOT / name).is_file())


def copy_for_release(to: Path) -> None:
    """Copy what distributions are built from, and nothing else that lies about in a working folder.

    In the copy, each distribution requires the others in exactly this version, and carries the license. In the
    repository neither is written down sixteen times.

    Args:
        to: A folder that is made.
    """
    for file in repository_files("libs", "services", "configs", "VERSION", "LICENSE"):
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, to / file)
    found = distributions()
    names = {each.name for each in found}
    for each in found:
        shutil.copy2(to / "LICENSE", to / each.folder)
        project = to / each.folder / "pyproject.toml"
        project.write_text(pinned(project.read_text(), names, version()))


def pinned(project: str, names: Collection[str], to: str) -> str:
    """Return the text of a pyproject.toml whose requirements of some distributions ask for one version.

    Args:
        project: The text, with one requirement per line.
        names: Those distributions.
        to: That version.
    """

    def pin(requirement: re.Match[str]) -> str:
        return f"{requirement[1]}=={to}" if requirement["name"] in names else requirement[1]

    return _REQUIREMENT.sub(pin, project)
