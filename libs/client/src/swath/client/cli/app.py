"""The command group: own commands, commands of other packages, and what an error looks like."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from swath.client.cli.bench import bench
from swath.client.cli.files import cp, ls, rm
from swath.client.cli.infer import infer
from swath.client.cli.live.commands import attach, pause, resume, runs, set_values, stop, top
from swath.client.cli.live.compare import compare
from swath.client.cli.logs import logs
from swath.client.cli.models import alias, models, unpublish, update
from swath.client.cli.nodes import nodes
from swath.client.cli.pipeline import pipeline
from swath.client.cli.publish import publish
from swath.client.cli.restore import restore
from swath.client.cli.train import train

ENTRY_POINTS = "swath.commands"


def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"swath {installed('swath')}")


_OWN: tuple[Callable[..., Any], ...] = (
    train,
    logs,
    runs,
    attach,
    pause,
    resume,
    stop,
    set_values,
    compare,
    top,
    infer,
    restore,
    publish,
    models,
    alias,
    update,
    unpublish,
    nodes,
    pipeline,
    bench,
    ls,
    cp,
    rm,
    version,
)


class Commands(TyperGroup):
    """A group that builds a command when it is asked for, and turns errors into one line.

    Building all of them takes typer a few hundred milliseconds, which nobody should wait for who asks for one.
    """

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return [*sorted(_entry_points()), *(function.__name__ for function in _OWN)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        function = _function(cmd_name)
        if function is None:
            return None
        group = isinstance(function, typer.Typer)
        if self._listing:
            return TyperCommand(cmd_name, help=str(function.info.help) if group else inspect.getdoc(function))
        if group:
            return typer.main.get_command(function)
        single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
        single.command(cmd_name)(function)
        return typer.main.get_command(single)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            sentence = _sentence(error)
            if sentence is None:
                raise
            _print_error(sentence)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    name="swath",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def swath(
    asked: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train and serve pipelines for hyperspectral data over gRPC."""


def main() -> None:
    """Entry point of the ``swath`` command."""
    app()


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _function(name: str) -> Callable[..., Any] | typer.Typer | None:
    own = {function.__name__: function for function in _OWN}
    if name in own:
        return own[name]
    point = _entry_points().get(name)
    if point is None:
        return None
    try:
        return point.load()
    except ImportError as error:
        # A broken package must not take the other commands with it.
        return _unloadable(point, str(error))


def _unloadable(point: EntryPoint, cause: str) -> Callable[[], None]:
    def broken() -> None:
        from swath.client.errors import MissingPackageError

        raise MissingPackageError(f"the command '{point.name}' of {point.value} cannot be loaded: {cause}")

    broken.__doc__ = f"(cannot be loaded: {cause})"
    return broken


def _sentence(error: Exception) -> str | None:
    """The message for the user, or None for errors that are bugs and deserve their traceback."""
    from swath.client.errors import ClientError

    if isinstance(error, OSError) and not isinstance(error, ClientError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    # Messages of the suite's errors are complete; errors of a server's own command are known by their reason.
    if isinstance(error, ClientError) or hasattr(error, "reason"):
        return str(error)
    return None


def _print_error(sentence: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, soft_wrap=True).print(
        Text.assemble(("error: ", "bold red"), (" ".join(sentence.split()), "red"))
    )
