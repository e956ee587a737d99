"""The reference server, cuvis-ai-core as it comes from PyPI, in a process and an environment of its own."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_suite.process import Process, free_ports
from tools.parity import environment

PACKAGES = {"cuvis_ai_builtin": "cuvis-ai", "cuvis_ai_dataloader": "cuvis-ai-dataloader"}
"""The plugins that the shipped pipelines need, and the packages on PyPI that hold them."""

_START_S = 300.0
_PROJECT = """[project]
name = "{name}-plugin"
version = "0"
dependencies = ["{package}=={version}"]

[build-system]
requires = ["setuptools>=69"]
build-backend = "setuptools.build_meta"

[tool.setuptools]
py-modules = []
"""


class Peer:
    """A running reference server; as a context manager, started and stopped.

    It builds an environment for each set of plugins, and keeps it below ``.parity``: the first run of all takes minutes
    for that, later ones find it there. Plugins are registered by local folders that only name the packages.

    Attributes:
        process: What runs it.
    """

    def __init__(self) -> None:
        self.configs = environment.packages() / "cuvis_ai" / "configs"
        self._port = free_ports(1)[0]
        # What pipelines write lands below the folder that the server runs in.
        self._folder = Path(tempfile.mkdtemp(prefix="swath-peer-"))
        settings = {
            "GRPC_PORT": str(self._port),
            "CUVIS_CONFIGS_DIR": str(self.configs),
            "CUVIS_RUN_CACHE_DIR": str(environment.PLACE / "run-cache"),
            "CUVIS_UV": shutil.which("uv") or str(environment.ROOT / ".tools" / "bin" / "uv"),
        }
        command = [str(environment.python()), "-m", "cuvis_ai_core.grpc.production_server"]
        self.process = Process("the reference server", command, settings, self._folder / "log", folder=self._folder)

    @property
    def target(self) -> str:
        """Address that clients call."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self.process.pid

    def __enter__(self) -> Self:
        try:
            self.process.start()
            self.process.wait_until(self._listens, _START_S)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop()
        self.forget()

    def forget(self) -> None:
        """Remove what it has written, once it has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False

    def open(self, stub: Any) -> str:
        """Open a session with the plugins registered, and return its id."""
        session: str = stub.CreateSession(pb.CreateSessionRequest()).session_id
        for name in PACKAGES:
            manifest = pb.PluginManifest(config_bytes=json.dumps(self._manifest(name)).encode())
            answer = stub.LoadPlugin(pb.LoadPluginRequest(session_id=session, manifest=manifest))
            if answer.error:
                raise RuntimeError(f"the reference refused the plugin {name}: {answer.error}")
        return session

    def _manifest(self, name: str) -> dict[str, Any]:
        folder = environment.PLACE / "plugins" / name
        folder.mkdir(parents=True, exist_ok=True)
        package = PACKAGES[name]
        version = environment.versions()[package]
        project = _PROJECT.format(name=package, package=package, version=version)
        if not (file := folder / "pyproject.toml").is_file() or file.read_text() != project:
            file.write_text(project)
        manifest = yaml.safe_load((self.configs / "plugins" / f"{name}.yaml").read_text())
        kept = {key: value for key, value in manifest.items() if key not in ("repo", "tag")}
        return {**kept, "path": str(folder), "package_name": f"{package}-plugin"}
