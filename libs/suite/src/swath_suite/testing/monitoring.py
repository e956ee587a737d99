"""What dashboards and alerts ask of Prometheus. For tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

_WORDS = {"and", "or", "unless", "bool", "offset"}


def expressions(folder: Path) -> list[str]:
    """Return every expression of the chart's `alerts.yaml` and dashboards, which lie in `folder`."""
    groups = yaml.safe_load((folder / "alerts.yaml").read_text())["groups"]
    panels = [panel for file in folder.glob("dashboard*.json") for panel in json.loads(file.read_text())["panels"]]
    alerts = [rule["expr"] for group in groups for rule in group["rules"]]
    return alerts + [target["expr"] for panel in panels for target in panel.get("targets", ())]


def metrics_in(expression: str) -> set[str]:
    """Return the names of the metrics in an expression of PromQL."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\b(by|without|on|ignoring) *\([^)]*\)|\[[^]]*\]', " ", expression)
    # What is followed by a bracket is a function.
    return set(re.findall(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b(?! *\()", bare)) - _WORDS


def labels_in(expression: str) -> set[str]:
    """Return the labels that an expression selects or groups by."""
    selectors = " ".join(re.findall(r"\{([^}]*)\}", expression))
    groups = " ".join(re.findall(r"\bby *\(([^)]*)\)", expression))
    return set(re.findall(r"(\w+) *(?:=~|!~|!=|=)", selectors)) | set(re.findall(r"\w+", groups))
