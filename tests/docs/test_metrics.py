"""The page of metrics is what the processes of a suite tell Prometheus."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from swath.api import SERVICE_NAMES
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
    described, told = _described(service), set()
    for family in text_string_to_metric_families(suite.metrics(f"{service}-0")):
        if family.name.startswith(OWN) and not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            told.add(name)
            assert name in described
            kind, labels, text = described[name]
            assert (family.type, family.documentation) == (kind, text)
            assert {label for sample in family.samples for label in sample.labels} - {"le"} <= labels
    assert told == described.keys()
