"""Every pod goes where it is told to, with what it is given: services, workers, stores, Jobs, tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from swath.api import SERVICE_NAMES
from swath_suite.testing.manifests import Objects, containers, objects_of, pods, templates

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "swath"
TAINTED = CHART / "ci" / "dry-run" / "tainted.yaml"
PLACED: dict[str, Any] = yaml.safe_load(TAINTED.read_text())["defaults"]


@pytest.fixture(scope="session")
def tainted(scenarios: dict[str, Objects]) -> Objects:
    """All objects of the scenario in which every node is tainted."""
    return scenarios["tainted"]


def test_all_kinds_of_pods_are_looked_at(tainted: Objects) -> None:
    names = {name.removeprefix("ConfigMap/").split()[0] for name, _ in pods(tainted)}
    services = {f"Deployment/swath-{name}" for name in (*SERVICE_NAMES, "gateway")}
    jobs = {"Job/swath-installation", "Job/swath-removal", "CronJob/swath-rotation", "swath-worker"}
    tests = {f"Pod/swath-test-{name}" for name in ("health", "reflection", "train")}
    assert names == {*services, *jobs, *tests, "StatefulSet/swath-postgres", "StatefulSet/swath-s3"}


def test_every_pod_goes_where_defaults_say(tainted: Objects) -> None:
    for name, pod in pods(tainted):
        assert pod["nodeSelector"] == PLACED["nodeSelector"], name
        assert pod["affinity"] == PLACED["affinity"], name
        own = [{"key": "gpu", "operator": "Exists"}] if "worker" in name else PLACED["tolerations"]
        assert pod["tolerations"] == own, name
        around = any(word in name for word in ("installation", "removal", "rotation"))
        assert pod["priorityClassName"] == ("installation" if around else "imaging"), name
        assert pod["imagePullSecrets"] == [{"name": "registry"}], name


def test_every_container_of_a_job_or_test_has_a_limit_on_cpu(tainted: Objects) -> None:
    """A quota on `limits.cpu` refuses pods that have none. Services have one where their values say so."""
    for name, container in containers(tainted):
        if name.startswith(("Job/", "CronJob/", "Pod/", "ConfigMap/")):
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys(), name


def test_lists_have_each_name_once(scenario: Objects) -> None:
    for name, pod in pods(scenario):
        volumes = [each["name"] for each in pod.get("volumes", [])]
        assert len(set(volumes)) == len(volumes), name
    for name, container in containers(scenario):
        variables = [each["name"] for each in container.get("env", [])]
        assert len(set(variables)) == len(variables), name
        places = [each["mountPath"] for each in container.get("volumeMounts", [])]
        assert len(set(places)) == len(places), name


def test_what_is_asked_for_takes_the_place_of_what_the_chart_sets(tainted: Objects) -> None:
    found = dict(containers(tainted))
    session = found["Deployment/swath-session session"]
    variables = {each["name"]: each.get("value") for each in session["env"]}
    assert (variables["SWATH_LOG_LEVEL"], variables["TZ"]) == ("debug", "UTC")
    pod = dict(templates(tainted))["Deployment/swath-session"]
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    assert volumes["tmp"] == {"name": "tmp", "emptyDir": {"sizeLimit": "20Gi"}}
    assert pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "session"


def test_labels_that_objects_are_selected_by_stay_and_others_are_the_user_s(tainted: Objects) -> None:
    for each in tainted:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "swath", each["metadata"]["name"]
        assert labels["app.kubernetes.io/part-of"] == "observatory"
    made = dict(templates(tainted))
    session = made["Deployment/swath-session"]["metadata"]["labels"]
    assert (session["app.kubernetes.io/component"], session["team"]) == ("session", "others")
    assert made["ConfigMap/swath-worker job.yaml"]["metadata"]["labels"]["team"] == "trainers"
    rule = next(each for each in tainted if each["kind"] == "PrometheusRule")
    assert rule["metadata"]["labels"]["team"] == "operators"


def test_pods_are_what_their_owners_select(scenario: Objects) -> None:
    for owner in scenario:
        selector = owner.get("spec", {}).get("selector")
        if owner["kind"] in ("Deployment", "StatefulSet"):
            labels = owner["spec"]["template"]["metadata"]["labels"]
            assert selector["matchLabels"].items() <= labels.items(), owner["metadata"]["name"]


def test_workers_get_what_the_training_service_gets_and_more(tainted: Objects) -> None:
    found = dict(containers(tainted))
    worker = found["ConfigMap/swath-worker job.yaml worker"]
    variables = {each["name"]: each.get("value") for each in worker["env"]}
    assert variables["SWATH_PLUGINS"] == "/opt/plugins"
    assert (variables["SWATH_SLOW_CALL_S"], variables["TZ"]) == ("60", "Europe/Berlin")
    assert variables["SWATH_LOG_LEVEL"] == "debug"
    assert "SWATH_DATABASE_URL" not in variables
    assert "SWATH_JOBS_TEMPLATE" not in variables
    assert {"name": "plugins", "mountPath": "/opt/plugins"} in worker["volumeMounts"]


def test_policies_of_hooks_are_there_when_their_jobs_run(scenario: Objects) -> None:
    """In a namespace that denies all traffic a Job before the release's own objects would reach nothing."""
    hook = "helm.sh/hook"
    policies = [each for each in scenario if each["kind"] == "NetworkPolicy"]
    for job in scenario:
        annotations = job["metadata"].get("annotations", {})
        if job["kind"] != "Job" or hook not in annotations or not policies:
            continue
        labels = job["spec"]["template"]["metadata"]["labels"].items()
        (policy,) = (each for each in policies if each["spec"]["podSelector"]["matchLabels"].items() <= labels)
        events = policy["metadata"]["annotations"][hook].split(",")
        assert set(annotations[hook].split(",")) <= set(events)
        assert int(policy["metadata"]["annotations"][f"{hook}-weight"]) < int(annotations[f"{hook}-weight"])


def test_the_removal_can_be_left_out(render: Callable[..., Objects]) -> None:
    """`helm template | kubectl apply` knows nothing of hooks and would run it at once."""
    jobs = [each["metadata"]["name"] for each in render("jobs.removal=false") if each["kind"] == "Job"]
    assert jobs == ["swath-installation"]


def test_services_are_of_the_ip_families_that_are_asked_for(render: Callable[..., Objects]) -> None:
    services = [each for each in render(TAINTED, "ipFamilies={IPv6,IPv4}") if each["kind"] == "Service"]
    assert len(services) == 17
    for each in services:
        assert each["spec"]["ipFamilyPolicy"] == "PreferDualStack", each["metadata"]["name"]
        assert each["spec"]["ipFamilies"] == ["IPv6", "IPv4"]
    (public,) = (each for each in services if each["metadata"]["name"] == "swath")
    assert public["spec"]["loadBalancerClass"] == "example.org/internal"


def test_releases_that_begin_alike_have_names_of_their_own(
    helm: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    names = []
    for release in ("spectrometer-of-the-northern-observatory-a", "spectrometer-of-the-northern-observatory-b"):
        done = helm("template", release, str(CHART))
        assert done.returncode == 0, done.stderr
        names.append({each["metadata"]["name"] for each in objects_of(done.stdout)})
        assert max(map(len, names[-1])) <= 63
    assert not names[0] & names[1]


def test_another_chart_may_switch_it_off(helm: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    umbrella = tmp_path / "umbrella"
    shutil.copytree(CHART, umbrella / "charts" / "swath")
    dependency = {"name": "swath", "version": "*", "condition": "swath.enabled"}
    chart = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": [dependency]}
    (umbrella / "Chart.yaml").write_text(yaml.safe_dump(chart))
    for wanted in ("true", "false"):
        done = helm("template", "all", str(umbrella), "--set", f"swath.enabled={wanted},global.anything=1")
        assert done.returncode == 0, done.stderr
        assert ("kind: Deployment" in done.stdout) is (wanted == "true")


def test_inference_may_share_the_memory_of_its_node_with_other_pods(render: Callable[..., Objects]) -> None:
    shared = dict(pods(render("services.inference.shm.hostPath=/dev/shm")))
    alone = dict(pods(render()))
    for name, pod in shared.items():
        volumes = {each["name"]: each for each in pod.get("volumes", [])}
        if name != "Deployment/swath-inference":
            assert pod == alone[name], name
            continue
        assert volumes["shm"] == {"name": "shm", "hostPath": {"path": "/dev/shm", "type": "Directory"}}
        [container] = pod["containers"]
        assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]
        settings = {each["name"]: each.get("value") for each in container["env"]}
        assert settings["SWATH_INFERENCE_SEGMENTS_BEHIND_GATEWAY"] == "true"
