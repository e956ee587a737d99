"""`python -m swath.storage.bundle`: unpack an archive of configs that is named by its digest."""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from swath.errors import ArtifactCorrupt, InvalidInput, SwathError, TooLarge, Unavailable
from swath.storage.s3.bucket import Bucket
from swath.storage.settings import StorageSettings

_LARGEST = 64 << 20
_TIMEOUT_S = 60.0


def unpack(url: str, sha256: str, into: Path) -> int:
    """Fetch a `.tar.gz`, check it and unpack it; return how many files it holds.

    Args:
        url: `https://...`, or `s3://bucket/key` on the object store of the settings.
        sha256: Its expected digest, in hexadecimal.
        into: Existing folder.

    Raises:
        ArtifactCorrupt: It has another digest.
        InvalidInput: It is no archive, or a name in it leads out of the folder.
        TooLarge: It is above 64 MiB.
        Unavailable: It cannot be fetched.
        SwathError: As of `Bucket`.
    """
    content = _fetched(url)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ArtifactCorrupt(f"{url} has the SHA-256 {found}, expected {sha256}")
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            files = [each for each in archive.getmembers() if each.isfile()]
            if sum(each.size for each in files) > _LARGEST:
                raise TooLarge(f"{url} holds more than {_LARGEST >> 20} MiB")
            archive.extractall(into, members=files, filter="data")
    except tarfile.TarError as error:
        raise InvalidInput(f"{url} cannot be unpacked: {error}") from error
    return len(files)


def _fetched(url: str) -> bytes:
    parts = urlsplit(url)
    if parts.scheme == "s3":
        bucket = Bucket.open(StorageSettings().location(f"s3://{parts.netloc}"))
        found = bucket.read(parts.path.lstrip("/"))
        if found.object.size > _LARGEST:
            raise TooLarge(f"{url} has more than {_LARGEST >> 20} MiB")
        return b"".join(found.chunks)
    if parts.scheme != "https":
        raise InvalidInput(f"expected https://... or s3://bucket/key, got {url!r}")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            content = answer.read(_LARGEST + 1)
    except (urllib.error.URLError, OSError) as error:
        raise Unavailable(f"{url} cannot be fetched: {error}") from error
    if len(content) > _LARGEST:
        raise TooLarge(f"{url} has more than {_LARGEST >> 20} MiB")
    return content


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m swath.storage.bundle", description="Unpack an archive.")
    parser.add_argument("url", help="https://... or s3://bucket/key")
    parser.add_argument("--sha256", required=True, help="its digest in hexadecimal")
    parser.add_argument("--into", type=Path, required=True, help="folder")
    given = parser.parse_args(arguments)
    try:
        count = unpack(given.url, given.sha256, given.into)
    except SwathError as error:
        print(f"swath.storage.bundle: {error.message}", file=sys.stderr)
        return 1
    print(f"swath.storage.bundle: {count} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
