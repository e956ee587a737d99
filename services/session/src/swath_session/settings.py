"""Settings of the session service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SessionSettings(BaseSettings):
    """How long sessions live and what uploads may be. Each field is also an environment variable `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    session_ttl_s: float = Field(default=3600.0, gt=0)
    """Seconds without use after which a session expires; never while its run is active. Fixed when it is created."""
    session_sweep_s: float = Field(default=30.0, gt=0)
    """Seconds between removals of expired sessions. They are not found once they have expired; this frees what they
    used."""
    session_lease_s: float = Field(default=1.0, ge=0, le=60)
    """Seconds for which another service may answer with a session from memory before it asks again. It is told of each
    write, and its word is waited for; a service that does not answer delays the write for so long at most. 0: each call
    asks."""
    upload_max_bytes: int = Field(default=64 * 2**30, gt=0)
    """Largest file that the workspace takes, in bytes."""
    upload_idle_s: float = Field(default=60.0, gt=0)
    """Seconds without a message after which an upload is taken to be cut; it can be resumed."""
    upload_keep_s: float = Field(default=86_400.0, gt=0)
    """Seconds for which what has arrived of a cut upload is kept."""
    quota_sessions: int = Field(default=0, ge=0)
    """Open sessions that an identity may have; 0 means any number. Where nobody is asked who calls (SWATH_AUTH is off)
    all callers are one identity, and share this."""
    quota_bytes: int = Field(default=0, ge=0)
    """Bytes that an identity may have in the workspace by uploads, those under way included; 0 means any number. Where
    nobody is asked who calls all callers share this. Counted are files that were uploaded since there is a quota."""
    artifact_grace_s: float = Field(default=86_400, ge=0)
    """Seconds for which an artifact stays after it was last stored, and after it was found that no session and no run
    refers to it. The same at all replicas."""
    checkpoint_grace_s: float = Field(default=300, ge=0)
    """The same for what runs go on from after their worker has died, and seconds between two looks for it: each of
    these is of use until the next one only, at each epoch's end."""
    artifact_collect_s: float = Field(default=3600, gt=0)
    """Seconds between two looks for such artifacts, of all replicas together."""
