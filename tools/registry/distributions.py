"""The distributions of the repository, as their pyproject files declare them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NAMESPACE = "swath"


@dataclass(frozen=True)
class Distribution:
    """A distribution.

    Attributes:
        name: Such as "swath-runtime".
        folder: Where it is, from the repository's root: "libs/runtime".
        packages: What it brings: "swath.runtime"; several where it shares out the namespace.
        requires: Names of the distributions that it depends on, those of others among them.
    """

    name: str
    folder: str
    packages: tuple[str, ...]
    requires: frozenset[str]


def distributions(root: Path, changed: Mapping[Path, str]) -> dict[str, Distribution]:
    """Return the distributions of a repository by their names, libraries first.

    Args:
        root: The repository.
        changed: Texts of pyproject files that are about to be written.
    """
    places = [place for kind in ("libs", "services") for place in sorted(root.glob(f"{kind}/*/pyproject.toml"))]
    found = (_read(place, root, changed.get(place) or place.read_text()) for place in places)
    return {each.name: each for each in found}


def closure(names: Iterable[str], known: Mapping[str, Distribution]) -> dict[str, Distribution]:
    """Return distributions with all of ours that they depend on, in the order of `known`.

    Raises:
        LookupError: One is not known.
    """
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in known:
            raise LookupError(f"no folder of libs/ or services/ has the distribution {name}")
        if name not in found:
            found.add(name)
            waiting += known[name].requires & known.keys()
    return {name: each for name, each in known.items() if name in found}


def depends_on(name: str, other: str, known: Mapping[str, Distribution]) -> bool:
    """Return whether a distribution, or one of ours that it depends on, depends on another one."""
    return any(other in each.requires for each in closure([name], known).values())


def _read(place: Path, root: Path, text: str) -> Distribution:
    project = tomllib.loads(text)["project"]
    return Distribution(
        name=project["name"],
        folder=str(place.parent.relative_to(root)),
        packages=tuple(sorted(_packages(place.parent / "src"))),
        requires=frozenset(_named(each) for each in project.get("dependencies", ())),
    )


def _named(requirement: str) -> str:
    found = _NAME.match(requirement)
    if found is None:
        raise ValueError(f"{requirement!r} names no distribution")
    return found[0].lower()


def _packages(source: Path) -> set[str]:
    found = set()
    for place in source.iterdir():
        if place.name == _NAMESPACE:
            found |= {f"{_NAMESPACE}.{each.stem}" for each in place.iterdir() if _is_package(each)}
        elif _is_package(place):
            found.add(place.stem)
    return found


def _is_package(place: Path) -> bool:
    return place.suffix == ".py" or (place / "__init__.py").exists() or any(place.glob("v*/__init__.py"))
