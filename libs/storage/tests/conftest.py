from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from swath.storage.s3.bucket import Bucket
from swath.storage.s3.location import S3Location
from swath.storage.workspace.bucket import BucketWorkspace
from swath.storage.workspace.folder import Workspace


@pytest.fixture
def bucket(s3_location: S3Location) -> Bucket:
    return Bucket.open(s3_location)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """Shipped configs with one pipeline and one trainrun; beside it a folder `allowed` and one that is not."""
    shipped = tmp_path / "shipped"
    for name in ("pipeline/rx.yaml", "trainrun/rx.yaml"):
        file = shipped / name
        file.parent.mkdir(parents=True)
        file.write_text("shipped")
    (tmp_path / "allowed").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return shipped


@pytest.fixture
def in_folder(tmp_path: Path, shipped: Path) -> Workspace:
    """An empty workspace in a folder, over the shipped configs, with one more folder that is allowed."""
    return Workspace(tmp_path / "root", shipped, [tmp_path / "allowed"])


@pytest.fixture
def in_bucket(tmp_path: Path, shipped: Path, s3_location: S3Location) -> Iterator[BucketWorkspace]:
    """The same in a bucket."""
    workspace = BucketWorkspace(
        s3_location, shipped, [tmp_path / "allowed"], public="/workspace", cache=tmp_path / "cache", cache_bytes=1 << 30
    )
    yield workspace
    workspace.close()


@pytest.fixture(params=["in_folder", "in_bucket"])
def workspace(request: pytest.FixtureRequest) -> Workspace:
    """Either of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def little_room() -> Iterator[int]:
    """Files cannot grow beyond this many bytes while the test runs, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield 4096
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
