"""Writes pipelines and training runs to files of the workspace, and brings runs back from there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from swath.documents import (
    SCHEMAS_VERSION,
    PipelineDocument,
    PipelineMetadata,
    TrainRunDocument,
    canonical,
    dump_yaml,
    load_yaml,
    parse,
    unsealed,
)
from swath.engine.plugins.session_plugins import SessionPlugins
from swath.errors import DocumentInvalid, FileMissing, InvalidInput, PathDenied, Precondition
from swath.sessions.model import Session, Sessions
from swath.sessions.preconditions import pipeline_of, require_idle
from swath.storage import ArtifactStore, Base, Workspace
from swath_pipeline import workbench
from swath_pipeline.service import Loading

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class SavedRun:
    """Files of a saved run, as clients know them; `weights` is None where none were asked for."""

    trainrun: Path
    pipeline: Path
    weights: Path | None


class Saving:
    """SavePipeline, SaveTrainRun and RestoreTrainRun.

    Args:
        sessions: The sessions' authority.
        artifacts: Where documents and weights of sessions are.
        workspace: Where files go and come from.
        loading: Puts restored pipelines into sessions.
    """

    def __init__(self, sessions: Sessions, artifacts: ArtifactStore, workspace: Workspace, loading: Loading) -> None:
        self._sessions = sessions
        self._artifacts = artifacts
        self._workspace = workspace
        self._loading = loading

    async def save_pipeline(self, session_id: str, path: str, metadata: dict[str, Any]) -> tuple[Path, Path]:
        """Write the session's pipeline as YAML, with all arguments of its nodes, and its weights beside it.

        Args:
            session_id: The session.
            path: Relative to configs/pipeline, or absolute inside the allowed roots.
            metadata: Fields of the metadata that the caller gave.

        Returns:
            The YAML file and the weights file, as clients know them.

        Raises:
            PipelineMissing: The session has no pipeline.
            PathDenied: The path leaves the allowed roots.
            StorageRefused: No room.
        """
        session = await self._sessions.get(session_id)
        pipeline_of(session)
        if not path:
            raise InvalidInput("pipeline_path is empty")
        return await asyncio.to_thread(self._showing(self._save_pipeline), session, path, metadata)

    def _save_pipeline(self, session: Session, path: str, metadata: dict[str, Any]) -> tuple[Path, Path]:
        target = self._workspace.resolve(path, base=Base.PIPELINES, write=True)
        if target.suffix == ".pt":
            raise InvalidInput(f"pipeline_path {path!r} ends in .pt, which is the name of the weights beside it")
        if target.is_dir():
            raise InvalidInput(f"pipeline_path {path!r} is a folder")
        # A copy under another name is another pipeline; what else was known of it still holds.
        named = {**metadata, "name": metadata.get("name") or target.stem}
        weights, saved = self._workspace.write_all(self._pipeline_files(session, target, named))
        return self._shown(saved), self._shown(weights)

    def _pipeline_files(self, session: Session, target: Path, metadata: dict[str, Any]) -> dict[str, bytes]:
        """Return weights and document of the session's pipeline by the paths of their files, in this order."""
        pipeline = workbench.open_pipeline(self._artifacts, pipeline_of(session), session.weights_digest)
        document = _stamped(unsealed(pipeline.document()), target.stem, metadata)
        pipeline.metadata = document.metadata
        weights = workbench.dump_weights(pipeline)
        return {str(target.with_suffix(".pt")): weights, str(target): dump_yaml(document).encode()}

    async def save_run(self, session_id: str, path: str, *, weights: bool) -> SavedRun:
        """Write the session's run config, its pipeline beside it and, when asked, the weights.

        Args:
            session_id: The session.
            path: Relative to the workspace, or absolute inside the allowed roots.
            weights: Whether to write the weights.

        Raises:
            PipelineMissing: The session has no pipeline.
            Precondition: It has no run config.
            PathDenied: The path leaves the allowed roots.
            StorageRefused: No room.
        """
        session = await self._sessions.get(session_id)
        pipeline_of(session)
        if session.run_config_digest is None:
            raise Precondition(
                "the session has no trainrun config to save: call SetTrainRunConfig or RestoreTrainRun first",
                metadata={"session": session_id},
            )
        if not path:
            raise InvalidInput("trainrun_path is empty")
        return await asyncio.to_thread(self._showing(self._save_run), session, path, weights=weights)

    def _save_run(self, session: Session, path: str, *, weights: bool) -> SavedRun:
        assert session.run_config_digest is not None
        target = self._workspace.resolve(path, write=True)
        beside = target.with_name(f"{target.stem}_pipeline.yaml")
        run: TrainRunDocument = parse("trainrun", self._artifacts.get_sync(session.run_config_digest))
        files = self._pipeline_files(session, beside, {})
        if not weights:
            files = {str(beside): files[str(beside)]}
        # Last, so that a run which can be found has all its parts.
        files[str(target)] = dump_yaml(run.model_copy(update={"pipeline": beside.name})).encode()
        *saved_weights, saved_pipeline, saved = map(self._shown, self._workspace.write_all(files))
        return SavedRun(saved, saved_pipeline, saved_weights[0] if saved_weights else None)

    async def restore_run(
        self, path: str, weights_path: str | None, *, strict: bool, session_id: str, owner: str = ""
    ) -> tuple[str, TrainRunDocument]:
        """Bring a saved run into a session, with the weights given or else those saved beside its pipeline.

        Args:
            path: The run's YAML file.
            weights_path: A weights file; None takes the one beside the pipeline, if there is one.
            strict: Whether weights must match the pipeline node by node.
            session_id: Session to restore into; empty makes one.
            owner: Identity that a new session belongs to.

        Returns:
            The session and the run.

        Raises:
            FileMissing: No such file.
            DocumentInvalid: The file is no run, or one that is still to be composed.
            GraphInvalid: The pipeline is no graph that runs.
            WeightsInvalid: The weights are unsafe or do not fit.
            RunActive: The session is training.
        """
        if not path:
            raise InvalidInput("trainrun_path is empty")
        session = await self._sessions.get(session_id) if session_id else None
        if session is not None:
            require_idle(session, "RestoreTrainRun")
        run, pipeline, weights = await asyncio.to_thread(self._showing(self._read_run), path, weights_path)
        plugins = session.plugins if session is not None else ()
        changes: dict[str, Any] = await asyncio.to_thread(
            self._store_run, run, pipeline, weights, plugins, strict=strict
        )
        if session is not None:
            await self._loading.put_pipeline(session, pipeline, **changes)
            return session.id, run
        session = await self._sessions.create(owner)
        try:
            await self._loading.put_pipeline(session, pipeline, **changes)
        except BaseException:
            # Nobody knows its id.
            await asyncio.shield(self._sessions.close(session.id))
            raise
        return session.id, run

    def _shown(self, real: Path) -> Path:
        """Return where clients and other services know a file."""
        return Path(self._workspace.shown(real))

    def _showing(self, work: Callable[P, T]) -> Callable[P, T]:
        """Return work whose errors name files as clients know them."""

        def shown(*arguments: P.args, **options: P.kwargs) -> T:
            with self._workspace.showing():
                return work(*arguments, **options)

        return shown

    def _read_run(self, path: str, weights_path: str | None) -> tuple[TrainRunDocument, PipelineDocument, bytes | None]:
        file = self._workspace.find(path if Path(path).suffix else f"{path}.yaml")
        content = load_yaml(file.read_bytes(), source=str(file))
        if not isinstance(content, dict):
            raise DocumentInvalid(f"{file} is no trainrun: expected a mapping")
        if "defaults" in content:
            raise DocumentInvalid(
                f"{file} has a defaults list, so it is still to be composed: "
                "call ResolveConfig and SetTrainRunConfig instead of RestoreTrainRun"
            )
        run: TrainRunDocument = parse("trainrun", content)
        if isinstance(run.pipeline, PipelineDocument):
            # Found with what lies beside it: the weights.
            beside = self._workspace.resolve(str(file.with_name(f"{file.stem}_pipeline.yaml")))
            document = run.pipeline
        else:
            beside = self._find_pipeline(run.pipeline, file)
            document = parse("pipeline", load_yaml(beside.read_bytes(), source=str(beside)))
        return run, document, self._read_weights(weights_path, beside.with_suffix(".pt"), file)

    def _find_pipeline(self, reference: str | None, run_file: Path) -> Path:
        """Find a run's pipeline: beside the run, above it, in the workspace, else as SaveTrainRun names it."""
        candidates = []
        for name in (reference, f"{reference}.yaml") if reference else ():
            candidates += [run_file.parent / name, run_file.parent.parent / name, self._workspace.root / name]
        candidates.append(run_file.with_name(f"{run_file.stem}_pipeline.yaml"))
        for candidate in candidates:
            try:
                file = self._workspace.resolve(os.path.normpath(candidate))
            except PathDenied:
                continue
            if file.is_file():
                return file
        looked = [str(candidate) for candidate in candidates]
        raise FileMissing(f"the pipeline {reference!r} of {run_file} was not found; looked for {looked}")

    def _read_weights(self, path: str | None, beside: Path, run_file: Path) -> bytes | None:
        if not path:
            return beside.read_bytes() if beside.is_file() else None
        name = path if Path(path).suffix else f"{path}.pt"
        return self._workspace.find(name, [str(run_file.parent)]).read_bytes()

    def _store_run(
        self,
        run: TrainRunDocument,
        document: PipelineDocument,
        weights: bytes | None,
        plugins: tuple[str, ...],
        *,
        strict: bool,
    ) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if weights is not None:
            pipeline, _ = SessionPlugins(plugins).build(document)
            workbench.load_weights(pipeline, weights, strict=strict)
            changes["weights_digest"] = self._artifacts.put_sync(workbench.dump_weights(pipeline))
        stored = run.model_copy(update={"pipeline": None})
        changes["run_config_digest"] = self._artifacts.put_sync(canonical(stored))
        return changes


def _stamped(document: PipelineDocument, stem: str, metadata: dict[str, Any]) -> PipelineDocument:
    """Return a document with metadata for saving: what the caller gave, over what there was, over defaults."""
    before = document.metadata.model_dump() if document.metadata else {}
    given = {key: value for key, value in metadata.items() if value}
    fields = {**before, **given, "created": given.get("created") or datetime.now(UTC).isoformat(timespec="seconds")}
    fields["name"] = fields.get("name") or stem
    fields["cuvis_ai_version"] = SCHEMAS_VERSION
    return document.model_copy(update={"metadata": PipelineMetadata.model_validate(fields)})
