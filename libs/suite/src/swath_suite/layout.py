"""Where everything of a suite is: ports, files and settings of each process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swath.api import GATEWAY, REGISTRY
from swath_suite.process import free_ports

PORT = REGISTRY.process(GATEWAY).ports.grpc
"""The gateway's, where it is free."""

LOOPBACK = "127.0.0.1"
_HERE = {"0.0.0.0": LOOPBACK, "::": "::1"}
"""Where clients of this machine find who listens everywhere."""


@dataclass(frozen=True)
class Ports:
    """Ports of one process."""

    grpc: int
    health: int
    metrics: int = 0


@dataclass(frozen=True)
class Layout:
    """A suite's files and ports, the same after each start.

    Attributes:
        folder: Everything of the suite.
        replicas: Replicas of each service.
        ports: Ports of each process, by its name such as "inference-1"; and of the gateway, by its own.
        settings: Settings to add for every service.
        host: Address that the gateway listens on.
        public_tls: Whether clients call the gateway by TLS.
    """

    folder: Path
    replicas: Mapping[str, int]
    ports: Mapping[str, Ports]
    settings: Mapping[str, str] = field(default_factory=dict)
    host: str = LOOPBACK
    public_tls: bool = False

    @classmethod
    def new(
        cls,
        folder: Path,
        replicas: Mapping[str, int],
        port: int | None = None,
        settings: Mapping[str, str] = {},
        *,
        host: str = LOOPBACK,
        public_tls: bool = False,
    ) -> Layout:
        """Choose free ports; the gateway listens on the one that is given."""
        names = [f"{part}-{index}" for part, count in replicas.items() for index in range(count)]
        numbers = iter(free_ports(3 * len(names) + 2))
        ports = {name: Ports(next(numbers), next(numbers), next(numbers)) for name in names}
        ports[GATEWAY] = Ports(next(numbers) if port is None else port, next(numbers))
        return cls(folder, dict(replicas), ports, dict(settings), host, public_tls)

    @classmethod
    def load(cls, folder: Path) -> Layout | None:
        """Return the layout that was saved in a folder, None if there is none."""
        place = folder / "layout.json"
        if not place.exists():
            return None
        saved: dict[str, Any] = json.loads(place.read_text())
        ports = {name: Ports(**each) for name, each in saved["ports"].items()}
        return cls(folder, saved["replicas"], ports, saved["settings"], saved["host"], saved["public_tls"])

    def save(self) -> None:
        """Write it down for `load`."""
        ports = {name: vars(each) for name, each in self.ports.items()}
        saved = {
            "replicas": self.replicas,
            "ports": ports,
            "settings": self.settings,
            "host": self.host,
            "public_tls": self.public_tls,
        }
        (self.folder / "layout.json").write_text(json.dumps(saved, indent=2))

    def addresses(self, part: str) -> str:
        """Return where the replicas of a service are, as its address setting takes it."""
        return ",".join(f"{LOOPBACK}:{self.ports[f'{part}-{index}'].grpc}" for index in range(self.replicas[part]))

    @property
    def target(self) -> str:
        """Address that clients of this machine call."""
        return self._at_gateway(self.ports[GATEWAY].grpc)

    @property
    def probe(self) -> str:
        """Address of the gateway's port for probes."""
        return self._at_gateway(self.ports[GATEWAY].health)

    @property
    def access(self) -> dict[str, str]:
        """Settings of services that follow from where clients come from: on this machine alone they need no token."""
        return {"SWATH_AUTH": "off"} if self.host == LOOPBACK else {}

    @property
    def own_clients(self) -> dict[str, str]:
        """Settings of the apps service: how applications call the suite, as clients do."""
        settings = {"SWATH_APP_TARGET": self.target}
        if self.public_tls:
            settings["SWATH_APP_TLS_ROOT"] = self.certificate("apps")["SWATH_TLS_CA"]
        return settings

    @property
    def edge(self) -> dict[str, str]:
        """Settings of the gateway for clients: where it listens, and what it shows and asks for."""
        ports = self.ports[GATEWAY]
        settings = {"SWATH_HOST": self.host, "SWATH_PORT": str(ports.grpc), "SWATH_HEALTH_PORT": str(ports.health)}
        if self.public_tls:
            shown = self.certificate(GATEWAY)
            settings["SWATH_PUBLIC_TLS_CERT"] = shown["SWATH_TLS_CERT"]
            settings["SWATH_PUBLIC_TLS_KEY"] = shown["SWATH_TLS_KEY"]
            settings["SWATH_CLIENT_CA"] = shown["SWATH_TLS_CA"]
        return settings

    @property
    def signing_keys(self) -> Path:
        """File of the keys that replicas sign tokens with."""
        return self.folder / "certs" / "signing_keys.json"

    @property
    def names(self) -> tuple[str, ...]:
        """DNS names and IP addresses that certificates are good for, beside the services' own names."""
        return tuple({"localhost", LOOPBACK, os.uname().nodename, _HERE.get(self.host, self.host)})

    def certificate(self, name: str) -> dict[str, str]:
        """Return the settings that give a process its certificate."""
        place = self.folder / "certs" / name
        return {
            "SWATH_TLS_CERT": str(place / "tls.crt"),
            "SWATH_TLS_KEY": str(place / "tls.key"),
            "SWATH_TLS_CA": str(place / "ca.crt"),
        }

    def _at_gateway(self, port: int) -> str:
        host = _HERE.get(self.host, self.host)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
