"""What applications are in Kubernetes and on Ray: objects that an API server takes, with what users have asked for."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from swath.errors import Precondition
from swath.serve.config import DeploymentOptions
from swath_apps.deployed.rows import Application
from swath_apps.launch.kubernetes import manifest
from swath_apps.launch.kubernetes.manifest import Facts
from swath_apps.launch.kubernetes.pods import Pod
from swath_apps.launch.ray import name_of, ray_service, state_in
from swath_apps.launch.settings import LaunchSettings

OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "swath-apps", "uid": "1", "blockOwnerDeletion": False}
BUNDLE = "sha256:" + "a" * 64
SETTINGS = LaunchSettings(prometheus_url="http://prometheus:9090")

TEMPLATE: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "swath-app", "labels": {"app.kubernetes.io/component": "replica"}},
    "spec": {
        "template": {
            "metadata": {"labels": {"app.kubernetes.io/component": "replica"}},
            "spec": {
                "initContainers": [{"name": "code", "image": "swath-torch:1"}],
                "containers": [
                    {
                        "name": "replica",
                        "image": "swath-torch:1",
                        "ports": [{"name": "frames", "containerPort": 7081}],
                        "volumeMounts": [{"name": "code", "mountPath": "/code"}],
                        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "4Gi", "cpu": 2}},
                    }
                ],
            },
        }
    },
}


def facts(image: str = "", bundle: str = BUNDLE, token: str = "t" * 64, **options: Any) -> Facts:
    made = DeploymentOptions().changed(options)
    return Facts("shop", "Classifier_V2", made, "1", bundle, image, {"MODE": "fast"}, token, made.replicas)


def deployment(asked: Facts) -> dict[str, Any]:
    made = manifest.deployment(TEMPLATE, manifest.name_of(TEMPLATE, asked), asked, SETTINGS, OWNER)
    read(made, "V1Deployment")
    return made


def replica(asked: Facts) -> dict[str, Any]:
    return deployment(asked)["spec"]["template"]["spec"]["containers"][0]


def read(document: dict[str, Any], kind: str) -> Any:
    """Read a document by the official client's model: it refuses what lacks a field, or has one of another type."""
    api: Any = client.ApiClient()
    found = api.deserialize(json.dumps(document), kind, "application/json")
    # Nothing is lost on the way: fields that a model does not know it drops.
    assert api.sanitize_for_serialization(found) == document
    return found


def test_a_deployment_says_what_its_options_do() -> None:
    asked = facts(num_replicas=3, ray_actor_options={"num_cpus": 0.5, "num_gpus": 2, "memory": 2**30})
    made = deployment(asked)
    name = made["metadata"]["name"]
    assert name.startswith("swath-app-shop-classifier-v2-")
    assert made["metadata"]["ownerReferences"] == [OWNER]
    assert made["spec"]["replicas"] == 3
    assert made["spec"]["selector"] == {"matchLabels": {manifest.DEPLOYMENT: name}}
    assert made["spec"]["template"]["metadata"]["labels"] == {
        "app.kubernetes.io/component": "replica",
        manifest.REPLICAS_OF: "swath-app",
        manifest.DEPLOYMENT: name,
    }
    resources = replica(asked)["resources"]
    assert resources == {
        "requests": {"cpu": "500m", "memory": "1073741824"},
        "limits": {"memory": "1073741824", "nvidia.com/gpu": "2"},
    }
    pod = made["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["env"] == [{"name": "SWATH_BUNDLE", "value": BUNDLE}]
    assert pod["terminationGracePeriodSeconds"] == 30  # 20 s for calls, as Ray Serve has it, and 10
    env = {each["name"]: each for each in replica(asked)["env"]}
    assert env["MODE"]["value"] == "fast"
    assert env["SWATH_REPLICA_CODE"]["value"] == f"/code/{'a' * 64}"
    assert env["SWATH_REPLICA_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": name, "key": "token"}


def test_the_user_s_own_image_takes_the_place_of_ours() -> None:
    asked = facts(image="registry.example/own:3", bundle="")
    assert replica(asked)["image"] == "registry.example/own:3"
    assert "initContainers" not in deployment(asked)["spec"]["template"]["spec"]
    assert replica(facts())["image"] == "swath-torch:1"


def test_names_tell_apart_what_needs_other_pods() -> None:
    name = manifest.name_of(TEMPLATE, facts())
    other = copy.deepcopy(TEMPLATE)
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "swath-torch:2"
    assert name == manifest.name_of(TEMPLATE, facts(num_replicas=4, max_ongoing_requests=1, user_config={"a": 1}))
    others = [
        manifest.name_of(TEMPLATE, facts(bundle="sha256:" + "b" * 64)),
        manifest.name_of(TEMPLATE, facts(ray_actor_options={"num_gpus": 1})),
        manifest.name_of(TEMPLATE, facts(image="own:1")),
        manifest.name_of(TEMPLATE, facts(token="u" * 64)),
        manifest.name_of(other, facts()),
    ]
    assert len({name, *others}) == 6
    assert all(len(each) <= 52 for each in others)
    # A token is of one version: who knows one does not know another.
    assert manifest.token_of(name, facts()) != manifest.token_of(others[0], facts())


def test_what_belongs_to_a_deployment_goes_with_it() -> None:
    name = manifest.name_of(TEMPLATE, facts())
    secret = manifest.secret(name, facts(), "uid")
    service = manifest.service(TEMPLATE, name, facts(), "uid")
    read(secret, "V1Secret")
    read(service, "V1Service")
    assert secret["stringData"] == {"token": manifest.token_of(name, facts())}
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["ports"][0]["port"] == 7081
    for each in (secret, service):
        [owner] = each["metadata"]["ownerReferences"]
        assert (owner["name"], owner["uid"], owner["blockOwnerDeletion"]) == (name, "uid", True)


def test_an_autoscaler_has_the_numbers_of_autoscaling_config() -> None:
    config = {"min_replicas": 2, "max_replicas": 7, "target_ongoing_requests": 1.5, "downscale_delay_s": 7200}
    asked = facts(autoscaling_config=config)
    made = manifest.scaler("n", asked, SETTINGS, "uid")
    assert made is not None
    read(made, "V2HorizontalPodAutoscaler")
    assert (made["spec"]["minReplicas"], made["spec"]["maxReplicas"]) == (2, 7)
    assert made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    behavior = made["spec"]["behavior"]
    # An hour is the most that Kubernetes takes.
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 3600
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 30
    by_calls = manifest.scaler("n", asked, LaunchSettings(calls_metric="swath_calls"), "uid")
    assert by_calls is not None
    read(by_calls, "V2HorizontalPodAutoscaler")
    external = by_calls["spec"]["metrics"][0]["external"]
    assert external["target"] == {"type": "AverageValue", "averageValue": "1500m"}
    assert external["metric"]["selector"] == {"matchLabels": {"application": "shop", "deployment": "Classifier_V2"}}
    assert manifest.scaler("n", facts(), SETTINGS, "uid") is None


def test_a_deployment_that_may_go_to_zero_is_scaled_by_keda() -> None:
    asked = facts(autoscaling_config={"min_replicas": 0, "max_replicas": 3, "downscale_to_zero_delay_s": 60})
    made = manifest.scaler("n", asked, SETTINGS, "uid")
    assert made is not None
    assert (made["apiVersion"], made["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    spec = made["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"], spec["cooldownPeriod"]) == (0, 3, 60)
    assert spec["triggers"][0]["metadata"]["query"] == (
        'sum(swath_deployment_calls_ongoing{application="shop",deployment="Classifier_V2"}) + '
        'sum(swath_deployment_queue_length{application="shop",deployment="Classifier_V2"})'
    )
    with pytest.raises(Precondition, match=r"'Classifier_V2' may go to zero .* SWATH_APPS_PROMETHEUS_URL"):
        manifest.scaler("n", asked, LaunchSettings(), "uid")


def test_half_a_gpu_is_refused_in_words() -> None:
    with pytest.raises(Precondition, match=r"'Classifier_V2': num_gpus is 0.5; .* whole GPUs"):
        deployment(facts(ray_actor_options={"num_gpus": 0.5}))


@pytest.mark.parametrize("wrong", [{}, {"kind": "Deployment"}, {**TEMPLATE, "kind": "Job"}, []])
def test_a_template_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(Precondition, match="expected an apps/v1 Deployment"):
        manifest.check(wrong, "file.yaml")


def test_a_pod_that_crashes_is_said_with_how_it_ended() -> None:
    pod = Pod("p", "t", 1, _NoTls())
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    container = {"name": "replica", "state": waiting, "lastState": ended}
    pod.seen({"metadata": {"name": "p"}, "status": {"containerStatuses": [container]}}, False)
    assert pod.said == (
        "the replica's container does not start: CrashLoopBackOff (back-off 10s); its container exited with status 137 "
        "(OOMKilled)"
    )
    assert pod.stuck_since is not None


class _NoTls:
    tls_cert = tls_key = tls_ca = None


def application(**config: Any) -> Application:
    return Application(
        name="App 1",
        owner="alice",
        config={"name": "App 1", "import_path": "greeting:g", "access": "public", **config},
        grpc_options={"grpc_servicer_functions": ["a_pb2_grpc.add_A_to_server"], "request_timeout_s": 5},
        found={},
        bundle=BUNDLE,
        deployed_at=1.0,
        deployed_by="alice",
        text="",
    )


def test_a_ray_service_is_one_that_its_crd_takes() -> None:
    given = application(
        runtime_env={"env_vars": {"A": "1"}, "image_uri": "own:2", "working_dir": "."},
        deployments=[{"name": "D", "ray_actor_options": {"num_gpus": 0.5}}],
    )
    made = ray_service(given, LaunchSettings(ray_version="2.60.0", ray_workers=2, owner="swath-apps"), OWNER)
    fits(made, json.loads(Path(__file__).with_name("ray_service_schema.json").read_text()))
    cluster = made["spec"]["rayClusterConfig"]
    [workers] = cluster["workerGroupSpecs"]
    assert (workers["replicas"], cluster["rayVersion"]) == (2, "2.60.0")
    for group in (cluster["headGroupSpec"], workers):
        read({"apiVersion": "v1", "kind": "PodTemplate", "template": group["template"]}, "V1PodTemplate")
        assert group["template"]["spec"]["containers"][0]["image"] == "own:2"
    assert workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    # What Ray Serve does not know is not said to it.
    assert yaml.safe_load(made["spec"]["serveConfigV2"]) == {
        "grpc_options": {
            "port": 9000,
            "grpc_servicer_functions": ["a_pb2_grpc.add_A_to_server"],
            "request_timeout_s": 5,
        },
        "applications": [
            {
                "name": "App 1",
                "import_path": "greeting:g",
                "deployments": [{"name": "D", "ray_actor_options": {"num_gpus": 0.5}}],
                "runtime_env": {"env_vars": {"A": "1"}},
            }
        ],
    }
    assert len(name_of("x" * 200)) <= 47


def test_a_misspelt_field_is_not_one_that_the_crd_takes() -> None:
    made = ray_service(application(), LaunchSettings(), None)
    made["spec"]["serveConfig"] = ""
    with pytest.raises(AssertionError, match="serveConfig"):
        fits(made, json.loads(Path(__file__).with_name("ray_service_schema.json").read_text()))


def test_the_state_of_a_ray_service_is_that_of_its_new_cluster_first() -> None:
    active = {"applicationStatuses": {"a": {"status": "RUNNING", "message": ""}}}
    pending = {"applicationStatuses": {"a": {"status": "DEPLOY_FAILED", "message": "no module"}}}
    assert state_in({"status": {"activeServiceStatus": active}}) == ("RUNNING", "")
    assert state_in({"status": {"activeServiceStatus": active, "pendingServiceStatus": pending}}) == (
        "DEPLOY_FAILED",
        "no module",
    )
    assert state_in({}) == ("DEPLOYING", "KubeRay says: nothing yet")


_TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "integer": int}


def fits(value: Any, schema: dict[str, Any], where: str = "") -> None:
    """Hold a value against a JSON schema, as far as CRDs have one."""
    if "const" in schema:
        assert value == schema["const"], where
        return
    assert isinstance(value, _TYPES[schema["type"]]), f"{where}: {schema['type']}, got {value!r}"
    assert value >= schema["minimum"] if "minimum" in schema else True, where
    if isinstance(value, list):
        for index, each in enumerate(value):
            fits(each, schema["items"], f"{where}[{index}]")
    if isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name in schema.get("required", ()):
            assert name in value, f"{where}.{name} is missing"
        for name, each in value.items():
            assert name in known or more is not False, f"{where}.{name} is unknown"
            if name in known or isinstance(more, dict):
                fits(each, known.get(name, more), f"{where}.{name}")
