"""Descriptions of node classes: arguments with types, defaults and documentation, and properties."""

from __future__ import annotations

import inspect
import json
import re
import typing
from dataclasses import dataclass
from typing import Any, Literal

from swath.engine.graph.node import Node
from swath.engine.graph.roles import Decider, Fittable

_ENTRY = re.compile(r"^(\w+)(?:\s*\([^)]*\))?\s*:\s*(.*)$")
_SECTION = re.compile(r"^(\w[\w ]*):$")


@dataclass(frozen=True)
class Hparam:
    """One argument of a constructor.

    Attributes:
        name: Its name.
        type: Its annotation as in the code; empty if there is none.
        required: Whether there is no default.
        default: The default, as JSON; empty if there is none.
        description: Its documentation.
        choices: Values that it takes, if its type lists them.
    """

    name: str
    type: str
    required: bool
    default: str
    description: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """One node class.

    Attributes:
        full_path: Dotted name for documents.
        summary: First paragraph of the documentation.
        documentation: All of it.
        hparams: Arguments of the constructor, in order.
        stages: Stages that it takes part in, in the order of a run.
        fittable: Whether it learns from data before it can run.
        calibratable: Whether labelled data place its threshold.
        stateful: Whether its outputs depend on earlier calls.
        effect: Whether it writes outside of the process.
        trainable_buffers: Buffers that unfreezing turns into parameters.
    """

    full_path: str
    summary: str
    documentation: str
    hparams: tuple[Hparam, ...]
    stages: tuple[str, ...]
    fittable: bool
    calibratable: bool
    stateful: bool
    effect: bool
    trainable_buffers: tuple[str, ...]


def describe(cls: type[Node], full_path: str) -> Description:
    """Describe a class."""
    text = inspect.getdoc(cls) or ""
    return Description(
        full_path=full_path,
        summary=" ".join(text.split("\n\n", 1)[0].split()),
        documentation=text,
        hparams=tuple(_hparams(cls)),
        stages=tuple(str(stage) for stage in ("train", "val", "test", "inference") if stage in cls.stages),
        fittable=issubclass(cls, Fittable),
        calibratable=issubclass(cls, Decider),
        stateful=cls.stateful,
        effect=cls.effect,
        trainable_buffers=tuple(cls.trainable_buffers),
    )


def _hparams(cls: type[Node]) -> typing.Iterator[Hparam]:
    origin: type = getattr(cls, "reference", cls)  # a plugin's own class has the signature and the docstring
    parents = [parent for parent in origin.__mro__ if "__init__" in vars(parent)]
    found: dict[str, inspect.Parameter] = {}
    for parent in parents:
        for name, parameter in inspect.signature(vars(parent)["__init__"]).parameters.items():
            found.setdefault(name, parameter)
    documentation: dict[str, str] = {}
    for parent in origin.__mro__:
        documentation = {**arguments_in(vars(parent).get("__doc__") or ""), **documentation}
    for name in cls.parameters_accepted():
        parameter = found[name]
        annotation = _annotation(origin, name, parameter)
        required = parameter.default is parameter.empty
        yield Hparam(
            name=name,
            type=annotation if isinstance(annotation, str) else _name(annotation),
            required=required,
            default="" if required else json.dumps(parameter.default, default=str),
            description=documentation.get(name, ""),
            choices=_choices(annotation),
        )


def _annotation(cls: type, name: str, parameter: inspect.Parameter) -> Any:
    if parameter.annotation is parameter.empty:
        return ""
    for parent in cls.__mro__:
        own = vars(parent).get("__init__")
        if own is not None and name in getattr(own, "__annotations__", {}):
            try:
                return typing.get_type_hints(own)[name]
            except (NameError, TypeError):
                return str(own.__annotations__[name])
    return parameter.annotation


def _name(annotation: Any) -> str:
    return inspect.formatannotation(annotation).replace("collections.abc.", "").replace("typing.", "")


def _choices(annotation: Any) -> tuple[str, ...]:
    if typing.get_origin(annotation) is Literal:
        return tuple(map(str, typing.get_args(annotation)))
    return ()


def arguments_in(text: str) -> dict[str, str]:
    """Return the documentation of each argument, from the section ``Args:`` or ``Parameters`` of a docstring."""
    lines = inspect.cleandoc(text).splitlines()
    texts: dict[str, list[str]] = {}
    inside, margin, name = False, 0, ""
    for at, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        underlined = at + 1 < len(lines) and lines[at + 1].strip("- ") == "" and "---" in lines[at + 1]
        if indent == 0 and (_SECTION.match(line) or underlined):
            inside = line.rstrip(":") in ("Args", "Arguments", "Parameters")
            margin, name = (0 if underlined else -1), ""
        elif not inside or not line.strip() or set(line.strip()) == {"-"}:
            continue
        elif margin < 0 or indent == margin:
            margin = indent
            entry = _ENTRY.match(line.strip())
            if entry:
                name = entry[1]
                # In underlined sections (numpydoc) the type follows the colon.
                texts[name] = [entry[2]] if margin else []
        elif name:
            texts[name].append(line.strip())
    return {key: " ".join(part for part in parts if part) for key, parts in texts.items()}
