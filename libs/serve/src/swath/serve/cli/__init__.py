"""`swath app`: runs applications in this process, and deploys them on a server."""

from __future__ import annotations

import typer

from swath.serve.cli.building import build
from swath.serve.cli.deploying import config, delete, deploy, shutdown
from swath.serve.cli.running import run, start
from swath.serve.cli.states import status

app = typer.Typer(
    name="app",
    help="Run and deploy applications: your own gRPC services.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

for _command in (run, deploy, status, config, build, delete, start, shutdown):
    app.command(_command.__name__)(_command)
