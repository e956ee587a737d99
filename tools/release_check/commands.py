"""Running other programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.release_check.progress import CheckError

ROOT = Path(__file__).resolve().parents[2]
_OWN = ("SWATH_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT")


def run(command: Sequence[str | Path], *, cwd: Path, seconds: float = 300, fails: bool = False) -> str:
    """Run a program in an environment that knows nothing of this repository.

    Args:
        command: Program and arguments.
        cwd: Where it runs.
        seconds: How long it may take.
        fails: Whether it is expected to exit with 1.

    Returns:
        What it wrote to standard output, and to standard error where it is expected to fail.

    Raises:
        CheckError: It exits with another code than expected, or takes longer.
    """
    text = " ".join(map(str, command))
    try:
        done = subprocess.run(
            [str(part) for part in command], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise CheckError(f"{text}: not done after {seconds:.0f} s") from None
    if done.returncode != int(fails):
        output = (done.stdout + done.stderr)[-6000:]
        raise CheckError(f"{text}: exit code {done.returncode}, expected {int(fails)}\n{output}")
    return done.stderr if fails else done.stdout


def environment() -> dict[str, str]:
    """Return this process's variables without those that would lead a program back to this repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    # What is in uv's cache costs neither time nor space.
    kept.setdefault("UV_LINK_MODE", "hardlink")
    return kept


def uv() -> str:
    """Return the program uv: the one that runs this, one on the PATH, or the one that `make` installs.

    Raises:
        CheckError: There is none.
    """
    found = os.environ.get("UV") or shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".tools" / "bin"))
    if not found:
        raise CheckError("uv is missing; `make sync` installs it")
    return str(ROOT / found) if os.sep in found else found
