"""What a type checker must find in an environment that has the client: types of everything that is used here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import swath.api
from swath.client import Client, Scene, Session, read_scenes
from swath.cuvis_ai.v1 import cuvis_ai_pb2
from swath.training.v1 import runs_pb2
from swath.workspace.v1 import workspace_pb2

scenes: Callable[[str | Path], Iterator[Scene]] = read_scenes
opened: Callable[[Client], Session] = Client.open_session
request: cuvis_ai_pb2.TrainRequest = cuvis_ai_pb2.TrainRequest(session_id="session")
messages: tuple[type, ...] = (runs_pb2.ReadLogsRequest, workspace_pb2.ListRequest)
name: str = swath.api.__name__
# A type checker that takes everything for unknown would find nothing wrong with this.
wrong: int = request.session_id  # pyright: ignore[reportAssignmentType]
