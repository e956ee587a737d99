"""Applications on Ray: each is a RayService, which KubeRay runs on a Ray cluster of its own.

Calls go to Ray's own front then, not through the apps service: `RayServices.address` says where it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from swath.documents import dump_yaml
from swath.runtime.kubernetes import asking, owner_of, reach
from swath_apps.deployed.rows import Application
from swath_apps.launch.settings import Document, LaunchSettings

FAMILY = "swath.dev/apps"
"""Label of all RayServices that an apps service makes; its value is its Deployment's name."""
APPLICATION = "swath.dev/application"
"""Annotation: name of the application."""

_GROUP, _VERSION, _PLURAL = "ray.io", "v1", "rayservices"
_PORT = 9000
_CALL_S = 10.0
_WHO = "the apps service"
_OWN = ("access", "runtime_env", "host", "port", "autoscaling_policy", "external_scaler_enabled")
"""Keys of an application that Ray Serve does not know, or that are about other launchers."""


def name_of(application: str) -> str:
    """Return the name of an application's RayService: 47 characters are the most that KubeRay takes."""
    words = re.sub(r"[^a-z0-9]+", "-", application.lower()).strip("-")
    return f"swath-{words[:28].strip('-')}-{hashlib.sha256(application.encode()).hexdigest()[:8]}"


def ray_service(application: Application, settings: LaunchSettings, owner: Document | None) -> Document:
    """Return the RayService of an application.

    Args:
        application: Its row.
        settings: Image, release and size of its Ray cluster.
        owner: An entry of ownerReferences.
    """
    config = {key: value for key, value in application.config.items() if key not in _OWN}
    environment: Mapping[str, Any] = application.config.get("runtime_env") or {}
    if variables := environment.get("env_vars"):
        config["runtime_env"] = {"env_vars": dict(variables)}
    functions = list(application.grpc_options.get("grpc_servicer_functions", ()))
    options: Document = {"port": _PORT, "grpc_servicer_functions": functions}
    if (seconds := application.grpc_options.get("request_timeout_s")) is not None:
        options["request_timeout_s"] = seconds
    image = environment.get("image_uri") or (environment.get("container") or {}).get("image") or settings.ray_image
    gpus = max((_gpus(each) for each in config.get("deployments", ())), default=0)
    metadata: Document = {
        "name": name_of(application.name),
        "labels": {FAMILY: settings.owner or "swath", "app.kubernetes.io/part-of": "swath"},
        "annotations": {APPLICATION: application.name},
    }
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    head: Document = {
        "rayStartParams": {"num-cpus": "0"},
        "template": _pod("ray-head", image, 0, settings),
    }
    workers: Document = {
        "groupName": "replicas",
        "replicas": settings.ray_workers,
        "minReplicas": settings.ray_workers,
        "maxReplicas": settings.ray_workers,
        "rayStartParams": {},
        "template": _pod("ray-worker", image, gpus, settings),
    }
    return {
        "apiVersion": f"{_GROUP}/{_VERSION}",
        "kind": "RayService",
        "metadata": metadata,
        "spec": {
            "serveConfigV2": dump_yaml({"grpc_options": options, "applications": [config]}),
            "rayClusterConfig": {
                "rayVersion": settings.ray_version,
                # Deployments run in workers; without any, in the head.
                "headGroupSpec": head if settings.ray_workers else {**head, "rayStartParams": {}},
                "workerGroupSpecs": [workers] if settings.ray_workers else [],
            },
        },
    }


def _gpus(deployment: Mapping[str, Any]) -> int:
    wanted = (deployment.get("ray_actor_options") or {}).get("num_gpus") or 0
    return int(-(-wanted // 1))


def _pod(name: str, image: str, gpus: int, settings: LaunchSettings) -> Document:
    resources: Document = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "4Gi"}}
    if gpus:
        resources["limits"][settings.gpu_resource] = str(gpus)
    ports = [{"name": "grpc", "containerPort": _PORT}]
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": name, "image": image, "ports": ports, "resources": resources, "securityContext": security}
    return {"spec": {"automountServiceAccountToken": False, "containers": [container]}}


class RayServices:
    """The RayServices of an apps service, in its namespace.

    Args:
        settings: What they run.

    Raises:
        Precondition: No cluster is configured here.
    """

    def __init__(self, settings: LaunchSettings) -> None:
        self._settings = settings
        self._api, self.namespace = reach()
        self._custom: Any = client.CustomObjectsApi(self._api)
        self._owner: Document | None = None

    async def apply(self, applications: Mapping[str, Application]) -> None:
        """Have there be one for each application, as it is written down, and no others.

        Raises:
            Denied, Exhausted, Precondition, Unavailable: The cluster refuses.
        """
        await asyncio.to_thread(self._apply, applications)

    def _apply(self, applications: Mapping[str, Application]) -> None:
        if self._owner is None and self._settings.owner:
            with asking(f"read the Deployment {self._settings.owner}", _WHO):
                self._owner = owner_of(self._api, self.namespace, self._settings.owner)
        there = {each["metadata"]["name"]: each for each in self._list()}
        wanted = [ray_service(each, self._settings, self._owner) for each in applications.values()]
        place = (_GROUP, _VERSION, self.namespace, _PLURAL)
        for made in wanted:
            name = made["metadata"]["name"]
            old = there.pop(name, None)
            with asking(f"create the RayService {name}", _WHO):
                if old is None:
                    try:
                        self._custom.create_namespaced_custom_object(*place, made, _request_timeout=_CALL_S)
                    except ApiException as error:
                        # Another replica of the service has just made the same.
                        if error.status != 409:
                            raise
                elif old["spec"].get("serveConfigV2") != made["spec"]["serveConfigV2"] or _image(old) != _image(made):
                    self._custom.patch_namespaced_custom_object(*place, name, made, _request_timeout=_CALL_S)
        for name in there:
            with asking(f"delete the RayService {name}", _WHO):
                try:
                    self._custom.delete_namespaced_custom_object(*place, name, _request_timeout=_CALL_S)
                except ApiException as error:
                    if error.status != 404:
                        raise

    async def states(self) -> dict[str, tuple[str, str]]:
        """Return the state of each application and why, in Ray Serve's words.

        Raises:
            Denied, Unavailable: The cluster does not say.
        """
        found = await asyncio.to_thread(self._list)
        return {each["metadata"].get("annotations", {}).get(APPLICATION, ""): state_in(each) for each in found}

    def address(self, application: str) -> str:
        """Return where Ray's front answers an application's calls."""
        return f"{name_of(application)}-serve-svc.{self.namespace}:{_PORT}"

    def _list(self) -> list[Document]:
        chosen = f"{FAMILY}={self._settings.owner or 'swath'}"
        with asking("list RayServices", _WHO):
            return self._custom.list_namespaced_custom_object(
                _GROUP, _VERSION, self.namespace, _PLURAL, label_selector=chosen, _request_timeout=_CALL_S
            )["items"]


def state_in(service: Document) -> tuple[str, str]:
    """Return the state of a RayService's application, and why: that of its new cluster first, while there is one."""
    status = service.get("status") or {}
    for part in ("pendingServiceStatus", "activeServiceStatus"):
        for found in ((status.get(part) or {}).get("applicationStatuses") or {}).values():
            return found.get("status") or "DEPLOYING", found.get("message") or ""
    return "DEPLOYING", f"KubeRay says: {status.get('serviceStatus') or 'nothing yet'}"


def _image(service: Document) -> str:
    head = service["spec"]["rayClusterConfig"]["headGroupSpec"]
    return head["template"]["spec"]["containers"][0]["image"]
