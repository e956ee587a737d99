from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from swath.storage.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace over shipped configs with one pipeline and one trainrun, and one folder that is allowed."""
    shipped = tmp_path / "shipped"
    for name in ("pipeline/rx.yaml", "trainrun/rx.yaml"):
        file = shipped / name
        file.parent.mkdir(parents=True)
        file.write_text("shipped")
    (tmp_path / "allowed").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return Workspace(tmp_path / "root", shipped, [tmp_path / "allowed"])


@pytest.fixture
def little_room() -> Iterator[int]:
    """Files cannot grow beyond this many bytes while the test runs, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield 4096
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
