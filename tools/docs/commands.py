"""Options of the command `swath` that environment variables stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tools.docs.sources import Sources

_TYPES = {"str": "text", "int": "integer", "Path": "path"}


@dataclass(frozen=True)
class Option:
    """An option with a variable.

    Attributes:
        variable: The variable.
        name: The option, its first long form.
        type: What it takes.
        default: Its default, in Markdown.
        text: What it means.
    """

    variable: str
    name: str
    type: str
    default: str
    text: str


def options(sources: Sources) -> tuple[Option, ...]:
    """Return every option with a variable: parameters `name: Annotated[type, typer.Option(envvar=...)]`."""
    found: dict[str, Option] = {}
    for module in sources.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found |= {each.variable: each for each in _options(node.args)}
    return tuple(found.values())


def _options(parameters: ast.arguments) -> Iterator[Option]:
    plain = [*parameters.posonlyargs, *parameters.args]
    values: list[ast.expr | None] = [None] * (len(plain) - len(parameters.defaults)) + parameters.defaults
    values += parameters.kw_defaults
    for parameter, value in zip((*plain, *parameters.kwonlyargs), values, strict=True):
        match parameter.annotation:
            case ast.Subscript(slice=ast.Tuple(elts=[kind, ast.Call() as made])):
                words = {each.arg: each.value.value for each in made.keywords if isinstance(each.value, ast.Constant)}
                names = [each.value for each in made.args if isinstance(each, ast.Constant)]
                if "envvar" in words:
                    long = f"--{parameter.arg.replace('_', '-')}"
                    default = value.value if isinstance(value, ast.Constant) else None
                    yield Option(
                        variable=str(words["envvar"]),
                        name=next((str(each) for each in names if str(each).startswith("--")), long),
                        type=_TYPES[ast.unparse(kind).removesuffix(" | None")],
                        default=f"`{default}`" if default else "*none*",
                        text=str(words["help"]),
                    )
