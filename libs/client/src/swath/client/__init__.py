"""Python client of the Swath suite: blocking, asyncio, and small helpers for scripts.

Names are imported when they are first used, so that ``swath --help`` need not wait for gRPC and numpy.
"""

# The imports below are for type checkers alone; the names are re-exported by __getattr__.
# ruff: noqa: F401
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swath.client.aio import AsyncClient, AsyncSession
    from swath.client.calls import Outputs, Saved, SearchPaths
    from swath.client.cli.progress import TrainView
    from swath.client.config import ClientConfig, RetryConfig, TlsConfig
    from swath.client.data.pictures import false_colour
    from swath.client.data.scenes import Scene, read_scenes
    from swath.client.data.scores import roc_auc, roc_curve
    from swath.client.errors import (
        AlreadyExistsError,
        CallError,
        CancelledError,
        ClientError,
        CodecError,
        ConflictError,
        DeadlineError,
        ExhaustedError,
        InvalidArgumentError,
        LocalError,
        MessageTooLargeError,
        MissingPackageError,
        NotFoundError,
        PermissionDeniedError,
        PreconditionError,
        SceneError,
        TransferError,
        UnauthenticatedError,
        UnavailableError,
        UnsupportedError,
        call_error,
    )
    from swath.client.logs import LogLine
    from swath.client.models import AsyncModels, Models, ModelStates, Publication
    from swath.client.published import AsyncPublishedModel, PublishedModel
    from swath.client.runs import RunSummary
    from swath.client.streaming import AsyncInferenceStream, CubeRows, FrameResult, InferenceStream
    from swath.client.sync import Client, Session
    from swath.client.tensors import TensorArray, numpy_to_proto, proto_to_numpy, tensor_to_proto
    from swath.client.workflow import (
        apply_trainrun_config,
        build_stub,
        config_search_paths,
        create_session_with_search_paths,
        format_progress,
        resolve_trainrun_config,
    )
    from swath.client.workspace import AsyncWorkspace, Entry, Workspace

_HOMES = {
    "aio": ("AsyncClient", "AsyncSession"),
    "calls": ("Outputs", "Saved", "SearchPaths"),
    "cli.progress": ("TrainView",),
    "config": ("ClientConfig", "RetryConfig", "TlsConfig"),
    "data.pictures": ("false_colour",),
    "data.scenes": ("Scene", "read_scenes"),
    "data.scores": ("roc_auc", "roc_curve"),
    "errors": (
        "AlreadyExistsError",
        "CallError",
        "CancelledError",
        "ClientError",
        "CodecError",
        "ConflictError",
        "DeadlineError",
        "ExhaustedError",
        "InvalidArgumentError",
        "LocalError",
        "MessageTooLargeError",
        "MissingPackageError",
        "NotFoundError",
        "PermissionDeniedError",
        "PreconditionError",
        "SceneError",
        "TransferError",
        "UnauthenticatedError",
        "UnavailableError",
        "UnsupportedError",
        "call_error",
    ),
    "logs": ("LogLine",),
    "models": ("AsyncModels", "ModelStates", "Models", "Publication"),
    "published": ("AsyncPublishedModel", "PublishedModel"),
    "runs": ("RunSummary",),
    "streaming": ("AsyncInferenceStream", "CubeRows", "FrameResult", "InferenceStream"),
    "sync": ("Client", "Session"),
    "tensors": ("TensorArray", "numpy_to_proto", "proto_to_numpy", "tensor_to_proto"),
    "workflow": (
        "apply_trainrun_config",
        "build_stub",
        "config_search_paths",
        "create_session_with_search_paths",
        "format_progress",
        "resolve_trainrun_config",
    ),
    "workspace": ("AsyncWorkspace", "Entry", "Workspace"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'swath.client' has no attribute '{name}'")
    return getattr(import_module(f"swath.client.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
