"""All wheels in one environment: the server with its shipped configs, and the demo against it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.release_check.building import Built
from tools.release_check.commands import ROOT, environment
from tools.release_check.environments import Environment, make_environment
from tools.release_check.progress import CheckError, require
from tools.release_check.sources import version

_LISTENING = re.compile(r"listening on (\S+:\d+)")
_STOP_S = 60.0


def install_all(folder: Path, all_built: Sequence[Built]) -> Environment:
    """Install all wheels, and check that all of this repository comes from them.

    Raises:
        CheckError: One is missing, or has another version.
    """
    suite = make_environment(folder, all_built)
    installed = suite.installed()
    for each in all_built:
        require(installed.get(each.of.name) == version(), f"{each.of.name} is {installed.get(each.of.name)}")
    place = suite.run("python", "-c", "import swath_standalone.settings as s; print(s.shipped_configs().resolve())")
    require(Path(place.strip()).is_relative_to(folder.resolve()), f"the shipped configs are {place.strip()}")
    return suite


@contextmanager
def served(suite: Environment) -> Iterator[str]:
    """Run ``swath serve`` with the configs that were installed with it, on a free port and in a new state folder.

    Yields:
        Its address, as HOST:PORT.

    Raises:
        CheckError: It does not start, or does not end with 0 when it is asked to.
    """
    around = suite.folder.parent
    log = around / "server.log"
    command = [suite.folder / "bin" / "swath", "serve", "--port", "0", "--state", around / "state"]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=around, env=environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    try:
        listening = _LISTENING.search(process.stdout.readline())
        if listening is None:
            raise CheckError(f"swath serve did not start:\n{log.read_text()[-6000:]}")
        yield listening[1]
        process.terminate()
        try:
            code = process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            raise CheckError(f"swath serve is still there {_STOP_S:.0f} s after SIGTERM") from None
        require(code == 0, f"swath serve ended with {code}:\n{log.read_text()[-6000:]}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def check_shipped_configs(suite: Environment, target: str) -> None:
    """Check that the server finds the pipelines that it was installed with.

    Raises:
        CheckError: It does not.
    """
    found = suite.run("swath", "pipeline", "list", "--target", target)
    for shipped in sorted((ROOT / "configs" / "pipeline").rglob("*.yaml")):
        require(shipped.stem in found, f"swath pipeline list does not name {shipped.stem}:\n{found}")


def check_demo(suite: Environment, target: str) -> str:
    """Run a copy of the demo against the server.

    Returns:
        The table that it ends with.

    Raises:
        CheckError: It fails, or draws nothing.
    """
    around = suite.folder.parent
    for folder in ("examples/demo", "examples/data", "configs"):
        shutil.copytree(ROOT / folder, around / folder, dirs_exist_ok=True)
    picture = around / "demo.png"
    said = suite.run("python", around / "examples" / "demo", "--target", target, "--output", picture)
    require(picture.is_file(), f"the demo drew nothing:\n{said}")
    return said[said.index("San Diego:") : said.index("Picture:")].strip()
