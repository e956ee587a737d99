"""What people say of samples: tags, discards, columns of their own. Plain facts, which their owner keeps as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tag:
    """One tag: what samples have it, or which category each has.

    Attributes:
        name: Of the tag.
        categories: Allowed values of a categorical tag; empty for one that a sample has or has not.
        members: Samples that have it, by id: True, or a category.
    """

    name: str
    categories: tuple[str, ...] = ()
    members: dict[str, bool | str] = field(default_factory=dict)

    @property
    def column(self) -> str:
        """Its column among the samples'."""
        return tag_column(self.name)


@dataclass(slots=True)
class Edits:
    """All that was edited of an experiment's samples.

    Attributes:
        tags: Tags by name.
        discarded: Ids of samples that training leaves out.
        columns: Columns that were copied or kept, by name: values by sample id.
    """

    tags: dict[str, Tag] = field(default_factory=dict)
    discarded: set[str] = field(default_factory=set)
    columns: dict[str, Mapping[str, float | str | bool | None]] = field(default_factory=dict)


_TAG, _SIGNAL = "tag:", "signal//"


def tag_column(name: str) -> str:
    """Return the column of a tag."""
    return f"{_TAG}{name}"


def signal_column(name: str) -> str:
    """Return the column of a signal, which has its latest values."""
    return f"{_SIGNAL}{name}"


def tag_name(column: str) -> str | None:
    """Return the tag that a column is of; None for other columns."""
    return column.removeprefix(_TAG) if column.startswith(_TAG) else None


def signal_name(column: str) -> str:
    """Return the signal that a column is of, which people may also name by itself."""
    return column.removeprefix(_SIGNAL)
