"""What `skaffold dev` would deploy. Skaffold itself is not run: its file is read, and Helm renders what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

Objects = list[dict[str, Any]]

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = "/var/swath/sources"
# What skaffold knows of an image once it is built.
_IMAGES = ("swath_core", "swath_torch", "swath_storage")
_BUILT = {f"{kind}_{name}": f"{kind.lower()}-{name}" for kind in ("IMAGE_REPO", "IMAGE_TAG") for name in _IMAGES}


def _document() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "skaffold.yaml").read_text())


def _releases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the release of each profile, and the one without any."""
    document = _document()
    for profile in [document | {"name": "none"}, *document["profiles"]]:
        (release,) = profile["deploy"]["helm"]["releases"]
        yield profile["name"], release


@pytest.fixture(params=[*_releases()], ids=lambda each: each[0])
def deployed(request: pytest.FixtureRequest, render: Callable[..., Objects]) -> Objects:
    """All objects of a profile."""
    _, release = request.param
    given: list[str | Path] = [REPOSITORY / place for place in release["valuesFiles"]]
    for path, template in release["setValueTemplates"].items():
        given.append(f"{path}={_BUILT[template.removeprefix('{{.').removesuffix('}}')]}")
    given += [f"{path}={value}" for path, value in release.get("setValues", {}).items()]
    return render(*given)


def test_profiles_have_names() -> None:
    assert [profile["name"] for profile in _document()["profiles"]] == ["cpu", "gpu", "debug"]


def test_every_image_of_the_chart_is_built(deployed: Objects) -> None:
    images = {
        container["image"]
        for each in deployed
        if each["kind"] in ("Deployment", "StatefulSet")
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"image_repo-{name}:image_tag-{name}" for name in _IMAGES}
    targets = {each["docker"]["target"] for each in _document()["build"]["artifacts"]}
    assert targets == {"core", "torch", "storage"}


def test_changed_sources_have_a_place_in_every_service(deployed: Objects) -> None:
    for each in (each for each in deployed if each["kind"] == "Deployment"):
        container = each["spec"]["template"]["spec"]["containers"][0]
        assert SOURCES in [mount["mountPath"] for mount in container["volumeMounts"]], each["metadata"]["name"]
        assert {"name": "PYTHONPATH", "value": SOURCES} in container["env"], each["metadata"]["name"]


def test_sources_of_every_package_are_copied() -> None:
    artifacts = {each["image"]: each for each in _document()["build"]["artifacts"]}
    for image in ("swath-core", "swath-torch"):
        rules = artifacts[image]["sync"]["manual"]
        for rule in rules:
            assert (REPOSITORY / rule["strip"]).is_dir()
            assert rule == {"src": f"{rule['strip']}**/*.py", "dest": SOURCES, "strip": rule["strip"]}
        # The gateway's pods run Envoy, standalone is not deployed, and suite is for tests.
        packages = {
            str(place.relative_to(REPOSITORY)) + "/"
            for place in REPOSITORY.glob("*/*/src")
            if place.parent.name not in ("gateway", "standalone", "suite")
        }
        assert {rule["strip"] for rule in rules} == packages


def test_the_gateway_is_led_to(deployed: Objects) -> None:
    (forward,) = _document()["portForward"]
    services = {each["metadata"]["name"]: each for each in deployed if each["kind"] == "Service"}
    ports = services[forward["resourceName"]]["spec"]["ports"]
    assert forward["port"] in [each["port"] for each in ports]
