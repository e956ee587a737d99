"""Coverage of each distribution, compared with the figures that the repository keeps.

`make coverage` measures and calls this. A figure that has fallen gets a line of its own, and fails nothing:

    coverage fell: swath-session 91.2 -> 89.0

`make coverage WRITE=1` keeps the new figures, in `tools/coverage.json` and in CONTRIBUTING.md.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.registry.distributions import distributions

ROOT = Path(__file__).resolve().parents[1]
KEPT = Path("tools", "coverage.json")
PAGE = Path("CONTRIBUTING.md")
WHOLE = "all"
"""Name of the figure over all distributions."""
TOLERANCE = 0.5
"""Points that a figure may fall without a word: which of two branches a race takes is chance."""

_QUOTED = re.compile(r"(?<=tests run )[\d.]+ % of the code(?: \(provisional\))?")

Figures = dict[str, float]
"""Per cent of lines and branches that ran, by distribution; `WHOLE` is last."""


def figures(files: Mapping[str, Any], names: Mapping[str, str]) -> Figures:
    """Return the share of lines and branches that ran, in per cent with one decimal.

    Args:
        files: ``files`` of a report of `coverage json`: measurements by path relative to the repository. Those in no
            distribution are left out.
        names: Distributions by folder, such as ``libs/client``.
    """
    ran: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for path, measured in files.items():
        name = names.get("/".join(Path(path).parts[:2]))
        if name is None:
            continue
        summary = measured["summary"]
        for key in (name, WHOLE):
            ran[key] += summary["covered_lines"] + summary.get("covered_branches", 0)
            there[key] += summary["num_statements"] + summary.get("num_branches", 0)
    order = [*sorted(there.keys() - {WHOLE}), *([WHOLE] if WHOLE in there else [])]
    return {name: round(100 * ran[name] / there[name], 1) for name in order if there[name]}


def compared(found: Figures, kept: Figures) -> Iterator[str]:
    """Yield a line for each figure that fell, and for each distribution that is new or gone."""
    for name, before in kept.items():
        if name not in found:
            yield f"coverage gone: {name}, {before:.1f} before"
        elif round(before - found[name], 1) > TOLERANCE:
            yield f"coverage fell: {name} {before:.1f} -> {found[name]:.1f}"
    yield from (f"coverage new: {name} {figure:.1f}" for name, figure in found.items() if name not in kept)


def table(found: Figures, kept: Figures) -> Iterator[str]:
    """Yield a line for each figure, with the difference to the one kept."""
    for name, figure in found.items():
        change = f"{figure - kept[name]:+5.1f}" if name in kept else ""
        yield f"  {name:<18} {figure:5.1f} %  {change}".rstrip()


def keep(found: Figures, root: Path) -> None:
    """Write the figures to where they are kept, and the one of the whole into CONTRIBUTING.md.

    Raises:
        ValueError: CONTRIBUTING.md has no such sentence.
    """
    page = root / PAGE
    text, times = _QUOTED.subn(f"{found[WHOLE]:.1f} % of the code", page.read_text())
    if times != 1:
        raise ValueError(f"{PAGE} must quote one figure: 'tests run N % of the code', found {times}")
    page.write_text(text)
    (root / KEPT).write_text(json.dumps(found, indent=2) + "\n")


def read(root: Path) -> Figures:
    """Return the figures that are kept, nothing where there are none yet."""
    file = root / KEPT
    return json.loads(file.read_text()) if file.is_file() else {}


def main(arguments: Iterable[str] | None = None, root: Path = ROOT) -> None:
    """Print the figures of a report and what has changed; keep them with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="What `coverage json` has written.")
    parser.add_argument("--write", action="store_true", help="Keep the figures.")
    given = parser.parse_args(None if arguments is None else list(arguments))
    names = {each.folder: each.name for each in distributions(root, {}).values()}
    found = figures(json.loads(given.report.read_text())["files"], names)
    kept = read(root)
    print("Lines and branches that the tests run:", *table(found, kept), sep="\n")
    for line in compared(found, kept):
        print(line)
    if given.write:
        keep(found, root)


if __name__ == "__main__":
    main()
