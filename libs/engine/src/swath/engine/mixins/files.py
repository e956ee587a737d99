"""Files that nodes read and write by paths of their configuration."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.errors import FileMissing
from swath.scenes.checks import parsing

T = TypeVar("T")


class FileInput(Generic[T]):
    """A file that a node reads at its first run, and again when the file has changed.

    Args:
        path: The path, as the configuration has it.
        what: What the file is, for messages.
        parse: Parses the file.
    """

    def __init__(self, path: str, what: str, parse: Callable[[Path], T]) -> None:
        if not path:
            raise ValueError(f"the path of the {what} must not be empty")
        self.path = str(path)
        self._what = what
        self._parse = parse
        self._place: Path | None = None
        self._read: tuple[tuple[int, int], T] | None = None

    def read(self, node: Node, context: Context) -> T:
        """Return the parsed file; the same object as long as the file does not change.

        Raises:
            FileMissing: There is no such file.
            DataInvalid: It is invalid.
            PathDenied: The node may not read it.
        """
        if self._place is None:
            self._place = context.resolve(self.path)
        if not self._place.is_file():
            self._place = None
            raise FileMissing(
                f"Node '{node.name}': the {self._what} '{self.path}' does not exist", metadata={"node": node.name}
            )
        status = self._place.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        if self._read is None or self._read[0] != stamp:
            with parsing(f"Node '{node.name}': {self.path}", self._what):
                self._read = stamp, self._parse(self._place)
        return self._read[1]


def read_json(path: Path) -> Any:
    """Return the document in a JSON file."""
    return json.loads(path.read_bytes())


class JsonOutput:
    """A JSON file that is written repeatedly, each time as a whole.

    Args:
        path: The file; its folders are made.
        document: Returns the content of the file.
        atomic: Whether readers see the former file until the new one is complete.
    """

    def __init__(self, path: Path, document: Callable[[], Any], *, atomic: bool) -> None:
        self._path = path
        self._document = document
        self._atomic = atomic
        self.pending = 0
        """Changes since the file was written."""

    def flush(self) -> None:
        """Write the file if something changed."""
        if not self.pending:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        parts = json.JSONEncoder(indent=2).iterencode(self._document())
        if self._atomic:
            self._replace(parts)
        else:
            with self._path.open("w", encoding="utf-8") as file:
                _write(file, parts)
        self.pending = 0

    def _replace(self, parts: Iterable[str]) -> None:
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.stem}_", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                _write(file, parts)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


def _write(file: Any, parts: Iterable[str]) -> None:
    file.writelines(parts)
    file.write("\n")
