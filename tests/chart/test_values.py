"""The chart's values: what they come to by default, what is refused, and that the programs understand them."""

from __future__ import annotations

import importlib
import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from pydantic_settings import BaseSettings

from swath.api import GATEWAY, REGISTRY, SERVICE_NAMES, SERVICES
from swath.runtime.auth.authorization import GRANTS
from swath.runtime.replica import ReplicaSettings
from swath_gateway import GatewaySettings
from swath_standalone.settings import StandaloneSettings
from swath_training.app import TrainingReplicaSettings

Objects = list[dict[str, Any]]


def _settings_of(package: str) -> type[BaseSettings]:
    """Return the settings that a service's own process reads."""
    module = importlib.import_module(f"{package}.app")
    kinds = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, ReplicaSettings)]
    return next((each for each in kinds if each.__module__ == module.__name__), ReplicaSettings)


SETTINGS: dict[str, type[BaseSettings]] = {
    **{service.name: _settings_of(service.package) for service in SERVICES},
    GATEWAY: GatewaySettings,
    "standalone": StandaloneSettings,
}

CHARTS = Path(__file__).resolve().parents[2] / "charts"
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
OWNERS = {part.path(method): each.name for each in SERVICES for part in each.owns for method in part.methods}
"""Which service answers each method, public or private."""
# What only the kubelet knows, and what Secrets hold.
_GIVEN = {"limits.cpu": "2", "metadata.name": "swath-0", "url": "postgresql://swath:word@postgres/swath"}


def _workloads(objects: Objects) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet"):
            part = each["metadata"]["labels"]["app.kubernetes.io/component"]
            yield part, each["spec"].get("replicas", 1), each["spec"]["template"]["spec"]


def _variables(pod: dict[str, Any]) -> dict[str, str]:
    found = {}
    for each in pod["containers"][0]["env"]:
        source = each.get("valueFrom", {})
        names = (value for kind in source.values() for value in (kind.get(k) for k in ("resource", "fieldPath", "key")))
        found[each["name"]] = each.get("value") or next(_GIVEN.get(name, "word") for name in names if name)
    return found


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    with mock.patch.dict("os.environ", variables, clear=True):
        yield


def test_what_is_generated_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, CHARTS / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_lint_has_nothing_to_say(helm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = helm("lint", "--strict", str(CHARTS / "swath"))
    assert done.returncode == 0, done.stdout


def test_every_value_is_described() -> None:
    generate = runpy.run_path(str(CHARTS / "generate.py"))
    text = (CHARTS / "swath" / "values.yaml").read_text()
    described = {row.path for row in generate["values"](text)}

    def leaves(value: Any, path: str = "") -> Iterator[str]:
        if path in described or not isinstance(value, dict):
            yield path
        else:
            for key, each in value.items():
                yield from leaves(each, f"{path}.{key}".lstrip("."))

    assert set(leaves(yaml.safe_load(text))) == described


# Whose pods services make, by values of those.
MADE_LATER = ("worker", "replica")


def test_every_service_has_its_values() -> None:
    values = yaml.safe_load((CHARTS / "swath" / "values.yaml").read_text())
    assert tuple(values["services"]) == SERVICE_NAMES
    images = {name: each["image"] for name, each in values["services"].items()}
    images |= {name: values[name]["image"] for name in (GATEWAY, "standalone")}
    declared = {each.name: each.image for each in (*REGISTRY.services, *REGISTRY.processes)}
    assert images == {name: image for name, image in declared.items() if name not in MADE_LATER}
    assert set(declared.values()) < values["images"].keys()


def test_by_default_it_asks_for_less_than_a_core_and_3_gib(render: Callable[..., Objects]) -> None:
    cpu = memory = 0.0
    for _, replicas, pod in _workloads(render()):
        for container in pod["containers"]:
            requests = container["resources"]["requests"]
            cpu += replicas * float(requests["cpu"].removesuffix("m")) / 1000
            memory += replicas * int(requests["memory"][:-2]) * UNITS[requests["memory"][-2:]]
    assert cpu < 1.0
    assert memory < 3 * 2**30


@pytest.mark.parametrize("name", ["default", "standalone", "plain", "replicas", "production", "gpu"])
def test_programs_understand_the_settings_that_they_are_given(scenarios: dict[str, Objects], name: str) -> None:
    checked = 0
    for part, _, pod in _workloads(scenarios[name]):
        if part not in SETTINGS:
            continue
        variables = _variables(pod)
        with _environment(variables):
            settings = SETTINGS[part]()
        known = set(_names(SETTINGS[part]))
        if part == "standalone":
            known |= set(_names(TrainingReplicaSettings))
        assert {each for each in variables if each.startswith("SWATH_")} <= known, part
        assert settings.host == "0.0.0.0"  # type: ignore[attr-defined]
        checked += 1
    assert checked


def _names(kind: type[BaseSettings]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield f"SWATH_{name}".upper()
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseSettings):
            prefix = inner.model_config.get("env_prefix", "")
            yield from (f"{prefix}{each}".upper() for each in inner.model_fields)


def test_services_get_credentials_of_what_they_use_alone(render: Callable[..., Objects]) -> None:
    held = {part: set(_variables(pod)) for part, _, pod in _workloads(render()) if part in SETTINGS}
    assert {part for part, names in held.items() if "SWATH_DATABASE_URL" in names} == {
        "session",
        "pipeline",
        "training",
        "experiment",
        "apps",
    }
    assert "SWATH_S3_SECRET_ACCESS_KEY" not in held["gateway"]


def test_network_policies_let_pass_what_certificates_grant(render: Callable[..., Objects]) -> None:
    may: dict[str, set[str]] = {}
    for policy in (each for each in render() if each["kind"] == "NetworkPolicy"):
        callee = policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for rule in policy["spec"].get("ingress", []):
            if rule.get("ports") == [{"port": "grpc"}]:
                for source in rule.get("from", []):
                    caller = source["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                    may.setdefault(caller, set()).add(callee)
    for caller, methods in GRANTS.items():
        wanted = {OWNERS[path] for path in methods}
        if caller != "worker":
            assert wanted <= may[caller], caller


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["tls.mode=disabled"], "say it twice"),
        (["postgres.enabled=false"], "postgres.existingSecret"),
        (["postgres.existingSecret=mine"], "postgres.enabled to false"),
        (["s3.endpoint=https://s3.example"], "s3.enabled to false"),
        (["gateway.mode=gatewayAPI"], "parentRefs"),
        (["services.session.autoscaling.mode=hpa", "services.session.autoscaling.queueLength=2"], "queueMetric"),
        (["services.inference.autoscaling.mode=keda", "services.inference.autoscaling.queueLength=2"], "prometheusUrl"),
        (["services.inference.autoscaling.mode=hpa", "services.inference.autoscaling.cpuPercent=0"], "nothing"),
        (["tls.mode=certManager", "tls.certManager.createIssuer=false"], "issuerRef.name"),
        (["mode=standalone", "auth.admin.enabled=false"], "no way to say who one is"),
        (["configs.bundle.url=https://x.example/c.tar.gz"], "sha256"),
        (["configs.existingClaim=a", "configs.existingConfigMap=b"], "one of"),
        (["services.session.replcas=2"], "replcas"),
        (["mode=cluster"], "/mode"),
        (["settings.SWATH_SLOW_CALL_S=5"], "/settings/SWATH_SLOW_CALL_S"),
        (["auth.tokens.me=secret"], "/auth/tokens/me"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_is_refused_in_words(
    helm: Callable[..., subprocess.CompletedProcess[str]], values: list[str], words: str
) -> None:
    done = helm("template", "swath", str(CHARTS / "swath"), *(word for each in values for word in ("--set", each)))
    assert done.returncode != 0
    assert words in done.stderr


def test_the_schema_is_closed() -> None:
    schema = json.loads((CHARTS / "swath" / "values.schema.json").read_text())

    def closed(part: Any, path: str) -> Iterator[str]:
        if isinstance(part, dict):
            if "properties" in part and part.get("additionalProperties") is not False:
                yield path
            for key, each in part.items():
                yield from closed(each, f"{path}/{key}")

    assert not list(closed(schema, ""))


@pytest.mark.timeout(600)  # Go builds the program the first time
def test_templates_do_what_their_tests_say(go_tool: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = go_tool("helm-unittest", "--strict", CHARTS / "swath")
    assert done.returncode == 0, done.stdout + done.stderr
