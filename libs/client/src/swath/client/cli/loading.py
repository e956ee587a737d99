"""Pipelines and weights that a command names, in a session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from swath.client.cli.files import remote_path

if TYPE_CHECKING:
    from swath.client.sync import Client, Session


def load_session(client: Client, pipeline: str, weights: str, overrides: list[str], verb: str) -> Session:
    """Open a session with a pipeline and its weights; closing it is the caller's.

    Args:
        client: The client.
        pipeline: Path below the server's configs, or a YAML file here.
        weights: File here, or on the server; empty takes those beside the pipeline, if there are some.
        overrides: Hydra overrides.
        verb: What is done with a pipeline that has no weights, for people: "running".
    """
    from swath.client.errors import NotFoundError

    session = client.open_session()
    try:
        local = Path(pipeline)
        is_local = local.suffix in (".yaml", ".yml") and local.is_file()
        config = (
            _resolve_local(client, session, local, overrides)
            if is_local
            else session.resolve("pipeline", remote_path(pipeline), overrides)
        )
        session.load_pipeline(config)
        if weights:
            session.load_weights(weights_of(weights))
        elif is_local and local.with_suffix(".pt").is_file():
            session.load_weights(local.with_suffix(".pt").read_bytes())
        elif not is_local:
            beside = remote_path(pipeline).removesuffix(".yaml").removesuffix(".yml") + ".pt"
            try:
                session.load_weights(beside)
            except NotFoundError:
                typer.echo(f"no weights at {beside}: {verb} the pipeline as it is", err=True)
    except BaseException:
        session.close()
        raise
    return session


def _resolve_local(client: Client, session: Session, file: Path, overrides: list[str]) -> dict[str, Any]:
    """Have the server compose a pipeline file of this machine: it gets the file for as long as that takes."""
    from uuid import uuid4

    folder = f"configs/pipeline/from-client-{uuid4().hex[:12]}"
    client.workspace.put(file, f"{folder}/{file.name}")
    try:
        return session.resolve("pipeline", f"{folder.removeprefix('configs/')}/{file.stem}", overrides)
    finally:
        client.workspace.delete(folder, recursive=True)


def weights_of(weights: str) -> str | bytes:
    """The bytes of a weights file here, or else a path on the server."""
    local = Path(weights)
    return local.read_bytes() if local.is_file() else remote_path(weights)
