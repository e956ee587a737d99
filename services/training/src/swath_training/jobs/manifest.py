"""The Job of one attempt: the template, and what belongs to the run."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swath.errors import Precondition

ATTEMPT = "swath.dev/attempt"
RUN = "swath.dev/run"
SESSION = "swath.dev/session"
WORKER = "swath.dev/worker"
"""Label that every worker's pod has; its value is the template's name."""

_AMOUNTS = ("limits", "requests")
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Errand:
    """What a worker is to do.

    Attributes:
        run_id: UUID text.
        session_id: UUID text.
        attempt: Fencing number.
        address: Where it dials.
        token: By which it proves who it is.
        gpus: How many it needs; None leaves that to the template.
    """

    run_id: str
    session_id: str
    attempt: int
    address: str
    token: str
    gpus: int | None


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
    template: Mapping[str, Any], errand: Errand, *, gpu_resource: str, owner: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the Job of an attempt.

    Args:
        template: As `check` returns it.
        errand: What its worker is to do.
        gpu_resource: Resource by which GPUs are requested.
        owner: An entry of ownerReferences.
    """
    made = copy.deepcopy(dict(template))
    labels = {RUN: errand.run_id, SESSION: errand.session_id, ATTEMPT: str(errand.attempt)}
    labels[WORKER] = template["metadata"]["name"]
    metadata = made["metadata"]
    metadata["name"] = name_of(template, errand.run_id, errand.attempt)
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
        {"name": "SWATH_WORKER_ADDRESS", "value": errand.address},
        {"name": "SWATH_WORKER_RUN", "value": errand.run_id},
        {"name": "SWATH_WORKER_ATTEMPT", "value": str(errand.attempt)},
        {"name": "SWATH_WORKER_TOKEN", "value": errand.token},
    ]
    if errand.gpus is not None:
        _request_gpus(worker, gpu_resource, errand.gpus)
    for container in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())):
        _write_out(container.get("resources") or {})
    return made


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
