"""What images install beside Swath itself, as pip takes it: exact versions with their hashes, from uv.lock.

    python services/images/requirements.py [--check]

core.txt       packages of the image without torch
torch.txt      packages of the image with torch
torchless.txt  torch.txt without torch and what torch alone needs, for an image whose torch comes from elsewhere
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from swath.api import REGISTRY, Registry

HERE = Path(__file__).resolve().parent
HEADER = "# Made by services/images/requirements.py from uv.lock.\n"


def files(registry: Registry = REGISTRY) -> dict[str, tuple[str, ...]]:
    """Return the options of `uv export` for each file: what the image's processes need."""
    core, torch = tuple(_options("core", registry)), tuple(_options("torch", registry))
    return {"core.txt": core, "torch.txt": torch, "torchless.txt": (*torch, "--prune", "torch")}


def _options(image: str, registry: Registry) -> Iterator[str]:
    processes = [each for each in (*registry.services, *registry.processes) if each.image == image]
    for name in dict.fromkeys(each.distribution for each in processes):
        yield from ("--package", name)
    for extra in dict.fromkeys(extra for each in processes for extra in each.extras):
        yield from ("--extra", extra)


def main() -> int:
    """Write the files, or name those that do not match; return the exit status."""
    check = sys.argv[1:] == ["--check"]
    stale = []
    for name, options in files().items():
        wanted = HEADER + _export(options)
        place = HERE / name
        if check and (not place.exists() or _facts(place.read_text()) != _facts(wanted)):
            stale.append(name)
        elif not check:
            place.write_text(wanted)
    if stale:
        print(f"{', '.join(stale)} in {HERE.name}/ do not match uv.lock; run: make gen", file=sys.stderr)
    return bool(stale)


def _facts(text: str) -> list[str]:
    """Return the lines without their markers, which releases of uv spell in different ways."""
    return [line.partition(" ; ")[0].removesuffix(" \\") for line in text.splitlines()]


def _export(options: tuple[str, ...]) -> str:
    uv = os.environ.get("UV", "uv")
    command = [uv, "export", "--quiet", "--frozen", "--no-emit-workspace", "--no-dev", "--no-header", "--no-annotate"]
    command += options
    return subprocess.run(command, cwd=HERE.parents[1], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
