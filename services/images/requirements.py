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
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = ("--package", "swath-session", "--package", "swath-config", "--package", "swath-gateway", "--extra", "envoy")
TORCH = ("--package", "swath-standalone", "--package", "swath-training")
FILES = {"core.txt": CORE, "torch.txt": TORCH, "torchless.txt": (*TORCH, "--prune", "torch")}
HEADER = "# Made by services/images/requirements.py from uv.lock.\n"


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    stale = []
    for name, options in FILES.items():
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
