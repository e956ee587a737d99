"""Makes a folder of a bundle. What it holds is a stranger's until all of it is checked."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from swath.errors import InvalidInput, PathDenied, TooLarge
from swath.serve.bundles.names import MAX_BYTES, MAX_FILES, MAX_UNPACKED_BYTES, checked_name

# Headers of the archive beside what the files have.
_OVERHEAD_BYTES = 3 * 1024 * MAX_FILES
_PIECE = 1 << 20


def unpack(data: bytes, into: Path) -> int:
    """Check a bundle and write its files into a folder; return how many. Nothing is written of one that is refused.

    Args:
        data: The bundle.
        into: An existing folder, which is empty.

    Raises:
        InvalidInput: It is no bundle, or holds something else than files.
        PathDenied: A name in it leads out of the folder.
        TooLarge: It holds too much.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"the bundle has {len(data)} bytes, more than {MAX_BYTES}")
    try:
        with tarfile.open(fileobj=io.BytesIO(_decompressed(data)), mode="r:") as archive:
            files = list(_checked(archive))
            for member in files:
                content = archive.extractfile(member)
                assert content is not None
                path = into / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
                path.chmod(0o755 if member.mode & 0o100 else 0o644)
    except (tarfile.TarError, zlib.error, EOFError, UnicodeError) as error:
        raise InvalidInput(f"the bundle cannot be unpacked: expected a .tar.gz of files, {error}") from error
    return len(files)


def unpacked(data: bytes, digest: str, cache: Path) -> Path:
    """Return the folder of a bundle in a cache; it is unpacked if it is not there yet.

    Args:
        data: The bundle.
        digest: Its digest.
        cache: Folder of folders, made if it is missing.

    Raises:
        InvalidInput, PathDenied, TooLarge: As of `unpack`.
    """
    place = cache / digest.rpartition(":")[2]
    if place.is_dir():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=cache))
    try:
        unpack(data, made)
        made.chmod(0o755)
        # Whole or not at all, whoever is killed meanwhile. Who was first has the same files.
        try:
            os.rename(made, place)
        except OSError:
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return place


def _decompressed(data: bytes) -> bytes:
    """Undo the compression, and stop where more comes out than a bundle may hold."""
    most = MAX_UNPACKED_BYTES + _OVERHEAD_BYTES
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    out = bytearray()
    rest = data
    while not reader.eof:
        piece = reader.decompress(rest, _PIECE)
        out += piece
        if len(out) > most:
            raise TooLarge(f"the bundle holds more than {MAX_UNPACKED_BYTES >> 20} MiB")
        rest = reader.unconsumed_tail
        if not piece and not rest and not reader.eof:
            raise EOFError("it ends too early")
    if reader.unused_data:
        raise zlib.error("something follows its end")
    return bytes(out)


def _checked(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    seen: set[str] = set()
    folders: set[str] = set()
    total = 0
    for member in archive:
        if member.isdir():
            continue
        name = checked_name(member.name)
        if not member.isreg():
            raise PathDenied(f"the bundle holds {name!r}, which is a link or a device: expected files alone")
        if name in seen:
            raise InvalidInput(f"the bundle holds {name!r} twice")
        seen.add(name)
        parts = name.split("/")
        folders.update("/".join(parts[:end]) for end in range(1, len(parts)))
        total += member.size
        if len(seen) > MAX_FILES:
            raise TooLarge(f"the bundle holds more than {MAX_FILES} files")
        if total > MAX_UNPACKED_BYTES:
            raise TooLarge(f"the bundle holds more than {MAX_UNPACKED_BYTES >> 20} MiB")
        yield member
    if both := folders & seen:
        raise InvalidInput(f"the bundle holds {min(both)!r} as a file and as a folder")
