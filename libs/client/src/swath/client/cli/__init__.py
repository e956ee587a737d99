"""The ``swath`` command.

Commands import what they need when they run, so that ``swath --help`` is there at once. Other packages add commands by
the entry point group ``swath.commands``: name = a plain function that typer can read.
"""

from __future__ import annotations

from swath.client.cli.app import app, main

__all__ = ["app", "main"]
