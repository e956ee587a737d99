"""The dashboard, the alerts and the rules of scaling ask for metrics that there are, by labels that they have."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from prometheus_client import CollectorRegistry

from swath.rpc.server.metrics import CallMetrics
from swath.serve.front.metrics import ApplicationMetrics, DeploymentMetrics
from swath_inference.published.counts import ModelCounts
from swath_inference.published.metrics import ModelMetrics
from swath_inference.published.models import PublishedModels
from swath_suite.testing.monitoring import expressions, labels_in, metrics_in

REPOSITORY = Path(__file__).resolve().parents[2]
EXPRESSIONS = expressions(REPOSITORY / "charts" / "swath" / "files")
# By the cluster, by Prometheus when it scrapes, and by the gateway: make e2e reads those of the gateway.
_OTHERS = re.compile(r"up|kubelet_volume_stats_\w+|container_memory_\w+|envoy_\w+")
_SCRAPED = {"namespace", "pod", "app_kubernetes_io_component", "persistentvolumeclaim", "le"}


@pytest.fixture(scope="module")
def own() -> dict[str, set[str]]:
    """Every metric of the services, and its labels."""
    found: dict[str, set[str]] = {}
    registry = CollectorRegistry(auto_describe=True)
    calls = CallMetrics(registry)
    # Every family has samples once a call has ended.
    calls.of("unary", "/a.Service/Method").end(grpc.StatusCode.OK, 0.1)
    for family in registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    families: Iterable[Any] = ModelMetrics(models := PublishedModels(), ModelCounts(models)).collect()
    applications = ApplicationMetrics(CollectorRegistry())
    applications.of("app", "/a.Service/Method").end(grpc.StatusCode.OK, 0.1)
    deployments = DeploymentMetrics(CollectorRegistry(), list)
    for family in chain(families, applications.collect(), deployments.collect()):
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        found |= {f"{family.name}{end}": set(family._labelnames) for end in ends}
    for place in REPOSITORY.glob("services/*/src/*/assembly.py"):
        for node in ast.walk(ast.parse(place.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                kind, (name, *_) = node.func.attr, (*node.args, None)
                if kind in ("gauge", "counter") and isinstance(name, ast.Constant):
                    label = [word.value for word in node.keywords if word.arg == "label"]
                    labels = {each.value for each in label if isinstance(each, ast.Constant)}
                    found[f"{name.value}{'_total' * (kind == 'counter')}"] = {str(each) for each in labels}
    return found


def test_there_is_something_to_look_at(own: dict[str, set[str]]) -> None:
    assert {"grpc_server_handled_total", "swath_sessions", "swath_training_events_total"} <= own.keys()
    assert len(EXPRESSIONS) > 15


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_asked_for_is_told(own: dict[str, set[str]], expression: str) -> None:
    asked = metrics_in(expression)
    assert asked
    told = {name for name in asked if not _OTHERS.fullmatch(name)}
    assert told <= own.keys()
    known = set().union(_SCRAPED, *(own[name] for name in told))
    if told == asked:
        assert labels_in(expression) <= known


def test_statuses_are_written_as_they_are_counted() -> None:
    # INVALID_ARGUMENT counts as InvalidArgument.
    codes = {"".join(word.title() for word in code.name.split("_")) for code in grpc.StatusCode}
    for expression in EXPRESSIONS:
        for alternatives in re.findall(r'grpc_code=~?"([^"]*)"', expression):
            assert set(alternatives.split("|")) <= codes


def test_what_scales_replicas_is_told(own: dict[str, set[str]]) -> None:
    adapter = yaml.safe_load((REPOSITORY / "k8s" / "monitoring" / "adapter.yaml").read_text())
    assert "swath_(inference|training)_queue_length" in json.dumps(adapter)
    assert {"swath_inference_queue_length", "swath_training_queue_length"} <= own.keys()
    wait = next(rule for rule in adapter["rules"]["custom"] if "name" in rule)
    assert wait["name"]["as"] in (REPOSITORY / "charts" / "swath" / "templates" / "scaling.yaml").read_text()
    assert metrics_in(re.sub(r"<<[^>]*>>", "", wait["metricsQuery"])) <= own.keys()
