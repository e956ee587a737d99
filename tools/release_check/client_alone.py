"""The client in an environment where nothing else of this repository is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tools.release_check.artifacts import closure
from tools.release_check.building import Built
from tools.release_check.commands import ROOT, run
from tools.release_check.environments import Environment, make_environment
from tools.release_check.progress import CheckError, require
from tools.release_check.sources import version

OURS = {"swath", "swath-api", "swath-documents", "swath-rpc", "swath-scenes"}
HEAVY = {"torch", "scipy", "matplotlib", "sqlalchemy", "kubernetes"}
_SNIPPETS = Path(__file__).parent / "snippets"


def install_client(folder: Path, all_built: Sequence[Built]) -> Environment:
    """Install the client's wheel, and check what comes with it.

    Raises:
        CheckError: Something of the server, or a package that is not needed, comes too.
    """
    client = make_environment(folder, closure("swath", all_built))
    names = client.installed().keys()
    ours = {name for name in names if name.startswith("swath")}
    require(ours == OURS, f"the client brings {', '.join(sorted(ours))}; expected {', '.join(sorted(OURS))}")
    require(not HEAVY & names, f"the client brings {', '.join(sorted(HEAVY & names))}")
    return client


def check_command(client: Environment) -> None:
    """Run ``swath --help`` and ``swath --version``.

    Raises:
        CheckError: One fails, or says something else than expected.
    """
    usage = client.run("swath", "--help")
    commands = set(re.findall(r"^│ ([a-z]+) ", usage, re.MULTILINE))
    require(commands >= {"train", "infer"}, f"commands are missing:\n{usage}")
    require(not commands & {"serve", "certs", "token"}, f"commands of the server:\n{usage}")
    for asked in ("--version", "version"):
        answer = client.run("swath", asked)
        require(answer == f"swath {version()}\n", f"swath {asked} prints {answer!r}")


def check_library(client: Environment, snippet: str) -> None:
    """Run a script of ``snippets/`` in the environment, with warnings as errors.

    Raises:
        CheckError: It fails.
    """
    client.run("python", "-W", "error", _SNIPPETS / snippet)


def check_types(client: Environment, snippet: str) -> None:
    """Check a script of ``snippets/`` with pyright in its strict mode, which refuses packages that are not typed.

    Raises:
        CheckError: It finds a fault.
    """
    folder = client.folder.parent / "types"
    folder.mkdir(exist_ok=True)
    (folder / snippet).write_text((_SNIPPETS / snippet).read_text())
    options = {"typeCheckingMode": "strict", "reportUnnecessaryTypeIgnoreComment": True}
    (folder / "pyrightconfig.json").write_text(json.dumps(options))
    pyright = ROOT / ".venv" / "bin" / "pyright"
    if not pyright.exists():
        raise CheckError(f"{pyright} is missing; `make sync` installs it")
    run([pyright, "--project", folder, "--pythonpath", client.python], cwd=folder)
