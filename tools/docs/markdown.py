"""Tables and links in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_MADE = "<!-- Made by `make gen` (tools/docs) from the code. Change that, not this page. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells may hold Markdown."""
    lines = [f"| {' | '.join(head)} |".replace("  ", " "), "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(map(_cell, row))} |".replace("|  |", "| |") for row in rows]
    return "\n".join(lines)


def link(heading: str) -> str:
    """Return a link to a heading of the same page."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"[{heading}](#{anchor})"


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return words in a sentence: `a, b and c`."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def page(name: str, **parts: str) -> str:
    """Return a page: its text, which lies in `pages`, with each `{{part}}` in place."""
    text = (Path(__file__).parent / "pages" / name).read_text()
    filled = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], text)
    return f"{_MADE}\n\n{filled}"


def _cell(text: str) -> str:
    """Return text that ends neither a cell nor, outside of code, begins a tag."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)
