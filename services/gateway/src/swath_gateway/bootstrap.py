"""Envoy's bootstrap configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swath.api import REGISTRY, Registry
from swath_gateway.certificates import Certificates
from swath_gateway.clusters import clusters
from swath_gateway.listeners import probe_listener, public_listener
from swath_gateway.settings import GatewaySettings

_MAX_CONNECTIONS = (
    "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
)


def bootstrap(settings: GatewaySettings, folder: Path, registry: Registry = REGISTRY) -> dict[str, Any]:
    """Return the configuration, and write what it refers to into a folder.

    Args:
        settings: What to listen on and where the services are.
        folder: Existing folder of the gateway's own; its administration gets a socket there.
        registry: The services.
    """
    certificates = Certificates(settings, folder)
    admin = admin_socket(folder)
    return {
        "node": {"id": "swath-gateway", "cluster": "swath"},
        "admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}},
        "static_resources": {
            "listeners": [
                public_listener(settings, certificates, registry),
                probe_listener(settings, registry),
            ],
            "clusters": clusters(settings, certificates, admin, registry),
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": _MAX_CONNECTIONS,
                        "max_active_downstream_connections": settings.max_connections,
                    },
                }
            ]
        },
    }


def admin_socket(folder: Path) -> Path:
    """Return where Envoy's administration listens."""
    return folder / "admin.sock"
