"""Calls as the server's metrics count them."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def counted(url: str, model: str) -> dict[int, float]:
    """Return a model's calls by version; nothing where there is no URL.

    Raises:
        OSError: Nobody answers there.
    """
    if not url:
        return {}
    # Not by a proxy: metrics are a matter of the network inside.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as page:
        families = text_string_to_metric_families(page.read().decode())
    found: dict[int, float] = {}
    for family in families:
        for sample in family.samples:
            if sample.name == "swath_model_requests_total" and sample.labels["model"] == model:
                version = int(sample.labels["version"])
                found[version] = found.get(version, 0) + sample.value
    return found


def difference(after: dict[int, float], before: dict[int, float]) -> dict[int, float]:
    """Return by how much counters have grown."""
    return {version: count - before.get(version, 0) for version, count in after.items()}
