"""The services of the suite: each is declared here, once.

Identities, grants, addresses, health names, the gateway's routes, the local suite, the chart, the images and the rules
for imports follow from these entries; `make gen` writes what of that is not Python. See "A new service" in
CONTRIBUTING.md. A test holds the entries against the protos: every public method has exactly one owner.
"""

from __future__ import annotations

from swath.api.model import GrpcService, Method, Ports, Process, Service, Slice
from swath.api.tables import Registry

CUVIS = "cuvis_ai.v1.CuvisAIService"
WORKSPACE = "swath.workspace.v1.WorkspaceService"
RUN_SERVICE = "swath.training.v1.RunService"
NODES = "swath.pipeline.v1.NodeService"
MODELS = "swath.models.v1.ModelService"
SHARED_MEMORY = "swath.inference.v1.SharedMemoryService"
INFERENCE = "swath.inference.v1.InferenceService"
OPEN_INFERENCE = "inference.GRPCInferenceService"
REDHARE = "redhare.Inference"
"""IBM's elastic distributed inference."""
APPS = "swath.apps.v1.ApplicationService"
EXPERIMENT = "ExperimentService"
"""WeightsLab's: it has no package."""
SESSION_AUTHORITY = "swath.session.v1.SessionAuthority"
"""Private: what the other services ask of the session service."""
PROFILE_SHARE = "swath.inference.v1.ProfileShare"
"""Private: what replicas of the inference service ask one another."""
ARTIFACT_REFERENCES = "swath.training.v1.ArtifactReferences"
"""Private: what the session service asks of the training service."""
MODEL_CATALOGUE = "swath.models.v1.ModelCatalogue"
"""Private: what the inference and session services ask of the pipeline service."""
WORKER_LINK = "swath.training.v1.WorkerLink"
"""Private: what workers in pods of their own report to the training service."""
GATEWAY = "gateway"
"""The process through which clients reach the suite."""

# Several services own part of it.
_CUVIS = GrpcService(CUVIS, "cuvis_ai/v1/cuvis_ai.proto", public=True)

# Reads sessions, and answers from memory while its lease lasts.
_READS_SESSIONS = ("ReadSessions", "WatchRecalls", "ReturnLeases")

# Not idempotent are CreateSession, CloseSession, Train, StopTrain and RestoreTrainRun: a repeated one would leave a
# session behind, answer NOT_FOUND or touch another run. Nor are changes of aliases: a repeated one would swap back what
# it has swapped, make what it has set the one before, or answer NOT_FOUND.
_LISTS_RUNS = ("ReadLogs", "ReadMetrics", "ListRuns", "GetRun", "AttachRun", "DescribeRun", "GetEvaluation")
_READS_RUNS = ("ListCommands", "ListCheckpoints", "ReadFiles", "ReadArtifact", "ReadCurves", "ReadCurve")
_SETS_RUNS = ("PauseRun", "ChangeRun", "SetSamples", "StopRun")
_ASKS_RUNS = ("ResumeRun", "EvaluateRun", "CancelEvaluation", "SaveCheckpoint", "RestoreRun")

SERVICES = (
    Service(
        "session",
        image="core",
        database=True,
        essential=True,
        front=True,
        # It removes artifacts that nothing refers to.
        calls={ARTIFACT_REFERENCES: ("ReadReferences",), MODEL_CATALOGUE: ("ReadReferences",)},
        owns=(
            Slice(
                _CUVIS,
                (
                    Method("CreateSession", mutating=True),
                    Method("SetSessionSearchPaths", mutating=True, idempotent=True),
                    Method("CloseSession", mutating=True),
                ),
            ),
            Slice(
                GrpcService(WORKSPACE, "swath/workspace/v1/workspace.proto", public=True),
                (
                    Method("Put", mutating=True),
                    Method("ResumePut", idempotent=True),
                    Method("Get"),
                    Method("Stat", idempotent=True),
                    Method("List", idempotent=True),
                    Method("Delete", mutating=True),
                ),
            ),
            Slice(
                GrpcService(SESSION_AUTHORITY, "swath/session/v1/session.proto"),
                (
                    Method("ReadSessions", idempotent=True),
                    # Updates compare and set: one that is sent again conflicts with itself, and its caller reads anew.
                    Method("UpdateSession", mutating=True, idempotent=True),
                    Method("AddSession", mutating=True),
                    Method("RemoveSession", mutating=True),
                    Method("WatchGone"),
                    Method("WatchRecalls"),
                    Method("ReturnLeases", mutating=True, idempotent=True),
                ),
            ),
        ),
    ),
    Service(
        "config",
        image="core",
        essential=True,
        calls={SESSION_AUTHORITY: _READS_SESSIONS},
        owns=(
            Slice(
                _CUVIS,
                (
                    Method("ResolveConfig", idempotent=True),
                    Method("GetParameterSchema", idempotent=True),
                    Method("ValidateConfig", idempotent=True),
                ),
            ),
        ),
    ),
    Service(
        "pipeline",
        image="torch",
        database=True,
        # RestoreTrainRun makes a session, and takes it back if it fails.
        calls={SESSION_AUTHORITY: (*_READS_SESSIONS, "UpdateSession", "AddSession", "RemoveSession")},
        owns=(
            Slice(
                _CUVIS,
                (
                    Method("ListAvailablePipelines", idempotent=True),
                    Method("GetPipelineInfo", idempotent=True),
                    Method("LoadPipeline", mutating=True, idempotent=True),
                    Method("LoadPipelineWeights", mutating=True, idempotent=True),
                    Method("SavePipeline", mutating=True, idempotent=True),
                    Method("SaveTrainRun", mutating=True, idempotent=True),
                    Method("RestoreTrainRun", mutating=True),
                    Method("GetPipelineInputs", idempotent=True),
                    Method("GetPipelineOutputs", idempotent=True),
                    Method("GetPipelineVisualization", idempotent=True),
                    Method("LoadPlugin", mutating=True, idempotent=True),
                    Method("ListLoadedPlugins", idempotent=True),
                    Method("GetPluginInfo", idempotent=True),
                    Method("ListAvailableNodes", idempotent=True),
                ),
            ),
            Slice(
                GrpcService(NODES, "swath/pipeline/v1/nodes.proto", public=True),
                (Method("DescribeNodes", idempotent=True),),
            ),
            Slice(
                GrpcService(MODELS, "swath/models/v1/models.proto", public=True),
                (
                    # What is published twice is one version.
                    Method("Publish", mutating=True, idempotent=True),
                    Method("ListModels", idempotent=True),
                    Method("GetModel", idempotent=True),
                    Method("SetAlias", mutating=True),
                    Method("RollBackAlias", mutating=True),
                    Method("RemoveAlias", mutating=True),
                    Method("UpdateModel", mutating=True, idempotent=True),
                    Method("Unpublish", mutating=True),
                ),
            ),
            Slice(
                GrpcService(MODEL_CATALOGUE, "swath/models/v1/catalogue.proto"),
                (
                    Method("WatchModels"),
                    Method("ReportStates", mutating=True, idempotent=True),
                    Method("ReadReferences", idempotent=True),
                ),
            ),
        ),
    ),
    Service(
        "training",
        image="torch",
        database=True,
        queue=True,
        calls={SESSION_AUTHORITY: (*_READS_SESSIONS, "UpdateSession", "WatchGone")},
        owns=(
            Slice(
                _CUVIS,
                (
                    Method("SetTrainRunConfig", mutating=True, idempotent=True),
                    Method("Train", mutating=True),
                    Method("StopTrain", mutating=True),
                    Method("GetTrainStatus", idempotent=True),
                    Method("GetTrainingCapabilities", idempotent=True),
                ),
            ),
            Slice(
                GrpcService(RUN_SERVICE, "swath/training/v1/runs.proto", public=True),
                (
                    *(Method(name, idempotent=True) for name in (*_LISTS_RUNS, *_READS_RUNS)),
                    *(Method(name, mutating=True, idempotent=True) for name in _SETS_RUNS),
                    *(Method(name, mutating=True) for name in _ASKS_RUNS),
                ),
            ),
            Slice(
                GrpcService(ARTIFACT_REFERENCES, "swath/training/v1/references.proto"),
                (Method("ReadReferences", idempotent=True),),
            ),
            Slice(
                GrpcService(WORKER_LINK, "swath/training/v1/worker.proto"),
                (Method("Connect", mutating=True),),
            ),
        ),
    ),
    Service(
        "inference",
        image="torch",
        # Calls of one model take very different times: who has least to do gets the next one.
        balancing="least_request",
        queue=True,
        local_replicas=2,
        models=True,
        calls={
            SESSION_AUTHORITY: (*_READS_SESSIONS, "UpdateSession", "WatchGone"),
            PROFILE_SHARE: ("ReadProfiles",),
            MODEL_CATALOGUE: ("WatchModels", "ReportStates"),
        },
        owns=(
            Slice(
                _CUVIS,
                (
                    Method("Inference", idempotent=True),
                    Method("SetProfiling", mutating=True, idempotent=True),
                    Method("GetProfilingSummary", idempotent=True),
                ),
            ),
            Slice(
                GrpcService(SHARED_MEMORY, "swath/inference/v1/shared_memory.proto", public=True),
                # Each call makes a region of its own.
                (Method("Acquire"),),
            ),
            Slice(
                GrpcService(INFERENCE, "swath/inference/v1/inference.proto", public=True),
                # What has been answered of a stream cannot be taken back: whoever sends again decides what.
                (Method("StreamInfer"), Method("InferCube")),
            ),
            Slice(
                GrpcService(REDHARE, "redhare/stream.proto", public=True, own_pool=True),
                # Users and passwords come in the messages, as do the tokens that are made of them.
                (Method("auth", idempotent=True, open=True), Method("stream_infer", open=True)),
            ),
            Slice(
                GrpcService(OPEN_INFERENCE, "inference/open_inference.proto", public=True, own_pool=True),
                (
                    Method("ServerLive", idempotent=True),
                    Method("ServerReady", idempotent=True),
                    Method("ModelReady", idempotent=True),
                    Method("ServerMetadata", idempotent=True),
                    Method("ModelMetadata", idempotent=True),
                    Method("ModelInfer", idempotent=True),
                    Method("ModelStreamInfer"),
                    Method("ModelConfig", idempotent=True),
                    Method("ModelStatistics", idempotent=True),
                    Method("RepositoryIndex", idempotent=True),
                    Method("RepositoryModelLoad", mutating=True, idempotent=True),
                    Method("RepositoryModelUnload", mutating=True, idempotent=True),
                    Method("SystemSharedMemoryStatus", idempotent=True),
                    # A name is given once.
                    Method("SystemSharedMemoryRegister"),
                    Method("SystemSharedMemoryUnregister", idempotent=True),
                    Method("CudaSharedMemoryStatus", idempotent=True),
                    Method("CudaSharedMemoryRegister"),
                    Method("CudaSharedMemoryUnregister", idempotent=True),
                    Method("TraceSetting", mutating=True, idempotent=True),
                    Method("LogSettings", mutating=True, idempotent=True),
                ),
            ),
            Slice(
                GrpcService(PROFILE_SHARE, "swath/inference/v1/profiles.proto"),
                (Method("ReadProfiles", idempotent=True),),
            ),
        ),
    ),
    Service(
        "experiment",
        image="core",
        database=True,
        # On behalf of who calls it.
        forwards={
            RUN_SERVICE: (
                "ListRuns",
                "DescribeRun",
                "PauseRun",
                "ResumeRun",
                "ChangeRun",
                "EvaluateRun",
                "CancelEvaluation",
                "SaveCheckpoint",
                "RestoreRun",
                "SetSamples",
                "ListCommands",
                "ListCheckpoints",
                "ReadCurves",
                "ReadCurve",
                "ReadFiles",
            )
        },
        # What changes something is also in the audit of its own, by what it does: a call may do several things or none.
        owns=(
            Slice(
                GrpcService(EXPERIMENT, "experiment_service/experiment_service.proto", public=True, own_pool=True),
                (
                    Method("GetLatestLoggerData", idempotent=True),
                    Method("ExperimentCommand"),
                    Method("ManipulateWeights", mutating=True),
                    Method("GetWeights", idempotent=True),
                    Method("GetActivations", idempotent=True),
                    Method("GetSamples", idempotent=True),
                    Method("ApplyDataQuery"),
                    Method("GetDataSamples", idempotent=True),
                    Method("GetHistogram", idempotent=True),
                    Method("GetMetaData", idempotent=True),
                    Method("GetSignalTrajectory", idempotent=True),
                    Method("GetStepSamples", idempotent=True),
                    Method("GetPointCloud"),
                    Method("GetMedia"),
                    Method("EditDataSample", mutating=True),
                    Method("GetDataSplits", idempotent=True),
                    Method("CheckAgentHealth", idempotent=True),
                    Method("InitializeAgent", mutating=True),
                    Method("ChangeAgentModel", mutating=True),
                    Method("GetAgentModels", idempotent=True),
                    Method("ResetAgent", mutating=True),
                    Method("ClearAgentHistory", mutating=True),
                    Method("CompactAgentHistory", mutating=True),
                    Method("GetAgentContextUsage", idempotent=True),
                    Method("RunNotebookCell", mutating=True),
                    Method("InterruptNotebookCell", mutating=True),
                    Method("GetNotebook", idempotent=True),
                    Method("SaveNotebook", mutating=True, idempotent=True),
                    Method("GenerateNotebookCode", idempotent=True),
                    Method("RestoreCheckpoint", mutating=True),
                    Method("ListExperimentRuns", idempotent=True),
                    Method("RenameExperimentRun", mutating=True, idempotent=True),
                    Method("SetExperimentRunNotes", mutating=True, idempotent=True),
                    Method("TriggerEvaluation", mutating=True),
                    Method("GetEvaluationStatus", idempotent=True),
                    Method("CancelEvaluation", mutating=True),
                    Method("ExportAnnotations", idempotent=True),
                    Method("GetProjection", idempotent=True),
                ),
            ),
        ),
    ),
    Service(
        "apps",
        # Users' deployments may need torch.
        image="torch",
        balancing="least_request",
        database=True,
        catch_all=True,
        owns=(
            Slice(
                GrpcService(APPS, "swath/apps/v1/apps.proto", public=True),
                (
                    Method("PutBundle", mutating=True),
                    # A repeated one could undo what somebody else has deployed meanwhile.
                    Method("Deploy", mutating=True),
                    Method("Status", idempotent=True),
                    Method("GetConfig", idempotent=True),
                    Method("Delete", mutating=True),
                    Method("Shutdown", mutating=True),
                ),
            ),
        ),
    ),
)
"""Each service, in the order in which they are listed everywhere."""

PROCESSES = (
    Process(GATEWAY, image="core", ports=Ports(grpc=50051, probe=8086), extras=("envoy",), edge=True),
    Process("worker", image="torch", part_of="training", calls={WORKER_LINK: ("Connect",)}),
    # Users' code of applications, where the apps service starts containers for it.
    Process("replica", image="torch", part_of="apps"),
    Process("standalone", image="torch", ports=Ports(grpc=50051, health=8081)),
)
"""Kinds of process that are no service, and have identities too."""

REGISTRY = Registry(SERVICES, PROCESSES)
"""All of it, with the tables that follow."""
