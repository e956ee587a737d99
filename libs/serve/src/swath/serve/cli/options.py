"""Options that commands share, and what is said of those that have no effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

_RAY = "Taken from Ray Serve, and unused"

Target = Annotated[
    str,
    typer.Argument(metavar="CONFIG_OR_IMPORT_PATH", help="Config file, if there is one of that name; else module:app."),
]
Arguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="For the function that builds the application.", show_default=False),
]
Name = Annotated[str, typer.Option("--name", help="Name of the application; of an import path only.")]
RoutePrefix = Annotated[
    str | None, typer.Option("--route-prefix", help="Unused: HTTP is not served.", show_default=False)
]
AppDir = Annotated[Path, typer.Option("--app-dir", help="Folder that modules are imported from.")]
WorkingDir = Annotated[
    Path | None, typer.Option("--working-dir", help="Folder with the code. [--app-dir]", show_default=False)
]
RuntimeEnv = Annotated[
    Path | None, typer.Option("--runtime-env", help="YAML file with the runtime_env.", show_default=False)
]
RuntimeEnvJson = Annotated[
    str | None, typer.Option("--runtime-env-json", help="The runtime_env as JSON.", show_default=False)
]
Functions = Annotated[
    list[str] | None,
    typer.Option(
        "--grpc-servicer-functions",
        help="module.add_<Service>Servicer_to_server; may be repeated.",
        show_default=False,
    ),
]
Address = Annotated[
    str | None, typer.Option("--address", "-a", help=f"{_RAY}: --target names the server.", show_default=False)
]
HttpHost = Annotated[str | None, typer.Option("--http-host", help=f"{_RAY}.", show_default=False)]
HttpPort = Annotated[int | None, typer.Option("--http-port", help=f"{_RAY}.", show_default=False)]
ProxyLocation = Annotated[str | None, typer.Option("--proxy-location", help=f"{_RAY}.", show_default=False)]


def say_unused(**given: Any) -> None:
    """Say of options that were given that they have no effect.

    Args:
        given: Values by the options' names; None and empty ones were not given.
    """
    for name, value in given.items():
        if value not in (None, "", (), []):
            note(f"--{name.replace('_', '-')} is unused: HTTP is not served, and there is no Ray cluster")


def note(text: str) -> None:
    """Say something beside what a command prints."""
    typer.echo(f"note: {text}", err=True)


def notes(texts: Iterable[str]) -> None:
    """Say several things beside what a command prints."""
    for text in texts:
        note(text)


def key_values(arguments: Iterable[str]) -> dict[str, str]:
    """Return arguments KEY=VALUE as a mapping.

    Raises:
        LocalError: One has no `=`, or comes twice.
    """
    from swath.client.errors import LocalError

    found: dict[str, str] = {}
    for each in arguments:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise LocalError(f"expected KEY=VALUE, got {each!r}")
        if key in found:
            raise LocalError(f"{key} is given twice: {found[key]!r} and {value!r}")
        found[key] = value
    return found


def clear_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Have errors of config files, which have a line for each thing that is wrong, printed as they are; exit with 1."""
    import functools

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            text = getattr(error, "message", "")
            if not isinstance(text, str) or "\n" not in text or not hasattr(error, "reason"):
                raise
            typer.echo(f"error: {text}", err=True)
            raise typer.Exit(1) from None

    return wrapper
