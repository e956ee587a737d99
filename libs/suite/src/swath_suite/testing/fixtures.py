"""Fixtures for tests that need a database, an object store or a program. A plugin that the root conftest.py loads."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest

from swath.api import SERVICE_NAMES
from swath.errors import DependencyMissing
from swath.storage.s3.location import S3Location
from swath_suite.postgres import PostgresProcess
from swath_suite.s3 import S3Process
from swath_suite.suite import Suite
from swath_suite.testing import server_logs
from swath_suite.testing.identities import Identities
from swath_suite.testing.small_disk import SmallDisk

_numbers = count(1)
_SUITES = {"suite", "public_suite"}


def missing(why: str) -> NoReturn:
    """Skip a test for want of a program; fail it where everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{why} (CI must have it)")
    pytest.skip(why)


@pytest.fixture(scope="session")
def grpcurl() -> str:
    """The program grpcurl."""
    found = shutil.which("grpcurl") or shutil.which("grpcurl", path=str(Path.home() / "go" / "bin"))
    return found or missing("grpcurl is missing: go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest")


@contextmanager
def needs_programs() -> Iterator[None]:
    """Skip a test, or fail it, where a program that the block needs is not there."""
    try:
        yield
    except DependencyMissing as error:
        missing(error.message)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter: Postgres, started by root, is one."""
    folder = Path(tempfile.mkdtemp(prefix="swath-tests-"))
    folder.chmod(0o755)
    server_logs.FOLDERS.append(folder)
    yield folder
    server_logs.FOLDERS.remove(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(open_folder: Path) -> Iterator[PostgresProcess]:
    """A Postgres server for all tests of this process that leave it running."""
    with needs_programs():
        process = PostgresProcess(open_folder / "postgres")
    with process:
        yield process


@pytest.fixture
def postgres_url(postgres: PostgresProcess) -> str:
    """URL of a fresh Postgres database."""
    name = f"test_{next(_numbers)}"
    postgres.query(f"CREATE DATABASE {name}")
    return postgres.url_of(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A fresh database of each kind, as `open_engine` takes it."""
    if request.param == "sqlite":
        return tmp_path / "new" / "test.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Process]:
    """An S3 server for all tests of this process that leave it running."""
    with needs_programs():
        process = S3Process(tmp_path_factory.mktemp("s3"))
    with process:
        yield process


@pytest.fixture
def s3_location(s3: S3Process) -> S3Location:
    """A fresh part of the S3 server's bucket."""
    return s3.place(f"test-{next(_numbers)}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 4 MiB."""
    with needs_programs():
        disk = SmallDisk(tmp_path / "disk", 4 << 20)
    with disk:
        yield disk


@pytest.fixture(scope="session")
def suite(open_folder: Path) -> Iterator[Suite]:
    """A suite of two replicas each. Tests that stop or freeze a part of it bring that back."""
    with needs_programs():
        # Who was asked for references may have been started again since, and begun to count anew.
        often = {"SWATH_ARTIFACT_COLLECT_S": "30"}
        made = Suite(open_folder / "suite", replicas=dict.fromkeys(SERVICE_NAMES, 2), settings=often)
    with made:
        yield made


@pytest.fixture(scope="session")
def identities(open_folder: Path) -> Iterator[Identities]:
    """Users whom the public suite knows."""
    (open_folder / "identities").mkdir()
    with Identities(open_folder / "identities") as identities:
        yield identities


@pytest.fixture(scope="session")
def public_suite(open_folder: Path, identities: Identities) -> Iterator[Suite]:
    """A suite of one replica each that listens on all addresses: by TLS, and callers must say who they are.

    Nothing says so: it follows from where it listens.
    """
    with needs_programs():
        made = Suite(
            open_folder / "public",
            replicas=dict.fromkeys(SERVICE_NAMES, 1),
            host="0.0.0.0",
            settings=identities.settings,
        )
    with made:
        yield made


@pytest.hookimpl(wrapper=True)  # before xdist, which looks at the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Have all tests that need a suite run in one process: it takes half a minute to start, and gigabytes."""
    for item in items:
        for name in _SUITES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(name))
            item.add_marker(pytest.mark.timeout(900))
    yield
