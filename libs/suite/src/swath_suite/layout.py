"""Where everything of a suite is: ports, files and settings of each process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swath_suite.process import free_ports

SERVICES = ("session", "config", "pipeline", "training", "inference")
ONE_EACH: Mapping[str, int] = {"session": 1, "config": 1, "pipeline": 1, "training": 1, "inference": 2}
"""How many replicas of each service `make up` starts."""

PORT = 50051


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
        ports: Ports of each process, by its name such as "inference-1"; and of "gateway".
        settings: Settings to add for every service.
    """

    folder: Path
    replicas: Mapping[str, int]
    ports: Mapping[str, Ports]
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def new(
        cls, folder: Path, replicas: Mapping[str, int], port: int | None = None, settings: Mapping[str, str] = {}
    ) -> Layout:
        """Choose free ports; the gateway listens on the one that is given."""
        names = [f"{part}-{index}" for part in SERVICES for index in range(replicas[part])]
        numbers = iter(free_ports(3 * len(names) + 2))
        ports = {name: Ports(next(numbers), next(numbers), next(numbers)) for name in names}
        ports["gateway"] = Ports(next(numbers) if port is None else port, next(numbers))
        return cls(folder, dict(replicas), ports, dict(settings))

    @classmethod
    def load(cls, folder: Path) -> Layout | None:
        """Return the layout that was saved in a folder, None if there is none."""
        place = folder / "layout.json"
        if not place.exists():
            return None
        saved: dict[str, Any] = json.loads(place.read_text())
        ports = {name: Ports(**each) for name, each in saved["ports"].items()}
        return cls(folder, saved["replicas"], ports, saved["settings"])

    def save(self) -> None:
        """Write it down for `load`."""
        ports = {name: vars(each) for name, each in self.ports.items()}
        saved = {"replicas": self.replicas, "ports": ports, "settings": self.settings}
        (self.folder / "layout.json").write_text(json.dumps(saved, indent=2))

    def addresses(self, part: str) -> str:
        """Return where the replicas of a service are, as its address setting takes it."""
        return ",".join(f"127.0.0.1:{self.ports[f'{part}-{index}'].grpc}" for index in range(self.replicas[part]))

    @property
    def target(self) -> str:
        """Address that clients call."""
        return f"127.0.0.1:{self.ports['gateway'].grpc}"

    def certificate(self, name: str) -> dict[str, str]:
        """Return the settings that give a process its certificate."""
        place = self.folder / "certs" / name
        return {
            "SWATH_TLS_CERT": str(place / "tls.crt"),
            "SWATH_TLS_KEY": str(place / "tls.key"),
            "SWATH_TLS_CA": str(place / "ca.crt"),
        }
