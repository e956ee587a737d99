"""The errors that every part of Swath raises for a reason it can name.

SwathError                          INTERNAL
├── InvalidInput                    INVALID_ARGUMENT
│   ├── ConfigInvalid                 a configuration that does not compose or an override that does not parse
│   ├── DocumentInvalid               a document that does not fit its model
│   ├── GraphInvalid                  nodes, ports or edges that cannot be one pipeline
│   ├── InputInvalid                  a batch or tensor that a port does not take
│   ├── DataInvalid                   a data file or split that cannot be read as what it claims to be
│   ├── WeightsInvalid                weights that are unsafe or match no node
│   └── ContentMismatch               bytes that are not what their size or digest says
├── NotFound                        NOT_FOUND
│   ├── SessionNotFound
│   ├── ConfigNotFound
│   ├── FileMissing
│   ├── ArtifactMissing
│   └── RunNotFound
├── Precondition                    FAILED_PRECONDITION
│   ├── PipelineMissing               the session has no pipeline yet
│   ├── NotFitted                     a node has no statistics or weights yet
│   ├── RunActive                     the session is training
│   ├── DependencyMissing             an optional package or device is not on this server
│   ├── OffsetMismatch                an upload that goes on beyond what has arrived
│   ├── FolderNotEmpty
│   ├── SchemaOutdated                a database whose tables are those of an older release
│   ├── SchemaTooNew                  a database whose tables lack what this release needs
│   └── StorageDenied                 the server may not write where it keeps its files
├── Denied                          PERMISSION_DENIED
│   ├── PathDenied
│   └── PluginDenied                  a plugin whose code the operator does not let run
├── Exhausted                       RESOURCE_EXHAUSTED
│   ├── OutOfMemory
│   ├── StorageRefused                no room left for what is to be kept
│   ├── TooLarge
│   └── QuotaExceeded                 an identity has as much as it may have
│       ├── SessionQuota
│       ├── RunQuota
│       └── WorkspaceQuota
├── Conflict                        ABORTED
│   ├── RevisionConflict
│   ├── AttemptFenced                a worker whose attempt at a run was replaced by a newer one
│   ├── UploadActive                  the same upload is under way already
│   └── FileChanged                   a file was written into while it was read
├── Exists                          ALREADY_EXISTS
├── Unavailable                     UNAVAILABLE
│   └── OutcomeUnknown                whether a change was written before the database went away, nobody knows
├── Unsupported                     UNIMPLEMENTED
├── Unauthenticated                 UNAUTHENTICATED
├── TimedOut                        DEADLINE_EXCEEDED
├── ArtifactCorrupt                 DATA_LOSS    a kept artifact is not what its digest says
├── WorkerDied                      INTERNAL     a run's worker died again and again
└── Stopped                         CANCELLED

``code`` is the name of a gRPC status; ``reason`` is the machine-readable word that reaches the client in
``google.rpc.ErrorInfo``. Nothing here imports grpc: `swath.rpc` does the translation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar


class SwathError(Exception):
    """An error with a status code, a machine-readable reason and a sentence for a person.

    Args:
        message: What is wrong, where, what was expected and what was got.
        metadata: Small facts for machines (ErrorInfo.metadata), such as node and port.
        retry_after: Seconds after which the same call may succeed (google.rpc.RetryInfo).
    """

    code: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self, message: str, *, metadata: dict[str, str] | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata or {}
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments would be lost by Exception's own pickling, and errors cross process borders here.
        return _rebuild, (type(self), self.message, self.metadata, self.retry_after)


def _rebuild(cls: type[SwathError], message: str, metadata: dict[str, str], retry_after: float | None) -> SwathError:
    return cls(message, metadata=metadata, retry_after=retry_after)


class InvalidInput(SwathError):
    code = "INVALID_ARGUMENT"
    reason = "INVALID_ARGUMENT"


class ConfigInvalid(InvalidInput):
    reason = "CONFIG_INVALID"


class DocumentInvalid(InvalidInput):
    reason = "DOCUMENT_INVALID"


class GraphInvalid(InvalidInput):
    reason = "GRAPH_INVALID"


class InputInvalid(InvalidInput):
    reason = "INPUT_INVALID"


class DataInvalid(InvalidInput):
    reason = "DATA_INVALID"


class WeightsInvalid(InvalidInput):
    reason = "WEIGHTS_INVALID"


class ContentMismatch(InvalidInput):
    reason = "CONTENT_MISMATCH"


class NotFound(SwathError):
    code = "NOT_FOUND"
    reason = "NOT_FOUND"


class SessionNotFound(NotFound):
    reason = "SESSION_NOT_FOUND"


class ConfigNotFound(NotFound):
    reason = "CONFIG_NOT_FOUND"


class FileMissing(NotFound):
    reason = "FILE_NOT_FOUND"


class ArtifactMissing(NotFound):
    reason = "ARTIFACT_NOT_FOUND"


class RunNotFound(NotFound):
    reason = "RUN_NOT_FOUND"


class Precondition(SwathError):
    code = "FAILED_PRECONDITION"
    reason = "FAILED_PRECONDITION"


class PipelineMissing(Precondition):
    reason = "PIPELINE_MISSING"


class NotFitted(Precondition):
    reason = "NOT_FITTED"


class RunActive(Precondition):
    reason = "RUN_ACTIVE"


class DependencyMissing(Precondition):
    reason = "DEPENDENCY_MISSING"


class OffsetMismatch(Precondition):
    reason = "OFFSET_MISMATCH"


class FolderNotEmpty(Precondition):
    reason = "FOLDER_NOT_EMPTY"


class SchemaOutdated(Precondition):
    reason = "SCHEMA_OUTDATED"


class SchemaTooNew(Precondition):
    reason = "SCHEMA_TOO_NEW"


class StorageDenied(Precondition):
    reason = "STORAGE_DENIED"


class Denied(SwathError):
    code = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"


class PathDenied(Denied):
    reason = "PATH_DENIED"


class PluginDenied(Denied):
    reason = "PLUGIN_DENIED"


class Exhausted(SwathError):
    code = "RESOURCE_EXHAUSTED"
    reason = "RESOURCE_EXHAUSTED"


class OutOfMemory(Exhausted):
    reason = "OUT_OF_MEMORY"


class StorageRefused(Exhausted):
    reason = "STORAGE_REFUSED"


class TooLarge(Exhausted):
    reason = "TOO_LARGE"


class QuotaExceeded(Exhausted):
    reason = "QUOTA_EXCEEDED"


class SessionQuota(QuotaExceeded):
    reason = "SESSION_QUOTA"


class RunQuota(QuotaExceeded):
    reason = "RUN_QUOTA"


class WorkspaceQuota(QuotaExceeded):
    reason = "WORKSPACE_QUOTA"


class Conflict(SwathError):
    code = "ABORTED"
    reason = "CONFLICT"


class RevisionConflict(Conflict):
    reason = "REVISION_CONFLICT"


class AttemptFenced(Conflict):
    reason = "ATTEMPT_FENCED"


class UploadActive(Conflict):
    reason = "UPLOAD_ACTIVE"


class FileChanged(Conflict):
    reason = "FILE_CHANGED"


class Exists(SwathError):
    code = "ALREADY_EXISTS"
    reason = "ALREADY_EXISTS"


class Unavailable(SwathError):
    code = "UNAVAILABLE"
    reason = "UNAVAILABLE"


class OutcomeUnknown(Unavailable):
    reason = "OUTCOME_UNKNOWN"


class Unsupported(SwathError):
    code = "UNIMPLEMENTED"
    reason = "UNIMPLEMENTED"


class Unauthenticated(SwathError):
    code = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"


class TimedOut(SwathError):
    code = "DEADLINE_EXCEEDED"
    reason = "TIMED_OUT"


class ArtifactCorrupt(SwathError):
    code = "DATA_LOSS"
    reason = "ARTIFACT_CORRUPT"


class WorkerDied(SwathError):
    reason = "WORKER_DIED"


class Stopped(SwathError):
    code = "CANCELLED"
    reason = "STOPPED"


def restore(code: str, reason: str, message: str, metadata: Mapping[str, str]) -> SwathError:
    """Return an error that crossed a process or a restart: the one with this reason, else the one with this code."""
    tree = list(_below(SwathError))
    found = next((each for each in tree if each.reason == reason and each.code == code), None)
    found = found or next((each for each in tree if each.code == code), SwathError)
    return found(message, metadata=dict(metadata))


def _below(error: type[SwathError]) -> Iterator[type[SwathError]]:
    yield error
    for child in error.__subclasses__():
        yield from _below(child)
