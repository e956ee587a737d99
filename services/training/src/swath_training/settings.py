"""Settings of the training service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TrainingSettings(BaseSettings):
    """How runs are followed, resumed and stopped. Fields are environment variables too: `SWATH_TRAINING_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="SWATH_TRAINING_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    attach_window_s: float = Field(default=60.0, ge=0)
    """A run that no stream follows goes on for this time, and stops with a checkpoint then.

    Until then a Train with the same arguments attaches to it.
    """
    worker_disconnect_timeout_s: float = Field(default=10.0, gt=0)
    """A worker that has been without its server for this time exits.

    A server that starts again waits as long for the workers that it left before the restart.
    """
    worker_heartbeat_timeout_s: float = Field(default=30.0, gt=0)
    """A worker from which nothing has arrived for this time counts as hung: it is killed and the run resumes."""
    worker_start_timeout_s: float = Field(default=120.0, gt=0)
    """Time that a new worker has to connect; the first one after a start may still wait for torch to be imported."""
    lease_s: float = Field(default=15.0, gt=0)
    """A replica that has not renewed its lease of a run for this time loses the run to another one.

    Longer than `worker_disconnect_timeout_s`: the old worker has exited by itself then."""
    poll_interval_s: float = Field(default=2.0, gt=0)
    """Time between two rounds over leases: own ones are renewed, and runs whose lease has lapsed are taken over."""
    heartbeat_interval_s: float = Field(default=2.0, gt=0)
    """Time between two heartbeats of a worker."""
    stop_grace_s: float = Field(default=30.0, ge=0)
    """Time that a worker has to stop at its next batch before it is killed; the run keeps its last checkpoint."""
    drain_s: float = Field(default=15.0, ge=0)
    """Time that workers have to write their checkpoints when the server goes away."""
    max_attempts_without_progress: int = Field(default=3, ge=1)
    """A run whose worker dies so many times in a row without progress fails (`WORKER_DIED`) with the worker's last
    output. An attempt makes progress when it adds an event to the run's log or gets to a later checkpoint."""
    max_attempts: int = Field(default=100, ge=1)
    """A run whose worker dies in this attempt or a later one fails (`WORKER_DIED`), progress or not."""
    queue_report_delay_s: float = Field(default=0.25, ge=0)
    """A run that waits longer than this for its device reports its position in the queue on its stream."""
    retention_s: float = Field(default=30 * 24 * 3600.0, gt=0)
    """Seconds after their end for which runs are kept, with their events, metrics, log lines, checkpoints and results.
    What a session has taken over of a result stays with the session."""
    log_bytes: int = Field(default=1 << 20, ge=64 << 10)
    """Bytes of log lines that are kept per run, each counted with 256 bytes beside its text. Older ones go first."""
    quota_runs: int = Field(default=0, ge=0)
    """Runs that an identity may have queued or under way; 0 means any number. Where callers are not authenticated
    (SWATH_AUTH is off) all callers are one identity, and share this."""
