"""As much of a Kubernetes cluster as launching workers takes, through the official client. It blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from swath.errors import Precondition
from swath.runtime.kubernetes import Document, asking, follow, owner_of, reach
from swath_training.launch.kubernetes.manifest import INDEX, WORKER

_CALL_S = 10.0


class Cluster:
    """Jobs, their pods and events about them, in one namespace.

    Args:
        namespace: The namespace; the pod's own, or the current kubeconfig's, if not given.

    Raises:
        Precondition: No cluster is configured here.
    """

    def __init__(self, namespace: str = "") -> None:
        api, self.namespace = reach(namespace)
        self._api = api
        self._batch: Any = client.BatchV1Api(api)
        self._core: Any = client.CoreV1Api(api)
        self._plain: Any = api.sanitize_for_serialization
        self._ended = threading.Event()

    def create_job(self, job: Mapping[str, Any]) -> str:
        """Create a Job and return its uid; one that is there already under this name is the same attempt's.

        Raises:
            Denied: The service account may not.
            Exhausted: A quota leaves no room for it.
            Precondition: The cluster refuses it as it is.
            Unavailable: The API server is away or busy.
        """
        with _asking("create a Job for the worker"):
            try:
                made = self._batch.create_namespaced_job(self.namespace, job, _request_timeout=_CALL_S)
            except ValidationError as error:
                raise Precondition(f"the template of workers' Jobs is no Job that there can be: {error}") from error
            except ApiException as error:
                if error.status != 409:
                    raise
                name = job["metadata"]["name"]
                made = self._batch.read_namespaced_job(name, self.namespace, _request_timeout=_CALL_S)
        return made.metadata.uid

    def create_service(self, service: Mapping[str, Any]) -> None:
        """Create a Service; one that is there already under this name is the same attempt's.

        Raises:
            Denied, Exhausted, Precondition, Unavailable: As for `create_job`.
        """
        with _asking("create a Service for the worker's processes"):
            try:
                self._core.create_namespaced_service(self.namespace, service, _request_timeout=_CALL_S)
            except ApiException as error:
                if error.status != 409:
                    raise

    def delete_job(self, name: str) -> None:
        """Delete a Job, and with it its pods; one that is gone is fine.

        Raises:
            Denied, Unavailable: As for `create_job`.
        """
        with _asking(f"delete the Job {name}"):
            try:
                self._batch.delete_namespaced_job(
                    name, self.namespace, propagation_policy="Background", _request_timeout=_CALL_S
                )
            except ApiException as error:
                if error.status != 404:
                    raise

    def log(self, job: str, lines: int) -> str:
        """Return the end of what a Job's worker wrote, empty if nobody knows it any more."""
        try:
            pods = self._core.list_namespaced_pod(
                self.namespace, label_selector=f"job-name={job}", _request_timeout=_CALL_S
            ).items
            if not pods:
                return ""
            # Of several processes the log of the first one shows what became of them.
            pod = min(pods, key=lambda pod: int((pod.metadata.annotations or {}).get(INDEX, "0")))
            return self._core.read_namespaced_pod_log(
                pod.metadata.name, self.namespace, tail_lines=lines, _request_timeout=_CALL_S
            )
        except (ApiException, HTTPError):
            return ""

    def owner(self, deployment: str) -> Document:
        """Return what makes a Deployment the owner of a Job.

        Raises:
            Denied, Unavailable: As for `create_job`.
        """
        with _asking(f"read the Deployment {deployment}"):
            return owner_of(self._api, self.namespace, deployment)

    def follow_pods(self, worker: str, seen: Callable[[Document, bool], None]) -> None:
        """Call back with each state of each worker's pod, and whether it is gone, until `close`.

        Args:
            worker: Value of the workers' label.
            seen: Called in this thread.
        """

        def one(event: Document) -> None:
            seen(self._plain(event["object"]), event["type"] == "DELETED")

        self._follow(self._core.list_namespaced_pod, {"label_selector": f"{WORKER}={worker}"}, one)

    def follow_complaints(self, seen: Callable[[Document], None]) -> None:
        """Call back with each event about a Job, until `close`."""
        about = {"field_selector": "involvedObject.kind=Job"}
        self._follow(self._core.list_namespaced_event, about, lambda event: seen(self._plain(event["object"])))

    def close(self) -> None:
        """Have `follow_...` return, within the time of a watch at the latest."""
        self._ended.set()

    def _follow(self, listing: Callable[..., Any], chosen: Mapping[str, str], seen: Callable[[Any], None]) -> None:
        follow(listing, self.namespace, chosen, seen, self._ended)


def _asking(what: str) -> AbstractContextManager[None]:
    return asking(what, "the training service")
