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
    """An error with a status code, a machine-readable reason and a sentence for a person. By itself: a server's fault.

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
    """The request is wrong, whatever the state of the server: change it."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_ARGUMENT"


class ConfigInvalid(InvalidInput):
    """A configuration does not compose, or an override does not parse."""

    reason = "CONFIG_INVALID"


class DocumentInvalid(InvalidInput):
    """A document (pipeline, trainrun, data config, plugin manifest) does not fit its model."""

    reason = "DOCUMENT_INVALID"


class GraphInvalid(InvalidInput):
    """Nodes, ports or edges cannot be one pipeline."""

    reason = "GRAPH_INVALID"


class InputInvalid(InvalidInput):
    """A batch or tensor has a name, a type or a shape that a port does not take."""

    reason = "INPUT_INVALID"


class DataInvalid(InvalidInput):
    """A data file or split cannot be read as what it claims to be."""

    reason = "DATA_INVALID"


class WeightsInvalid(InvalidInput):
    """Weights are unsafe to load, or match no node of the pipeline."""

    reason = "WEIGHTS_INVALID"


class ContentMismatch(InvalidInput):
    """Bytes are not what their announced size or digest says."""

    reason = "CONTENT_MISMATCH"


class NotFound(SwathError):
    """What the request names does not exist, or belongs to somebody else."""

    code = "NOT_FOUND"
    reason = "NOT_FOUND"


class SessionNotFound(NotFound):
    """There is no such session: it was never made, was closed, has expired, or is somebody else's."""

    reason = "SESSION_NOT_FOUND"


class ConfigNotFound(NotFound):
    """No search path of the session has such a config file."""

    reason = "CONFIG_NOT_FOUND"


class FileMissing(NotFound):
    """A file or folder that a request or a document names is not there."""

    reason = "FILE_NOT_FOUND"


class ArtifactMissing(NotFound):
    """The artifact store has nothing under this digest."""

    reason = "ARTIFACT_NOT_FOUND"


class RunNotFound(NotFound):
    """There is no such run: it was never started, its retention is over, or it is somebody else's."""

    reason = "RUN_NOT_FOUND"


class Precondition(SwathError):
    """The request is fine, but not in this state of the session or of the server."""

    code = "FAILED_PRECONDITION"
    reason = "FAILED_PRECONDITION"


class PipelineMissing(Precondition):
    """The session has no pipeline yet: call LoadPipeline or RestoreTrainRun first."""

    reason = "PIPELINE_MISSING"


class NotFitted(Precondition):
    """A node has no statistics or weights yet: train, or load weights, first."""

    reason = "NOT_FITTED"


class RunActive(Precondition):
    """The session is training: wait for the end of its run, or call StopTrain."""

    reason = "RUN_ACTIVE"


class DependencyMissing(Precondition):
    """An optional package, a program or a device is not on this server."""

    reason = "DEPENDENCY_MISSING"


class OffsetMismatch(Precondition):
    """An upload goes on at another offset than what has arrived."""

    reason = "OFFSET_MISMATCH"


class FolderNotEmpty(Precondition):
    """A folder that is to be removed still holds files."""

    reason = "FOLDER_NOT_EMPTY"


class SchemaOutdated(Precondition):
    """The tables of the database are those of an older release: run `migrate`."""

    reason = "SCHEMA_OUTDATED"


class SchemaTooNew(Precondition):
    """The tables of the database lack what this release needs: take a newer release."""

    reason = "SCHEMA_TOO_NEW"


class StorageDenied(Precondition):
    """The server may not write where it keeps files: credentials, permissions, a read-only disk, no such bucket."""

    reason = "STORAGE_DENIED"


class Denied(SwathError):
    """The caller may not do this."""

    code = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"


class PathDenied(Denied):
    """A path leads out of the folders that the server allows, or is no name that storage takes."""

    reason = "PATH_DENIED"


class PluginDenied(Denied):
    """The operator does not let the code of this plugin run."""

    reason = "PLUGIN_DENIED"


class Exhausted(SwathError):
    """A limit is met, such as that of a queue: wait, or ask for less."""

    code = "RESOURCE_EXHAUSTED"
    reason = "RESOURCE_EXHAUSTED"


class OutOfMemory(Exhausted):
    """The device has no memory left for this call or run."""

    reason = "OUT_OF_MEMORY"


class StorageRefused(Exhausted):
    """There is no room left for what is to be kept; nothing of it was written."""

    reason = "STORAGE_REFUSED"


class TooLarge(Exhausted):
    """A message, file or result is larger than the server takes."""

    reason = "TOO_LARGE"


class QuotaExceeded(Exhausted):
    """An identity has as much as it may have; the message says of what and how to get below."""

    reason = "QUOTA_EXCEEDED"


class SessionQuota(QuotaExceeded):
    """The identity has as many open sessions as it may have."""

    reason = "SESSION_QUOTA"


class RunQuota(QuotaExceeded):
    """The identity has as many runs, queued or under way, as it may have."""

    reason = "RUN_QUOTA"


class WorkspaceQuota(QuotaExceeded):
    """The identity has as many bytes in the workspace as it may have."""

    reason = "WORKSPACE_QUOTA"


class Conflict(SwathError):
    """Somebody else wrote at the same time: read again, then repeat the request."""

    code = "ABORTED"
    reason = "CONFLICT"


class RevisionConflict(Conflict):
    """The session was changed by another call meanwhile: repeat the request."""

    reason = "REVISION_CONFLICT"


class AttemptFenced(Conflict):
    """A worker whose attempt at a run was replaced by a newer one reports in vain. Clients do not see it."""

    reason = "ATTEMPT_FENCED"


class UploadActive(Conflict):
    """The same upload is under way already by another call."""

    reason = "UPLOAD_ACTIVE"


class FileChanged(Conflict):
    """A file was replaced while it was read: repeat the request."""

    reason = "FILE_CHANGED"


class Exists(SwathError):
    """Something of this name exists already."""

    code = "ALREADY_EXISTS"
    reason = "ALREADY_EXISTS"


class Unavailable(SwathError):
    """Something that the server needs, or the server itself, is away for a while: repeat the request."""

    code = "UNAVAILABLE"
    reason = "UNAVAILABLE"


class OutcomeUnknown(Unavailable):
    """Whether a change was written before the database went away is not known: look, then repeat."""

    reason = "OUTCOME_UNKNOWN"


class Unsupported(SwathError):
    """The server has no such method or feature, or another service answers this method."""

    code = "UNIMPLEMENTED"
    reason = "UNIMPLEMENTED"


class Unauthenticated(SwathError):
    """The caller does not say who it is, or not in a way that the server accepts."""

    code = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"


class TimedOut(SwathError):
    """The answer, or something that it waits for, did not come in time."""

    code = "DEADLINE_EXCEEDED"
    reason = "TIMED_OUT"


class ArtifactCorrupt(SwathError):
    """A kept artifact is not what its digest says."""

    code = "DATA_LOSS"
    reason = "ARTIFACT_CORRUPT"


class WorkerDied(SwathError):
    """A run's worker died again and again; the message holds its last words."""

    reason = "WORKER_DIED"


class Stopped(SwathError):
    """What was under way was stopped before its end."""

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
