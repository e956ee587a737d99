"""Which file a trainrun means by its pipeline, and where a saved trainrun has its pipeline.

One rule for ResolveConfig, SetTrainRunConfig and RestoreTrainRun. A trainrun names its pipeline as its author saw the
files: `../pipeline/rx.yaml` from its own folder, `anomaly/rx.yaml` from a root of pipelines. By the time it is read it
may be somewhere else, or have come over the wire without any folder. Looked through, in this order:

1. the trainrun's own folder, and the folder above it, where the trainrun is a file;
2. the search paths of the session;
3. the configs root;
4. the folder `pipeline` in each of 2 and 3;
5. the workspace's root;
6. the name that SaveTrainRun gives: `<trainrun>_pipeline.yaml` beside the trainrun, where that is a file.

A name may leave `.yaml` out. Leading `..` count in 1 alone; the other places are roots, where they are dropped. A place
in one layer of the configs root stands for the same place in both, the workspace's own before the shipped one. An
absolute name is looked for there, and by rule 6.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from swath.errors import FileMissing, NotFound, PathDenied
from swath.storage.workspace.folder import Workspace

_PIPELINES = "pipeline"
_SUFFIXES = (".yaml", ".yml")
_MAX_LISTED = 20


def saved_pipeline(trainrun: Path) -> Path:
    """Return the file in which SaveTrainRun puts the pipeline of a trainrun, given the trainrun's own file."""
    return trainrun.with_name(f"{trainrun.stem}_pipeline.yaml")


def find_pipeline(
    workspace: Workspace,
    name: str | None,
    folders: Iterable[Path] = (),
    *,
    trainrun: Path | None = None,
    title: str = "",
    error: type[NotFound] = FileMissing,
) -> Path:
    """Return the file of the pipeline that a trainrun names. Blocks: call it in a thread.

    Args:
        workspace: What may be read.
        name: The path in the trainrun; None where it has none.
        folders: Search paths of the session, as `Workspace.search_path` gives them.
        trainrun: The trainrun's own file, where it is one.
        title: What the trainrun is called in errors.
        error: Class of the error where there is no such file.

    Raises:
        NotFound: It is nowhere; the message says where was looked.
        PathDenied: It leads out of the allowed folders.
    """
    denied: PathDenied | None = None
    looked: list[str] = []
    for number, candidate in enumerate(dict.fromkeys(_candidates(workspace, name or "", tuple(folders), trainrun))):
        try:
            file = workspace.resolve(str(candidate))
        except PathDenied as refusal:
            # What the name literally says is the first candidate; others may leave the allowed folders by chance.
            denied = refusal if number == 0 else denied
            continue
        if file.is_file():
            return file
        looked.append(str(candidate))
    if denied is not None:
        raise denied
    more = f" and {len(looked) - _MAX_LISTED} more" if len(looked) > _MAX_LISTED else ""
    of = f" of trainrun '{title}'" if title else ""
    raise error(
        f"Pipeline '{name or ''}'{of} not found; looked for {looked[:_MAX_LISTED]}{more}",
        metadata={"path": (name or "")[:256]},
    )


def _candidates(workspace: Workspace, name: str, folders: tuple[Path, ...], trainrun: Path | None) -> Iterator[Path]:
    if name and os.path.isabs(name):
        yield from map(Path, _names(name))
    elif name:
        for folder in (trainrun.parent, trainrun.parent.parent) if trainrun is not None else ():
            yield from _below(workspace, folder, os.path.normpath(name))
        roots = (*folders, *workspace.config_roots)
        inside = _without_leading_dots(name)
        for folder in (*roots, *(each / _PIPELINES for each in roots), workspace.root) if inside else ():
            yield from _below(workspace, folder, inside)
    if trainrun is not None:
        yield saved_pipeline(trainrun)


def _below(workspace: Workspace, folder: Path, name: str) -> Iterator[Path]:
    """Give the files that a name may mean in a folder, in both layers if the folder is in one of the configs root."""
    for each in _names(name):
        candidate = Path(os.path.normpath(folder / each))
        layer = next((layer for layer in workspace.config_roots if candidate.is_relative_to(layer)), None)
        if layer is None:
            yield candidate
        else:
            yield from (other / candidate.relative_to(layer) for other in workspace.config_roots)


def _names(name: str) -> tuple[str, ...]:
    return (name,) if name.endswith(_SUFFIXES) else (name, f"{name}.yaml")


def _without_leading_dots(name: str) -> str:
    parts = PurePosixPath(os.path.normpath(name)).parts
    while parts and parts[0] == "..":
        parts = parts[1:]
    return "/".join(parts)
