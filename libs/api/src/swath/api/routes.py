"""Which service owns which method.

The one table behind the composition of standalone, the slices that services register and the names that health
answers to. A test holds it against the proto files: every method has exactly one owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CUVIS = "cuvis_ai.v1.CuvisAIService"
WORKSPACE = "swath.workspace.v1.WorkspaceService"
RUNS = "swath.training.v1.RunService"
NODES = "swath.pipeline.v1.NodeService"
PUBLIC = (CUVIS, WORKSPACE, RUNS, NODES)
"""Services that clients may call."""
SESSIONS = "swath.session.v1.SessionAuthority"
"""Private: what the other services ask of the session service."""
PROFILES = "swath.inference.v1.ProfileShare"
"""Private: what replicas of the inference service ask one another."""
REFERENCES = "swath.training.v1.ArtifactReferences"
"""Private: what the session service asks of the training service."""

_METHODS: dict[str, dict[str, tuple[str, ...]]] = {
    CUVIS: {
        "session": ("CreateSession", "SetSessionSearchPaths", "CloseSession"),
        "config": ("ResolveConfig", "GetParameterSchema", "ValidateConfig"),
        "pipeline": (
            "ListAvailablePipelines",
            "GetPipelineInfo",
            "LoadPipeline",
            "LoadPipelineWeights",
            "SavePipeline",
            "SaveTrainRun",
            "RestoreTrainRun",
            "GetPipelineInputs",
            "GetPipelineOutputs",
            "GetPipelineVisualization",
            "LoadPlugin",
            "ListLoadedPlugins",
            "GetPluginInfo",
            "ListAvailableNodes",
        ),
        "training": ("SetTrainRunConfig", "Train", "StopTrain", "GetTrainStatus", "GetTrainingCapabilities"),
        "inference": ("Inference", "SetProfiling", "GetProfilingSummary"),
    },
    WORKSPACE: {"session": ("Put", "ResumePut", "Get", "Stat", "List", "Delete")},
    RUNS: {"training": ("ReadLogs",)},
    NODES: {"pipeline": ("DescribeNodes",)},
}

ROUTES: Mapping[str, str] = MappingProxyType(
    {
        f"/{service}/{method}": part
        for service, parts in _METHODS.items()
        for part, methods in parts.items()
        for method in methods
    }
)
"""Full method path, such as "/cuvis_ai.v1.CuvisAIService/Train", to the name of its service, such as "training"."""


MUTATING = frozenset(
    f"/{service}/{method}"
    for service, methods in {
        CUVIS: (
            "CloseSession",
            "CreateSession",
            "LoadPipeline",
            "LoadPipelineWeights",
            "LoadPlugin",
            "RestoreTrainRun",
            "SavePipeline",
            "SaveTrainRun",
            "SetProfiling",
            "SetSessionSearchPaths",
            "SetTrainRunConfig",
            "StopTrain",
            "Train",
        ),
        WORKSPACE: ("Delete", "Put"),
    }.items()
    for method in methods
)
"""Full paths of the public methods that change something: each call of them leaves an audit line."""

IDEMPOTENT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        CUVIS: (
            "GetParameterSchema",
            "GetPipelineInfo",
            "GetPipelineInputs",
            "GetPipelineOutputs",
            "GetPipelineVisualization",
            "GetPluginInfo",
            "GetProfilingSummary",
            "GetTrainStatus",
            "GetTrainingCapabilities",
            "Inference",
            "ListAvailableNodes",
            "ListAvailablePipelines",
            "ListLoadedPlugins",
            "LoadPipeline",
            "LoadPipelineWeights",
            "LoadPlugin",
            "ResolveConfig",
            "SavePipeline",
            "SaveTrainRun",
            "SetProfiling",
            "SetSessionSearchPaths",
            "SetTrainRunConfig",
            "ValidateConfig",
        ),
        WORKSPACE: ("List", "ResumePut", "Stat"),
        RUNS: ("ReadLogs",),
        NODES: ("DescribeNodes",),
        # Updates compare and set: one that is sent again conflicts with itself, and its caller looks again.
        SESSIONS: ("ReadSessions", "UpdateSession"),
        PROFILES: ("ReadProfiles",),
        REFERENCES: ("ReadReferences",),
    }
)
"""Methods, by service, that may be sent twice without harm: whoever loses the answer sends them again.

CreateSession, CloseSession, Train, StopTrain and RestoreTrainRun may not: a repeated one would leave a session behind,
answer NOT_FOUND or touch another run.
"""


def owner(method: str) -> str | None:
    """Return the service that owns a full method path, None if nobody does."""
    return ROUTES.get(method)


def services(name: str) -> tuple[str, ...]:
    """Return the services that own part of a gRPC service, in the order of the table; empty for an unknown one."""
    return tuple(_METHODS.get(name, {}))
