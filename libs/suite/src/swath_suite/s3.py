"""A real S3 server in the background, for tests and for a suite on one machine: versitygw over a folder."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from swath.errors import DependencyMissing
from swath.storage.s3.location import S3Location
from swath_suite.process import Process, free_ports

HOW_TO_GET_IT = "go install github.com/versity/versitygw/cmd/versitygw@latest"
BUCKET = "swath"


def find_versitygw() -> Path | None:
    """Return the program, from the search path or from where `go install` puts it; None if it is not there."""
    homes = [os.environ.get("GOBIN"), os.path.join(os.environ.get("GOPATH") or Path.home() / "go", "bin")]
    found = shutil.which("versitygw", path=os.pathsep.join([os.environ.get("PATH", ""), *filter(None, homes)]))
    return None if found is None else Path(found)


class S3Process:
    """An S3 server on a free port of the loopback interface; as a context manager, up and down.

    Objects are files below `files`, so that a test may look at them. Address, credentials and objects stay the same
    from one start to the next.

    Args:
        folder: Everything of the server goes here. Its file system must have extended attributes, where versitygw
            keeps metadata.

    Attributes:
        endpoint: URL to call.
        access_key_id, secret_access_key: Credentials that may do everything.
        bucket: A bucket, which is there.
        files: The bucket's objects as files.
        name: For people.

    Raises:
        DependencyMissing: The program is not on this machine.
    """

    def __init__(self, folder: Path) -> None:
        program = find_versitygw()
        if program is None:
            raise DependencyMissing(f"there is no versitygw on this machine; get it by: {HOW_TO_GET_IT}")
        self.name = "s3"
        self.bucket = BUCKET
        self._buckets = folder / "buckets"
        self.files = self._buckets / BUCKET
        self.files.mkdir(parents=True, exist_ok=True)
        facts = _facts(folder / "server.json")
        self.access_key_id: str = facts["access_key_id"]
        self.secret_access_key: str = facts["secret_access_key"]
        self.endpoint = f"http://127.0.0.1:{facts['port']}"
        environment = {"ROOT_ACCESS_KEY": self.access_key_id, "ROOT_SECRET_KEY": self.secret_access_key}
        options = ["--port", f"127.0.0.1:{facts['port']}", "--health", "/health", "--keep-alive", "--quiet"]
        command = [str(program), *options, "posix", str(self._buckets)]
        self._process = Process(self.name, command, environment, folder / "server.log")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.alive

    @property
    def log(self) -> Path:
        """What it has said."""
        return self._process.log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers.

        Raises:
            Unavailable, TimedOut: It did not start.
        """
        if not self.alive:
            self._process.start()
        self._process.wait_until(self._answers, 20.0)

    def stop(self) -> None:
        """End it; what it has acknowledged stays."""
        self._process.stop(10.0)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()

    def restart(self) -> None:
        """Start it anew, in whatever state it is."""
        self.kill()
        self.start()

    def refuse(self) -> None:
        """Start it anew with another secret: who comes with the present one is refused, until it is restarted."""
        self.kill()
        self._process.start({"ROOT_SECRET_KEY": secrets.token_urlsafe(24)})
        self._process.wait_until(self._answers, 20.0)

    def place(self, prefix: str) -> S3Location:
        """Return a part of the bucket."""
        return S3Location(self.bucket, prefix, self.endpoint, "us-east-1", self.access_key_id, self.secret_access_key)

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has taken."""
        return self._process.cpu_s()

    def let_go(self) -> None:
        """As `Process.let_go`."""
        self._process.let_go()

    def record(self) -> dict[str, int] | None:
        """Return what `adopt` takes, as JSON-able data."""
        return self._process.record()

    def adopt(self, record: dict[str, int] | None) -> None:
        """Take charge of the process that another one started."""
        self._process.adopt(record)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/health", timeout=1.0) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _facts(place: Path) -> dict[str, Any]:
    """Return the port and the credentials of a server, made at its first start."""
    if place.exists():
        return json.loads(place.read_text())
    facts = {"port": free_ports(1)[0], "access_key_id": "swath", "secret_access_key": secrets.token_urlsafe(24)}
    place.touch(mode=0o600)
    place.write_text(json.dumps(facts))
    return facts
