"""Packages that come with an extra of this distribution, since most users do without them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from swath.client.errors import MissingPackageError


def optional_module(name: str, *, extra: str, purpose: str) -> Any:
    """Import a module of an optional package.

    Args:
        name: The module, such as ``scipy.io``.
        extra: The extra of ``swath`` that installs it.
        purpose: What needs it, as the beginning of a sentence.

    Raises:
        MissingPackageError: It is not installed; the message says by what command it is.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0]
        raise MissingPackageError(
            f"{purpose} needs {package}, which is not installed here; install it with: pip install 'swath[{extra}]'"
        ) from None
