"""Checks the code of an application in a process of its own, before anything is deployed of it.

Users' code runs while it is imported: it may hang, exit or break things, and what it has imported stays. `python -m
swath.serve.schema.probe` reads a question from its standard input and writes an answer, as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Any

from swath.errors import InvalidInput
from swath.serve.application import import_application, nodes
from swath.serve.compat import install_here
from swath.serve.config import DeploymentOptions, nearest
from swath.serve.exceptions import RayServeException
from swath.serve.exchange import Method
from swath.serve.front.services import Service, read_services
from swath.serve.schema.documents import ApplicationConfig
from swath.serve.schema.places import Path

_LAST_WORDS = 2000


@dataclass(frozen=True)
class Found:
    """What was found in the code of an application.

    Attributes:
        deployments: Names, in the order in which they are bound; the last one is what clients reach.
        services: Its gRPC services.
    """

    deployments: tuple[str, ...]
    services: tuple[Service, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data, which `of_json` reads."""
        return {
            "deployments": [*self.deployments],
            "services": [
                {
                    "name": each.name,
                    "methods": [asdict(method) for method in each.methods],
                    "files": [base64.b64encode(file).decode() for file in each.files],
                }
                for each in self.services
            ],
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Found:
        """Return what `as_json` has written."""
        services = (
            Service(
                each["name"],
                tuple(Method(**method) for method in each["methods"]),
                tuple(base64.b64decode(file) for file in each["files"]),
            )
            for each in data["services"]
        )
        return cls(tuple(data["deployments"]), tuple(services))


class CodeInvalid(Exception):
    """The code of an application does not fit what a config file says of it: whoever has the file says where.

    Args:
        problems: What is wrong, and where: paths below the application, or of `grpc_options`.
    """

    def __init__(self, problems: Sequence[tuple[Path, str]]) -> None:
        self.message = "; ".join(said for _, said in problems)
        super().__init__(self.message)
        self.problems = tuple(problems)

    def below(self, index: int) -> list[tuple[Path, str]]:
        """Return what is wrong with the paths that a file has, for the application of this number."""
        return [
            (path if path[:1] == ("grpc_options",) else ("applications", index, *path), said)
            for path, said in self.problems
        ]


def probe_here(application: ApplicationConfig, servicer_functions: Sequence[str]) -> Found:
    """Import the code of an application into this process and check it.

    Raises:
        CodeInvalid: Something does not resolve, or does not fit; it says what, where, and the nearest right one.
    """
    problems: list[tuple[Path, str]] = []
    services: tuple[Service, ...] = ()
    try:
        services = read_services(servicer_functions)
    except InvalidInput as error:
        said = error.message.removeprefix("grpc_servicer_functions: ")
        problems.append((("grpc_options", "grpc_servicer_functions"), said))
    options: dict[str, DeploymentOptions] = {}
    try:
        found = nodes(import_application(application.import_path, application.args or None), application.name)
    except (RayServeException, ValueError, TypeError) as error:
        hint = _near_module(error.__cause__) if isinstance(error.__cause__, ModuleNotFoundError) else ""
        raise CodeInvalid([*problems, (("import_path",), f"{error}{hint}")]) from error
    except Exception as error:
        said = f"{application.import_path}: building it failed: {type(error).__name__}: {error}"
        raise CodeInvalid([*problems, (("import_path",), said)]) from error
    options = {node.name: node.options for node in found}
    for index, override in enumerate(application.deployments):
        place = ("deployments", index, "name")
        if override.name not in options:
            near = nearest(override.name, options)
            problems.append((place, f"Deployment {override.name!r} does not exist{near}. Available: {[*options]}"))
            continue
        try:
            options[override.name].changed(override.given)
        except (TypeError, ValueError) as error:
            problems.append((place[:2], str(error)))
    if problems:
        raise CodeInvalid(problems)
    return Found(tuple(options), services)


async def probe(
    application: ApplicationConfig,
    servicer_functions: Sequence[str],
    *,
    folders: Sequence[FilePath] = (),
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 120.0,
) -> Found:
    """Check the code of an application in a process of its own.

    Args:
        application: The part of a config file that is about it.
        servicer_functions: Import paths of the functions that add its services to a server.
        folders: With its code.
        environment: Variables of the process; those of this one if None. Those of the application come beside.
        timeout_s: Longest time that it may take.

    Raises:
        CodeInvalid: Something does not resolve, does not fit, or takes too long to be imported.
    """
    given = application.model_dump(mode="json", exclude_unset=True)
    question = {"application": given, "functions": [*servicer_functions]}
    variables = dict(os.environ if environment is None else environment) | application.runtime_env.env_vars
    # What the code prints goes to the log, and not into the answer.
    answer, theirs = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __spec__.name if __spec__ else __name__),
        *(str(theirs), *map(str, folders)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=(theirs,),
        env=variables,
        start_new_session=True,
    )
    os.close(theirs)
    reading = asyncio.create_task(asyncio.to_thread(_read_all, answer))
    try:
        async with asyncio.timeout(timeout_s):
            printed, _ = await process.communicate(json.dumps(question).encode())
            said = await reading
    except TimeoutError:
        late = f"{application.import_path}: it was not imported within {timeout_s:g} s"
        raise CodeInvalid([(("import_path",), late)]) from None
    finally:
        # With all that it has started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await reading
    if not said:
        words = printed.decode(errors="replace").strip()[-_LAST_WORDS:].splitlines()
        ended = f"importing it ended the process (exit status {process.returncode})"
        raise CodeInvalid(
            [(("import_path",), f"{application.import_path}: {ended}{': ' + words[-1] if words else ''}")]
        )
    told = json.loads(said)
    if "problems" in told:
        raise CodeInvalid([(tuple(path), said) for path, said in told["problems"]])
    return Found.of_json(told)


def _near_module(error: ModuleNotFoundError) -> str:
    """Return the end of a sentence that names the module nearest to one that is not there."""
    import pkgutil

    package, _, name = (error.name or "").rpartition(".")
    places = getattr(sys.modules.get(package), "__path__", None) if package else sys.path[:3]
    return nearest(name, [each.name for each in pkgutil.iter_modules(places)]) if places else ""


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


def main() -> None:
    """Answer one question."""
    answer, *folders = sys.argv[1:]
    sys.path[:0] = folders
    install_here()
    question: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    try:
        found = probe_here(ApplicationConfig.model_validate(question["application"]), question["functions"])
        told = found.as_json()
    except CodeInvalid as error:
        told = {"problems": error.problems}
    with open(int(answer), "w") as file:
        json.dump(told, file)
    sys.stdout.flush()
    # Threads of users' code wait for nobody.
    os._exit(0)


if __name__ == "__main__":
    main()
