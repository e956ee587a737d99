"""universe.csv: the list of frames of ``npz_multi`` and ``cu3s_multi``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from swath.engine.data.collection import Resolve
from swath.engine.data.params import existing_file, posix
from swath.errors import DataInvalid

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True, slots=True)
class Row:
    """One frame as a universe lists it: name, number, file, label file and split (empty where it has none)."""

    source: str
    index: int
    file: Path
    annotation: Path | None
    split: str


def read_universe(csv_path: str, resolve: Resolve, *, own_files: bool) -> list[Row]:
    """Read a universe.csv: columns source, index[, materialized_path, annotation, format, group, split].

    Paths in it are relative to its folder and may not climb out of it; other columns are ignored, and so are format
    and group, which are for the tools that write such files.

    Args:
        csv_path: The file, as the client wrote it.
        resolve: Turns it, and the paths in it, into real ones.
        own_files: Each row needs a file of its own (npz). Otherwise `source` is the file where `materialized_path` is
            empty, an index may be a range ``0-49``, and a split column is taken (cu3s).

    Raises:
        DataInvalid: Naming file, line and column.
        FileMissing: The csv is not there.
    """
    if not csv_path.endswith(".csv"):
        raise DataInvalid(f"universe_csv must end with .csv, got '{csv_path}'")
    path = existing_file(resolve, csv_path, "universe_csv")
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        columns = reader.fieldnames or []
        lines = [(reader.line_num, line) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataInvalid(f"{csv_path} is not a CSV file in UTF-8: {error}") from error
    missing = [column for column in ("source", "index") if column not in columns]
    if missing:
        raise DataInvalid(f"{csv_path}: expected columns source and index, missing {missing}, got {list(columns)}")
    if own_files and "split" in columns:
        raise DataInvalid(
            f"{csv_path}: a 'split' column is not accepted here; say which frames are for which stage in 'splits'"
        )
    rows = [
        row for number, line in lines for row in _rows(f"{csv_path}: line {number}", line, path, resolve, own_files)
    ]
    if not rows:
        raise DataInvalid(f"{csv_path} lists no frames")
    _check_unique(csv_path, rows, own_files)
    return rows


def _rows(where: str, line: Mapping[str, str | None], csv_file: Path, resolve: Resolve, own_files: bool) -> list[Row]:
    def cell(column: str) -> str:
        return (line.get(column) or "").strip()

    source = posix(cell("source"))
    if not source:
        raise DataInvalid(f"{where}: 'source' is empty")
    raw_file = cell("materialized_path")
    if own_files and not raw_file:
        raise DataInvalid(f"{where}: source '{source}' needs a 'materialized_path', the file of this frame")
    index = _RANGE.fullmatch(cell("index"))
    if index is None or (own_files and index[2]):
        expected = "a number >= 0" if own_files else "a number >= 0 or a range 'a-b'"
        raise DataInvalid(f"{where}: 'index' must be {expected}, got '{cell('index')}'")
    split = cell("split")
    if split not in ("", "train", "val", "test", "predict"):
        raise DataInvalid(f"{where}: 'split' must be train, val, test, predict or empty, got '{split}'")
    file = _place(where, raw_file or cell("source"), csv_file, resolve)
    annotation = _place(where, cell("annotation"), csv_file, resolve) if cell("annotation") else None
    numbers = range(int(index[1]), int(index[2] or index[1]) + 1)
    if len(numbers) > 10_000_000:
        raise DataInvalid(f"{where}: the range '{cell('index')}' is longer than 10000000")
    return [Row(source, number, file, annotation, split) for number in numbers]


def _place(where: str, raw: str, csv_file: Path, resolve: Resolve) -> Path:
    path = PurePath(posix(raw))
    if ".." in path.parts:
        raise DataInvalid(f"{where}: a path must not contain '..', got '{raw}'")
    return resolve(str(csv_file.parent / path))


def _check_unique(csv_path: str, rows: list[Row], own_files: bool) -> None:
    frames: set[tuple[str, int]] = set()
    files: set[Path] = set()
    for row in rows:
        if (row.source, row.index) in frames:
            raise DataInvalid(f"{csv_path}: source '{row.source}', index {row.index} is listed twice")
        if own_files and row.file in files:
            raise DataInvalid(f"{csv_path}: '{row.file.name}' is listed twice; each row needs a file of its own")
        frames.add((row.source, row.index))
        files.add(row.file)
