"""A Postgres server of one's own."""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from swath.errors import DependencyMissing, Unavailable
from swath_suite.process import Process, free_ports

_DEBIAN = Path("/usr/lib/postgresql")
_HOW = "Debian and Ubuntu have it as the package postgresql"
_DATABASE = "swath"


def programs() -> Path | None:
    """Return the folder of Postgres's programs, the newest release of several, None if there is none."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    places = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda place: int(place.parts[-3]))
    return places[-1].parent if places else None


class PostgresProcess:
    """Runs a server on the loopback interface over a folder; as a context manager, started and stopped.

    Run as root it works as an unprivileged user, since Postgres refuses to run as root.

    Args:
        folder: Everything of the server; one that is started again finds its data there.
        port: Where it listens; a free one if not given.

    Raises:
        DependencyMissing: Postgres is not installed.
    """

    name = "postgres"

    def __init__(self, folder: Path, port: int | None = None) -> None:
        found = programs()
        if found is None:
            raise DependencyMissing(f"Postgres is not installed; {_HOW}")
        self._programs = found
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        user = _user()
        if user is not None and not all(_may_enter(user, above) for above in self._data.parents):
            # Below a home, say, that is its owner's alone.
            name = hashlib.sha256(str(self._folder).encode()).hexdigest()[:16]
            self._data = Path(tempfile.gettempdir()) / f"swath-postgres-{name}"
        known, self._password = self._known()
        self._port = port or known
        self._process = Process(
            self.name,
            [*_unprivileged(), str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self._port)],
            {},
            folder / "postgres.log",
        )

    @property
    def url(self) -> str:
        """URL of its database."""
        return self.url_of(_DATABASE)

    def url_of(self, database: str) -> str:
        """Return the URL of another of its databases."""
        return f"postgresql://swath:{self._password}@127.0.0.1:{self._port}/{database}"

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.alive

    def start(self, timeout_s: float = 60.0) -> None:
        """Start it if it does not run, and wait until it answers."""
        if self.alive:
            return
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self._process.start()
        self._process.wait_until(self._answers, timeout_s)
        if self.query(f"SELECT 1 FROM pg_database WHERE datname = '{_DATABASE}'", "postgres").strip() != "1":
            self.query(f"CREATE DATABASE {_DATABASE}", "postgres")

    def stop(self) -> None:
        """End it in order, connections and all."""
        # SIGINT is Postgres's fast shutdown: SIGTERM would wait until every client has left.
        self._process.interrupt()

    def erase(self) -> None:
        """Remove everything that it has stored; it must not run."""
        for place in (self._folder, self._data):
            shutil.rmtree(place, ignore_errors=True)

    def kill(self) -> None:
        """End it as a loss of power would."""
        self._process.kill()

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def query(self, statement: str, database: str = _DATABASE) -> str:
        """Run a statement and return what psql prints.

        Raises:
            Unavailable: It failed; the message holds psql's words.
        """
        command = [str(self._programs / "psql"), self.url_of(database), "-X", "-At", "-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"psql: {done.stderr.strip()}")
        return done.stdout

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has taken."""
        return self._process.cpu_s()

    def let_go(self) -> None:
        """As `Process.let_go`."""
        self._process.let_go()

    def record(self) -> Any:
        """As `Process.record`."""
        return self._process.record()

    def adopt(self, record: Any) -> None:
        """As `Process.adopt`."""
        self._process.adopt(record)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        command = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(command, check=False).returncode == 0

    def _initialise(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        user = _user()
        if user is not None:
            os.chown(self._data, user.pw_uid, user.pw_gid)
        with tempfile.NamedTemporaryFile("w") as password:
            password.write(self._password)
            password.flush()
            if user is not None:
                os.chown(password.name, user.pw_uid, user.pw_gid)
            command = [*_unprivileged(), str(self._programs / "initdb"), "-D", str(self._data), "--no-sync"]
            command += ["--username", "swath", "--auth", "scram-sha-256", "--pwfile", password.name]
            command += ["--encoding", "UTF8", "--locale", "C.UTF-8"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"initdb failed:\n{done.stdout}{done.stderr}")
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            # Quick turns for a small machine; commits still wait for the disk.
            "shared_buffers": "64MB",
            "autovacuum_naptime": "60s",
        }
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _known(self) -> tuple[int, str]:
        """Return its port and password, the same from one start to the next."""
        place = self._folder / "server"
        if not place.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            place.touch(mode=0o600)
            place.write_text(f"{free_ports(1)[0]} {secrets.token_hex(16)}")
        port, password = place.read_text().split()
        return int(port), password


def _user() -> pwd.struct_passwd | None:
    """Return the user that the server runs as, None for this process's own."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DependencyMissing("Postgres refuses to run as root, and there is neither a user postgres nor a nobody here")


def _may_enter(user: pwd.struct_passwd, folder: Path) -> bool:
    if not folder.exists():
        return True
    status = folder.stat()
    return bool(status.st_mode & 0o001) or (status.st_uid == user.pw_uid and bool(status.st_mode & 0o100))


def _unprivileged() -> Sequence[str]:
    """Return what a command begins with so that it runs as that user."""
    user = _user()
    if user is None:
        return ()
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
