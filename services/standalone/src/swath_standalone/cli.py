"""`swath serve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [127.0.0.1]", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one. [50051]")] = None,
    configs: Annotated[Path | None, typer.Option(help="Folder of Hydra configs. [the shipped ones]")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder for sessions, runs and files. [user data folder]")] = None,
    allow_root: Annotated[
        list[Path] | None, typer.Option(help="Folder that absolute paths in calls may lead to; may be repeated.")
    ] = None,
) -> None:
    """Run the whole suite in one process.

    Every option is also an environment variable: SWATH_HOST, SWATH_PORT, SWATH_CONFIGS, SWATH_STATE, SWATH_ALLOW_ROOT.
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from swath.errors import SwathError
    from swath.rpc.server.reactor import run
    from swath.runtime.logs import Telemetry, configure_logs, tell
    from swath.runtime.process import warn_mistyped
    from swath.runtime.serving import Program
    from swath.runtime.serving import serve as serve_all
    from swath.runtime.settings import problems
    from swath_standalone.app import compose, locked
    from swath_standalone.settings import StandaloneSettings
    from swath_training import FOLDER, prepare

    given = {"host": host, "port": port, "configs": configs, "state": state, "allow_root": allow_root or None}
    try:
        settings = StandaloneSettings(**{key: value for key, value in given.items() if value is not None})
    except (ValidationError, SettingsError) as error:
        for line in problems(error):
            tell(f"swath serve: {line}", sys.stderr)
        raise typer.Exit(2) from None
    if not settings.configs.is_dir():
        tell(f"swath serve: the configs folder {settings.configs} does not exist", sys.stderr)
        raise typer.Exit(2)
    configure_logs(settings)
    warn_mistyped()
    program = Program(title="swath", service="standalone", details=f", state in {settings.state}")
    try:
        with locked(settings.state):
            # The forkserver must be there before any gRPC object: forking a process with gRPC's threads can hang.
            launcher = prepare(settings.state / FOLDER, Telemetry.of(settings), settings.max_message_bytes)
            run(serve_all(settings, program, lambda stack: compose(settings, launcher, stack)))
    except SwathError as error:
        tell(f"swath serve: {error.message}", sys.stderr)
        raise typer.Exit(1) from None
