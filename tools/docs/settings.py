"""Every class of settings, its variables, and the programs that read it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from tools.docs.sources import Sources, Symbol, load

_ROOT = Symbol("pydantic_settings", "BaseSettings")


@dataclass(frozen=True)
class Setting:
    """A field of a class of settings, or of an object within one.

    Attributes:
        name: What people write: the environment variable, or the object's key.
        field: The field.
        text: What it means.
    """

    name: str
    field: FieldInfo
    text: str


@dataclass(frozen=True)
class Group:
    """The settings that one class adds to those of its bases.

    Attributes:
        kind: The class.
        settings: Its own fields.
        objects: What the JSON of some of them is made of: their variable, and the keys of each object.
    """

    kind: type[BaseSettings]
    settings: tuple[Setting, ...]
    objects: dict[str, tuple[Setting, ...]]

    @property
    def text(self) -> str:
        """What the class says of itself, but for the sentence on how variables are named."""
        text = inspect.cleandoc(self.kind.__doc__ or "")
        return re.sub(r"\s*\b(Each field is|Fields are)\b.*?<FIELD>`[^.]*\.", "", text)


@dataclass(frozen=True)
class Program:
    """What people start.

    Attributes:
        package: What `python -m` names.
        commands: The ways to start it.
        reads: Classes whose variables it reads, bases first.
    """

    package: str
    commands: tuple[str, ...]
    reads: tuple[type[BaseSettings], ...]


class Settings:
    """All classes of settings of the installed packages.

    Args:
        sources: The packages.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._kinds: dict[Symbol, Any] = {each: load(each) for each in sorted(sources.subclasses(_ROOT))}

    @property
    def kinds(self) -> tuple[type[BaseSettings], ...]:
        """All of them."""
        return tuple(self._kinds.values())

    @cached_property
    def groups(self) -> dict[type[BaseSettings], Group]:
        """Each class that adds variables, and those."""
        found = (_group(kind) for kind in self._kinds.values())
        return {group.kind: group for group in found if group.settings}

    @cached_property
    def programs(self) -> tuple[Program, ...]:
        """Each program that reads settings."""
        found = []
        for module in self._sources.modules.values():
            if module.is_program and (reads := self._read_by(module.name)):
                package = module.name.removesuffix(".__main__")
                found.append(Program(package, tuple(_commands(package)), reads))
        return tuple(found)

    def _read_by(self, program: str) -> tuple[type[BaseSettings], ...]:
        """Return what a program makes settings of, with what those are made of.

        A class is read where code that the program imports calls it, and where its own package hands the class to
        what will call it.
        """
        package = program.removesuffix(".__main__")
        found: set[Any] = set()
        for name in self._sources.closure(program):
            own = name == program or name.startswith(f"{package}.")
            for call in ast.walk(self._sources.modules[name].tree):
                if isinstance(call, ast.Call):
                    taken = [call.func, *(call.args if own else ())]
                    symbols = (self._sources.resolve(name, each) for each in taken)
                    found.update(self._kinds[symbol] for symbol in symbols if symbol and symbol in self._kinds)
        found.update([inner for kind in found for inner in _inner(kind)])
        return tuple(dict.fromkeys(each for kind in sorted(found, key=_depth) for each in _family(kind)))


def variable(kind: type[BaseSettings], name: str) -> str:
    """Return the environment variable of a field.

    Raises:
        ValueError: The class names its variables in a way that this does not know.
    """
    field, config = kind.model_fields[name], kind.model_config
    if field.validation_alias or field.alias or config.get("env_nested_delimiter") or config.get("case_sensitive"):
        raise ValueError(f"{kind.__module__}.{kind.__name__}.{name}: teach {__name__} how its variable is called")
    return f"{config.get('env_prefix', '')}{name}".upper()


def nested(kind: type[BaseSettings], name: str) -> type[BaseSettings] | None:
    """Return the class of settings that a field holds, if it does. Those have variables of their own."""
    inner = kind.model_fields[name].annotation
    return inner if isinstance(inner, type) and issubclass(inner, BaseSettings) else None


def _group(kind: type[BaseSettings]) -> Group:
    own = [name for name in inspect.get_annotations(kind) if name in kind.model_fields and not nested(kind, name)]
    variables = {name: variable(kind, name) for name in kind.model_fields if not nested(kind, name)}
    settings, objects = [], {}
    for name in own:
        field = kind.model_fields[name]
        # Other fields are named as they are in Python; a reader of the page knows them as variables.
        others = {other: value for other, value in variables.items() if other != name}
        text = re.sub(r"`(\w+)`", lambda word, others=others: f"`{others.get(word[1], word[1])}`", _text(field))
        settings.append(Setting(variables[name], field, text))
        for model in _models(field.annotation):
            keys = model.model_fields.items()
            objects[variables[name]] = tuple(Setting(key, inner, _text(inner)) for key, inner in keys)
    return Group(kind, tuple(settings), objects)


def _text(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _inner(kind: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for name in kind.model_fields:
        inner = nested(kind, name)
        if inner is not None:
            yield inner
            yield from _inner(inner)


def _family(kind: type[BaseSettings]) -> list[type[BaseSettings]]:
    """Return a class and its bases, the first base first."""
    return [each for each in reversed(kind.__mro__) if issubclass(each, BaseSettings) and each is not BaseSettings]


def _depth(kind: type[BaseSettings]) -> tuple[int, str]:
    return -len(_family(kind)), kind.__qualname__


def _commands(package: str) -> Iterator[str]:
    for each in entry_points(group="swath.commands"):
        if each.module.partition(".")[0] == package:
            yield f"swath {each.name}"
    yield f"python -m {package}"
