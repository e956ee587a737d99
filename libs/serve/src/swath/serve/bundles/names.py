"""What bundles may hold: how much, and under which names."""

from __future__ import annotations

import unicodedata
from typing import Final

from swath.errors import PathDenied

MAX_BYTES: Final = 64 << 20
"""Largest archive."""

MAX_UNPACKED_BYTES: Final = 256 << 20
"""Most that the files of an archive may have together."""

MAX_FILES: Final = 10_000
"""Most files."""

_MAX_NAME_BYTES = 1024
_MAX_PART_BYTES = 255


def checked_name(name: str) -> str:
    """Return the name of a file in a bundle, with its folders, if it is one that stays within the bundle.

    Raises:
        PathDenied: It leads elsewhere, or is no name of a file.
    """
    problem = _problem(name)
    if problem:
        raise PathDenied(f"the bundle holds a file named {name[:200]!r}: {problem}", metadata={"path": name[:200]})
    return name


def _problem(name: str) -> str:
    parts = name.split("/")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "expected a name without control characters"
    if "\\" in name or (len(name) > 1 and name[1] == ":"):
        return "expected folders separated by '/', and no drive"
    if name.startswith("/"):
        return "expected a path that is relative to the bundle"
    if ".." in parts:
        return "expected a path that stays within the bundle"
    if not all(part.strip() and part != "." for part in parts):
        return "expected a name for each folder and for the file"
    if len(name.encode()) > _MAX_NAME_BYTES or any(len(part.encode()) > _MAX_PART_BYTES for part in parts):
        return f"expected at most {_MAX_NAME_BYTES} bytes, and {_MAX_PART_BYTES} per part"
    return ""
