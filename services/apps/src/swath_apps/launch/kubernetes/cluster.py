"""As much of a Kubernetes cluster as replicas of applications take, through the official client. It blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from swath.runtime.kubernetes import asking, follow, owner_of, reach
from swath_apps.launch.kubernetes.manifest import DEPLOYMENT, REPLICAS_OF
from swath_apps.launch.settings import Document

_CALL_S = 10.0
_WHO = "the apps service"
_KEDA = ("keda.sh", "v1alpha1", "scaledobjects")


class Cluster:
    """Deployments of replicas, what belongs to them, and their pods, in one namespace.

    Each method raises:
        Denied: The service account may not.
        Exhausted: A quota leaves no room for it.
        Precondition: The cluster refuses it as it is.
        Unavailable: The API server is away or busy.

    Args:
        family: Value of the label that all of it has.
        namespace: The namespace; the pod's own, or the current kubeconfig's, if not given.
    """

    def __init__(self, family: str, namespace: str = "") -> None:
        self._api, self.namespace = reach(namespace)
        self._chosen = {"label_selector": f"{REPLICAS_OF}={family}"}
        self._core: Any = client.CoreV1Api(self._api)
        self._apps: Any = client.AppsV1Api(self._api)
        self._scaling: Any = client.AutoscalingV2Api(self._api)
        self._custom: Any = client.CustomObjectsApi(self._api)
        self._plain: Any = self._api.sanitize_for_serialization
        self._ended = threading.Event()

    def owner(self, deployment: str) -> Document:
        """Return what makes a Kubernetes Deployment the owner of others."""
        with asking(f"read the Deployment {deployment}", _WHO):
            return owner_of(self._api, self.namespace, deployment)

    def create_deployment(self, made: Document) -> tuple[str, bool]:
        """Create a Deployment, or find the one of the name.

        Returns:
            Its uid, and whether it is about to go: then the name is free soon.
        """
        name = made["metadata"]["name"]
        with asking(f"create the Deployment {name}", _WHO):
            try:
                found = self._apps.create_namespaced_deployment(self.namespace, made, _request_timeout=_CALL_S)
            except ApiException as error:
                if error.status != 409:
                    raise
                found = self._apps.read_namespaced_deployment(name, self.namespace, _request_timeout=_CALL_S)
            return found.metadata.uid, found.metadata.deletion_timestamp is not None

    def add(self, made: Document) -> None:
        """Create what belongs to a Deployment, or change the one that is there."""
        name, kind = made["metadata"]["name"], made["kind"]
        create, change = {
            "Secret": (self._core.create_namespaced_secret, None),
            "Service": (self._core.create_namespaced_service, None),
            "HorizontalPodAutoscaler": (
                self._scaling.create_namespaced_horizontal_pod_autoscaler,
                self._scaling.patch_namespaced_horizontal_pod_autoscaler,
            ),
            "ScaledObject": (self._create_custom, self._patch_custom),
        }[kind]
        with asking(f"create the {kind} {name}", _WHO):
            try:
                create(self.namespace, made, _request_timeout=_CALL_S)
            except ApiException as error:
                if error.status != 409:
                    raise
                if change is not None:
                    change(name, self.namespace, made, _request_timeout=_CALL_S)

    def remove_scaler(self, kind: str, name: str) -> None:
        """Remove what scales a Deployment, if it is there."""
        with asking(f"delete the {kind} {name}", _WHO), _gone():
            if kind == "ScaledObject":
                group, version, plural = _KEDA
                self._custom.delete_namespaced_custom_object(
                    group, version, self.namespace, plural, name, _request_timeout=_CALL_S
                )
            else:
                self._scaling.delete_namespaced_horizontal_pod_autoscaler(
                    name, self.namespace, _request_timeout=_CALL_S
                )

    def scale(self, name: str, replicas: int) -> None:
        """Set the number of a Deployment's pods."""
        with asking(f"scale the Deployment {name}", _WHO), _gone():
            body = {"spec": {"replicas": replicas}}
            self._apps.patch_namespaced_deployment(name, self.namespace, body, _request_timeout=_CALL_S)

    def delete_deployment(self, name: str) -> None:
        """Delete a Deployment after all that belongs to it; one that is gone is fine."""
        with asking(f"delete the Deployment {name}", _WHO), _gone():
            self._apps.delete_namespaced_deployment(
                name, self.namespace, propagation_policy="Foreground", _request_timeout=_CALL_S
            )

    def delete_pod(self, name: str) -> None:
        """Delete a pod, which is replaced; one that is gone is fine."""
        with asking(f"delete the pod {name}", _WHO), _gone():
            self._core.delete_namespaced_pod(name, self.namespace, _request_timeout=_CALL_S)

    def deployments(self) -> list[Document]:
        """Return the Deployments of replicas."""
        with asking("list Deployments", _WHO):
            found = self._apps.list_namespaced_deployment(self.namespace, **self._chosen, _request_timeout=_CALL_S)
            return [self._plain(each) for each in found.items]

    def follow_pods(self, seen: Callable[[str, Document, bool], None]) -> None:
        """Call back with each state of each pod: its Deployment's name, the pod, whether it is gone. Until `close`."""

        def one(event: Mapping[str, Any]) -> None:
            pod = self._plain(event["object"])
            seen((pod["metadata"].get("labels") or {}).get(DEPLOYMENT, ""), pod, event["type"] == "DELETED")

        follow(self._core.list_namespaced_pod, self.namespace, self._chosen, one, self._ended)

    def close(self) -> None:
        """Have `follow_pods` return, within the time of a watch at the latest."""
        self._ended.set()

    def _create_custom(self, namespace: str, made: Document, **options: Any) -> None:
        group, version, plural = _KEDA
        self._custom.create_namespaced_custom_object(group, version, namespace, plural, made, **options)

    def _patch_custom(self, name: str, namespace: str, made: Document, **options: Any) -> None:
        group, version, plural = _KEDA
        self._custom.patch_namespaced_custom_object(group, version, namespace, plural, name, made, **options)


@contextmanager
def _gone() -> Iterator[None]:
    """Take an object that is not there for one that was removed."""
    try:
        yield
    except ApiException as error:
        if error.status != 404:
            raise
