"""Tiles: cutting a scene into frames, and the regions that they lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from swath.engine.data.collection import Extent
from swath.engine.data.constraints import overlap
from swath.errors import DataInvalid

MAX_TILES = 1_000_000
"""Maximum number of tiles of a scene."""

Edge = Literal["shift", "drop"]


def tile_extents(
    size: tuple[int, int], tile: tuple[int, int], stride: tuple[int, int] | None = None, edge: Edge = "shift"
) -> list[Extent]:
    """Cut a scene into tiles, row by row from the top left; a tile's position in the list is its id.

    Args:
        size: Rows and columns of the scene.
        tile: Rows and columns of a tile.
        stride: Rows and columns from one tile to the next; the size of a tile by default, so that none overlap.
        edge: How to treat a last row and column of tiles that do not fit. ``shift`` moves them inside, so that all
            pixels are covered and these tiles overlap their neighbours; ``drop`` omits them.

    Raises:
        DataInvalid: A tile is larger than the scene, or there would be more than `MAX_TILES`.
    """
    if tile[0] > size[0] or tile[1] > size[1]:
        raise DataInvalid(
            f"params.tile: {list(tile)} is larger than the scene, which has {list(size)} rows and columns"
        )
    steps = stride or tile
    rows, columns = (_starts(size[axis], tile[axis], steps[axis], edge) for axis in (0, 1))
    if len(rows) * len(columns) > MAX_TILES:
        raise DataInvalid(f"params.tile: {len(rows)} x {len(columns)} tiles are more than {MAX_TILES}")
    return [(row, row + tile[0], column, column + tile[1]) for row in rows for column in columns]


def _starts(size: int, tile: int, stride: int, edge: Edge) -> list[int]:
    starts = list(range(0, size - tile + 1, stride))
    if edge == "shift" and starts[-1] + tile < size:
        starts.append(size - tile)
    return starts


def check_regions(regions: Mapping[str, Sequence[Extent]], size: tuple[int, int]) -> None:
    """Check rectangles by split: within the scene, not empty, and train, val and test share no pixel.

    Raises:
        DataInvalid: The message has split, rectangle and scene.
    """
    for split, extents in regions.items():
        for top, bottom, left, right in extents:
            if not (0 <= top < bottom <= size[0] and 0 <= left < right <= size[1]):
                raise DataInvalid(
                    f"params.regions.{split}: [{top}, {bottom}, {left}, {right}] is not "
                    "[first row, end row, first column, end column] within the scene, "
                    f"which has {list(size)} rows and columns"
                )
    clash = overlap({split: extents for split, extents in regions.items() if split != "predict"})
    if clash:
        raise DataInvalid(f"params.regions: {clash[0]} and {clash[1]} share {clash[2]} pixels")


def inside(extent: Extent, regions: Sequence[Extent]) -> bool:
    """Whether a tile lies fully within one of the rectangles."""
    return any(
        top <= extent[0] and extent[1] <= bottom and left <= extent[2] and extent[3] <= right
        for top, bottom, left, right in regions
    )
