"""What a command is about: a config file, or an application in code, as one config; and where its code is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swath.serve.schema import ApplicationConfig, Read


@dataclass(frozen=True)
class Given:
    """What a command is about.

    Attributes:
        read: The config.
        text: The same as a file has it.
        file: Its name.
        folder: Where its code is, unless an application says otherwise.
        is_file: Whether it came from a file.
    """

    read: Read
    text: str
    file: str
    folder: Path
    is_file: bool


def given(
    target: str,
    arguments: list[str] | None,
    *,
    name: str,
    route_prefix: str | None,
    app_dir: Path,
    working_dir: Path | None,
    runtime_env: Path | None,
    runtime_env_json: str | None,
    functions: list[str] | None,
    port: int | None = None,
) -> Given:
    """Return what the arguments of a command name.

    Raises:
        LocalError: They contradict one another.
        ConfigInvalid: The config is none.
    """
    from swath.client.errors import LocalError
    from swath.documents import dump_yaml
    from swath.serve.cli.options import key_values, note
    from swath.serve.schema import read, read_file

    args = key_values(arguments or [])
    folder = (working_dir or app_dir).resolve()
    if not folder.is_dir():
        raise LocalError(f"{folder}: there is no such folder")
    file = Path(target)
    if file.is_file():
        if args:
            note("arguments KEY=VALUE are unused: the config file has the args of its applications")
        if name or route_prefix or runtime_env or runtime_env_json or functions:
            note("--name, --route-prefix, --runtime-env and --grpc-servicer-functions are unused with a config file")
        found = read_file(file)
        return Given(found, file.read_text(), str(file), folder, is_file=True)
    if file.suffix in (".yaml", ".yml", ".json"):
        raise LocalError(f"there is no config file {target}")
    application: dict[str, Any] = {"name": name or "default", "import_path": target}
    if route_prefix:
        application["route_prefix"] = route_prefix
    if args:
        application["args"] = args
    if environment := _environment(runtime_env, runtime_env_json):
        application["runtime_env"] = environment
    options: dict[str, Any] = {"grpc_servicer_functions": functions or []}
    if port is not None:
        options["port"] = port
    text = dump_yaml({"grpc_options": options, "applications": [application]})
    return Given(read(text, target), text, target, folder, is_file=False)


def code_of(application: ApplicationConfig, given: Given, functions: tuple[str, ...] | list[str]) -> list[Path]:
    """Return the folders of this machine that hold an application's code; none where it is installed.

    Args:
        application: The part of a config file that is about it.
        given: What the command is about.
        functions: Servicer functions, which are code too.
    """
    from swath.serve.schema import local_folders

    named = local_folders(application, Path.cwd())
    if application.runtime_env.working_dir:
        return named
    here = [given.folder]
    if given.is_file and Path(given.file).resolve().parent not in here:
        here.append(Path(given.file).resolve().parent)
    modules = {path.replace(":", ".").partition(".")[0] for path in (application.import_path, *functions)}
    found = next((each for each in here if any(_has(each, module) for module in modules)), None)
    return [*([found] if found is not None else []), *named]


def _has(folder: Path, module: str) -> bool:
    return (folder / f"{module}.py").is_file() or (folder / module).is_dir()


def _environment(file: Path | None, text: str | None) -> Any:
    from swath.client.errors import LocalError
    from swath.documents import load_yaml

    if file is not None and text is not None:
        raise LocalError("--runtime-env and --runtime-env-json contradict one another: give one of them")
    if file is not None:
        return load_yaml(file.read_bytes(), source=str(file))
    if text is not None:
        try:
            return json.loads(text)
        except ValueError as error:
            raise LocalError(f"--runtime-env-json is no JSON: {error}") from None
    return None
