"""The errors that all parts of Swath raise for known reasons.

SwathError                          INTERNAL
├── InvalidInput                    INVALID_ARGUMENT
│   ├── ConfigInvalid                 a configuration that does not compose or an override that does not parse
│   ├── DocumentInvalid               a document that does not fit its model
│   ├── GraphInvalid                  nodes, ports or edges that do not form a pipeline
│   ├── InputInvalid                  a batch or tensor that a port does not take
│   ├── DataInvalid                   a data file or split that is invalid
│   ├── NotFinite                     a loss or a state of a run that became NaN or infinite
│   ├── WeightsInvalid                weights that are unsafe or match no node
│   ├── ContentMismatch               bytes that do not match their size or digest
│   └── QueryInvalid                  a query over samples that does not parse, or asks for what there is not
├── NotFound                        NOT_FOUND
│   ├── SessionNotFound
│   ├── ConfigNotFound
│   ├── FileMissing
│   ├── ArtifactMissing
│   ├── RunNotFound
│   ├── ModelNotFound                 no such published model or version, or not for this caller
│   └── ApplicationNotFound           no such application, or not for this caller
├── Precondition                    FAILED_PRECONDITION
│   ├── PipelineMissing               the session has no pipeline yet
│   ├── NotFitted                     a node has no statistics or weights yet
│   ├── RunActive                     the session is training
│   ├── DependencyMissing             an optional package or device is not on this server
│   ├── OffsetMismatch                an upload that continues at another offset than received
│   ├── FolderNotEmpty
│   ├── SchemaOutdated                a database whose tables are those of an older release
│   ├── SchemaTooNew                  a database whose tables lack what this release needs
│   └── StorageDenied                 the server may not write to its storage
├── Denied                          PERMISSION_DENIED
│   ├── PathDenied
│   └── PluginDenied                  a plugin whose code the operator does not allow
├── Exhausted                       RESOURCE_EXHAUSTED
│   ├── OutOfMemory
│   ├── StorageRefused                no room left in storage
│   ├── TooLarge
│   └── QuotaExceeded                 an identity has reached a quota
│       ├── SessionQuota
│       ├── RunQuota
│       ├── WorkspaceQuota
│       ├── ModelQuota
│       └── ApplicationQuota
├── Conflict                        ABORTED
│   ├── RevisionConflict
│   ├── AttemptFenced                a worker whose attempt at a run was replaced by a newer one
│   ├── UploadActive                  another call is doing the same upload
│   └── FileChanged                   a file was replaced while it was read
├── Exists                          ALREADY_EXISTS
├── Unavailable                     UNAVAILABLE
│   └── OutcomeUnknown                unknown whether a change was written before the connection broke
├── Unsupported                     UNIMPLEMENTED
├── Unauthenticated                 UNAUTHENTICATED
├── TimedOut                        DEADLINE_EXCEEDED
├── ArtifactCorrupt                 DATA_LOSS    a stored artifact does not match its digest
├── WorkerDied                      INTERNAL     a run's worker died repeatedly
└── Stopped                         CANCELLED

``code`` is the name of a gRPC status; ``reason`` is the machine-readable reason that reaches the client in
``google.rpc.ErrorInfo``. Nothing here imports grpc: `swath.rpc` does the translation.
"""

from swath.errors.base import SwathError, restore
from swath.errors.request import (
    ApplicationNotFound,
    ArtifactMissing,
    ConfigInvalid,
    ConfigNotFound,
    ContentMismatch,
    DataInvalid,
    Denied,
    DependencyMissing,
    DocumentInvalid,
    FileMissing,
    FolderNotEmpty,
    GraphInvalid,
    InputInvalid,
    InvalidInput,
    ModelNotFound,
    NotFinite,
    NotFitted,
    NotFound,
    OffsetMismatch,
    PathDenied,
    PipelineMissing,
    PluginDenied,
    Precondition,
    QueryInvalid,
    RunActive,
    RunNotFound,
    SchemaOutdated,
    SchemaTooNew,
    SessionNotFound,
    StorageDenied,
    WeightsInvalid,
)
from swath.errors.serving import (
    ApplicationQuota,
    ArtifactCorrupt,
    AttemptFenced,
    Conflict,
    Exhausted,
    Exists,
    FileChanged,
    ModelQuota,
    OutcomeUnknown,
    OutOfMemory,
    QuotaExceeded,
    RevisionConflict,
    RunQuota,
    SessionQuota,
    Stopped,
    StorageRefused,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
    UploadActive,
    WorkerDied,
    WorkspaceQuota,
)
from swath.errors.system import path_error, system_error

__all__ = [
    "ApplicationNotFound",
    "ApplicationQuota",
    "ArtifactCorrupt",
    "ArtifactMissing",
    "AttemptFenced",
    "ConfigInvalid",
    "ConfigNotFound",
    "Conflict",
    "ContentMismatch",
    "DataInvalid",
    "Denied",
    "DependencyMissing",
    "DocumentInvalid",
    "Exhausted",
    "Exists",
    "FileChanged",
    "FileMissing",
    "FolderNotEmpty",
    "GraphInvalid",
    "InputInvalid",
    "InvalidInput",
    "ModelNotFound",
    "ModelQuota",
    "NotFinite",
    "NotFitted",
    "NotFound",
    "OffsetMismatch",
    "OutOfMemory",
    "OutcomeUnknown",
    "PathDenied",
    "PipelineMissing",
    "PluginDenied",
    "Precondition",
    "QueryInvalid",
    "QuotaExceeded",
    "RevisionConflict",
    "RunActive",
    "RunNotFound",
    "RunQuota",
    "SchemaOutdated",
    "SchemaTooNew",
    "SessionNotFound",
    "SessionQuota",
    "Stopped",
    "StorageDenied",
    "StorageRefused",
    "SwathError",
    "TimedOut",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "UploadActive",
    "WeightsInvalid",
    "WorkerDied",
    "WorkspaceQuota",
    "path_error",
    "restore",
    "system_error",
]
