"""Errors of a request: it is invalid, or cannot be served in the present state, or not to this caller."""

from __future__ import annotations

from swath.errors.base import SwathError


class InvalidInput(SwathError):
    """The request is invalid in every state of the server: change it."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_ARGUMENT"


class ConfigInvalid(InvalidInput):
    """A configuration does not compose, or an override does not parse."""

    reason = "CONFIG_INVALID"


class DocumentInvalid(InvalidInput):
    """A document (pipeline, trainrun, data config, plugin manifest) does not fit its model."""

    reason = "DOCUMENT_INVALID"


class GraphInvalid(InvalidInput):
    """Nodes, ports or edges do not form a pipeline."""

    reason = "GRAPH_INVALID"


class InputInvalid(InvalidInput):
    """A batch or tensor has a name, a type or a shape that a port does not take."""

    reason = "INPUT_INVALID"


class DataInvalid(InvalidInput):
    """A data file or split is invalid."""

    reason = "DATA_INVALID"


class NotFinite(InvalidInput):
    """A loss or the state of a run is NaN or infinite: the run has failed, and its weights are not saved."""

    reason = "NOT_FINITE"


class WeightsInvalid(InvalidInput):
    """Weights are unsafe to load, or match no node of the pipeline."""

    reason = "WEIGHTS_INVALID"


class ContentMismatch(InvalidInput):
    """Bytes do not match their announced size or digest."""

    reason = "CONTENT_MISMATCH"


class QueryInvalid(InvalidInput):
    """A query over samples does not parse, or asks for what there is not."""

    reason = "QUERY_INVALID"


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
    """A file or folder that a request or a document names does not exist."""

    reason = "FILE_NOT_FOUND"


class ArtifactMissing(NotFound):
    """The artifact store has nothing under this digest."""

    reason = "ARTIFACT_NOT_FOUND"


class RunNotFound(NotFound):
    """There is no such run: it was never started, its retention is over, or it is somebody else's."""

    reason = "RUN_NOT_FOUND"


class ModelNotFound(NotFound):
    """There is no such published model or version: it was never published, was taken back, or is not for the caller."""

    reason = "MODEL_NOT_FOUND"


class ApplicationNotFound(NotFound):
    """There is no such application: it was never deployed, was deleted, or is not for the caller."""

    reason = "APPLICATION_NOT_FOUND"


class Precondition(SwathError):
    """The request is valid, but not in this state of the session or of the server."""

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
    """An upload continues at another offset than the number of bytes received."""

    reason = "OFFSET_MISMATCH"


class FolderNotEmpty(Precondition):
    """A folder to be removed still holds files."""

    reason = "FOLDER_NOT_EMPTY"


class SchemaOutdated(Precondition):
    """The tables of the database are those of an older release: run `migrate`."""

    reason = "SCHEMA_OUTDATED"


class SchemaTooNew(Precondition):
    """The tables of the database lack what this release needs: take a newer release."""

    reason = "SCHEMA_TOO_NEW"


class StorageDenied(Precondition):
    """The server may not write to its storage: credentials, permissions, a read-only disk, no such bucket."""

    reason = "STORAGE_DENIED"


class Denied(SwathError):
    """The caller may not do this."""

    code = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"


class PathDenied(Denied):
    """A path leads out of the folders that the server allows, or is no valid name in storage."""

    reason = "PATH_DENIED"


class PluginDenied(Denied):
    """The operator does not allow the code of this plugin."""

    reason = "PLUGIN_DENIED"
