"""Types and defaults of settings in plain words."""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import NoDecode

from tools.docs import markdown

_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_mb": "MiB", "port": "port"}
_PLAIN: dict[Any, str] = {bool: "`true` or `false`", int: "integer", float: "number", str: "text", Path: "path"}
_TIMES = ((86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes"))
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def type_of(name: str, field: FieldInfo) -> str:
    """Return what a setting takes: its unit or type, and its bounds."""
    annotation = _without_none(field.annotation)
    if get_origin(annotation) is Literal:
        return markdown.listed([f"`{each}`" for each in get_args(annotation)], "or")
    if annotation is SecretStr:
        return "text, secret"
    if annotation in _PLAIN:
        unit = unit_of(name) if annotation in (int, float) else ""
        return ", ".join(filter(None, (unit or _PLAIN[annotation], _bounds(name, field))))
    if any(each is NoDecode or isinstance(each, NoDecode) for each in field.metadata):
        return "list"
    return "JSON object" if get_origin(annotation) is dict else "JSON list"


def default_of(name: str, field: FieldInfo) -> str:
    """Return a default: as it is written into a variable, with its size or time in brackets."""
    if field.is_required():
        return "**required**"
    factory = field.default_factory
    if factory is not None and factory not in (dict, list, tuple):
        return "*computed*"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        raise ValueError(f"{name} has no default")
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value in (None, "", (), [], {}):
        return "*none*"
    words = _spoken(unit_of(name), value)
    return f"`{_written(value)}`{f' ({words})' if words else ''}"


def unit_of(name: str) -> str:
    """Return the unit that a name ends with, empty without one."""
    return next((unit for suffix, unit in _UNITS.items() if name.lower().endswith(suffix)), "")


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [each for each in get_args(annotation) if each is not type(None)]
        return rest[0] if len(rest) == 1 else typing.Union[tuple(rest)]  # noqa: UP007 - made at run time
    return annotation


def _bounds(name: str, field: FieldInfo) -> str:
    least = most = None
    words = []
    step = 1 if _without_none(field.annotation) is int else 0
    for each in field.metadata:
        if isinstance(each, annotated_types.Ge) or (isinstance(each, annotated_types.Gt) and step):
            least = each.ge if isinstance(each, annotated_types.Ge) else each.gt + step  # type: ignore[operator]
        elif isinstance(each, annotated_types.Le) or (isinstance(each, annotated_types.Lt) and step):
            most = each.le if isinstance(each, annotated_types.Le) else each.lt - step  # type: ignore[operator]
        elif isinstance(each, annotated_types.Gt):
            words.append(f"more than {each.gt}")
        elif isinstance(each, annotated_types.Lt):
            words.append(f"less than {each.lt}")
    low, high = (_spoken(unit_of(name), bound) or bound for bound in (least, most))
    if least is not None and most is not None:
        return f"{low} to {high}"
    words += [f"at least {low}"] * (least is not None) + [f"at most {high}"] * (most is not None)
    return ", ".join(words)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else str(int(value))
    return str(value) if isinstance(value, int | str | Path) else json.dumps(value)


def _spoken(unit: str, value: Any) -> str:
    """Return a long time or a size in larger units, where it is a whole number of them."""
    if not value:
        return ""
    if unit == "seconds" and value > 60:
        for seconds, one, many in _TIMES:
            if value >= seconds and value % seconds == 0:
                return f"{value / seconds:.0f} {one if value == seconds else many}"
    if unit == "bytes":
        for size, word in _SIZES:
            if value >= size and value % size == 0:
                return f"{value // size} {word}"
    return ""
