"""What holds for every scenario of `charts/swath/ci` and for all values in `k8s`: form, rights, volumes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from swath_suite.testing.manifests import Objects, containers, pods

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMAS = REPOSITORY / "tools" / "schemas"
RELEASES = sorted(place.stem.removeprefix("kubernetes-") for place in SCHEMAS.glob("kubernetes-*.json"))


def _documents(place: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(place.read_text()))


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Schemas as kubeconform looks for them: a folder a release, a file a kind."""
    folder = tmp_path_factory.mktemp("schemas")
    extensions = json.loads((SCHEMAS / "extensions.json").read_text())
    for release in RELEASES:
        definitions = json.loads((SCHEMAS / f"kubernetes-{release}.json").read_text())
        # References are to "#/definitions/...".
        place = folder / f"v{release}.0"
        place.mkdir()
        for name in definitions:
            group, version, kind = name.split(".")[-3:]
            if name.startswith("io.k8s.api."):
                suffix = f"-{version}" if group == "core" else f"-{group}-{version}"
                document = {"$ref": f"#/definitions/{name}", "definitions": definitions}
                (place / f"{kind}{suffix}.json".lower()).write_text(json.dumps(document))
        for name, document in extensions.items():
            (place / f"{name}.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="session")
def kubeconform(
    schemas: Path, go_tool: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs kubeconform for a release on files."""
    where = f"{schemas}/{{{{ .NormalizedKubernetesVersion }}}}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"

    def run(release: str, *files: Path) -> subprocess.CompletedProcess[str]:
        options = ["-strict", "-summary", "-kubernetes-version", f"{release}.0", "-schema-location", where]
        return go_tool("kubeconform", *options, *files)

    return run


@pytest.mark.timeout(600)  # Go builds the program the first time
@pytest.mark.parametrize("release", RELEASES)
def test_objects_have_the_form_of_each_release(
    scenarios: dict[str, Objects],
    release: str,
    kubeconform: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    for name, objects in scenarios.items():
        jobs = [yaml.safe_load(each["data"]["job.yaml"]) for each in objects if "job.yaml" in each.get("data", {})]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all([*objects, *jobs]))
    done = kubeconform(release, *tmp_path.iterdir())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


@pytest.mark.timeout(600)
def test_what_is_around_the_chart_has_the_form_of_its_kind(
    kubeconform: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    objects = [
        place
        for place in REPOSITORY.glob("k8s/*/*.yaml")
        if all("apiVersion" in each and "kind.x-k8s.io" not in each["apiVersion"] for each in _documents(place))
    ]
    assert {place.name for place in objects} == {"issuers.yaml", "public.yaml", "gateway.yaml"}
    done = kubeconform("1.33", *objects)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


@pytest.mark.timeout(600)
def test_a_name_that_there_is_not_is_found(
    scenarios: dict[str, Objects], kubeconform: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    deployment = next(each for each in scenarios["default"] if each["kind"] == "Deployment")
    spoilt = json.loads(json.dumps(deployment))
    spoilt["spec"]["template"]["spec"]["containers"][0]["readyProbe"] = {}
    (tmp_path / "spoilt.yaml").write_text(yaml.safe_dump(spoilt))
    done = kubeconform("1.33", tmp_path / "spoilt.yaml")
    assert done.returncode == 1
    assert "readyProbe" in done.stdout


def test_names_are_unique_and_short_enough(scenario: Objects) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in scenario]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 for _, name in names)


def test_everything_is_in_the_release_s_namespace(scenario: Objects) -> None:
    assert {each["metadata"].get("namespace", "prod") for each in scenario} == {"prod"}


def test_no_volume_is_asked_for_by_several_nodes_at_once(scenario: Objects) -> None:
    claims = [claim for each in scenario for claim in each.get("spec", {}).get("volumeClaimTemplates", [])]
    claims += [each for each in scenario if each["kind"] == "PersistentVolumeClaim"]
    assert {mode for claim in claims for mode in claim["spec"]["accessModes"]} <= {"ReadWriteOnce"}
    assert "ReadWriteMany" not in json.dumps(scenario)


def test_pods_run_as_nobody_in_particular_and_change_nothing_of_their_image(scenario: Objects) -> None:
    for name, pod in pods(scenario):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    for name, container in containers(scenario):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_no_service_of_kubernetes_passes_for_a_setting(scenario: Objects) -> None:
    assert all(pod["enableServiceLinks"] is False for _, pod in pods(scenario))


def test_every_container_says_what_it_needs_and_how_much_memory_it_may_take(scenario: Objects) -> None:
    for name, container in containers(scenario):
        resources = container["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys(), name
        assert "memory" in resources["limits"], name


def test_every_mount_has_its_volume(scenario: Objects) -> None:
    for owner in scenario:
        claims = {each["metadata"]["name"] for each in owner.get("spec", {}).get("volumeClaimTemplates", [])}
        for name, pod in pods([owner]):
            volumes = {each["name"] for each in pod.get("volumes", [])} | claims
            for container in (*pod.get("initContainers", []), *pod["containers"]):
                mounts = [each["name"] for each in container.get("volumeMounts", [])]
                assert set(mounts) <= volumes, name


def test_torch_has_a_dev_shm_of_its_own_in_memory(scenario: Objects) -> None:
    for name, pod in pods(scenario):
        if name.split("/")[0] not in ("Deployment", "StatefulSet", "ConfigMap"):
            continue
        for container in pod["containers"]:
            mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
            if "swath-torch" in container["image"]:
                volume = next(each for each in pod["volumes"] if each["name"] == mounts["/dev/shm"])
                assert volume["emptyDir"]["medium"] == "Memory", name


def test_pods_are_selected_by_one_workload_alone(scenario: Objects) -> None:
    selectors = [
        json.dumps(each["spec"]["selector"]["matchLabels"], sort_keys=True)
        for each in scenario
        if each["kind"] in ("Deployment", "StatefulSet")
    ]
    assert len(set(selectors)) == len(selectors)


def test_only_who_needs_the_api_server_can_ask_it(scenario: Objects) -> None:
    may = {name.split("/")[1] for name, pod in pods(scenario) if pod.get("automountServiceAccountToken") is not False}
    assert may <= {"swath-installation", "swath-removal", "swath-rotation", "swath-training"}
    jobs = any("job.yaml" in each.get("data", {}) for each in scenario)
    assert ("swath-training" in may) is jobs


def test_rights_name_what_they_are_for(scenario: Objects) -> None:
    for role in (each for each in scenario if each["kind"] == "Role"):
        for rule in role["rules"]:
            assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
            if "secrets" in rule["resources"]:
                assert rule["verbs"] == ["create"] or rule["resourceNames"], role["metadata"]["name"]
    assert not [each for each in scenario if each["kind"].startswith("Cluster")]


def test_each_network_policy_denies_what_it_does_not_say(scenario: Objects) -> None:
    policies = [each for each in scenario if each["kind"] == "NetworkPolicy"]
    assert all(each["spec"]["policyTypes"] == ["Ingress", "Egress"] for each in policies)
    covered = {each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for each in policies}
    if policies:
        workloads = {
            each["metadata"]["labels"]["app.kubernetes.io/component"]
            for each in scenario
            if each["kind"] in ("Deployment", "StatefulSet", "CronJob")
        }
        assert workloads <= covered
