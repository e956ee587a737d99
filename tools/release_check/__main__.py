"""Builds all distributions and tries them in fresh environments: `python -m tools.release_check`.

Prints one line per check. What passes is left in dist/, for the index; nothing else stays.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import textwrap
from pathlib import Path
from time import perf_counter

from tools.release_check.artifacts import check_apart, check_both_wheels, check_files, check_metadata, closure
from tools.release_check.building import Built, build_all
from tools.release_check.client_alone import check_command, check_library, check_types, install_client
from tools.release_check.commands import ROOT
from tools.release_check.environments import Environment, make_environment
from tools.release_check.progress import CheckError, step
from tools.release_check.sources import version
from tools.release_check.whole_suite import check_demo, check_shipped_configs, install_all, served

_INDENT = " " * 18


def main() -> int:
    began = perf_counter()
    with tempfile.TemporaryDirectory(prefix="swath-release-") as made:
        folder = Path(made)
        try:
            built = check_artifacts(folder)
            check_client(folder / "client", built)
            check_suite(folder / "suite", built)
        except CheckError as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        keep(folder / "dist")
    print(f"\n{version()} can be released from dist/   all in {perf_counter() - began:.0f} s")
    return 0


def check_artifacts(folder: Path) -> list[Built]:
    """Build everything, and check what is in it."""
    built = step("build source distributions, wheels of them, and wheels of the repository", build_all, folder)
    names = [each.of.name for each in built]
    step("metadata", lambda: [check_metadata(each, names) for each in built])
    step("files of wheels and source distributions, py.typed", lambda: [check_files(each) for each in built])
    step("wheels are the same, whatever they are built of", lambda: [check_both_wheels(each) for each in built])
    step("no file is in two wheels", check_apart, built)
    return built


def check_client(folder: Path, built: list[Built]) -> None:
    """Try the client alone, then with its extras."""
    folder.mkdir()
    client = step("client alone: install, nothing of the server comes with it", install_client, folder / "env", built)
    _say(client)
    names = ", ".join(sorted(client.installed()))
    print(textwrap.indent(textwrap.fill(names, 100, break_on_hyphens=False), _INDENT))
    step("client alone: swath --help, --version", check_command, client)
    step("client alone: library", check_library, client, "client_alone.py")
    step("client alone: types, by pyright", check_types, client, "typed.py")
    step("client with extras: install", make_environment, folder / "env", closure("swath", built), extra="all")
    _say(client)
    step("client with extras: library", check_library, client, "client_with_extras.py")


def check_suite(folder: Path, built: list[Built]) -> None:
    """Serve with all wheels, and run the demo against the server."""
    folder.mkdir()
    suite = step("all wheels: install", install_all, folder / "env", built)
    _say(suite)
    with served(suite) as target:
        step("all wheels: swath serve, with the shipped configs", check_shipped_configs, suite, target)
        table = step("all wheels: the demo", check_demo, suite, target)
    print(f"\n{table}")


def keep(dist: Path) -> None:
    """Put what was checked into dist/ of the repository, instead of what is there."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    shutil.copytree(dist, ROOT / "dist", ignore=shutil.ignore_patterns(".gitignore"))


def _say(environment: Environment) -> None:
    print(f"{_INDENT}{len(environment.installed())} packages, {environment.megabytes():.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
