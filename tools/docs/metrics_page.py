"""The page of metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import yaml

from swath_suite.testing.monitoring import metrics_in
from tools.docs import markdown
from tools.docs.metrics import Metric

_FROM = {
    "swath_": "Swath",
    "grpc_": "Swath",
    "envoy_": "the gateway",
    "kubelet_": "the kubelet",
    "container_": "the kubelet (cAdvisor)",
    "up": "Prometheus itself",
}


def render(metrics: Sequence[Metric], charts: Path) -> str:
    """Return the page.

    Args:
        metrics: Those of Swath, in order.
        charts: Folder of the chart's `alerts.yaml` and dashboards.
    """
    sections = []
    for service, group in groupby(metrics, key=lambda each: each.service):
        sections.append(f"## {service.capitalize()} service" if service else "## Every service")
        rows = ((f"`{each.name}`", each.type, _code(each.labels), each.text) for each in group)
        sections.append(markdown.table(("name", "type", "labels", "meaning"), rows))
    return markdown.page("metrics.md", sections="\n\n".join(sections), used=_used(charts))


def _used(charts: Path) -> str:
    users: dict[str, list[str]] = {}
    panels = (each for file in sorted(charts.glob("dashboard*.json")) for each in _panels(file))
    for user, expression in (*_alerts(charts / "alerts.yaml"), *panels):
        for name in metrics_in(expression):
            users.setdefault(name, []).append(user)
    rows = ((f"`{name}`", _source(name), ", ".join(dict.fromkeys(users[name]))) for name in sorted(users))
    return markdown.table(("name", "from", "used by"), rows)


def _alerts(place: Path) -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load(place.read_text())["groups"]:
        yield from ((f"alert `{rule['alert']}`", rule["expr"]) for rule in group["rules"])


def _panels(place: Path) -> Iterator[tuple[str, str]]:
    for panel in json.loads(place.read_text())["panels"]:
        yield from ((f'panel "{panel["title"]}"', target["expr"]) for target in panel.get("targets", ()))


def _source(name: str) -> str:
    return next(source for prefix, source in _FROM.items() if name.startswith(prefix))


def _code(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
