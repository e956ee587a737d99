"""Inference reads its session from memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from swath.storage.sql.engine import open_engine
from swath.storage.sql.sqlite import SQLite
from swath_inference import InferenceService, InferenceSettings
from swath_session import SessionAuthority, SessionSettings, SessionStore


async def test_calls_of_a_session_that_does_not_change_ask_no_database(
    tmp_path: Path, artifacts: Any, workspace: Any, pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = SessionAuthority(SessionStore(open_engine(tmp_path / "alone.db")), SessionSettings(), alone=True)
    service = InferenceService(InferenceSettings(device="cpu"), sessions, artifacts, workspace)
    await sessions.start()
    await service.warm_up()
    made = await sessions.create()
    digest = pipeline(class_name="cuvis_ai.node.normalization.MinMaxNormalizer")
    await sessions.update(made.id, made.revision, pipeline_digest=digest)
    batch = {"data": torch.rand(1, 2, 2, 4)}
    await service.infer(made.id, lambda: batch, (), lambda outputs: outputs)
    asked: list[Any] = []
    run = SQLite.run

    async def counted(database: SQLite, work: Any, *, write: bool) -> Any:
        asked.append(work)
        return await run(database, work, write=write)

    monkeypatch.setattr(SQLite, "run", counted)
    for _ in range(100):
        await service.infer(made.id, lambda: batch, (), lambda outputs: outputs)
    assert asked == []
    service.close()
    await sessions.stop()
