"""The page of settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydantic_settings import BaseSettings

from tools.docs import markdown
from tools.docs.commands import Option
from tools.docs.settings import Program, Setting, Settings
from tools.docs.words import default_of, type_of

_NAMES = {
    "swath_gateway": "Gateway",
    "swath_standalone": "Standalone server",
    "swath_training.jobs": "Training worker in a Job",
    "swath.storage.bundle": "Unpacking of config bundles",
}
_HEAD = ("variable", "type", "default", "meaning")


def render(settings: Settings, options: tuple[Option, ...]) -> str:
    """Return the page.

    Args:
        settings: The classes and who reads them.
        options: Options of `swath` that variables stand for.
    """
    return _Page(settings).render(options)


class _Page:
    def __init__(self, settings: Settings) -> None:
        self._groups = settings.groups
        self._programs = sorted(settings.programs, key=_order)
        self._homes = {kind: self._home(kind) for kind in self._groups}
        self._kinds = sorted(self._groups, key=self._rank)

    def render(self, options: tuple[Option, ...]) -> str:
        shared = (part for kind in self._kinds if self._homes[kind] is None for part in self._section(kind))
        sections = (part for program in self._programs for part in self._program(program))
        return markdown.page(
            "settings.md",
            programs=self._overview(),
            shared="\n\n".join(shared),
            sections="\n\n".join(sections),
            client=_options(options),
        )

    def _overview(self) -> str:
        rows = [
            (markdown.link(_name(each)), _commands(each, ", "), ", ".join(self._reads(each))) for each in self._programs
        ]
        return markdown.table(("program", "started by", "reads"), [*rows, (markdown.link("Client"), "`swath`", "")])

    def _program(self, program: Program) -> Iterator[str]:
        yield f"## {_name(program)}"
        yield f"{_commands(program, ' or ')} reads {markdown.listed(self._reads(program))}."
        for kind in self._kinds:
            if self._homes[kind] is program:
                yield from self._section(kind)

    def _section(self, kind: type[BaseSettings]) -> Iterator[str]:
        group, home = self._groups[kind], self._homes[kind]
        yield f"### {_title(kind)}"
        yield group.text
        bases = [markdown.link(_title(each)) for each in self._kinds if each is not kind and issubclass(kind, each)]
        if bases:
            yield f"A program that reads these reads {markdown.listed(bases)} as well."
        if home is None:
            readers = [markdown.link(_name(each)) for each in self._programs if kind in each.reads]
            yield f"Read by: {', '.join(readers) or 'no program by itself'}."
        yield markdown.table(_HEAD, map(_row, group.settings))
        for name, keys in group.objects.items():
            yield f"Each object in `{name}` has these keys:"
            yield markdown.table(("key", *_HEAD[1:]), map(_row, keys))

    def _reads(self, program: Program) -> list[str]:
        """Return links to what a program reads, without what comes with another of them."""
        read = [kind for kind in self._kinds if kind in program.reads]
        last = [kind for kind in read if not any(each is not kind and issubclass(each, kind) for each in read)]
        return [markdown.link(_title(kind)) for kind in last]

    def _home(self, kind: type[BaseSettings]) -> Program | None:
        """Return the program in whose package a class is, the innermost one that reads it."""
        module = kind.__module__
        homes = [each for each in self._programs if kind in each.reads and f"{module}.".startswith(f"{each.package}.")]
        return max(homes, key=lambda each: len(each.package), default=None)

    def _rank(self, kind: type[BaseSettings]) -> tuple[int, int, str]:
        """Return what brings settings that many programs read, and bases, to the front."""
        return -sum(kind in each.reads for each in self._programs), len(kind.__mro__), kind.__name__


def _row(setting: Setting) -> tuple[str, str, str, str]:
    name, field = setting.name, setting.field
    return f"`{name}`", type_of(name, field), default_of(name, field), setting.text


def _options(options: tuple[Option, ...]) -> str:
    rows = ((f"`{each.variable}`", f"`{each.name}`", each.type, each.default, each.text) for each in options)
    return markdown.table(("variable", "option", "type", "default", "meaning"), rows)


def _title(kind: type[BaseSettings]) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).split()
    return " ".join((words[0], *(word.lower() for word in words[1:])))


def _name(program: Program) -> str:
    name = program.package.removeprefix("swath_").replace("_", " ")
    return _NAMES.get(program.package) or f"{name.capitalize()} service"


def _commands(program: Program, between: str) -> str:
    return between.join(f"`{each}`" for each in program.commands)


def _order(program: Program) -> tuple[bool, bool, str]:
    """The standalone server first, what is part of no service last."""
    return program.package != "swath_standalone", not program.package.startswith("swath_"), program.package


def names(settings: Settings, options: Iterable[Option]) -> str:
    """Return the name of every variable, one per line."""
    every = {each.name for group in settings.groups.values() for each in group.settings}
    return "".join(f"{name}\n" for name in sorted(every | {each.variable for each in options}))
