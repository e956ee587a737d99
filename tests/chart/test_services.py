"""One of each kind per service of the registry, and for the gateway where it is the chart's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from swath.api import GATEWAY, SERVICE_NAMES

Objects = list[dict[str, Any]]

SERVICES = {f"swath-{name}" for name in SERVICE_NAMES}
ALL = {*SERVICES, f"swath-{GATEWAY}"}
BESIDE_A_GATEWAY = ("gateway.mode=gatewayAPI", "gateway.gatewayAPI.parentRefs[0].name=public")
PLAIN = ("tls.mode=disabled", "tls.allowDisabled=true")
OWN_ISSUER = (
    "tls.mode=certManager",
    "tls.certManager.createIssuer=false",
    "tls.certManager.issuerRef.name=corporate",
)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ((), "Deployment", ALL),
        (BESIDE_A_GATEWAY, "Deployment", SERVICES),
        (BESIDE_A_GATEWAY, "GRPCRoute", SERVICES),
        (BESIDE_A_GATEWAY, "BackendTLSPolicy", SERVICES),
        ((*BESIDE_A_GATEWAY, *PLAIN), "BackendTLSPolicy", set()),
        (OWN_ISSUER, "Certificate", ALL),
        ((), "PodDisruptionBudget", ALL),
        (("services.session.pdb.enabled=false",), "PodDisruptionBudget", ALL - {"swath-session"}),
        (("mode=standalone",), "Deployment", set()),
    ],
    ids=lambda value: "defaults" if value == () else value[0] if isinstance(value, tuple) else None,
)
def test_there_is_one_per_service(
    render: Callable[..., Objects], values: tuple[str, ...], kind: str, expected: set[str]
) -> None:
    names = [each["metadata"]["name"] for each in render(*values) if each["kind"] == kind]
    assert sorted(names) == sorted(expected)
