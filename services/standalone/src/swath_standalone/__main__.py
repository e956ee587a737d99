"""`python -m swath_standalone`."""

import typer

from swath_standalone.cli import serve

if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(serve)
    app()
