"""Lists of packages in `.importlinter`."""

from __future__ import annotations

from collections.abc import Mapping

from swath.api import GATEWAY, Registry
from tools.registry.distributions import Distribution, depends_on

_TORCH = "torch"


def regions(registry: Registry, known: Mapping[str, Distribution]) -> dict[str, list[str]]:
    """Return the lines of each list."""
    services = [each.package for each in registry.services]
    processes = list(dict.fromkeys(each.package for each in (*registry.services, *registry.processes)))
    without_torch = [
        package
        for each in known.values()
        if not depends_on(each.name, _TORCH, known)
        for package in each.packages
        if package.startswith("swath.") or package in processes
    ]
    return {
        "processes": processes,
        "services": services,
        "services and gateway": [*services, registry.process(GATEWAY).package],
        "without torch": without_torch,
        "messages": sorted({each.module.rpartition(".")[0].removesuffix(".v1") for each in registry.grpc_services}),
    }
