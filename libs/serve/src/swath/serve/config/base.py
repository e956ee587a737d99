"""Options that are checked: unknown names are refused with the nearest one, values by what they must be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

LOOPBACK = "127.0.0.1"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for an unknown name, or nothing where no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_default=False)

    @classmethod
    def read(cls, given: Self | Mapping[str, Any] | None, what: str) -> Self:
        """Return options given as an object, a dict or None (all defaults).

        Args:
            given: The options.
            what: What they are, for errors: "grpc_options".

        Raises:
            ValueError: One is unknown or has a value that it cannot have.
        """
        if isinstance(given, cls):
            return given
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise ValueError(f"{what}: expected {cls.__name__} or a dict, got {type(given).__name__}")
        for name in given:
            if name not in cls.model_fields:
                raise ValueError(f"{what}: unknown option {name!r}{nearest(str(name), cls.model_fields)}")
        try:
            return cls(**given)
        except ValidationError as error:
            raise ValueError(f"{what}: {said(error)}") from None


def said(error: ValidationError) -> str:
    """Return what a validation found, in one line: option, what it must be, what it was."""
    lines: list[str] = []
    for each in error.errors():
        where = ".".join(str(part) for part in each["loc"] if not str(part).startswith(("function-", "int", "literal")))
        text = each["msg"].removeprefix("Value error, ")
        got = "" if each["type"] == "value_error" else f", got {each['input']!r}"
        lines.append(f"{where}: {text}{got}" if where else f"{text}{got}")
    return "; ".join(dict.fromkeys(lines))
