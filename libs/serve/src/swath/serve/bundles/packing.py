"""Makes a bundle of a folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pathspec import GitIgnoreSpec

from swath.errors import FileMissing, InvalidInput, PathDenied, TooLarge
from swath.serve.bundles.names import MAX_BYTES, MAX_FILES, MAX_UNPACKED_BYTES, checked_name

IGNORE_FILES = (".gitignore", ".swathignore")
"""Files whose lines say what a bundle leaves out, in git's language; those of a folder hold for what is below it."""

_ALWAYS = GitIgnoreSpec.from_lines(
    [
        ".git/",
        ".hg/",
        ".svn/",
        "__pycache__/",
        "*.py[cod]",
        ".venv/",
        "venv/",
        "node_modules/",
        ".pytest_cache/",
        ".mypy_cache/",
        ".ruff_cache/",
        ".ipynb_checkpoints/",
        ".DS_Store",
        # Secrets are no code.
        ".env",
    ]
)
_Rules = Sequence[tuple[str, GitIgnoreSpec]]


def pack(source: Path, modules: Sequence[Path] = ()) -> bytes:
    """Return a folder, or one module, as an archive: the same files give the same bytes.

    Left out are what the folder's ignore files name, caches, virtual environments, version control and `.env`.

    Args:
        source: A folder; or a file.
        modules: Folders and files that lie beside what is in it, by their own names.

    Raises:
        FileMissing: There is no such folder or file, or nothing is left of it.
        PathDenied: A link leads out of the folder, or a file has a name that a bundle may not hold.
        TooLarge: There are too many files, or they are too large.
    """
    source = source.resolve()
    # What lies in the folder itself counts more than a module of the same name.
    beside = {name: path for each in modules for name, path in _below(each, each.resolve().name)}
    found = sorted({**beside, **dict(_below(source))}.items())
    if not found:
        raise FileMissing(f"{source}: no file is left to bundle once ignore files have been followed")
    if len(found) > MAX_FILES:
        raise TooLarge(
            f"{source} has {len(found)} files, more than {MAX_FILES}: name what to leave out in .swathignore"
        )
    total = sum(path.stat().st_size for _, path in found)
    if total > MAX_UNPACKED_BYTES:
        raise _too_large(source, f"{total >> 20} MiB in {len(found)} files", MAX_UNPACKED_BYTES, found)
    data = _archive(found)
    if len(data) > MAX_BYTES:
        raise _too_large(source, f"{len(data) >> 20} MiB packed", MAX_BYTES, found)
    return data


def digest_of(data: bytes) -> str:
    """Return the name of a bundle: `sha256:` and 64 hexadecimal digits, as of any artifact."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _archive(files: Sequence[tuple[str, Path]]) -> bytes:
    packed = io.BytesIO()
    # Without a name and a time, which would change with the machine.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, path in files:
            content = path.read_bytes()
            entry = tarfile.TarInfo(checked_name(name))
            entry.size = len(content)
            entry.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _below(source: Path, folder: str = "") -> Iterator[tuple[str, Path]]:
    """Iterate over the files of a source, which is a folder or one file, and their names in the bundle."""
    source = source.resolve()
    if source.is_file():
        yield source.name, source
    elif source.is_dir():
        yield from ((f"{folder}/{name}" if folder else name, path) for name, path in _files(source))
    else:
        raise FileMissing(f"{source}: there is no such folder or file to bundle")


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Iterate over the files to bundle: their names there, and where they are."""
    open_folders: list[tuple[str, Path, _Rules]] = [("", root, [("", _ALWAYS)])]
    while open_folders:
        prefix, folder, rules = open_folders.pop()
        rules = [*rules, *_rules_of(folder, prefix)]
        for entry in list(os.scandir(folder)):
            name, path = f"{prefix}{entry.name}", Path(entry.path)
            is_folder = entry.is_dir()
            if _is_left_out(f"{name}/" if is_folder else name, rules):
                continue
            if entry.is_symlink() and not path.resolve().is_relative_to(root):
                raise PathDenied(
                    f"{path} is a link that leads out of {root}: put what it points at into the folder, or name it in "
                    ".swathignore",
                    metadata={"path": str(path)},
                )
            if is_folder:
                # A folder that is there by its own name needs no second copy, and a link to one above never ends.
                if not entry.is_symlink():
                    open_folders.append((f"{name}/", path, rules))
            elif entry.is_file():
                yield name, path
            else:
                raise InvalidInput(f"{path} is neither a file nor a folder: name it in .swathignore")


def _rules_of(folder: Path, prefix: str) -> _Rules:
    found = [folder / name for name in IGNORE_FILES]
    return [(prefix, GitIgnoreSpec.from_lines(each.read_text().splitlines())) for each in found if each.is_file()]


def _is_left_out(name: str, rules: _Rules) -> bool:
    # As in git: what is said last counts, and files further down speak later.
    left_out = False
    for prefix, rule in rules:
        said = rule.check_file(name.removeprefix(prefix)).include
        left_out = left_out if said is None else said
    return left_out


def _too_large(source: Path, size: str, most: int, files: Sequence[tuple[str, Path]]) -> TooLarge:
    largest, path = max(files, key=lambda each: each[1].stat().st_size)
    return TooLarge(
        f"{source} is {size}, more than {most >> 20} MiB: name what to leave out in .swathignore (the largest file is "
        f"{largest}, {path.stat().st_size >> 20} MiB)"
    )
