"""What commands print: for people on a terminal, whole lines in a pipe, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print each as a JSON object, one per line.")]

_PIPE_WIDTH = 100_000


def console() -> Console:
    """The console of standard output; where that is no terminal, lines are as long as what they hold."""
    from rich.console import Console

    made = Console()
    return made if made.is_terminal else Console(width=_PIPE_WIDTH)


def print_json(values: Iterable[Any]) -> None:
    """Print values as JSON, one per line."""
    import json

    for value in values:
        typer.echo(json.dumps(value, ensure_ascii=False))


def wrote(console: Console, file: Path, what: str = "") -> None:
    """Say which file was written, how large it is and what it holds."""
    from rich.filesize import decimal
    from rich.markup import escape

    more = f", {escape(what)}" if what else ""
    console.print(
        f"wrote {escape(str(file))}  [dim]{decimal(file.stat().st_size)}{more}[/]", highlight=False, soft_wrap=True
    )


def message_json(message: Any) -> dict[str, Any]:
    """A message of the API as JSON-able data, with its fields' names and defaults."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
