"""``swath models``, ``alias``, ``update``, ``unpublish``: what is published, whose, and where aliases point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.nodes import plain_table
from swath.client.cli.output import AsJson, message_json, print_json
from swath.client.cli.output import console as make_console
from swath.client.cli.publish import labels_of, targets_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_COLOURS = {"ready": "green", "failed": "red", "loading": "yellow", "known": "dim"}
_ALL = 100.0


@connects
def models(
    client: Any,
    name: Annotated[str, typer.Argument(help="Model to show in full; all in a table if left out.")] = "",
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Only those with a label, KEY=VALUE; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List published models, or show one: its versions, its aliases, and what replicas of inference say of it."""
    console = make_console()
    if name:
        found = client.models.get(name)
        if as_json:
            print_json([{**message_json(found.model), "states": [message_json(state) for state in found.states]}])
        else:
            _show(console, found.model, found.states)
        return
    listed = client.models.list(labels_of(label))
    if as_json:
        print_json(map(message_json, listed))
        return
    if not listed:
        none = "no model has these labels" if label else "no model is published; swath publish NAME PIPELINE does it"
        console.print(none, highlight=False)
        return
    table = plain_table("model", "versions", "aliases", "labels")
    for model in listed:
        pinned = " [dim](pinned)[/]" if model.pinned else ""
        table.add_row(f"[bold]{model.name}[/]{pinned}", _numbers(model.versions), _aliases(model), _labels(model))
    console.print(table)


@connects
def alias(
    client: Any,
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    alias: Annotated[str, typer.Argument(help="The alias; calls that name no version take stable.")],
    version: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VERSION[:PERCENT]",
            help="Where it is to point: 3, or shares such as 3:95 4:5. Versions without one share what is left.",
            show_default=False,
        ),
    ] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Back to where it pointed before.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it.")] = False,
) -> None:
    """Point an alias of a model at a version, or at several by percentages of calls; roll it back, or remove it."""
    from swath.client.errors import LocalError

    if bool(version) + rollback + remove != 1:
        raise LocalError(
            "say where the alias is to point: a VERSION, or several as VERSION:PERCENT; or --rollback, or --remove"
        )
    console = make_console()
    if remove:
        client.models.remove_alias(name, alias)
        console.print(f"removed {name} {alias}", highlight=False, markup=False)
        return
    if rollback:
        model = client.models.roll_back_alias(name, alias)
    else:
        model = client.models.set_alias(name, alias, shares_of(version or []))
    (found,) = [each for each in model.aliases if each.name == alias]
    before = f"  [dim]before: {targets_text(found.previous)}[/]" if found.previous else ""
    console.print(f"{name} [bold]{alias}[/] [dim]→[/] {targets_text(found.targets)}{before}", highlight=False)


@connects
def update(
    client: Any,
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="Label, KEY=VALUE, in place of all that it has; may be repeated."),
    ] = None,
    caller: Annotated[
        list[str] | None,
        typer.Option("--caller", help="Identity that may call it, likewise; '*' is everybody; may be repeated."),
    ] = None,
    editor: Annotated[
        list[str] | None, typer.Option("--editor", help="Identity that may change it, likewise; may be repeated.")
    ] = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(
            "--clear",
            metavar="labels|callers|editors",
            help="Have none. Without callers everybody may call it who may call inference; may be repeated.",
        ),
    ] = None,
    pin: Annotated[
        bool | None,
        typer.Option("--pin/--no-pin", help="Replicas load it before they are ready, and keep it.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the labels of a model, who may call and who may change it, and whether it is pinned.

    What is not named stays as it is. Versions never change.
    """
    from swath.client.errors import LocalError

    wanted: dict[str, Any] = {"labels": labels_of(label), "callers": caller or None, "editors": editor or None}
    for what in clear or ():
        if what not in wanted:
            raise LocalError(f"--clear: expected {', '.join(wanted)}, got '{what}'")
        if wanted[what]:
            raise LocalError(f"--clear {what} and --{what.removesuffix('s')} exclude one another")
        wanted[what] = {} if what == "labels" else []
    if pin is None and all(value is None for value in wanted.values()):
        raise LocalError("say what to change: --label, --caller, --editor, --clear, --pin or --no-pin")
    model = client.models.update(name, **wanted, pinned=pin)
    if as_json:
        print_json([message_json(model)])
        return
    _about(make_console(), model)


@connects
def unpublish(
    client: Any,
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    version: Annotated[
        int | None, typer.Argument(help="Version to take out of service; the whole model if left out.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a whole model goes.")] = False,
) -> None:
    """Take a version, or a whole model, out of service. Calls that run are answered."""
    import sys

    if version is None and not yes and sys.stdin.isatty():
        numbers = _numbers(client.models.get(name).model.versions)
        typer.confirm(f"Unpublish {name} with all its versions ({numbers})?", abort=True)
    client.models.unpublish(name, version)
    what = name if version is None else f"{name} version {version}"
    make_console().print(f"unpublished {what}", highlight=False, markup=False)


def shares_of(texts: list[str]) -> dict[int, float]:
    """Percentages by version: what is left of 100 goes in equal parts to versions that are named without one.

    Raises:
        LocalError: A text is no version, or a version is named twice.
    """
    from swath.client.errors import LocalError

    given: dict[int, float | None] = {}
    for text in texts:
        number, found, percent = text.partition(":")
        try:
            version, share = int(number), float(percent.removesuffix("%")) if found else None
        except ValueError:
            raise LocalError(f"expected VERSION or VERSION:PERCENT, such as 3 or 3:95, got '{text}'") from None
        if version in given:
            raise LocalError(f"version {version} is named twice")
        given[version] = share
    open_ = [version for version, share in given.items() if share is None]
    left = _ALL - sum(share for share in given.values() if share is not None)
    return {version: left / len(open_) if share is None else share for version, share in given.items()}


def _show(console: Console, model: Any, states: Any) -> None:
    from datetime import datetime

    from rich.markup import escape

    _about(console, model)
    if model.aliases:
        table = plain_table("alias", "version", "before")
        for each in model.aliases:
            table.add_row(f"[bold]{each.name}[/]", targets_text(each.targets), f"[dim]{targets_text(each.previous)}[/]")
        console.print()
        console.print(table)
    table = plain_table("version", "published", "by", "description")
    for each in reversed(model.versions):
        at = datetime.fromtimestamp(each.published_at).strftime("%Y-%m-%d %H:%M")
        table.add_row(f"[bold]{each.number}[/]", at, escape(each.published_by or "·"), escape(each.description))
    console.print()
    console.print(table)
    for newest in model.versions[-1:]:
        console.print()
        console.print(_specs("input", newest.inputs))
        console.print()
        console.print(_specs("output", newest.outputs))
    console.print()
    if not states:
        console.print("[dim]no replica of inference says anything of it[/]")
        return
    console.print(_states(states))


def _about(console: Console, model: Any) -> None:
    from rich.markup import escape

    notes = [f"owner {model.owner}" if model.owner else "no owner", f"revision {model.revision}"]
    notes += ["pinned"] * model.pinned
    console.print(f"[bold]{model.name}[/]  [dim]{escape(' · '.join(notes))}[/]", highlight=False)
    access = (("callers", model.callers or ["everybody"]), ("editors", model.editors or ["the owner alone"]))
    for title, names in (*access, ("labels", [f"{key}={value}" for key, value in sorted(model.labels.items())])):
        if names:
            console.print(f"[dim]{title}[/]  {escape(', '.join(names))}", highlight=False)


def _specs(title: str, specs: Any) -> Table:
    from rich.markup import escape

    table = plain_table(title, "type", "")
    for spec in specs:
        shape = f" \\[{' '.join('·' if size < 0 else str(size) for size in spec.shape)}]" if spec.shape else ""
        mark = " [dim](optional)[/]" if spec.optional else ""
        table.add_row(f"[bold]{escape(spec.name)}[/]", f"{spec.dtype}{shape}", escape(spec.description) + mark)
    return table


def _states(states: Any) -> Table:
    from rich.filesize import decimal
    from rich.markup import escape

    from swath.models.v1 import models_pb2 as pb

    table = plain_table("replica", "version", "state", "memory", "why")
    for each in states:
        word = pb.ReplicaState.State.Name(each.state).removeprefix("STATE_").lower()
        memory = decimal(each.memory_bytes) if each.memory_bytes else ""
        coloured = f"[{_COLOURS.get(word, 'dim')}]{word}[/]"
        table.add_row(escape(each.replica), str(each.version), coloured, memory, escape(each.reason))
    return table


def _numbers(versions: Any) -> str:
    """Versions' numbers in a few words: all of few, the ends of many."""
    numbers = [str(each.number) for each in versions]
    if len(numbers) > 6:
        return f"{', '.join(numbers[:2])}, … {', '.join(numbers[-2:])}"
    return ", ".join(numbers) or "none"


def _aliases(model: Any) -> str:
    return "  ".join(f"[bold]{each.name}[/] [dim]→[/] {targets_text(each.targets)}" for each in model.aliases)


def _labels(model: Any) -> str:
    from rich.markup import escape

    return escape(" ".join(f"{key}={value}" for key, value in sorted(model.labels.items())))
