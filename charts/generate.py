"""What of the chart is generated: the table of values in its README, and the table of methods behind its routes.

    python charts/generate.py [--check]

The README's table is made of the comments in values.yaml: lines from `# --` on describe the value below them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from swath.api import ROUTES

CHART = Path(__file__).parent / "swath"
_BEGIN, _END = "<!-- values: begin -->", "<!-- values: end -->"
_FRONT = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)


class Value(NamedTuple):
    """One row."""

    path: str
    default: str
    text: str


def values(text: str) -> Iterator[Value]:
    """Yield each value that a comment describes, in order."""
    document = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    block = -1
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        words = line.strip()
        if words.startswith("# --"):
            comment = [words.removeprefix("# --").strip()]
        elif words.startswith("#") and comment:
            comment.append(words.removeprefix("#").strip())
        elif not words or words.startswith("#"):
            comment = []
        elif block < 0 or indent <= block:
            key = words.partition(":")[0]
            path = [each for each in path if each[0] < indent] + [(indent, key)]
            keys = [each for _, each in path]
            block = -1
            if comment:
                yield Value(".".join(keys), _shown(_found(document, keys)), " ".join(comment))
                # What lies below a value with a description is part of its default.
                block = indent
            comment = []


def _found(document: Any, keys: list[str]) -> Any:
    for key in keys:
        document = document[key]
    return document


def _shown(value: Any) -> str:
    return json.dumps(value, separators=(", ", ": "), ensure_ascii=False)


def table(rows: Iterator[Value]) -> str:
    """Return the rows in Markdown."""
    lines = ["| value | default | |", "|---|---|---|"]
    lines += [f"| `{row.path}` | `{row.default}` | {row.text.replace('|', chr(92) + '|')} |" for row in rows]
    return "\n".join(lines)


def readme(text: str, rows: Iterator[Value]) -> str:
    """Return the README with its table made anew."""
    before, found, rest = text.partition(_BEGIN)
    _, ended, after = rest.partition(_END)
    if not (found and ended):
        raise SystemExit(f"README.md has no {_BEGIN} ... {_END}")
    return f"{before}{_BEGIN}\n{table(rows)}\n{_END}{after}"


def routes() -> str:
    """Return, for each service, the methods that a route matches."""
    found: dict[str, list[dict[str, str]]] = {}
    for path, part in ROUTES.items():
        service, method = path[1:].split("/")
        found.setdefault(part, []).append({"service": service, "method": method})
    # What the gateway hands on as well: session answers for the health of the suite and describes all of it.
    found["session"] += [{"service": name} for name in _FRONT]
    return json.dumps(found, indent=2) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something is out of date")
    check = parser.parse_args().check
    rows = values((CHART / "values.yaml").read_text())
    wanted = {
        CHART / "README.md": readme((CHART / "README.md").read_text(), rows),
        CHART / "files" / "routes.json": routes(),
    }
    stale = [place for place, text in wanted.items() if not place.exists() or place.read_text() != text]
    for place in stale:
        if check:
            print(f"{place.relative_to(CHART.parent)} is out of date: python charts/generate.py", file=sys.stderr)
        else:
            place.write_text(wanted[place])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
