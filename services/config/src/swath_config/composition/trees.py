"""What files say, as plain mappings and lists: put into packages, merged, resolved.

The rules are OmegaConf's. Its own containers cost a hundred times what the plain ones do, so they are made only where
there is something to interpolate.
"""

from __future__ import annotations

from typing import Any, cast

from omegaconf import OmegaConf

MISSING = "???"
"""A value that must be given elsewhere."""


def wrap(content: dict[Any, Any], package: str | None) -> dict[str, Any]:
    """Return a file's content where its package puts it."""
    tree = content
    for part in reversed(package.split(".") if package else ()):
        tree = {part: tree}
    return tree


def merge(tree: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """Return a new tree: mappings merge, everything else of `content` replaces what was there.

    Nothing is shared with either, so that a list which a file names twice by an alias is two lists.
    """
    try:
        return _merged(tree, content)
    except _ReferenceError:
        merged = OmegaConf.merge(OmegaConf.create(tree), OmegaConf.create(content))
        return cast("dict[str, Any]", OmegaConf.to_container(merged, resolve=False))


class _ReferenceError(Exception):
    """A mapping is merged into an interpolation, which stands for a mapping elsewhere."""


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old.get(key, MISSING), value) for key, value in new.items()}}
    if isinstance(new, dict):
        if isinstance(old, str) and "${" in old:
            raise _ReferenceError
        return {key: _merged(MISSING, value) for key, value in new.items()}
    if isinstance(new, list):
        return [_merged(MISSING, item) for item in new]
    return old if new == MISSING else new


def literal(value: Any) -> Any:
    """Write what looks like an interpolation so that it is none."""
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [literal(item) for item in value]
    return value.replace("${", r"\${") if isinstance(value, str) else value


def resolved(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a tree with its interpolations resolved.

    Raises:
        OmegaConfBaseException: One cannot be, or a value is still missing.
    """
    if not _open(tree):
        return tree
    return cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.create(tree), resolve=True, throw_on_missing=True))


def _open(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_open(item) for item in value.values())
    if isinstance(value, list):
        return any(_open(item) for item in value)
    return isinstance(value, str) and ("${" in value or value == MISSING)
