"""Workers as Kubernetes Jobs: what is made of the template, and what is made of the cluster's words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from swath.errors import Precondition
from swath_training.launch.kubernetes.manifest import JobTask, Ports, check, job, name_of, service
from swath_training.launch.kubernetes.pod_status import begun, complaint, ended, outcome, trouble

RUN = "0b9d6a52-7a3e-4d55-9d2e-2a0f3f1c8e11"
GPU = "nvidia.com/gpu"


@pytest.fixture
def template() -> dict[str, Any]:
    """A Job as an installation writes it."""
    worker = {
        "image": "swath-torch:1",
        "env": [{"name": "SWATH_LOG_FORMAT", "value": "json"}],
        "resources": {"limits": {"cpu": 4, GPU: 1}},
    }
    pod = {"metadata": {"labels": {"team": "imaging"}}, "spec": {"containers": [worker, {"image": "sidecar:1"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "swath-run"},
        "spec": {"ttlSecondsAfterFinished": 600, "template": pod},
    }


def _job(template: dict[str, Any], gpus: int | None = None, attempt: int = 2, processes: int = 1) -> dict[str, Any]:
    task = JobTask(RUN, "session", attempt, "10.0.0.7:50051", "secret", gpus, processes)
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "swath-training", "uid": "u"}
    return job(template, task, gpu_resource=GPU, owner=owner, ports=Ports(29400, 29999))


def test_a_job_is_the_template_and_what_belongs_to_the_attempt(template: dict[str, Any]) -> None:
    before = copy.deepcopy(template)
    made = _job(template)
    pod = made["spec"]["template"]
    labels = {
        "swath.dev/run": RUN,
        "swath.dev/session": "session",
        "swath.dev/attempt": "2",
        "swath.dev/worker": "swath-run",
    }
    assert made["metadata"]["name"] == "swath-run-0b9d6a527a3e4d55-2"
    assert made["metadata"]["labels"] == labels
    assert [owner["kind"] for owner in made["metadata"]["ownerReferences"]] == ["Deployment"]
    assert pod["metadata"]["labels"] == {"team": "imaging", **labels}
    assert made["spec"]["ttlSecondsAfterFinished"] == 600
    assert made["spec"]["backoffLimit"] == 0
    assert pod["spec"]["restartPolicy"] == "Never"
    assert template == before


def test_the_worker_learns_what_to_run(template: dict[str, Any]) -> None:
    env = {each["name"]: each["value"] for each in _job(template)["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env == {
        "SWATH_LOG_FORMAT": "json",
        "SWATH_WORKER_ADDRESS": "10.0.0.7:50051",
        "SWATH_WORKER_RUN": RUN,
        "SWATH_WORKER_ATTEMPT": "2",
        "SWATH_WORKER_TOKEN": "secret",
    }


@pytest.mark.parametrize(
    ("gpus", "limits"), [(None, {"cpu": "4", GPU: "1"}), (0, {"cpu": "4"}), (2, {"cpu": "4", GPU: "2"})]
)
def test_a_run_that_says_how_many_gpus_it_needs_gets_them(
    template: dict[str, Any], gpus: int | None, limits: dict[str, Any]
) -> None:
    worker, sidecar = _job(template, gpus)["spec"]["template"]["spec"]["containers"]
    assert worker["resources"]["limits"] == limits
    assert "resources" not in sidecar


def test_a_run_of_several_processes_is_an_indexed_job(template: dict[str, Any]) -> None:
    made = _job(template, gpus=1, processes=3)
    spec, pod = made["spec"], made["spec"]["template"]["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert spec["backoffLimit"] == 0
    assert pod["subdomain"] == made["metadata"]["name"]
    assert pod["securityContext"]["sysctls"] == [{"name": "net.ipv4.ip_local_port_range", "value": "29401 29999"}]
    assert pod["containers"][0]["resources"]["limits"][GPU] == "1"


def test_its_processes_find_one_another_as_those_of_torchrun_do(template: dict[str, Any]) -> None:
    made = _job(template, processes=3)
    env = {each["name"]: each for each in made["spec"]["template"]["spec"]["containers"][0]["env"]}
    name = "swath-run-0b9d6a527a3e4d55-2"
    place = {each: env[each]["value"] for each in ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")}
    assert place == {"WORLD_SIZE": "3", "MASTER_ADDR": f"{name}-0.{name}", "MASTER_PORT": "29400"}
    index = env["RANK"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert index == "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def test_its_service_gives_names_to_its_pods_and_goes_with_it(template: dict[str, Any]) -> None:
    made = _job(template, processes=3)
    named = service(made, "uid-of-the-job", 29400)
    pod_labels = made["spec"]["template"]["metadata"]["labels"]
    assert named["metadata"]["name"] == made["spec"]["template"]["spec"]["subdomain"]
    assert [(owner["kind"], owner["uid"]) for owner in named["metadata"]["ownerReferences"]] == [
        ("Job", "uid-of-the-job")
    ]
    assert named["spec"]["selector"].items() <= pod_labels.items()
    assert named["spec"]["clusterIP"] == "None"
    assert named["spec"]["publishNotReadyAddresses"]
    assert [port["port"] for port in named["spec"]["ports"]] == [29400]


def _process(number: int, code: int | None) -> dict[str, Any]:
    pod = (
        _pod("Running", running={})
        if code is None
        else _pod("Failed" if code else "Succeeded", terminated={"exitCode": code})
    )
    return {**pod, "metadata": {"annotations": {"batch.kubernetes.io/job-completion-index": str(number)}}}


@pytest.mark.parametrize(
    ("number", "code", "gone", "expected"),
    [
        (0, 0, False, (True, 0, "")),
        (1, 0, False, (False, None, "")),
        (1, 0, True, (False, None, "")),
        (1, 75, False, (True, 75, "")),
        (1, None, False, (False, None, "")),
        (1, None, True, (True, None, "")),
    ],
)
def test_a_worker_is_over_with_its_first_process_or_with_one_that_dies(
    number: int, code: int | None, gone: bool, expected: tuple[bool, int | None, str]
) -> None:
    assert outcome(_process(number, code), gone=gone) == expected


def test_names_fit_and_differ_by_attempt(template: dict[str, Any]) -> None:
    template["metadata"]["name"] = "a-release-with-a-very-long-name-that-somebody-chose-for-it-swath-run"
    names = {name_of(template, RUN, attempt) for attempt in (1, 2, 10)}
    assert len(names) == 3
    assert all(len(f"{name}-63") <= 63 for name in names)


@pytest.mark.parametrize("broken", [None, [], {}, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}])
def test_what_is_no_job_is_refused(broken: Any) -> None:
    with pytest.raises(Precondition, match=r"worker\.yaml: expected a batch/v1 Job"):
        check(broken, "worker.yaml")


def _pod(phase: str = "Pending", **state: Any) -> dict[str, Any]:
    return {"status": {"phase": phase, "containerStatuses": [{"state": state}] if state else []}}


def test_a_pod_without_a_place_says_why() -> None:
    message = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    assert message in trouble({"status": {"phase": "Pending", "conditions": [condition]}})


def test_an_image_that_is_not_there_is_named() -> None:
    words = trouble(_pod(waiting={"reason": "ErrImagePull", "message": "swath-torch:2 not found"}))
    assert "ErrImagePull" in words
    assert "swath-torch:2 not found" in words


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_pod_that_is_about_to_start_is_no_trouble(reason: str) -> None:
    pod = _pod(waiting={"reason": reason})
    assert trouble(pod) == ""
    assert not begun(pod)


def test_a_pod_that_runs_has_begun_and_not_ended() -> None:
    pod = _pod("Running", running={"startedAt": "2026-01-01T00:00:00Z"})
    assert begun(pod)
    assert ended(pod) == (False, None, "")


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [(0, "Completed", (True, 0, "")), (75, "Error", (True, 75, "")), (137, "OOMKilled", (True, -9, "OOMKilled"))],
)
def test_exit_codes_are_those_of_the_process(code: int, reason: str, expected: tuple[bool, int, str]) -> None:
    phase = "Failed" if code else "Succeeded"
    assert ended(_pod(phase, terminated={"exitCode": code, "reason": reason})) == expected


def test_an_evicted_pod_says_why() -> None:
    pod = {"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}}
    assert ended(pod) == (True, None, "Evicted: The node was low on resource: memory.")


def test_a_full_quota_is_passed_on() -> None:
    event = {"type": "Warning", "reason": "FailedCreate", "message": 'pods "x" is forbidden: exceeded quota: small'}
    assert "exceeded quota: small" in complaint(event)
    assert complaint({"type": "Normal", "reason": "SuccessfulCreate", "message": "Created pod"}) == ""
