"""Pipelines, weights and training runs as files of the workspace. Everything here blocks: call it in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from swath.documents import (
    SCHEMAS_VERSION,
    DataDocument,
    PipelineDocument,
    PipelineMetadata,
    TrainingDocument,
    TrainRunDocument,
    dump_yaml,
    load_yaml,
    parse,
    unsealed,
)
from swath.errors import DocumentInvalid, InvalidInput
from swath.sessions.model import Session
from swath.sessions.preconditions import pipeline_of
from swath.storage import Base, Workspace
from swath.storage.workspace.trainruns import find_pipeline, saved_pipeline
from swath_pipeline.artifacts import PipelineArtifacts


@dataclass(frozen=True)
class SavedPipeline:
    """Files of a saved pipeline, as clients know them."""

    pipeline: Path
    weights: Path


@dataclass(frozen=True)
class SavedRun:
    """Files of a saved run, as clients know them; `weights` is None where none were asked for."""

    trainrun: Path
    pipeline: Path
    weights: Path | None


@dataclass(frozen=True)
class FoundRun:
    """What files hold of a run: its config, its pipeline, and weights if there are any."""

    config: TrainRunDocument
    pipeline: PipelineDocument
    weights: bytes | None


class PipelineFiles:
    """Writes what sessions have to files and reads it back. Errors name files as clients know them.

    Args:
        artifacts: What sessions have.
        workspace: Where files go and come from.
    """

    def __init__(self, artifacts: PipelineArtifacts, workspace: Workspace) -> None:
        self._artifacts = artifacts
        self._workspace = workspace

    def save_pipeline(self, session: Session, path: str, metadata: dict[str, Any]) -> SavedPipeline:
        """Write the session's pipeline as YAML, with all arguments of its nodes, and its weights beside it.

        Args:
            session: The session; it has a pipeline.
            path: Relative to configs/pipeline, or absolute inside the allowed roots.
            metadata: Fields of the metadata that the caller gave.

        Raises:
            InvalidInput: The path is one that no pipeline can have.
            PathDenied: The path leaves the allowed roots.
            StorageRefused: No space left.
        """
        with self._workspace.showing():
            target = self._workspace.resolve(path, base=Base.PIPELINES, write=True)
            if target.suffix == ".pt":
                raise InvalidInput(f"pipeline_path {path!r} ends in .pt, which is the name of the weights beside it")
            if target.is_dir():
                raise InvalidInput(f"pipeline_path {path!r} is a folder")
            # A copy under another name is another pipeline; what else was known of it still holds.
            named = {**metadata, "name": metadata.get("name") or target.stem}
            weights, saved = self._workspace.write_all(self._contents(session, target, named))
            return SavedPipeline(self._shown(saved), self._shown(weights))

    def save_run(self, session: Session, path: str, *, weights: bool) -> SavedRun:
        """Write the session's run config, its pipeline beside it and, when asked, the weights.

        A session that was given no run config is saved as a run of its pipeline with the defaults of everything else.

        Args:
            session: The session; it has a pipeline.
            path: Relative to the workspace, or absolute inside the allowed roots.
            weights: Whether to write the weights.

        Raises:
            PathDenied: The path leaves the allowed roots.
            StorageRefused: No space left.
        """
        with self._workspace.showing():
            target = self._workspace.resolve(path, write=True)
            beside = saved_pipeline(target)
            files = self._contents(session, beside, {})
            if not weights:
                files = {str(beside): files[str(beside)]}
            # Last, so that a run which can be found has all its parts.
            run = self._run_of(session).model_copy(update={"pipeline": beside.name})
            files[str(target)] = dump_yaml(run).encode()
            *saved_weights, pipeline, saved = map(self._shown, self._workspace.write_all(files))
            return SavedRun(saved, pipeline, saved_weights[0] if saved_weights else None)

    def read_run(self, path: str, weights_path: str | None, search_paths: Sequence[str] = ()) -> FoundRun:
        """Read a saved run, with the weights given or else those beside its pipeline, if there are any.

        Args:
            path: The run's YAML file.
            weights_path: A weights file.
            search_paths: Those of the session that the run goes into.

        Raises:
            FileMissing: No such file.
            DocumentInvalid: The file is no run, or one that is still to be composed.
        """
        with self._workspace.showing():
            file = self._workspace.find(path if Path(path).suffix else f"{path}.yaml")
            config = _run_in(file)
            if isinstance(config.pipeline, PipelineDocument):
                # Found with what lies beside it: the weights.
                pipeline, place = config.pipeline, self._workspace.resolve(str(saved_pipeline(file)))
            else:
                place = find_pipeline(
                    self._workspace, config.pipeline, self._workspace.search_path(search_paths), trainrun=file
                )
                pipeline = parse("pipeline", load_yaml(place.read_bytes(), source=str(place)))
            beside = place.with_suffix(".pt")
            if weights_path:
                weights, _ = self._find_weights(weights_path, [str(file.parent)])
            else:
                weights = beside.read_bytes() if beside.is_file() else None
            return FoundRun(config, pipeline, weights)

    def read_weights(self, path: str, search_paths: Sequence[str]) -> tuple[bytes, str]:
        """Return a weights file's bytes, and where it is as clients know it.

        Raises:
            FileMissing: No such file.
            PathDenied: The path leaves the allowed roots.
        """
        with self._workspace.showing():
            data, found = self._find_weights(path, search_paths)
            return data, self._workspace.shown(found)

    def _find_weights(self, path: str, folders: Sequence[str]) -> tuple[bytes, Path]:
        found = self._workspace.find(path if Path(path).suffix else f"{path}.pt", folders)
        return found.read_bytes(), found

    def _contents(self, session: Session, target: Path, metadata: dict[str, Any]) -> dict[str, bytes]:
        """Return weights and document of the session's pipeline by the paths of their files, in this order."""
        from swath.engine.stored import dump_weights  # imports torch

        pipeline = self._artifacts.open(pipeline_of(session), session.weights_digest)
        document = _stamped(unsealed(pipeline.document()), target.stem, metadata)
        pipeline.metadata = document.metadata
        return {str(target.with_suffix(".pt")): dump_weights(pipeline), str(target): dump_yaml(document).encode()}

    def _run_of(self, session: Session) -> TrainRunDocument:
        """Return the run config of a session, or one of its pipeline alone."""
        if session.run_config_digest is not None:
            return self._artifacts.run(session.run_config_digest)
        metadata = self._artifacts.document(pipeline_of(session)).metadata
        name = metadata.name if metadata is not None else ""
        return TrainRunDocument(name=name or "trainrun", data=DataDocument(), training=TrainingDocument())

    def _shown(self, real: Path) -> Path:
        """Return where clients and other services know a file."""
        return Path(self._workspace.shown(real))


def _run_in(file: Path) -> TrainRunDocument:
    content = load_yaml(file.read_bytes(), source=str(file))
    if not isinstance(content, dict):
        raise DocumentInvalid(f"{file} is no trainrun: expected a mapping")
    if "defaults" in content:
        raise DocumentInvalid(
            f"{file} has a defaults list, so it is still to be composed: "
            "call ResolveConfig and SetTrainRunConfig instead of RestoreTrainRun"
        )
    return parse("trainrun", content)


def _stamped(document: PipelineDocument, stem: str, metadata: dict[str, Any]) -> PipelineDocument:
    """Return a document with metadata for saving: what the caller gave, over what there was, over defaults."""
    before = document.metadata.model_dump() if document.metadata else {}
    given = {key: value for key, value in metadata.items() if value}
    fields = {**before, **given, "created": given.get("created") or datetime.now(UTC).isoformat(timespec="seconds")}
    fields["name"] = fields.get("name") or stem
    fields["cuvis_ai_version"] = SCHEMAS_VERSION
    return document.model_copy(update={"metadata": PipelineMetadata.model_validate(fields)})
