"""The page of metrics is what the processes of a suite tell Prometheus."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from swath.api import SERVICE_NAMES
from swath_standalone.process import ServerProcess
from swath_suite.process import free_ports
from swath_suite.suite import Suite

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
OWN = ("swath_", "grpc_")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", re.MULTILINE)


def _described(service: str) -> dict[str, tuple[str, set[str], str]]:
    """Return what the page says of a service's metrics: type, labels and meaning by name."""
    found = {}
    for section in PAGE.read_text().split("\n## "):
        title = section.partition("\n")[0]
        if title in ("Every service", f"{service.capitalize()} service"):
            for name, kind, labels, text in ROW.findall(section):
                found[name] = kind, set(re.findall(r"`(\w+)`", labels)), text
    return found


@pytest.mark.parametrize("service", SERVICE_NAMES)
def test_each_service_tells_what_the_page_says(suite: Suite, service: str) -> None:
    _compare(suite.metrics(f"{service}-0"), _described(service))


def test_the_standalone_server_tells_what_the_page_says_of_all_services(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with (
        ServerProcess(tmp_path / "state", environment={"SWATH_METRICS_PORT": str(port)}),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10.0) as answer,
    ):
        text = answer.read().decode()
    _compare(text, {name: row for service in SERVICE_NAMES for name, row in _described(service).items()})


def _compare(exposition: str, described: dict[str, tuple[str, set[str], str]]) -> None:
    told = set()
    for family in text_string_to_metric_families(exposition):
        if family.name.startswith(OWN) and not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            told.add(name)
            assert name in described
            kind, labels, text = described[name]
            assert (family.type, family.documentation) == (kind, text)
            assert {label for sample in family.samples for label in sample.labels} - {"le"} <= labels
    assert told == described.keys()
