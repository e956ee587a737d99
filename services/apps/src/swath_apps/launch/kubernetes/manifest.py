"""The Kubernetes objects of one deployment of an application's version."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swath.errors import Precondition
from swath.serve.config import AutoscalingConfig, DeploymentOptions
from swath_apps.launch.settings import Document, LaunchSettings

REPLICAS_OF = "swath.dev/replicas-of"
"""Label of all that is made; its value is the template's name."""
DEPLOYMENT = "swath.dev/deployment"
"""Label: name of the Kubernetes Deployment that an object belongs to."""
APPLICATION = "swath.dev/application"
"""Annotation: name of the application, as users have given it."""
NAME = "swath.dev/name"
"""Annotation: name of the deployment within the application."""

CONTAINER = "replica"
CODE = "code"
PORT = "frames"

_LONGEST = 52  # a pod's name has eleven characters behind it
_GRACE_MARGIN_S = 10


@dataclass(frozen=True, slots=True)
class Facts:
    """What is asked for.

    Attributes:
        application: Name of the application.
        deployment: Name of the deployment in it.
        options: How it is run.
        code: What tells its code from that of other versions.
        bundle: Digest of its code; empty where it is in the image.
        image: Container image; empty for the template's.
        variables: Environment variables.
        token: The application's.
        replicas: Pods to begin with.
    """

    application: str
    deployment: str
    options: DeploymentOptions
    code: str
    bundle: str
    image: str
    variables: Mapping[str, str]
    token: str
    replicas: int


def check(template: Any, where: str) -> Document:
    """Return a template as it was read, if it is one.

    Raises:
        Precondition: It is no Deployment with a container for replicas.
    """
    try:
        found = {each["name"]: each for each in template["spec"]["template"]["spec"]["containers"]}
        facts = template["apiVersion"], template["kind"], bool(template["metadata"]["name"])
        if facts == ("apps/v1", "Deployment", True) and found[CONTAINER]["image"]:
            return template
    except (KeyError, TypeError):
        pass
    raise Precondition(
        f"{where}: expected an apps/v1 Deployment with a name and a container {CONTAINER!r} that has an image"
    )


def name_of(template: Document, facts: Facts) -> str:
    """Return the name of the objects: the same for whatever needs no other pods, another one for all else."""
    heavy = facts.options.ray_actor_options
    said = [facts.application, facts.deployment, facts.code, facts.bundle, facts.image, dict(facts.variables), heavy]
    token = hashlib.sha256(facts.token.encode()).hexdigest()
    text = json.dumps([*said, token, template["spec"]], sort_keys=True, default=str)
    tail = hashlib.sha256(text.encode()).hexdigest()[:10]
    words = re.sub(r"[^a-z0-9]+", "-", f"{facts.application}-{facts.deployment}".lower()).strip("-")
    prefix = template["metadata"]["name"]
    room = _LONGEST - len(prefix) - len(tail) - 2
    return f"{prefix}-{words[:room].strip('-')}-{tail}"


def token_of(name: str, facts: Facts) -> str:
    """Return the token that hosts show to these replicas, and to no others."""
    return hmac.new(facts.token.encode(), name.encode(), hashlib.sha256).hexdigest()


def deployment(
    template: Document, name: str, facts: Facts, settings: LaunchSettings, owner: Document | None
) -> Document:
    """Return the Kubernetes Deployment.

    Raises:
        Precondition: The deployment asks for what there cannot be.
    """
    made = copy.deepcopy(template)
    labels = {REPLICAS_OF: template["metadata"]["name"], DEPLOYMENT: name}
    about = {APPLICATION: facts.application, NAME: facts.deployment}
    _tell(made["metadata"], labels, about)
    made["metadata"]["name"] = name
    if owner is not None:
        made["metadata"]["ownerReferences"] = [owner]
    spec = made["spec"]
    spec["replicas"] = facts.replicas
    spec["selector"] = {"matchLabels": {DEPLOYMENT: name}}
    pod = spec["template"]
    _tell(pod.setdefault("metadata", {}), labels, about)
    grace = facts.options.graceful_shutdown_timeout_s
    pod["spec"]["terminationGracePeriodSeconds"] = int(grace) + _GRACE_MARGIN_S
    _give_code(pod["spec"], facts)
    replica = next(each for each in pod["spec"]["containers"] if each["name"] == CONTAINER)
    if facts.image:
        replica["image"] = facts.image
    own = {
        "SWATH_REPLICA_GRACE_S": f"{grace:g}",
        "SWATH_REPLICA_TOKEN": None,
        **({} if not facts.bundle else {"SWATH_REPLICA_CODE": _folder(replica, facts.bundle)}),
    }
    given = [each for each in replica.get("env") or [] if each["name"] not in {*own, *facts.variables}]
    users = [{"name": key, "value": value} for key, value in facts.variables.items() if key not in own]
    secret = {"secretKeyRef": {"name": name, "key": "token"}}
    replica["env"] = [
        *given,
        *users,
        *({"name": key, "value": value} for key, value in own.items() if value is not None),
        {"name": "SWATH_REPLICA_TOKEN", "valueFrom": secret},
    ]
    replica["resources"] = _resources(replica.get("resources") or {}, facts, settings)
    return made


def secret(name: str, facts: Facts, uid: str) -> Document:
    """Return the Secret with the replicas' token."""
    made = _part("v1", "Secret", name, facts, uid)
    return {**made, "type": "Opaque", "stringData": {"token": token_of(name, facts)}}


def service(template: Document, name: str, facts: Facts, uid: str) -> Document:
    """Return the headless Service whose endpoints are the replicas that take calls."""
    ports = template["spec"]["template"]["spec"]["containers"][0].get("ports") or [{"containerPort": 7081}]
    made = _part("v1", "Service", name, facts, uid)
    port = {"name": PORT, "port": ports[0]["containerPort"], "targetPort": ports[0]["containerPort"]}
    return {**made, "spec": {"clusterIP": "None", "selector": {DEPLOYMENT: name}, "ports": [port]}}


def scaler(name: str, facts: Facts, settings: LaunchSettings, uid: str) -> Document | None:
    """Return what scales the Kubernetes Deployment; None where it has a fixed number of pods.

    Raises:
        Precondition: It is to go to zero, and there is nobody who would start it again.
    """
    scaling = facts.options.scaling
    if scaling is None:
        return None
    if settings.scaling == "keda" or scaling.min_replicas == 0:
        if not settings.prometheus_url:
            raise Precondition(
                f"deployment {facts.deployment!r} may go to zero (min_replicas: 0), which KEDA does here: the operator "
                "has to set SWATH_APPS_PROMETHEUS_URL"
            )
        return _scaled_object(name, facts, settings, scaling, uid)
    return _autoscaler(name, facts, settings, scaling, uid)


def _autoscaler(name: str, facts: Facts, settings: LaunchSettings, scaling: AutoscalingConfig, uid: str) -> Document:
    if settings.calls_metric:
        chosen = {"matchLabels": {"application": facts.application, "deployment": facts.deployment}}
        value = f"{round(scaling.target_ongoing_requests * 1000)}m"
        metric: Document = {
            "type": "External",
            "external": {
                "metric": {"name": settings.calls_metric, "selector": chosen},
                "target": {"type": "AverageValue", "averageValue": value},
            },
        }
    else:
        target = {"type": "Utilization", "averageUtilization": settings.cpu_percent}
        metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    return {
        **_part("autoscaling/v2", "HorizontalPodAutoscaler", name, facts, uid),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [metric],
            "behavior": _behavior(scaling),
        },
    }


def _scaled_object(name: str, facts: Facts, settings: LaunchSettings, scaling: AutoscalingConfig, uid: str) -> Document:
    chosen = f'{{application="{_quoted(facts.application)}",deployment="{_quoted(facts.deployment)}"}}'
    query = f"sum(swath_deployment_calls_ongoing{chosen}) + sum(swath_deployment_queue_length{chosen})"
    zero_s = scaling.downscale_to_zero_delay_s
    return {
        **_part("keda.sh/v1alpha1", "ScaledObject", name, facts, uid),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "pollingInterval": 5,
            "cooldownPeriod": int(scaling.downscale_delay_s if zero_s is None else zero_s),
            "minReplicaCount": scaling.min_replicas,
            "maxReplicaCount": scaling.max_replicas,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(scaling)}},
            "triggers": [
                {
                    "type": "prometheus",
                    "metadata": {
                        "serverAddress": settings.prometheus_url,
                        "query": query,
                        "threshold": f"{scaling.target_ongoing_requests:g}",
                    },
                }
            ],
        },
    }


def _behavior(scaling: AutoscalingConfig) -> Document:
    # An hour is the most that Kubernetes takes.
    up, down = (min(3600, int(each)) for each in (scaling.upscale_delay_s, scaling.downscale_delay_s))
    return {"scaleUp": {"stabilizationWindowSeconds": up}, "scaleDown": {"stabilizationWindowSeconds": down}}


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _part(version: str, kind: str, name: str, facts: Facts, uid: str) -> Document:
    """Return the beginning of an object that goes with the Kubernetes Deployment, before that is gone itself."""
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid, "blockOwnerDeletion": True}
    metadata: Document = {"name": name, "ownerReferences": [owner]}
    _tell(metadata, {DEPLOYMENT: name}, {APPLICATION: facts.application, NAME: facts.deployment})
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _tell(metadata: Document, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}


def _give_code(pod: Document, facts: Facts) -> None:
    fetchers = pod.get("initContainers") or []
    kept = [each for each in fetchers if each["name"] != CODE or facts.bundle]
    for each in kept:
        if each["name"] == CODE:
            each["env"] = [*(each.get("env") or []), {"name": "SWATH_BUNDLE", "value": facts.bundle}]
    if kept:
        pod["initContainers"] = kept
    else:
        pod.pop("initContainers", None)


def _folder(replica: Document, bundle: str) -> str:
    for each in replica.get("volumeMounts") or []:
        if each["name"] == CODE:
            return f"{each['mountPath']}/{bundle.rpartition(':')[2]}"
    raise Precondition(f"the template's container {CONTAINER!r} mounts no volume {CODE!r} for bundles")


def _resources(own: Document, facts: Facts, settings: LaunchSettings) -> Document:
    """Return requests and limits: the template's, and over them what the deployment asks for."""
    asked = facts.options.ray_actor_options
    requests = {key: str(value) for key, value in (own.get("requests") or {}).items()}
    limits = {key: str(value) for key, value in (own.get("limits") or {}).items()}
    for amounts in (requests, limits):
        amounts.pop(settings.gpu_resource, None)
    if asked.get("num_cpus"):
        requests["cpu"] = f"{round(asked['num_cpus'] * 1000)}m"
        limits.pop("cpu", None)
    if asked.get("memory"):
        requests["memory"] = limits["memory"] = str(int(asked["memory"]))
    gpus = asked.get("num_gpus") or 0
    if gpus != int(gpus):
        raise Precondition(
            f"deployment {facts.deployment!r}: num_gpus is {gpus}; in Kubernetes a replica has whole GPUs"
        )
    if gpus:
        # Extended resources are never overcommitted: requests follow the limits by themselves.
        limits[settings.gpu_resource] = str(int(gpus))
    return {"requests": requests, "limits": limits}
