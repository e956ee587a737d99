"""The chart as Helm renders it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from swath_suite.testing.fixtures import missing
from swath_suite.testing.manifests import Objects, objects_of

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "swath"
SCENARIOS = {place.stem: place for place in sorted(CHART.glob("ci/**/*.yaml"))} | {
    f"k8s-{place.parent.name}": place for place in sorted(REPOSITORY.glob("k8s/*/values.yaml"))
}


def find(name: str) -> str:
    """Return a program, from the search path or from where `go install` puts it."""
    homes = [os.environ.get("GOBIN"), str(Path(os.environ.get("GOPATH") or Path.home() / "go") / "bin")]
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *filter(None, homes)]))
    if found is None:
        missing(f"{name} is not on this machine")
    return found


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Helm and returns how it ended."""
    found = find("helm")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [found, *arguments, "--kube-version", "1.33"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Objects]:
    """Renders the chart with values, given as files or as `--set` takes them."""

    @cache
    def objects(*values: str | Path) -> Objects:
        given = [word for each in values for word in (("-f", str(each)) if isinstance(each, Path) else ("--set", each))]
        done = helm("template", "swath", str(CHART), "--namespace", "prod", *given)
        assert done.returncode == 0, done.stderr
        return objects_of(done.stdout)

    return objects


@pytest.fixture(scope="session")
def go_tool() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program of `tools/go.mod`, which Go builds the first time."""
    found = find("go")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [found, "tool", *map(str, arguments)]
        return subprocess.run(command, cwd=REPOSITORY / "tools", capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def scenarios(render: Callable[..., Objects]) -> dict[str, Objects]:
    """All objects of each scenario of `charts/swath/ci`, and of the values in `k8s`, by its name."""
    return {name: render(place) for name, place in SCENARIOS.items()}


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest, scenarios: dict[str, Objects]) -> Objects:
    """All objects of one scenario after the other."""
    return scenarios[request.param]
