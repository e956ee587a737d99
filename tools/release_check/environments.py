"""Fresh environments, and what is in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.release_check.building import Built
from tools.release_check.commands import ROOT, run, uv


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment outside of this repository.

    Attributes:
        folder: Where it is; programs run in the folder around it.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, program: str, *arguments: str | Path, seconds: float = 300, fails: bool = False) -> str:
        """Run one of its programs; arguments and errors as for `commands.run`."""
        return run([self.folder / "bin" / program, *arguments], cwd=self.folder.parent, seconds=seconds, fails=fails)

    def installed(self) -> dict[str, str]:
        """Return names and versions of what is installed."""
        command = [uv(), "pip", "list", "--quiet", "--format", "json", "--python", self.python]
        return {each["name"]: each["version"] for each in json.loads(run(command, cwd=self.folder.parent))}

    def megabytes(self) -> float:
        """Return what its packages take on disk."""
        files = (file for file in self.folder.rglob("*") if file.is_file() and not file.is_symlink())
        return sum(file.stat().st_size for file in files) / 1e6


def make_environment(folder: Path, wheels: Iterable[Built], extra: str = "") -> Environment:
    """Make an environment with some wheels, and what they require in the versions of uv.lock.

    Args:
        folder: Where it goes; may be there already.
        wheels: All distributions of this repository that are to be in it: none comes from an index.
        extra: An extra of the client to install too.

    Raises:
        CheckError: They cannot be installed.
    """
    around = folder.parent
    environment = Environment(folder)
    if not folder.exists():
        run([uv(), "venv", "--quiet", "--no-project", "--python", sys.executable, folder], cwd=around)
    locked = around / "locked.txt"
    export = [uv(), "export", "--quiet", "--frozen", "--project", ROOT, "--all-packages", "--all-extras", "--no-dev"]
    locked.write_text(run([*export, "--no-emit-workspace", "--no-hashes", "--no-annotate", "--no-header"], cwd=around))
    files = [
        f"{each.of.name}{f'[{extra}]' if extra and each.of.name == 'swath' else ''} @ {each.wheel.as_uri()}"
        for each in wheels
    ]
    install = [uv(), "pip", "install", "--quiet", "--python", environment.python, "--constraint", locked]
    run([*install, *files], cwd=around, seconds=600)
    return environment
