"""Environments of clients: what their requirements pin, installed once below `.peers`."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
_PLACE = ROOT / ".peers"
_HERE = Path(__file__).parent


def install(name: str) -> Path:
    """Install a client, unless it is there, and return its Python.

    Raises:
        RuntimeError: It cannot be installed; the message ends as the installer's output did.
    """
    place, requirements = _PLACE / f"client-{name}", _HERE / name / "requirements.txt"
    python, mark = place / "bin" / "python", place / ".synced"
    _PLACE.mkdir(exist_ok=True)
    with (_PLACE / f"client-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.is_file() and mark.stat().st_mtime >= requirements.stat().st_mtime:
            return python
        uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
        for arguments in (
            ["venv", "--quiet", "--clear", "--python", sys.executable, str(place)],
            ["pip", "sync", "--quiet", "--no-config", "--require-hashes", "--python", str(python), str(requirements)],
        ):
            done = subprocess.run([uv, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"uv {arguments[0]} failed:\n{done.stderr.strip()[-1500:]}")
        mark.touch()
    return python


def run(name: str, task: str, target: str, folder: Path, **arrays: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a task of a client in a process of its own.

    Args:
        name: The client, whose tasks are functions of `NAME/tasks.py`.
        task: Name of the function: it takes the target and the arrays by name, and returns facts and arrays.
        target: The server.
        folder: For what goes to and fro.
        arrays: What it is given.

    Returns:
        The facts, and the arrays by name.
    """
    np.savez(folder / "given.npz", **arrays)
    command = [str(install(name)), str(_HERE / "main.py"), name, task, target, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    with np.load(folder / "found.npz") as found:
        return json.loads((folder / "found.json").read_text()), {key: found[key] for key in found.files}
