"""Errors while serving a request: limits, conflicts, outages, failures."""

from __future__ import annotations

from typing import Self

from swath.errors.base import SwathError


class Exhausted(SwathError):
    """A limit is reached, such as that of a queue: wait, or ask for less."""

    code = "RESOURCE_EXHAUSTED"
    reason = "RESOURCE_EXHAUSTED"


class OutOfMemory(Exhausted):
    """The device has no memory left for this call or run."""

    reason = "OUT_OF_MEMORY"


class StorageRefused(Exhausted):
    """There is no room left in storage; nothing was written."""

    reason = "STORAGE_REFUSED"


class TooLarge(Exhausted):
    """A message, file or result is larger than the server takes."""

    reason = "TOO_LARGE"


class QuotaExceeded(Exhausted):
    """An identity has reached a quota; the message names it and how to get below."""

    reason = "QUOTA_EXCEEDED"

    @classmethod
    def of(cls, owner: str, what: str, *, present: int, limit: int, remedy: str, wanted: int = 1) -> Self:
        """Make the refusal of one more.

        Args:
            owner: The identity; empty where nobody is asked who calls, so that all callers are one.
            what: What is counted, in the plural.
            present: How many of it there are.
            limit: How many there may be.
            remedy: What to do about it.
            wanted: How many more were asked for.
        """
        who = f"{owner} has" if owner else "all callers, since nobody is asked who calls, have"
        more = "" if wanted == 1 else f", and {wanted} more were asked for"
        text = f"quota: {who} {present} of {limit} {what}{more}: {remedy}"
        return cls(text, metadata={"limit": str(limit), "present": str(present), "wanted": str(wanted)})


class SessionQuota(QuotaExceeded):
    """The identity has reached its quota of open sessions."""

    reason = "SESSION_QUOTA"


class RunQuota(QuotaExceeded):
    """The identity has reached its quota of runs, queued or active."""

    reason = "RUN_QUOTA"


class WorkspaceQuota(QuotaExceeded):
    """The identity has reached its quota of bytes in the workspace."""

    reason = "WORKSPACE_QUOTA"


class ModelQuota(QuotaExceeded):
    """The identity has reached its quota of published models."""

    reason = "MODEL_QUOTA"


class ApplicationQuota(QuotaExceeded):
    """The identity has reached its quota of applications."""

    reason = "APPLICATION_QUOTA"


class Conflict(SwathError):
    """Somebody else wrote at the same time: read again, then repeat the request."""

    code = "ABORTED"
    reason = "CONFLICT"


class RevisionConflict(Conflict):
    """The session or the model was changed by another call meanwhile: repeat the request."""

    reason = "REVISION_CONFLICT"


class AttemptFenced(Conflict):
    """A worker reports on an attempt at a run that was replaced by a newer one. Clients do not see it."""

    reason = "ATTEMPT_FENCED"


class UploadActive(Conflict):
    """Another call is doing the same upload."""

    reason = "UPLOAD_ACTIVE"


class FileChanged(Conflict):
    """A file was replaced while it was read: repeat the request."""

    reason = "FILE_CHANGED"


class Exists(SwathError):
    """Something of this name exists already."""

    code = "ALREADY_EXISTS"
    reason = "ALREADY_EXISTS"


class Unavailable(SwathError):
    """The server, or something that it needs, is temporarily unavailable: repeat the request."""

    code = "UNAVAILABLE"
    reason = "UNAVAILABLE"


class OutcomeUnknown(Unavailable):
    """It is unknown whether a change was written before the connection to the database broke: look, then repeat."""

    reason = "OUTCOME_UNKNOWN"


class Unsupported(SwathError):
    """The server has no such method or feature, or another service answers this method."""

    code = "UNIMPLEMENTED"
    reason = "UNIMPLEMENTED"


class Unauthenticated(SwathError):
    """The caller has no credentials, or none that the server accepts."""

    code = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"


class TimedOut(SwathError):
    """The call, or something that it waits for, did not finish in time."""

    code = "DEADLINE_EXCEEDED"
    reason = "TIMED_OUT"


class ArtifactCorrupt(SwathError):
    """A stored artifact does not match its digest."""

    code = "DATA_LOSS"
    reason = "ARTIFACT_CORRUPT"


class WorkerDied(SwathError):
    """A run's worker died repeatedly; the message has its exit reason."""

    reason = "WORKER_DIED"


class Stopped(SwathError):
    """It was stopped before its end."""

    code = "CANCELLED"
    reason = "STOPPED"
