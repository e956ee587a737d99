"""Building wheels and source distributions."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.release_check.commands import run, uv
from tools.release_check.progress import require
from tools.release_check.sources import Distribution, copy_for_release, distributions, version


@dataclass(frozen=True, slots=True)
class Built:
    """What was built of one distribution.

    Attributes:
        of: The distribution.
        sdist: Its source distribution.
        wheel: The wheel that was built of that source distribution: the one to release.
        direct: The wheel that was built of the repository's files, as images are.
    """

    of: Distribution
    sdist: Path
    wheel: Path
    direct: Path


def build_all(folder: Path) -> list[Built]:
    """Build every distribution, as a source distribution, as a wheel of it, and as a wheel of the repository's files.

    The build backend is the one in uv.lock.

    Args:
        folder: Gets ``dist`` (what is released), ``direct``, and the copy of the sources that both are made of.

    Raises:
        CheckError: One cannot be built.
    """
    sources = folder / "sources"
    copy_for_release(sources)
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda each: _build(each, sources, folder), distributions()))


def _build(distribution: Distribution, sources: Path, folder: Path) -> Built:
    dist, direct = folder / "dist", folder / "direct"
    command = [uv(), "build", "--quiet", "--no-sources", "--no-build-isolation", "--python", sys.executable]
    where = sources / distribution.folder
    run([*command, where, "--out-dir", dist], cwd=folder)
    run([*command, "--wheel", where, "--out-dir", direct], cwd=folder)
    stem = f"{distribution.stem}-{version()}"
    wheel = f"{stem}-py3-none-any.whl"
    built = Built(distribution, dist / f"{stem}.tar.gz", dist / wheel, direct / wheel)
    for file in (built.sdist, built.wheel, built.direct):
        require(file.is_file(), f"{distribution.folder} did not become {file.name}")
    return built
