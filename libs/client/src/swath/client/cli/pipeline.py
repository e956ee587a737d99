"""``swath pipeline``: pipelines that the server has."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.output import AsJson, message_json, print_json, wrote
from swath.client.cli.output import console as make_console

if TYPE_CHECKING:
    from rich.console import Console

_KINDS = {".png": "png", ".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid"}


class Action(StrEnum):
    """What to do with pipelines."""

    LIST = "list"
    SHOW = "show"
    DRAW = "draw"


@connects
def pipeline(
    client: Any,
    action: Annotated[Action, typer.Argument(help="list them, show one, or draw one to a file.", show_default=False)],
    path: Annotated[str, typer.Argument(help="A pipeline's path, as list gives it; .yaml may be left out.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="draw: file to write; .png, .svg, .dot or .mmd.")
    ] = None,
    tag: Annotated[str, typer.Option(help="list: only those with a tag.")] = "",
    as_json: AsJson = False,
) -> None:
    """List, show and draw the pipelines that the server has."""
    from swath.client.errors import LocalError

    console = make_console()
    if action is Action.LIST:
        found = client.pipelines(tag)
        if tag and not found:
            tags = sorted({each for info in client.pipelines() for each in info.metadata.tags})
            raise LocalError(f"no pipeline has the tag '{tag}'; tags are {', '.join(tags) or 'not in use'}")
        if as_json:
            print_json(map(message_json, found))
        else:
            _list(console, found)
        return
    if not path:
        raise LocalError(f"which pipeline? write: swath pipeline {action} PATH; swath pipeline list names all")
    info = client.pipeline_info(path if path.endswith(".yaml") else f"{path}.yaml")
    if action is Action.SHOW:
        if as_json:
            print_json([message_json(info)])
        else:
            _show(console, info)
        return
    file = out or Path(f"{Path(path).stem}.png")
    kind = _KINDS.get(file.suffix.lower())
    if kind is None:
        raise LocalError(f"{file} must end in one of {', '.join(_KINDS)}")
    file.write_bytes(client.draw(info.yaml_content, kind))
    wrote(console, file)


def _list(console: Console, found: list[Any]) -> None:
    from rich.markup import escape
    from rich.padding import Padding

    for info in found:
        weights = "  [green]with weights[/]" if info.weights_path else ""
        console.print(f"[bold]{escape(info.pipeline_path)}[/]{weights}", soft_wrap=True)
        tags = " ".join(f"#{tag}" for tag in info.metadata.tags)
        console.print(
            Padding(
                f"[dim]{escape(' · '.join(filter(None, (info.metadata.name, tags))))}[/]", (0, 0, 0, 4), expand=False
            )
        )


def _show(console: Console, info: Any) -> None:
    import yaml
    from rich.markup import escape

    from swath.client.cli.nodes import plain_table

    document = yaml.safe_load(info.yaml_content)
    console.print(f"[bold]{escape(info.metadata.name)}[/]  [dim]{info.pipeline_path}[/]")
    if info.metadata.description:
        console.print(escape(info.metadata.description))
    console.print()
    table = plain_table("node", "class", "arguments")
    for node in document.get("nodes") or ():
        hparams = node.get("hparams") or {}
        class_name = str(node["class_name"]).rsplit(".", 1)[-1]
        table.add_row(
            f"[bold]{escape(node['name'])}[/]",
            "" if class_name == node["name"] else escape(class_name),
            ", ".join(f"{escape(key)}=[cyan]{escape(json.dumps(value))}[/]" for key, value in hparams.items()),
        )
    console.print(table)
    console.print()
    edges = plain_table("from", "to")
    for edge in document.get("connections") or ():
        edges.add_row(*(escape(re.sub(r"\.(outputs|inputs)\.", ".", str(edge[end]))) for end in ("source", "target")))
    console.print(edges)
