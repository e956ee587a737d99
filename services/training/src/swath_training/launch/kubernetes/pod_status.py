"""The state of a worker's pod, as texts for whoever waits for the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swath.runtime.kubernetes import containers
from swath.runtime.kubernetes import trouble as trouble_of
from swath_training.launch.kubernetes.manifest import INDEX

_PLAIN = ("Error", "Completed")
_SIGNALLED = 128


def trouble(pod: Mapping[str, Any]) -> str:
    """Return why a pod does not run yet, empty if it does or is about to."""
    return trouble_of(pod, "the worker")


def index_of(pod: Mapping[str, Any]) -> int:
    """Return the number of the process that a pod is for; 0 where there is only one."""
    return int(((pod.get("metadata") or {}).get("annotations") or {}).get(INDEX, "0"))


def outcome(pod: Mapping[str, Any], *, gone: bool) -> tuple[bool, int | None, str]:
    """Return whether a worker is over with one of its pods, its exit code and why, as `ended` does.

    A process other than the first may end well before it, which ends nothing.

    Args:
        pod: The pod, as it was seen last.
        gone: Whether it has been deleted.
    """
    over, code, reason = ended(pod)
    if over and code == 0 and index_of(pod):
        return False, None, ""
    return over or gone, code, reason


def begun(pod: Mapping[str, Any]) -> bool:
    """Whether the worker's container runs, or has run."""
    states = [container.get("state") or {} for container in containers(pod.get("status") or {}, init=False)]
    return any("running" in state or "terminated" in state for state in states)


def ended(pod: Mapping[str, Any]) -> tuple[bool, int | None, str]:
    """Return whether a pod is over, its worker's exit code (negative: the signal; None: not known) and why."""
    status = pod.get("status") or {}
    if status.get("phase") not in ("Succeeded", "Failed"):
        return False, None, ""
    reason = ": ".join(filter(None, (status.get("reason"), status.get("message"))))
    for container in containers(status, init=False):
        terminated = (container.get("state") or {}).get("terminated")
        if terminated is not None:
            code = int(terminated.get("exitCode", 0))
            reason = reason or (terminated.get("reason") or "")
            return True, (_SIGNALLED - code if code > _SIGNALLED else code), "" if reason in _PLAIN else reason
    return True, None, reason


def complaint(event: Mapping[str, Any]) -> str:
    """Return the text of a Warning about a Job, such as that a quota leaves no room for its pod; else nothing."""
    if event.get("type") != "Warning" or event.get("reason") != "FailedCreate":
        return ""
    return f"the cluster refuses the worker's pod: {event.get('message') or event['reason']}"
