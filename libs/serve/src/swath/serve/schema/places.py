"""Where in a config file something is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml
from yaml.cyaml import CSafeLoader

Path = tuple[str | int, ...]
"""Keys and positions that lead to a value: ("applications", 0, "name")."""


class Places:
    """Lines of the keys and values of a YAML text.

    Args:
        text: YAML that is known to be sound; an empty text has no places.
        file: Its name, for people.
    """

    def __init__(self, text: str = "", file: str = "") -> None:
        self.file = file
        node = yaml.compose(text, Loader=CSafeLoader) if text else None
        self._lines: dict[Path, int] = dict(_lines(node, ())) if node is not None else {}

    def of(self, path: Sequence[str | int]) -> str:
        """Return a place in words: "config.yaml, line 7, applications[0].name".

        Args:
            path: What is there; the line is that of the nearest thing above where it is not in the text itself.
        """
        line = next((found for end in range(len(path), -1, -1) if (found := self._lines.get(tuple(path[:end])))), 0)
        parts = (self.file, f"line {line}" if line else "", dotted(path))
        return ", ".join(part for part in parts if part)


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as people write it: "applications[0].name"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _lines(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    open_nodes: list[tuple[yaml.Node, Path, int]] = [(node, path, node.start_mark.line)]
    while open_nodes:
        each, where, line = open_nodes.pop()
        yield where, line + 1
        if isinstance(each, yaml.MappingNode):
            for key, value in each.value:
                open_nodes.append((value, (*where, str(key.value)), key.start_mark.line))
        elif isinstance(each, yaml.SequenceNode):
            for index, value in enumerate(each.value):
                open_nodes.append((value, (*where, index), value.start_mark.line))
