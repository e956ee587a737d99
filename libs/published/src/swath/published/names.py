"""Names of models and aliases, and how errors show what a client has sent for one."""

from __future__ import annotations

import re

from swath.errors import InvalidInput, ModelNotFound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_RULE = "1 to 128 letters, digits, dots, dashes and underlines, the first one a letter or a digit"
_SHOWN = 128


def check_model_name(name: str) -> str:
    """Return a model's name.

    Raises:
        InvalidInput: It is none.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"name of the model: expected {_RULE}, got {shown(name)}")
    return name


def check_alias(alias: str) -> str:
    """Return an alias: a name that is no number, since a number in its place is a version.

    Raises:
        InvalidInput: It is none.
    """
    if not _NAME.fullmatch(alias) or alias.isdecimal():
        raise InvalidInput(f"alias: expected {_RULE}, and not digits alone, got {shown(alias)}")
    return alias


def no_model(name: str, version: str = "") -> ModelNotFound:
    """Return the error for a model that there is not, or not for the caller: both are answered in the same words.

    Args:
        name: Of the model.
        version: The version that was asked for, if one was.
    """
    asked = f"{shown(name)} version {shown(version)}" if version else shown(name)
    return ModelNotFound(f"Model {asked} not found: it was never published, was taken back, or is not for you")


def shown(text: str) -> str:
    """Return a client's text as it may stand in a message."""
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
