"""``swath nodes``: node classes of the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.output import AsJson, message_json, print_json
from swath.client.cli.output import console as make_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@connects
def nodes(
    client: Any,
    name: Annotated[str, typer.Argument(help="Class to show in full; all in a table if left out.")] = "",
    category: Annotated[str, typer.Option(help="Only those of a category, such as model.")] = "",
    tag: Annotated[str, typer.Option(help="Only those with a tag, such as anomaly.")] = "",
    plugin: Annotated[
        list[Path] | None, typer.Option(help="Manifest (JSON or YAML) of a plugin to register first; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List node classes, or show one with its ports and arguments."""
    console = make_console()
    with client.session([]) as session:
        for manifest in plugin or ():
            session.load_plugin(_manifest(manifest))
        found = session.nodes()
        if name:
            (description,) = session.describe_nodes(name)
            if as_json:
                print_json([message_json(description)])
                return
            _show(console, description, next((node for node in found if node.full_path == description.full_path), None))
            return
        summaries = {each.full_path: each.summary for each in session.describe_nodes()}
    chosen = [
        node
        for node in found
        if (not category or category_of(node) == category.lower()) and (not tag or tag.lower() in tags_of(node))
    ]
    if not chosen:
        raise _no_such(found, category, tag)
    if as_json:
        print_json(
            {
                "class_name": node.class_name,
                "full_path": node.full_path,
                "category": category_of(node),
                "tags": tags_of(node),
                "plugin": node.plugin_name,
                "summary": summaries.get(node.full_path, ""),
            }
            for node in chosen
        )
        return
    table = plain_table("class", "category", "what it does")
    for node in chosen:
        mark = f" [dim]({node.plugin_name})[/]" if node.plugin_name else ""
        table.add_row(f"[bold]{node.class_name}[/]{mark}", category_of(node), _words(summaries.get(node.full_path, "")))
    console.print(table)
    console.print(f"[dim]{len(chosen)} of {len(found)} classes; swath nodes NAME shows one[/]")


def _no_such(found: list[Any], category: str, tag: str) -> Exception:
    """The error for a category and a tag that no class has."""
    from swath.client.errors import LocalError

    categories, tags = {category_of(node) for node in found}, {each for node in found for each in tags_of(node)}
    if category and category.lower() not in categories:
        return LocalError(f"no class is of the category '{category}'; categories are {', '.join(sorted(categories))}")
    if tag and tag.lower() not in tags:
        return LocalError(f"no class has the tag '{tag}'; tags are {', '.join(sorted(tags))}")
    return LocalError(f"no class of the category '{category}' has the tag '{tag}'")


def category_of(node: Any) -> str:
    """The category of a node class in lower case."""
    from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

    return pb.NodeCategory.Name(node.category).removeprefix("NODE_CATEGORY_").lower()


def tags_of(node: Any) -> list[str]:
    """The tags of a node class in lower case."""
    from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

    return [pb.NodeTag.Name(tag).removeprefix("NODE_TAG_").lower() for tag in node.tags]


def port_text(port: Any) -> str:
    """The type of a port, such as ``float32 [B · · 61]``; any size is a dot."""
    from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

    kind = pb.DType.Name(port.dtype).removeprefix("D_TYPE_").lower() if port.dtype else "any"
    return f"{kind} \\[{' '.join('·' if size < 0 else str(size) for size in port.shape)}]" if port.shape else kind


def plain_table(*columns: str) -> Table:
    """A table without a frame: the first column stays whole, to be copied, and the last takes the room that is left."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:-1]:
        table.add_column(column, overflow="fold")
    table.add_column(columns[-1], ratio=1, overflow="fold")
    return table


def _show(console: Console, description: Any, node: Any) -> None:
    from rich.markup import escape
    from rich.padding import Padding

    console.print(f"[bold]{description.full_path}[/]", soft_wrap=True)
    marks = [*description.stages] if len(description.stages) < 4 else ["all stages"]
    marks += ["learns from data"] * description.fittable + ["calibrated threshold"] * description.calibratable
    marks += ["stateful"] * description.stateful + ["writes files"] * description.effect
    if node is not None:
        marks = [category_of(node), *marks, *(f"#{tag}" for tag in tags_of(node))]
    console.print(f"[dim]{' · '.join(marks)}[/]\n")
    console.print(Padding(_words(description.documentation.partition("\nArgs:")[0].strip()), (0, 0, 1, 0)))
    for title, ports in (("input", node.input_specs), ("output", node.output_specs)) if node is not None else ():
        table = plain_table(title, "type", "")
        for name, port in sorted(ports.items()):
            notes = ["optional"] * port.optional + ["several edges"] * port.variadic
            mark = f" [dim]({', '.join(notes)})[/]" if notes else ""
            table.add_row(f"[bold]{name}[/]", port_text(port), escape(port.description) + mark)
        if ports:
            console.print(table)
    if description.hparams:
        table = plain_table("argument", "type", "default", "")
        for hparam in description.hparams:
            default = "[yellow]required[/]" if hparam.required else escape(hparam.default_json)
            table.add_row(f"[bold]{hparam.name}[/]", escape(hparam.type), default, _words(hparam.description))
        console.print(table)


def _words(text: str) -> str:
    """A docstring's words without its quotes around code."""
    from rich.markup import escape

    return escape(text.replace("`", ""))


def _manifest(file: Path) -> bytes:
    """A manifest as JSON."""
    import yaml

    from swath.client.errors import LocalError

    try:
        return json.dumps(yaml.safe_load(file.read_text())).encode()
    except yaml.YAMLError as error:
        raise LocalError(f"{file} is no JSON and no YAML: {error}") from None
