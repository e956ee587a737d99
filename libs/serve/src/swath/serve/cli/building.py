"""``swath app build``: a config file of applications in code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from swath.serve.cli import options


@options.clear_errors
def build(
    import_paths: Annotated[
        list[str], typer.Argument(metavar="IMPORT_PATH...", help="Applications, module:app each.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output-path", "-o", help="File to write; standard output if left out.")
    ] = None,
    grpc_servicer_functions: options.Functions = None,
    app_dir: options.AppDir = Path(),
) -> None:
    """Write a config file of applications in code, with the options that the code gives them."""
    sys.path.insert(0, str(app_dir.resolve()))
    from swath.serve.schema import build as build_config

    text = build_config(import_paths, grpc_servicer_functions or [])
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text)
        typer.echo(f"wrote {output}")
