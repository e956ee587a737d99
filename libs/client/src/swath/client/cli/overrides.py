"""Overrides as people type them, in Hydra's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ASSIGNMENT = re.compile(r"(\+{0,2}[^=~]+)=(.+)", re.DOTALL)
# What Hydra reads as it stands: plain text, escapes, interpolations. A comma stands between values of a sweep.
_READ = re.compile(r"(?:[\w/\-+.$%*@?|:, \t]|\\[\\()\[\]{}:=, \t]|\$\{[^{}]*\})*", re.ASCII)
# Quoted already; a list or mapping; a function.
_FORMED = re.compile(r"""\s*(?:'.*'|".*"|\[.*\]|\{.*\}|[A-Za-z_]\w*\(.*\))\s*""", re.DOTALL)


def quoted(overrides: Iterable[str]) -> list[str]:
    """Return overrides with quotes around values that Hydra cannot read: `a.path=Prüfung #1.npz` needs them."""
    return [_quoted(override) for override in overrides]


def _quoted(override: str) -> str:
    match = _ASSIGNMENT.fullmatch(override)
    if match is None or _READ.fullmatch(match[2]) or _FORMED.fullmatch(match[2]):
        return override
    # A backslash means something before a quote alone.
    value = re.sub(r"(\\*)'", r"\1\1\\'", match[2])
    value = re.sub(r"(\\+)$", r"\1\1", value)
    return f"{match[1]}='{value}'"
