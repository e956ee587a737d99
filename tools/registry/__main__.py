"""Writes the generated parts of files that follow from the registry of services: `python -m tools.registry [--check]`.

    .importlinter                        packages in the rules for imports
    services/Dockerfile                  wheels of each image
    skaffold.yaml                        sources that are copied into running pods, and images
    k8s/skaffold/values.yaml             services
    services/standalone/pyproject.toml   services that it is made of
    libs/suite/pyproject.toml            services that it starts

What the chart has of it is written by `charts/generate.py`, what images install beside Swath by
`services/images/requirements.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from swath.api import REGISTRY, Registry
from tools import generated_files
from tools.registry import images, imports
from tools.registry.distributions import distributions
from tools.registry.regions import fill

ROOT = Path(__file__).resolve().parents[2]
_COMPOSED = ("services/standalone/pyproject.toml", "libs/suite/pyproject.toml")


def files(root: Path = ROOT, registry: Registry = REGISTRY) -> dict[Path, str]:
    """Return each file of a repository as it should be, by its place.

    Raises:
        ValueError: A file lacks a region, or the registry contradicts the pyproject files.
        LookupError: A process has no distribution.
    """
    made_of = _made_of(registry)
    # Before the others, which follow from what distributions depend on.
    found = {root / place: _filled(root / place, made_of) for place in _COMPOSED}
    known = distributions(root, found)
    regions = {
        ".importlinter": imports.regions(registry, known),
        "services/Dockerfile": images.dockerfile(registry, known),
        "skaffold.yaml": images.skaffold(registry, known),
        "k8s/skaffold/values.yaml": images.skaffold_values(registry),
    }
    return found | {root / place: _filled(root / place, lines) for place, lines in regions.items()}


def _filled(place: Path, regions: Mapping[str, Sequence[str]]) -> str:
    try:
        return fill(place.read_text(), regions)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _made_of(registry: Registry) -> dict[str, list[str]]:
    names = [each.distribution for each in registry.services]
    return {
        "services": [f'"{name}",' for name in names],
        "sources": [f"{name} = {{ workspace = true }}" for name in names],
    }


def main() -> int:
    """Write the files, or name those that are out of date; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.registry", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a file is out of date")
    return generated_files.write(files(), check=parser.parse_args().check)


if __name__ == "__main__":
    sys.exit(main())
