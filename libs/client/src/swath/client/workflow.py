"""Small helpers for scripts that use the generated stub directly.

These are the names that clients of `cuvis_ai.v1` know from its tutorial. For more than a script, use
`swath.client.Client`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from swath.client.channel import open_channel
from swath.client.config import MIB, ClientConfig
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub

CONFIG_GROUPS = (".", "trainrun", "pipeline", "data", "training")


def build_stub(server_address: str = "localhost:50051", max_msg_size: int = 300 * MIB) -> CuvisAIServiceStub:
    """Make a blocking stub of the service.

    Args:
        server_address: HOST:PORT or any gRPC target.
        max_msg_size: Largest message either way, in bytes.
    """
    channel = open_channel(ClientConfig(target=server_address, max_message_bytes=max_msg_size))
    return CuvisAIServiceStub(channel)


def config_search_paths(extra_paths: Iterable[str | Path] | None = None) -> list[str]:
    """Search paths that cover all groups of the server's configs.

    The paths are relative: the server takes them from its configs root, so they mean the same to a server on another
    machine. Extra paths come after them; a folder that exists on this machine is made absolute, so that a server on
    the same disk finds it, and anything else goes as it is written.
    """
    extra = [str(Path(path).resolve()) if Path(path).is_dir() else str(path) for path in extra_paths or ()]
    return list(dict.fromkeys([*CONFIG_GROUPS, *extra]))


def create_session_with_search_paths(stub: CuvisAIServiceStub, search_paths: list[str] | None = None) -> str:
    """Open a session, set its search paths and return its id.

    Args:
        stub: From `build_stub`.
        search_paths: Replaces the session's paths; None takes `config_search_paths()`.
    """
    session_id = stub.CreateSession(pb.CreateSessionRequest()).session_id
    stub.SetSessionSearchPaths(
        pb.SetSessionSearchPathsRequest(
            session_id=session_id, search_paths=search_paths or config_search_paths(), append=False
        )
    )
    return session_id


def trainrun_path(name: str) -> str:
    """Where a trainrun of that name lies under the configs root: ``trainrun/<name>`` unless the name begins so."""
    return name if name.startswith(("trainrun/", "/")) else f"trainrun/{name}"


def resolve_trainrun_config(
    stub: CuvisAIServiceStub, session_id: str, name: str, overrides: list[str] | None = None
) -> tuple[pb.ResolveConfigResponse, dict[str, Any]]:
    """Have the server compose a trainrun.

    Args:
        stub: From `build_stub`.
        session_id: A session with search paths.
        name: Trainrun under ``trainrun/`` of a search path, without ``.yaml``.
        overrides: Hydra overrides, such as ``training.max_epochs=2``.

    Returns:
        The response as it came, and its config as a dict.
    """
    response = stub.ResolveConfig(
        pb.ResolveConfigRequest(
            session_id=session_id, config_type="trainrun", path=trainrun_path(name), overrides=overrides or []
        )
    )
    return response, json.loads(response.config_bytes)


def apply_trainrun_config(
    stub: CuvisAIServiceStub, session_id: str, config_bytes: bytes
) -> pb.SetTrainRunConfigResponse:
    """Set a resolved trainrun in a session; the server builds the pipeline that it holds or names."""
    return stub.SetTrainRunConfig(
        pb.SetTrainRunConfigRequest(session_id=session_id, config=pb.TrainRunConfig(config_bytes=config_bytes))
    )


def format_progress(progress: pb.TrainResponse) -> str:
    """One line of text for one message of a Train stream."""
    parts = [f"[{pb.ExecutionStage.Name(progress.context.stage)}] {pb.TrainStatus.Name(progress.status)}"]
    if progress.losses:
        parts.append(f"losses={_numbers(progress.losses)}")
    if progress.metrics:
        parts.append(f"metrics={_numbers(progress.metrics)}")
    if progress.message:
        parts.append(progress.message)
    return " | ".join(parts)


def _numbers(values: Any) -> str:
    return "{" + ", ".join(f"{name}: {value:.4g}" for name, value in sorted(values.items())) + "}"
