"""An archive of configs is taken by its digest, and stays in its folder."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from swath.errors import ArtifactCorrupt, InvalidInput
from swath.storage.bundle import main, unpack
from swath.storage.s3.bucket import Bucket
from swath.storage.s3.location import S3Location


def archive(*names: str) -> tuple[bytes, str]:
    """Return an archive with a file of each name, and its digest."""
    place = io.BytesIO()
    with tarfile.open(fileobj=place, mode="w:gz") as made:
        for name in names:
            about = tarfile.TarInfo(name)
            about.size = len(name)
            made.addfile(about, io.BytesIO(name.encode()))
    return place.getvalue(), hashlib.sha256(place.getvalue()).hexdigest()


@pytest.fixture
def url(bucket: Bucket, s3_location: S3Location, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the tests' archive is, as the settings of this process reach it."""
    monkeypatch.setenv("SWATH_S3_ENDPOINT", s3_location.endpoint)
    monkeypatch.setenv("SWATH_S3_ACCESS_KEY_ID", s3_location.access_key_id)
    monkeypatch.setenv("SWATH_S3_SECRET_ACCESS_KEY", s3_location.secret_access_key)
    return f"s3://{s3_location.bucket}/{s3_location.prefix}/configs.tar.gz"


def test_files_come_out_of_an_object_store(bucket: Bucket, url: str, tmp_path: Path) -> None:
    content, digest = archive("trainrun/mine.yaml", "pipeline/mine.yaml")
    bucket.put("configs.tar.gz", content)
    assert unpack(url, digest, tmp_path) == 2
    assert (tmp_path / "trainrun" / "mine.yaml").read_text() == "trainrun/mine.yaml"


def test_another_archive_is_refused(bucket: Bucket, url: str, tmp_path: Path) -> None:
    bucket.put("configs.tar.gz", archive("other")[0])
    with pytest.raises(ArtifactCorrupt, match="SHA-256"):
        unpack(url, archive("mine")[1], tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_put_outside(bucket: Bucket, url: str, tmp_path: Path) -> None:
    content, digest = archive("../outside")
    bucket.put("configs.tar.gz", content)
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(InvalidInput, match="outside"):
        unpack(url, digest, folder)
    assert not (tmp_path / "outside").exists()


def test_what_is_no_archive_is_refused(bucket: Bucket, url: str, tmp_path: Path) -> None:
    bucket.put("configs.tar.gz", b"nothing")
    with pytest.raises(InvalidInput, match="unpacked"):
        unpack(url, hashlib.sha256(b"nothing").hexdigest(), tmp_path)


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["http://x.example/c.tar.gz", "--sha256", "0" * 64, "--into", str(tmp_path)]) == 1
    assert "https://" in capsys.readouterr().err
