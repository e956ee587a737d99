"""Scenes that an instrument is still writing, line by line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from swath.errors import DataInvalid
from swath.scenes.checks import parsing
from swath.scenes.draft import finished
from swath.scenes.options import Options
from swath.scenes.readers.envi import Layout, envi_files, read_envi
from swath.scenes.readers.envi_header import read_header
from swath.scenes.readers.formats import format_of
from swath.scenes.scene import Scene


class GrowingScene:
    """An ENVI image to which lines are appended. How many the header names does not count.

    Args:
        path: The header, or the image; both are there, the image perhaps without a line.
        options: What the caller says of it.
        name: The file, for messages.

    Attributes:
        path: As given.

    Raises:
        FileMissing, DataInvalid: See `swath.scenes`; also for a kind of file that does not grow by lines.
    """

    def __init__(self, path: Path, options: Options | None = None, *, name: str | None = None) -> None:
        self.path = path
        self._options = options or Options()
        self._shown = shown = name or path.name
        if (kind := format_of(path, shown)).name != "ENVI":
            raise DataInvalid(f"{shown}: expected an ENVI image, to which lines can be appended, got {kind.name}")
        header, self._image = envi_files(path)
        with parsing(shown, "ENVI file"):
            fields = read_header(header, shown)
            self._layout = Layout.of(fields)
            named = fields.whole("lines", 0)
        if self._layout.stored[0] != 0:
            raise DataInvalid(f"{shown}: interleave: expected bil or bip, got bsq, which does not grow by lines")
        if not self._layout.line_bytes:
            raise DataInvalid(f"{shown}: expected samples and bands above 0, got none")
        self._named = named

    @property
    def line_bytes(self) -> int:
        """Bytes of a line in the file."""
        return self._layout.line_bytes

    @property
    def named_lines(self) -> int | None:
        """Lines that the header names; None where that is fewer than there are."""
        return self._named if self._named > self.lines() else None

    def lines(self) -> int:
        """Return how many lines are whole in the file by now."""
        with parsing(self._shown, "ENVI file"):
            size = self._image.stat().st_size
        return max(0, size - self._layout.offset) // self._layout.line_bytes

    def scene(self, first: int, end: int) -> Scene:
        """Return some lines as a scene, by the rules of the finished file; they must be there.

        Raises:
            DataInvalid: As `swath.scenes.read_scene`.
        """
        with parsing(self._shown, "ENVI file"):
            draft = read_envi(self.path, self._shown, lines=end)
        if first:
            # Where it lies on the map is said of its first line.
            draft = replace(draft, cube=draft.cube[first:], georeference=None)
        return finished(draft, self._options, stem=self.path.stem, shown=self._shown)
