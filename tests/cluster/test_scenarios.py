"""Each scenario of charts/swath/ci comes up on a real cluster; its API server takes objects of other projects."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import CHART, IMAGES, RELEASE, REPOSITORY, Cluster, program, run

SCENARIOS = sorted(CHART.glob("ci/*.yaml"))
DRY = sorted(CHART.glob("ci/dry-run/*.yaml"))


@pytest.mark.parametrize("values", SCENARIOS, ids=lambda values: values.stem)
def test_a_scenario_comes_up_and_trains(values: Path) -> None:
    cluster = Cluster(f"swath-{values.stem}", values)
    try:
        started = time.monotonic()
        cluster.apply()
        print(f"{values.stem}: ready after {time.monotonic() - started:.0f} s")
        assert cluster.helm("test", RELEASE, "--timeout=5m").count("Phase:          Succeeded") == 3
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The custom resource definitions of cert-manager, the Gateway API, KEDA and the Prometheus operator.

    Those that the cluster has already are left as they are.
    """
    folder = tmp_path_factory.mktemp("crds")
    subprocess.run([sys.executable, str(REPOSITORY / "tools" / "schemas.py"), "--crds", str(folder)], check=True)
    there = run(["kubectl", "get", "crds", "-o", "name"]).split()
    given = [str(each) for each in sorted(folder.iterdir())]
    names = {file: run(["kubectl", "create", "--dry-run=client", "-o", "name", "-f", file]).strip() for file in given}
    new = [file for file, name in names.items() if name not in there]
    for file in new:
        run(["kubectl", "create", "-f", file])
    for file in new:
        run(["kubectl", "wait", "--for=condition=Established", "--timeout=60s", "-f", file])
    yield
    for file in new:
        run(["kubectl", "delete", "-f", file, "--wait=false"])


@pytest.mark.usefixtures("definitions")
@pytest.mark.parametrize("values", DRY, ids=lambda values: values.stem)
def test_the_api_server_takes_every_object(values: Path) -> None:
    cluster = Cluster(f"swath-{values.stem}", values)
    try:
        files = ["-f", str(values), "-f", str(IMAGES)]
        rendered = cluster.helm("template", RELEASE, str(CHART), *files, "--no-hooks", "--validate")
        taken = cluster.kubectl("apply", "--dry-run=server", "-f", "-", given=rendered)
        assert taken.count("(server dry run)") == rendered.count("\nkind: ")
    finally:
        cluster.kubectl("delete", "namespace", cluster.namespace, "--wait=false", check=False)


@pytest.mark.usefixtures("definitions")
@pytest.mark.parametrize("example", ["cert-manager/issuers", "cert-manager/public", "gateway-api/gateway"])
def test_the_api_server_takes_the_examples(example: str) -> None:
    objects = [*yaml.safe_load_all((REPOSITORY / "k8s" / f"{example}.yaml").read_text())]
    for each in objects:
        # Theirs need not be there.
        each["metadata"].pop("namespace", None)
    given = yaml.safe_dump_all(objects)
    taken = run(["kubectl", "apply", "--dry-run=server", "--namespace", "default", "-f", "-"], given)
    assert taken.count("(server dry run)") == len(objects)


def test_helm_finds_nothing_to_say() -> None:
    assert "0 chart(s) failed" in run([program("helm"), "lint", str(CHART), "--strict"])
