"""What images are made of: wheels in `services/Dockerfile`, sources and images in `skaffold.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from swath.api import Registry
from swath.api.model import Image
from tools.registry.distributions import Distribution, closure

IMAGES: tuple[Image, ...] = get_args(Image)
"""Names of images, each with all of the one before it."""

_SOURCES = "/var/swath/sources"


def wheels(registry: Registry, known: Mapping[str, Distribution]) -> dict[str, list[Distribution]]:
    """Return the distributions that each image adds to those of the one before it.

    Raises:
        LookupError: A process has no distribution.
        ValueError: An image without torch needs it.
    """
    found: dict[str, list[Distribution]] = {}
    have: set[str] = set()
    for image in IMAGES:
        names = [each.distribution for each in (*registry.services, *registry.processes) if each.image == image]
        added = [each for name, each in closure(names, known).items() if name not in have]
        if image == "core" and (wrong := [each.name for each in added if "torch" in each.requires]):
            raise ValueError(f"the image core is without torch, and {', '.join(wrong)} needs it")
        found[image] = added
        have.update(each.name for each in added)
    return found


def dockerfile(registry: Registry, known: Mapping[str, Distribution]) -> dict[str, list[str]]:
    """Return the lines of `services/Dockerfile` that name the wheels of each image."""
    found = wheels(registry, known)
    return {
        "wheels": [
            f'ARG {image.upper()}_WHEELS="{" ".join(f"./{each.folder}" for each in added)}"'
            for image, added in found.items()
        ]
    }


def skaffold(registry: Registry, known: Mapping[str, Distribution]) -> dict[str, list[str]]:
    """Return the lines of `skaffold.yaml` that name sources and images."""
    # The gateway's pods run Envoy, and standalone is not deployed.
    left_out = {each.distribution for each in registry.processes} - {each.distribution for each in registry.services}
    sources = [each for added in wheels(registry, known).values() for each in added if each.name not in left_out]
    names = {image: f"swath_{image}" for image in IMAGES}
    return {
        "sources": [
            f'- {{src: "{folder}/src/**/*.py", dest: {_SOURCES}, strip: {folder}/src/}}'
            for folder in sorted(each.folder for each in sources)
        ],
        "images": [
            f'images.{image}.{value}: "{{{{.IMAGE_{kind}_{name}}}}}"'
            for image, name in names.items()
            for value, kind in (("repository", "REPO"), ("tag", "TAG"))
        ],
        "artifacts": [
            line
            for image in IMAGES
            for line in (
                f"- image: swath-{image}",
                "  context: .",
                f"  docker: {{dockerfile: services/Dockerfile, target: {image}}}",
                "  sync: *sync",
            )
        ],
    }


def skaffold_values(registry: Registry) -> dict[str, list[str]]:
    """Return the lines of `k8s/skaffold/values.yaml` for services that are as the first one of their image."""
    first: dict[str, str] = {}
    for each in registry.services:
        first.setdefault(each.image, each.name)
    others = [each for each in registry.services if each.name not in first.values()]
    return {"services": [f"{each.name}: *{each.image}" for each in others]}
