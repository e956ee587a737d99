"""Overrides: Hydra's grammar, and what it cannot say.

Hydra addresses mappings only. Here list items are addressed too, by number (`nodes.0.x`, `nodes[0].x`) and, where items
have a `name`, by name (`nodes.RXGlobal.x`), and the spellings of older documents mean what they mean today
(`training.trainer.max_epochs`, `nodes.RXGlobal.params.eps`). Keys that a document's model knows may be set although a
file leaves them out; others are added with `+`, as Hydra has it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, get_args, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from pydantic import BaseModel

from swath.documents import KINDS
from swath.errors import ConfigInvalid
from swath_config.composition.sandbox import MAX_OVERRIDE_CHARACTERS, MAX_OVERRIDES, check_override

_BRACKET = re.compile(r"\[([^\[\]]+)\]")


def read(lines: Sequence[str]) -> list[Override]:
    """Parse overrides.

    Raises:
        ConfigInvalid: One does not parse, sweeps over values, or is not for clients.
    """
    if len(lines) > MAX_OVERRIDES:
        raise ConfigInvalid(f"Config resolution failed: {len(lines)} overrides, more than {MAX_OVERRIDES}")
    parser = OverridesParser.create()
    overrides: list[Override] = []
    for line in lines:
        if len(line) > MAX_OVERRIDE_CHARACTERS:
            raise _refused(line[:80] + "…", f"longer than {MAX_OVERRIDE_CHARACTERS} characters")
        key, equals, value = line.partition("=")
        try:
            (override,) = parser.parse_overrides([_BRACKET.sub(r".\1", key) + equals + value])
        except HydraException as error:
            cause = str(error).split("\nSee https://")[0]
            raise _refused(line, f"{_hint(key, value)}{cause}" if equals else cause) from error
        override.input_line = line
        check_override(override)
        if override.is_sweep_override():
            raise _refused(line, f"it stands for several values; write a list as {key}=[...] and text as {key}='...'")
        overrides.append(override)
    return overrides


def _hint(key: str, value: str) -> str:
    """Return how to write a value as text, with the character that keeps it from being read as it stands."""
    plain = re.search(r"[^\w/\-+.$%*@?|:, \t\\]", value, re.ASCII)
    if plain is None or value.startswith(("'", '"')):
        return ""
    escaped = value.replace("\\'", "'").replace("'", "\\'")
    return f"text that holds {plain[0]!r} is written in quotes: {key}='{escaped}' (in a shell: \"{key}='...'\")\n"


class Editor:
    """Applies overrides to one document.

    Args:
        kind: Kind of the document, which decides what keys it may have.
        tree: All that was composed; plain mappings and lists, interpolations unresolved. Changed in place.
        package: Where the document stands in it.
    """

    def __init__(self, kind: str, tree: dict[str, Any], package: Sequence[str]) -> None:
        self._kind = kind
        self._tree = tree
        self._package = list(package)

    def parts(self, override: Override) -> list[str]:
        """Return where in the document an override points, in today's spelling as far as the document goes."""
        parts = override.key_or_group.split(".")
        fields = KINDS[self._kind].model_fields
        if self._package and parts[: len(self._package)] == self._package:
            parts = parts[len(self._package) :]
        elif parts[0] == self._kind and self._kind not in fields:
            parts = parts[1:]
        if not parts:
            raise self._refused(override, "it would replace the whole document")
        return parts

    def apply(self, override: Override) -> None:
        """Apply one override.

        Raises:
            ConfigInvalid: It points to nothing, or adds what is there already.
        """
        if override.package is not None:
            raise self._refused(override, f"there is no config group '{override.key_or_group}'")
        parts = self.parts(override)
        value = override.value()
        container, place = self._walk(override, parts, create=not override.is_delete())
        there = place in container if isinstance(container, dict) else place < len(container)
        if override.is_delete():
            self._delete(override, container, place, there, value)
        elif override.is_add() and there and container[place] is not None and not isinstance(value, (dict, list)):
            raise self._refused(
                override,
                f"Could not append to config. An item is already at '{override.key_or_group}'. Remove the + to "
                "change it, or write ++ to change or add it",
            )
        elif not (there or override.is_add() or override.is_force_add() or self._known(parts)):
            raise self._missing(override)
        elif isinstance(container, list) and place == len(container):
            container.append(value)
        else:
            container[place] = _merged(container[place] if there else None, value)

    def _delete(self, override: Override, container: Any, place: Any, there: bool, value: Any) -> None:
        if not there:
            raise self._refused(override, f"Could not delete from config. '{override.key_or_group}' does not exist.")
        if value is not None and value != container[place]:
            raise self._refused(
                override,
                f"Could not delete from config. The value of '{override.key_or_group}' is {container[place]} and not "
                f"{value}.",
            )
        del container[place]

    def _walk(self, override: Override, parts: list[str], *, create: bool) -> tuple[Any, Any]:
        """Return the container of the last part and its key there; `parts` come out in today's spelling."""
        container: Any = self._tree
        for part in self._package:
            container = container[part]
        at = 0
        while True:
            part = parts[at]
            last = at == len(parts) - 1
            if isinstance(container, dict):
                if part == "trainer" and part not in container and not last and self._is_training(parts[:at]):
                    del parts[at]
                    continue
                if part == "params" and part not in container and "class_name" in container:
                    part = parts[at] = "hparams"
                place: Any = part
                missing = part not in container or container[part] is None
                if missing and not last:
                    adds = create and (override.is_add() or override.is_force_add() or self._known(parts[: at + 1]))
                    if not adds:
                        raise self._missing(override)
                    container[part] = {}
            elif isinstance(container, list):
                place = self._item(override, container, part, last)
                parts[at] = str(place)
            else:
                raise self._refused(override, f"'{'.'.join(parts[:at])}' is {container!r}, which has no '{part}'")
            if last:
                return container, place
            container = container[place]
            at += 1

    def _item(self, override: Override, items: list[Any], part: str, last: bool) -> int:
        if part.isdigit():
            number = int(part)
            adds = override.is_add() or override.is_force_add()
            if number < len(items) or (last and adds and number == len(items)):
                return number
            raise self._refused(override, f"there is no item {number}; there are {len(items)}")
        names = [item.get("name") for item in items if isinstance(item, dict)]
        if part not in names:
            raise self._refused(override, f"no item is named '{part}'; there are {names}")
        return next(at for at, item in enumerate(items) if isinstance(item, dict) and item.get("name") == part)

    def _is_training(self, parts: list[str]) -> bool:
        return (self._kind == "training" and not parts) or (self._kind == "trainrun" and parts == ["training"])

    def _known(self, parts: Sequence[str]) -> bool:
        """Tell whether the document's model has a field there."""
        kinds: list[Any] = [KINDS[self._kind]]
        for part in parts:
            fields = [_below(kind, part) for kind in kinds]
            kinds = [each for field in fields if field is not None for each in _alternatives(field)]
            if not kinds:
                return False
        return True

    def _missing(self, override: Override) -> ConfigInvalid:
        return self._refused(
            override,
            f"Could not override '{override.key_or_group}': there is no such key.\n"
            f"To append to your config use +{override.input_line}",
        )

    def _refused(self, override: Override, why: str) -> ConfigInvalid:
        return _refused(override.input_line or override.key_or_group, why)


def _refused(line: str, why: str) -> ConfigInvalid:
    return ConfigInvalid(f"Config resolution failed: override '{line}': {why}", metadata={"override": line[:200]})


def _merged(old: Any, new: Any) -> Any:
    """Mappings merge, everything else is replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    return new


def _alternatives(annotation: Any) -> list[Any]:
    """Return the types that an annotation allows."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) is list or isinstance(annotation, type):
        return [annotation]
    return [each for argument in get_args(annotation) for each in _alternatives(argument)]


def _below(kind: Any, part: str) -> Any:
    """Return the annotation of a field or of a list's items."""
    if get_origin(kind) is list:
        return get_args(kind)[0] if part.isdigit() else None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(part)
        return None if field is None else field.annotation
    return None
