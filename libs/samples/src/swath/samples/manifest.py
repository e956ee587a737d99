"""Which samples a run has: one row each, written by its worker as Parquet when it starts.

A sample is a frame or a tile of a data module. Its id is the same in every run over the same data.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from swath.errors import DataInvalid

SCHEMA: dict[str, pl.DataType] = {
    "sample_id": pl.String(),
    "origin": pl.String(),
    "source": pl.String(),
    "frame": pl.Int64(),
    "x": pl.Int64(),
    "y": pl.Int64(),
    "width": pl.Int64(),
    "height": pl.Int64(),
    "pixels": pl.Int64(),
    "anomalous": pl.Int64(),
    "classes": pl.String(),
}
"""Columns of every manifest; others are metadata of the data module."""
_ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample.

    Attributes:
        origin: Split that it belongs to: "train", "val" or "test".
        source: Its file as clients name it.
        frame: Number of the frame in the file, from 0.
        x: First column of its rectangle in the frame.
        y: First row.
        width: Columns.
        height: Rows.
        pixels: Pixels that have a label; None where there are no labels.
        anomalous: Of those the ones that are anomalous.
        classes: Class numbers that occur, in order.
        metadata: What else the data module knows of it: numbers, texts and truths.
    """

    origin: str
    source: str
    frame: int
    x: int
    y: int
    width: int
    height: int
    pixels: int | None = None
    anomalous: int | None = None
    classes: tuple[int, ...] = ()
    metadata: Mapping[str, float | int | str | bool] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its id: 16 hexadecimal digits, the same in every run over this file and rectangle."""
        return sample_id(self.source, self.frame, self.x, self.y, self.width, self.height)


def sample_id(source: str, frame: int, x: int, y: int, width: int, height: int) -> str:
    """Return the id of the sample that is this rectangle of this frame."""
    text = f"{source}\0{frame}\0{x}\0{y}\0{width}\0{height}"
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


def write(samples: Iterable[Sample]) -> bytes:
    """Return a manifest as Parquet, in the order of the samples.

    Raises:
        DataInvalid: Two of them have one id: one place belongs to two samples.
    """
    rows = []
    for sample in samples:
        row = {name: getattr(sample, name) for name in SCHEMA if name not in ("sample_id", "classes")}
        rows.append({"sample_id": sample.id, **row, "classes": " ".join(map(str, sample.classes)), **sample.metadata})
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in (names or SCHEMA)}
    frame = pl.DataFrame(columns, schema_overrides=SCHEMA, strict=False)
    if frame.height and frame["sample_id"].is_duplicated().any():
        twice = frame.filter(frame["sample_id"].is_duplicated()).row(0, named=True)
        raise DataInvalid(
            f"samples: {twice['source']}, frame {twice['frame']}, rectangle at ({twice['x']}, {twice['y']}): "
            "expected each place once, it is there twice"
        )
    return to_parquet(frame)


def read(data: bytes) -> pl.DataFrame:
    """Return a manifest's rows.

    Raises:
        DataInvalid: It is no manifest.
    """
    return from_parquet(data, "a manifest of samples", SCHEMA)


def to_parquet(frame: pl.DataFrame) -> bytes:
    """Return a table as Parquet."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def from_parquet(data: bytes, what: str, columns: Collection[str]) -> pl.DataFrame:
    """Return a table that is Parquet and has some columns, among others.

    Raises:
        DataInvalid: It is not, or lacks one. The text says what was to be read.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except pl.exceptions.PolarsError as error:
        raise DataInvalid(f"{what}: expected Parquet, got {len(data)} bytes that are none: {error}") from error
    if missing := [name for name in columns if name not in frame.columns]:
        raise DataInvalid(f"{what}: expected columns {', '.join(columns)}, missing {', '.join(missing)}")
    return frame
