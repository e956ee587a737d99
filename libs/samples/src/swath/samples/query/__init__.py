"""Queries over samples: a grammar of their own, after what people know from pandas. Nothing of them runs as Python."""

from swath.samples.query.expressions import condition, sort_columns
from swath.samples.query.parser import Query, parse

__all__ = ["Query", "condition", "parse", "sort_columns"]
