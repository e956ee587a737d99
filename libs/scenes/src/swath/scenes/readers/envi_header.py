"""ENVI headers: ``key = value`` lines, as instruments and people write them."""

from __future__ import annotations

import codecs
from pathlib import Path

from swath.errors import DataInvalid
from swath.scenes.checks import existing

_MAX_BYTES = 16 * 1024 * 1024
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class Header:
    """Fields of a header by name in lower case, with single blanks.

    Args:
        name: The file, for messages.
        fields: Values as they are written, lists with their braces.
    """

    def __init__(self, name: str, fields: dict[str, str]) -> None:
        self.name = name
        self.fields = fields

    def get(self, key: str) -> str | None:
        """Return a field, without blanks around it; None if it is missing or empty."""
        return self.fields.get(key, "").strip() or None

    def required(self, key: str) -> str:
        """Return a field.

        Raises:
            DataInvalid: The header has none of this name.
        """
        value = self.get(key)
        if value is None:
            raise DataInvalid(
                f"{self.name}: the header has no field '{key}'; it has {', '.join(sorted(self.fields)) or 'none'}"
            )
        return value

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a whole number from 0.

        Raises:
            DataInvalid: It is none, or missing without a default.
        """
        value = self.required(key) if default is None else self.get(key)
        if value is None:
            assert default is not None
            return default
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not number.is_integer() or number < 0:
            raise DataInvalid(f"{self.name}: {key}: expected a whole number >= 0, got '{value}'")
        return int(number)

    def listed(self, key: str) -> list[str] | None:
        """Return the parts of a list, without a last one that is empty; None if it is missing."""
        value = self.get(key)
        if value is None:
            return None
        parts = [part.strip() for part in value.strip("{}").split(",")]
        while parts and not parts[-1]:
            parts.pop()
        return parts


def read_header(path: Path, name: str) -> Header:
    """Read a header: UTF-8, UTF-16 or Latin-1, with any ends of lines, comments and case of names.

    Raises:
        FileMissing: There is none.
        DataInvalid: It is no ENVI header.
    """
    size = existing(path).stat().st_size
    if size > _MAX_BYTES:
        raise DataInvalid(f"{name}: an ENVI header has at most {_MAX_BYTES} bytes, got {size}")
    lines = _text(path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[0].strip():
        del lines[0]
    if not lines or lines[0].split(maxsplit=1)[0].upper() != "ENVI":
        start = lines[0][:20] if lines else ""
        raise DataInvalid(f"{name}: not a readable ENVI header: expected ENVI in its first line, got {start!r}")
    return Header(name, _fields(lines[1:], name))


def _text(content: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _fields(lines: list[str], name: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    rest = iter(lines)
    for line in rest:
        if line.lstrip().startswith(";") or "=" not in line:
            continue
        key, _, value = line.partition("=")
        value = value.strip()
        while value.startswith("{") and "}" not in value:
            following = next(rest, None)
            if following is None:
                raise DataInvalid(
                    f"{name}: not a readable ENVI header: the list of '{key.strip()}' does not end with }}"
                )
            if not following.lstrip().startswith(";"):
                value += "\n" + following.strip()
        fields[" ".join(key.lower().replace("_", " ").split())] = value
    return fields
