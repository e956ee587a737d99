"""`python -m swath_standalone`."""

import typer

from swath_standalone.cli import serve

if __name__ == "__main__":
    typer.run(serve)
