"""The Job of one attempt: the template, and what belongs to the run. One pod a process, and names to meet by."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from swath.errors import Precondition

ATTEMPT = "swath.dev/attempt"
RUN = "swath.dev/run"
SESSION = "swath.dev/session"
WORKER = "swath.dev/worker"
"""Label that every worker's pod has; its value is the template's name."""

INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation of the pods of a Job over several: the number of the process."""

_AMOUNTS = ("limits", "requests")
# Pods of an Indexed Job have their number behind its name.
_LONGEST_NAME = 63 - len("-99999")


class Ports(NamedTuple):
    """Ports that the processes of a run use among one another.

    Attributes:
        meeting: Where they meet the first one.
        last: Last of those after it that they listen at, 0 for any.
    """

    meeting: int
    last: int = 0


@dataclass(frozen=True, slots=True)
class JobTask:
    """What a worker is to do.

    Attributes:
        run_id: UUID text.
        session_id: UUID text.
        attempt: Fencing number.
        address: Where it dials.
        token: By which it proves who it is.
        gpus: How many each of its pods needs; None leaves that to the template.
        processes: How many pods it has.
    """

    run_id: str
    session_id: str
    attempt: int
    address: str
    token: str
    gpus: int | None
    processes: int = 1


def check(template: Any, where: str) -> Mapping[str, Any]:
    """Return a template as it was read, if it is one.

    Raises:
        Precondition: It is no Job with a container.
    """
    try:
        worker = template["spec"]["template"]["spec"]["containers"][0]
        facts = template["apiVersion"], template["kind"], bool(template["metadata"]["name"]), bool(worker["image"])
        if facts == ("batch/v1", "Job", True, True):
            return template
    except (KeyError, IndexError, TypeError):
        pass
    raise Precondition(f"{where}: expected a batch/v1 Job with a name and a container that has an image")


def name_of(template: Mapping[str, Any], run_id: str, attempt: int) -> str:
    """Return the name of an attempt's Job; the same attempt always has the same one."""
    prefix = template["metadata"]["name"]
    tail = f"{re.sub(r'[^a-z0-9]', '', run_id.lower())[:16]}-{attempt}"
    return f"{prefix[: _LONGEST_NAME - len(tail) - 1].rstrip('-.')}-{tail}"


def job(
    template: Mapping[str, Any], task: JobTask, *, gpu_resource: str, owner: Mapping[str, Any] | None, ports: Ports
) -> dict[str, Any]:
    """Return the Job of an attempt. One over several processes is an Indexed Job, whose pods meet by `service`.

    Args:
        template: As `check` returns it.
        task: What its worker is to do.
        gpu_resource: Resource by which GPUs are requested.
        owner: An entry of ownerReferences.
        ports: For traffic between processes.
    """
    made = copy.deepcopy(dict(template))
    labels = {RUN: task.run_id, SESSION: task.session_id, ATTEMPT: str(task.attempt)}
    labels[WORKER] = template["metadata"]["name"]
    metadata = made["metadata"]
    metadata["name"] = name_of(template, task.run_id, task.attempt)
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    if owner is not None:
        metadata["ownerReferences"] = [dict(owner)]
    spec = made["spec"]
    # A worker that has died is followed by another attempt, which goes on from the last checkpoint.
    spec["backoffLimit"] = 0
    pod = spec["template"]
    pod_metadata = pod.setdefault("metadata", {})
    pod_metadata["labels"] = {**(pod_metadata.get("labels") or {}), **labels}
    pod["spec"]["restartPolicy"] = "Never"
    worker = pod["spec"]["containers"][0]
    worker["env"] = [
        *(worker.get("env") or []),
        {"name": "SWATH_WORKER_ADDRESS", "value": task.address},
        {"name": "SWATH_WORKER_RUN", "value": task.run_id},
        {"name": "SWATH_WORKER_ATTEMPT", "value": str(task.attempt)},
        {"name": "SWATH_WORKER_TOKEN", "value": task.token},
    ]
    if task.processes > 1:
        _spread(made, task.processes, ports)
    if task.gpus is not None:
        _request_gpus(worker, gpu_resource, task.gpus)
    for container in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())):
        _write_out(container.get("resources") or {})
    return made


def service(job: Mapping[str, Any], uid: str, port: int) -> dict[str, Any]:
    """Return the headless Service that gives the pods of a Job names. It goes with the Job.

    Args:
        job: As `job` returns it.
        uid: The Job's, once it is there.
        port: Where processes meet the first one.
    """
    name, labels = job["metadata"]["name"], job["metadata"]["labels"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid, "blockOwnerDeletion": False}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": dict(labels), "ownerReferences": [owner]},
        "spec": {
            "clusterIP": "None",
            # The first process is waited for by those that are looking for it: it is ready when they have met.
            "publishNotReadyAddresses": True,
            "selector": {RUN: labels[RUN], ATTEMPT: labels[ATTEMPT]},
            "ports": [{"name": "rendezvous", "port": port, "targetPort": port}],
        },
    }


def _spread(made: dict[str, Any], processes: int, ports: Ports) -> None:
    spec, name = made["spec"], made["metadata"]["name"]
    spec["completionMode"] = "Indexed"
    spec["completions"] = spec["parallelism"] = processes
    pod = spec["template"]["spec"]
    # Pods of an Indexed Job are called after it and their number.
    pod["subdomain"] = name
    if ports.last:
        # torch takes any free port; the system can be configured to offer only some.
        security = pod["securityContext"] = pod.get("securityContext") or {}
        local = {"name": "net.ipv4.ip_local_port_range", "value": f"{ports.meeting + 1} {ports.last}"}
        security["sysctls"] = [*(security.get("sysctls") or []), local]
    pod["containers"][0]["env"] += [
        {"name": "WORLD_SIZE", "value": str(processes)},
        {"name": "RANK", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}},
        {"name": "MASTER_ADDR", "value": f"{name}-0.{name}"},
        {"name": "MASTER_PORT", "value": str(ports.meeting)},
    ]


def _request_gpus(worker: dict[str, Any], resource: str, count: int) -> None:
    # Extended resources are never overcommitted: requests follow the limits by themselves.
    resources = worker.setdefault("resources", {})
    for part in _AMOUNTS:
        amounts = {name: amount for name, amount in (resources.get(part) or {}).items() if name != resource}
        if part == "limits" and count:
            amounts[resource] = count
        resources[part] = amounts


def _write_out(resources: dict[str, Any]) -> None:
    # A quantity may be a number in YAML; the client takes text alone.
    for part in _AMOUNTS:
        if resources.get(part):
            resources[part] = {name: str(amount) for name, amount in resources[part].items()}
