"""The options that all commands share for reaching a server."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

if TYPE_CHECKING:
    from swath.client.sync import Client

PANEL = "Connection"
CONNECT_S = 3.0
READY_S = 60.0

T = TypeVar("T")


def _connection(
    target: Annotated[
        str, typer.Option("--target", "-t", envvar="SWATH_TARGET", help="Server, HOST:PORT.", rich_help_panel=PANEL)
    ] = "localhost:50051",
    token: Annotated[
        str, typer.Option(envvar="SWATH_TOKEN", help="Bearer token.", rich_help_panel=PANEL, show_default=False)
    ] = "",
    tls_root: Annotated[
        Path | None,
        typer.Option(envvar="SWATH_TLS_ROOT", help="Certificates to trust (PEM); turns TLS on.", rich_help_panel=PANEL),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(envvar="SWATH_TLS_CERT", help="Own certificate, for mutual TLS.", rich_help_panel=PANEL),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="SWATH_TLS_KEY", help="Key of that certificate.", rich_help_panel=PANEL)
    ] = None,
    max_message_mb: Annotated[
        int, typer.Option(min=1, max=2047, help="Largest message, in MiB.", rich_help_panel=PANEL)
    ] = 300,
) -> Client:
    from swath.client.config import MIB, ClientConfig, RetryConfig, TlsConfig
    from swath.client.errors import LocalError, UnavailableError
    from swath.client.sync import Client

    try:
        tls = TlsConfig(root=tls_root, cert=tls_cert, key=tls_key) if tls_root or tls_cert or tls_key else None
        client = Client(
            ClientConfig(
                target=target,
                tls=tls,
                token=token or None,
                retry=RetryConfig(),
                max_message_bytes=max_message_mb * MIB,
            )
        )
    except ValueError as error:
        raise LocalError(str(error)) from None
    try:
        client.ready(READY_S, CONNECT_S)
    except UnavailableError as error:
        client.close()
        hint = "; start one with: swath serve" if error.message.startswith("no server") else ""
        raise LocalError(error.message + hint) from None
    return client


def connects(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command the shared options and, as its first argument, a client that is connected.

    The client is closed when the command ends.
    """
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = list(inspect.signature(_connection).parameters.values())
    hints = get_type_hints(command, include_extras=True) | get_type_hints(
        _connection, include_extras=True, localns={"Client": object}
    )

    @functools.wraps(command)
    def wrapper(**values: Any) -> T:
        with _connection(**{parameter.name: values.pop(parameter.name) for parameter in shared}) as client:
            return command(client, **values)

    # typer reads the wrapper's own signature and must not look through to the command's.
    del wrapper.__wrapped__  # type: ignore[attr-defined]
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
        for parameter in [*own, *shared]
    ]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper
