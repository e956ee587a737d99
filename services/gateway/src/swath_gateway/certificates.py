"""Certificates by file: Envoy watches the files and takes new ones up without a dropped connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from swath_gateway.settings import GatewaySettings

_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

PUBLIC_CERTIFICATE = "public_certificate"
CLIENT_AUTHORITY = "client_authority"
SERVICE_CERTIFICATE = "service_certificate"
SERVICE_AUTHORITY = "service_authority"


class Certificates:
    """What Envoy's secret discovery reads: one file a certificate or CA.

    Args:
        settings: Where certificates are.
        folder: Where those files go.
    """

    def __init__(self, settings: GatewaySettings, folder: Path) -> None:
        self._folder = folder
        self._certificate(PUBLIC_CERTIFICATE, settings.public_tls_cert, settings.public_tls_key)
        self._authority(CLIENT_AUTHORITY, settings.client_ca)
        self._certificate(SERVICE_CERTIFICATE, settings.tls_cert, settings.tls_key)
        self._authority(SERVICE_AUTHORITY, settings.tls_ca)

    def reference(self, name: str) -> dict[str, Any]:
        """Return what a TLS context names a certificate or CA by."""
        return {
            "name": name,
            "sds_config": {
                "path_config_source": {"path": str(self._place(name))},
                "resource_api_version": "V3",
                "initial_fetch_timeout": "5s",
            },
        }

    def _certificate(self, name: str, cert: Path | None, key: Path | None) -> None:
        if cert is not None and key is not None:
            self._write(
                name,
                {
                    "tls_certificate": {
                        "certificate_chain": {"filename": str(cert)},
                        "private_key": {"filename": str(key)},
                        "watched_directory": {"path": str(cert.parent)},
                    }
                },
            )

    def _authority(self, name: str, ca: Path | None) -> None:
        if ca is not None:
            trusted = {"trusted_ca": {"filename": str(ca)}, "watched_directory": {"path": str(ca.parent)}}
            self._write(name, {"validation_context": trusted})

    def _write(self, name: str, secret: dict[str, Any]) -> None:
        document = {"resources": [{"@type": _SECRET, "name": name, **secret}]}
        self._place(name).write_text(json.dumps(document, indent=2))

    def _place(self, name: str) -> Path:
        return self._folder / f"{name}.json"
