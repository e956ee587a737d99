"""A suite on one machine: every process of it, started in order and stopped in order."""

from __future__ import annotations

import json
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.api import CUVIS, GATEWAY, REGISTRY, Registry, Service
from swath.client import ClientConfig, TlsConfig
from swath.errors import TimedOut
from swath.rpc.proxies import NO_PROXY
from swath.runtime.auth.certificates import Authority
from swath.runtime.auth.signing import new_keys, write_keys
from swath_suite.layout import LOOPBACK, Layout
from swath_suite.postgres import PostgresProcess
from swath_suite.process import Process
from swath_suite.s3 import S3Process

CONFIGS = Path(__file__).resolve().parents[4] / "configs"
"""The shipped configs, in the repository that this package is run from."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_CALL_TIMEOUT_S = 2.0


class Suite:
    """Postgres, an S3 server, the services and the gateway; as a context manager, up and down.

    Args:
        folder: Everything of the suite goes here, its state included: one that is started again finds it.
        replicas: Replicas of each service; as many as the registry has it if not given.
        port: The gateway's; a free one if not given.
        settings: Settings to add for every service, such as SWATH_AUTH. Unless that is among them, callers must say
            who they are where the gateway listens on any other address than 127.0.0.1.
        host: Address that the gateway listens on.
        public_tls: Whether clients call the gateway by TLS, and may show a certificate of the suite's CA; unless said
            otherwise they do on any other address than 127.0.0.1.
        registry: The services.

    Attributes:
        layout: Ports and files.
        processes: Services and gateway by name, such as "inference-1"; to stop, kill or freeze them.
        postgres: The database server.
        s3: The S3 server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        replicas: Mapping[str, int] | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        host: str = LOOPBACK,
        public_tls: bool | None = None,
        registry: Registry = REGISTRY,
    ) -> None:
        self._registry = registry
        folder.mkdir(parents=True, exist_ok=True)
        public_tls = host != LOOPBACK if public_tls is None else public_tls
        self.layout = Layout.load(folder) or Layout.new(
            folder, replicas or registry.local_replicas, port, settings or {}, host=host, public_tls=public_tls
        )
        self.layout.save()
        self.certificates = Authority(folder / "certs")
        self.postgres = PostgresProcess(folder / "postgres")
        self.s3 = S3Process(folder / "s3")
        self.processes = dict(self._processes())

    @property
    def target(self) -> str:
        """Address that clients of this machine call."""
        return self.layout.target

    def config(self, token: str | None = None, user: str | None = None) -> ClientConfig:
        """Return how a client reaches the gateway.

        Args:
            token: Bearer token that it sends.
            user: Whose certificate it shows, issued if there is none.
        """
        tls = None
        if self.layout.public_tls:
            tls = TlsConfig(root=self.certificates.ca)
            if user is not None:
                shown = self.certificates.user(user)
                if not shown.exists():
                    self.certificates.issue_user(user)
                tls = TlsConfig(root=self.certificates.ca, cert=shown / "tls.crt", key=shown / "tls.key")
        return ClientConfig(target=self.target, tls=tls, token=token)

    def channel(self) -> grpc.Channel:
        """Return a channel to the gateway that tries each call once; the caller closes it."""
        if not self.layout.public_tls:
            return grpc.insecure_channel(self.target, options=[NO_PROXY])
        return grpc.secure_channel(
            self.target, grpc.ssl_channel_credentials(self.certificates.ca.read_bytes()), options=[NO_PROXY]
        )

    def up(self, timeout_s: float = 120.0) -> Self:
        """Start everything that does not run, and wait until the gateway answers that all of it is SERVING.

        Raises:
            Unavailable: A process ended; the message holds its last words.
            TimedOut: It took too long.
        """
        for name in (*self.layout.replicas, GATEWAY):
            if not (self.layout.folder / "certs" / name).exists():
                self.certificates.issue_service(name, self.layout.names)
        if not self.layout.signing_keys.exists():
            write_keys(self.layout.signing_keys, new_keys())
        self.postgres.start()
        self.s3.start()
        self.migrate()
        try:
            for process in self.processes.values():
                if not process.alive:
                    process.start()
            for name, process in self.processes.items():
                process.wait_until(lambda name=name: self.ready(name), timeout_s)
            self.wait(timeout_s=timeout_s)
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> None:
        """Stop everything: the gateway first, storage last."""
        self.processes[GATEWAY].stop()
        for process in self.processes.values():
            process.signal(signal.SIGTERM)
        for process in self.processes.values():
            process.stop()
        self.s3.stop()
        self.postgres.stop()

    def migrate(self) -> None:
        """Bring the tables to this release's form."""
        for service in self._services:
            if not service.database:
                continue
            name = f"migrate-{service.name}"
            command = [sys.executable, "-m", service.package, "migrate"]
            log = self.layout.folder / "logs" / f"{name}.log"
            process = Process(name, command, self._settings(service.name, 0), log)
            process.start()
            process.finish()

    def replicas(self, part: str) -> list[Process]:
        """Return the processes of a service."""
        return [self.processes[f"{part}-{index}"] for index in range(self.layout.replicas[part])]

    def ready(self, name: str) -> bool:
        """Whether a process answers that it is ready, on its port for probes."""
        if name == GATEWAY:
            return _answers(f"http://{self.layout.probe}/ready")
        port = self.layout.ports[name].health
        service = self._registry.service(name.rpartition("-")[0])
        return _serves(grpc.insecure_channel(f"{LOOPBACK}:{port}", options=[NO_PROXY]), service.health_name)

    def metrics(self, name: str) -> str:
        """Return what a service exposes to Prometheus."""
        port = self.layout.ports[name].metrics
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
            return answer.read().decode()

    def wait(self, timeout_s: float = 60.0) -> None:
        """Wait until calls of every service are answered: the gateway knows a replica that is ready.

        Raises:
            TimedOut: It did not in time.
        """
        deadline = time.monotonic() + timeout_s
        while not (_answers(f"http://{self.layout.probe}/suite") and _serves(self.channel(), CUVIS)):
            if time.monotonic() > deadline:
                missing = [each.name for each in self._services if not _serves(self.channel(), each.health_name)]
                raise TimedOut(
                    f"not every service was ready at the gateway within {timeout_s:g} s; "
                    f"not ready: {', '.join(missing) or 'none'}"
                )
            time.sleep(0.1)

    def save_processes(self) -> None:
        """Write down which processes these are, so that `load_processes` finds them from elsewhere, and let them go."""
        self._record.write_text(json.dumps({process.name: process.record() for process in self._all()}, indent=2))
        for process in self._all():
            process.let_go()

    def load_processes(self) -> None:
        """Take charge of the processes that were written down, if any were."""
        if self._record.exists():
            saved: dict[str, Any] = json.loads(self._record.read_text())
            for process in self._all():
                process.adopt(saved.get(process.name))

    @property
    def _services(self) -> list[Service]:
        return [self._registry.service(name) for name in self.layout.replicas]

    @property
    def _record(self) -> Path:
        return self.layout.folder / "processes.json"

    def _all(self) -> Iterator[Any]:
        return iter((self.postgres, self.s3, *self.processes.values()))

    def _processes(self) -> Iterator[tuple[str, Process]]:
        layout = self.layout
        for service in self._services:
            part, command = service.name, [sys.executable, "-m", service.package]
            for index in range(layout.replicas[part]):
                name = f"{part}-{index}"
                yield name, Process(name, command, self._settings(part, index), layout.folder / "logs" / f"{name}.log")
        program = self._registry.process(GATEWAY).package
        gateway = [sys.executable, "-m", program, "--folder", str(layout.folder / GATEWAY)]
        gateway += ["--envoy", str(Path(sys.executable).with_name("envoy"))]
        environment = {**self._addresses(), **layout.certificate(GATEWAY), **layout.edge, **layout.settings}
        yield GATEWAY, Process(GATEWAY, gateway, environment, layout.folder / "logs" / f"{GATEWAY}.log")

    def _settings(self, part: str, index: int) -> dict[str, str]:
        layout, name = self.layout, f"{part}-{index}"
        ports = layout.ports[name]
        return {
            **self._addresses(),
            **layout.certificate(part),
            "SWATH_HOST": LOOPBACK,
            "SWATH_PORT": str(ports.grpc),
            "SWATH_HEALTH_PORT": str(ports.health),
            "SWATH_METRICS_PORT": str(ports.metrics),
            "SWATH_REPLICA": name,
            "SWATH_SIGNING_KEYS_FILE": str(layout.signing_keys),
            # Each replica has a disk of its own, as containers have: nothing is shared but Postgres and S3.
            "SWATH_STATE": str(layout.folder / "state" / name),
            "SWATH_CONFIGS": str(CONFIGS),
            "SWATH_DATABASE_URL": self.postgres.url,
            "SWATH_ARTIFACTS_URL": f"s3://{self.s3.bucket}/artifacts",
            "SWATH_WORKSPACE_URL": f"s3://{self.s3.bucket}/workspace",
            "SWATH_S3_ENDPOINT": self.s3.endpoint,
            "SWATH_S3_ACCESS_KEY_ID": self.s3.access_key_id,
            "SWATH_S3_SECRET_ACCESS_KEY": self.s3.secret_access_key,
            "SWATH_LOG_FORMAT": "json",
            # The gateway checks each replica once per second, and takes the second NOT_SERVING as true.
            "SWATH_DRAIN_LAG_S": "2.5",
            **layout.access,
            **(layout.own_clients if part == "apps" else {}),
            **layout.settings,
        }

    def _addresses(self) -> dict[str, str]:
        return {f"SWATH_{part.upper()}_ADDRESS": self.layout.addresses(part) for part in self.layout.replicas}

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _serves(channel: grpc.Channel, service: str) -> bool:
    request = health_pb2.HealthCheckRequest(service=service)
    with channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            return stub.Check(request, timeout=_CALL_TIMEOUT_S).status == _SERVING
        except grpc.RpcError:
            return False
