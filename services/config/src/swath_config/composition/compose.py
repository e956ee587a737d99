"""Composition of one configuration: files and overrides in, a document out. Pure functions of a pool's processes.

Hydra's composition proper is used (defaults lists, groups, packages); Hydra as an application is not: no run folders,
no job, no `hydra` settings, no global state.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.defaults_list import create_defaults_list
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from swath.documents import KINDS, model, modernize, parse, plain
from swath.errors import ConfigInvalid, ConfigNotFound, DocumentInvalid, PathDenied, SwathError
from swath.storage.opening import workspace_from_spec
from swath.storage.workspace.folder import Workspace
from swath.storage.workspace.trainruns import find_pipeline
from swath_config.composition.library import Library, Opened
from swath_config.composition.overrides import Editor, read
from swath_config.composition.sandbox import lock, metered
from swath_config.composition.trees import literal, merge, resolved, wrap
from swath_config.request import Request


@dataclass(frozen=True)
class Place:
    """Where a configuration lies.

    Attributes:
        file: The file itself, a real path.
        root: The folder that gives it its name, and its package unless the file has another one.
        name: Its path below the root, without suffix.
        folders: Where its defaults list is looked up, the root among them.
    """

    file: Path
    root: Path
    name: str
    folders: tuple[Path, ...]


def resolve(request: Request) -> bytes:
    """Compose a configuration and return the validated document as JSON, every default filled in.

    Raises:
        ConfigNotFound: There is no such file.
        ConfigInvalid: There is no such kind, or files and overrides do not compose.
        DocumentInvalid: The result is no document of its kind.
        PathDenied: A file lies outside of the allowed roots.
    """
    workspace = _workspace(request.workspace)

    def composed() -> Any:
        place = find(workspace, request.search_paths, request.path)
        model(request.kind)
        return parse(request.kind, compose(workspace, place, request.kind, request.overrides))

    with workspace.showing():
        document = workspace.steadily(composed)
    try:
        return json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise DocumentInvalid(f"The configuration cannot be written as JSON: {error}") from error


@lru_cache(maxsize=8)
def _workspace(spec: str) -> Workspace:
    return workspace_from_spec(json.loads(spec))


def find(workspace: Workspace, search_paths: Sequence[str], path: str) -> Place:
    """Find a configuration file.

    Raises:
        ConfigNotFound: It is in none of the search paths; the message lists them.
        PathDenied: The path leads out of the allowed roots.
    """
    folders = workspace.search_path(search_paths)
    names = (
        (path,) if path.endswith(".yaml") else (f"{path}.yaml",) if not Path(path).suffix else (path, f"{path}.yaml")
    )
    if os.path.isabs(path):
        for name in names:
            file = workspace.resolve(name)
            if file.is_file():
                return place(workspace, folders, file)
        raise ConfigNotFound(f"Config file not found: {names[0]}", metadata={"path": path[:200]})
    if path and ".." in Path(path).parts:
        raise PathDenied(f"the path {path!r} climbs by '..'; relative paths stay in the search paths")
    for folder in folders:
        for name in names:
            file = workspace.resolve(str(folder / name))
            if path and file.is_file():
                return place(workspace, folders, file)
    listed = [str(folder) for folder in folders]
    raise ConfigNotFound(f"Config file '{path}' not found in search paths: {listed}", metadata={"path": path[:200]})


def place(workspace: Workspace, folders: Sequence[Path], file: Path) -> Place:
    """Return the root and name of a file: those of the first search path that contains it, else of its own folder."""
    if file.suffix != ".yaml":
        raise ConfigInvalid(f"Config resolution failed: {file.name} is no .yaml file")
    root = next((folder for folder in folders if file.is_relative_to(folder)), None)
    if root is None:
        root = file.parent
        folders = tuple(dict.fromkeys((*workspace.search_dirs(str(root)), root, *folders)))
    return Place(file, root, file.relative_to(root).with_suffix("").as_posix(), tuple(folders))


def compose(workspace: Workspace, place: Place, kind: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Compose a configuration and return it resolved and unwrapped, not yet validated.

    Raises:
        ConfigInvalid: Files and overrides do not compose; the message gives the line where there is one.
        PathDenied: A file lies outside of the allowed roots.
    """
    lock()
    version.setbase("1.3")
    library = Library(place.folders, place.name, place.root, workspace)
    with metered(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Hydra's advice to authors; what matters raises
        try:
            return _composed(workspace, library, place, kind, overrides)
        except (SwathError, MemoryError):
            raise
        except Exception as error:
            # All of it is about what a client wrote: Hydra answers that with every kind of exception.
            raise _explained(error, list(library.opened.values())) from error


def _composed(
    workspace: Workspace, library: Library, place: Place, kind: str, overrides: Sequence[str]
) -> dict[str, Any]:
    parsed = read(overrides)
    groups = [each for each in parsed if _is_group(library, place.name, each)]
    defaults = create_defaults_list(library, place.name, groups, prepend_hydra=False, skip_missing=False).defaults
    tree: dict[str, Any] = {}
    for each in defaults:
        tree = merge(tree, wrap(library.content(each.config_path or ""), each.package))
    tree.pop("hydra", None)
    package = _package(tree, kind, next((each.package for each in defaults if each.primary), None))
    _modernize(tree, package, kind)

    editor = Editor(kind, tree, package)
    for override in (each for each in parsed if each not in groups):
        parts = editor.parts(override)
        if kind == "trainrun" and parts[0] == "pipeline" and len(parts) > 1:
            _inline(workspace, place, tree, package)
        editor.apply(override)
    return _at(resolved(tree), package)


def _is_group(library: Library, primary: str, override: Any) -> bool:
    choice = isinstance(override.value(), (str, list)) or override.is_delete()
    if not choice or not library.group_exists(override.key_or_group):
        return False
    # `pipeline=...` of a trainrun that names its pipeline by a path means that path, although `pipeline` is a group.
    named = isinstance(library.content(primary).get(override.key_or_group), str)
    return override.is_add() or override.package is not None or not named


def _package(tree: dict[str, Any], kind: str, package: str | None) -> tuple[str, ...]:
    """Return where the document stands: where Hydra put it, and below a key of its kind if it is wrapped once more."""
    parts = tuple(package.split(".")) if package else ()
    fields = KINDS[kind].model_fields
    while parts and not isinstance(_at(tree, parts), dict):
        parts = parts[:-1]
    inner = _at(tree, parts)
    wrapped = inner.get(kind)
    if kind not in fields and isinstance(wrapped, dict) and len(fields.keys() & wrapped) > len(fields.keys() & inner):
        return (*parts, kind)
    return parts


def _at(tree: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _modernize(tree: dict[str, Any], package: Sequence[str], kind: str) -> None:
    document = _at(tree, package)
    modern = dict(modernize(kind, document))
    document.clear()
    document.update(modern)


def _inline(workspace: Workspace, trainrun: Place, tree: dict[str, Any], package: Sequence[str]) -> None:
    """Put the pipeline that a trainrun names by a path into it."""
    document = _at(tree, package)
    if not isinstance(document.get("pipeline"), str):
        return
    path = OmegaConf.select(OmegaConf.create(tree), ".".join((*package, "pipeline")))
    if isinstance(path, str):
        # Of a workspace in a bucket this process sees the folders that the service has gathered.
        file = find_pipeline(
            workspace, path, trainrun.folders, trainrun=trainrun.file, title=trainrun.name, error=ConfigNotFound
        )
        pipeline = compose(workspace, place(workspace, trainrun.folders, file), "pipeline")
        document["pipeline"] = literal(modernize("pipeline", pipeline))


def _explained(error: Exception, opened: Sequence[Opened]) -> ConfigInvalid:
    """Say what is wrong with a configuration, and on which line of which file."""
    message = _text(error) or type(error).__name__
    cause = _text(error.__cause__ or error.__context__)
    if cause and cause not in message:
        message = f"{message}: {cause}"
    if isinstance(error, RecursionError):
        message = "nested or referenced too deeply"
    elif not isinstance(error, (HydraException, OmegaConfBaseException, ValueError)):
        message = f"{type(error).__name__}: {message}"
    where = _where(error, opened)
    prefix = f"{where[0].name}.yaml, line {where[1]}: " if where else ""
    metadata = {"file": f"{where[0].name}.yaml", "line": str(where[1])} if where else {}
    return ConfigInvalid(f"Config resolution failed: {prefix}{message}", metadata=metadata)


def _text(error: BaseException | None) -> str:
    """Return an error's text without the internals that Hydra and OmegaConf add."""
    text = "" if error is None else str(error)
    return text.split("\nConfig search path:")[0].split("\n    full_key:")[0].strip()


def _where(error: BaseException | None, opened: Sequence[Opened]) -> tuple[Opened, int] | None:
    while error is not None:
        if isinstance(error, MissingConfigException) and (parent := re.match(r"In '([^']+)'", str(error))):
            for file in opened:
                line = file.line_of_entry(error.missing_cfg_file or "") if file.name == parent[1] else None
                if line is not None:
                    return file, line
        if isinstance(error, OmegaConfBaseException) and error.full_key:
            parts = re.findall(r"[^.\[\]]+", str(error.full_key))
            # A file's content may stand below a package: the longest end of the key that a file has is the place.
            for start in range(len(parts)):
                for file in reversed(opened):
                    line = file.line(parts[start:])
                    if line is not None and _to_blame(file.text.splitlines()[line - 1]):
                        return file, line
        error = error.__cause__ or error.__context__
    return None


def _to_blame(line: str) -> bool:
    """Tell whether a line may be what could not be resolved; an override may have put that elsewhere."""
    return "${" in line or "???" in line
