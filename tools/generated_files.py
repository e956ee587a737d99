"""Files that are made of something else: written, or named where they are out of date."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def write(files: Mapping[Path, str], *, check: bool) -> int:
    """Write the files whose text differs, or with `check` only name them; return the exit status.

    Args:
        files: Text of each file, by its path in the repository.
        check: Whether to change nothing, and to fail where a file is out of date.
    """
    stale = {path: text for path, text in files.items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if check:
            print(f"{path.relative_to(_ROOT)} is out of date: make gen", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if check and stale else 0
