"""The environment of the reference packages: ``.parity`` in the checkout, from `requirements.txt`."""

from __future__ import annotations

import os
import subprocess
import tempfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from tools.parity import exchange

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".parity"
PYTHON = PLACE / "bin" / "python"
PACKAGES = ("cuvis-ai", "cuvis-ai-core", "cuvis-ai-dataloader", "cuvis-ai-schemas", "torch", "numpy")
HOW = "`make .parity/.synced` installs the reference packages (6 GB) into .parity"


class EnvironmentMissing(RuntimeError):
    """The reference packages are not installed; the message says how to install them."""


def python() -> Path:
    """Return the interpreter of the reference packages.

    Raises:
        EnvironmentMissing: There is none.
    """
    if not PYTHON.is_file():
        raise EnvironmentMissing(f"{PYTHON} is not there: {HOW}")
    return PYTHON


def ask(what: str, order: Any) -> Any:
    """Run an order in the interpreter of the reference, and return its answer.

    Raises:
        EnvironmentMissing: The reference packages are not installed.
    """
    with tempfile.TemporaryDirectory(prefix="swath-parity-") as name:
        folder = Path(name)
        exchange.write(folder, "order", order)
        done = subprocess.run(
            [python(), "-m", "tools.parity.reference", what, folder],
            cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the reference failed:\n{done.stderr[-4000:]}")
        return exchange.read(folder, "answer")


def packages() -> Path:
    """Return the folder that the reference packages are installed in."""
    python()
    (folder,) = PLACE.glob("lib/python3*/site-packages")
    return folder


def versions() -> dict[str, str]:
    """Return the versions of the reference packages and of what they compute with."""
    found = {each.metadata["Name"].lower(): each.version for each in distributions(path=[str(packages())])}
    return {name: found[name] for name in PACKAGES}
