"""Tables of the session service."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from swath.storage.sql.migrations import Schema

METADATA = MetaData()

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("search_paths", JSON, nullable=False),
    Column("pipeline_digest", String),
    Column("weights_digest", String),
    Column("run_config_digest", String),
    Column("plugins", JSON, nullable=False),
    Column("profiling", JSON, nullable=False),
    Column("active_run", String),
    Column("created_at", Float, nullable=False),
    Column("last_used_at", Float, nullable=False),
    Column("ttl_s", Float, nullable=False),
    Index("sessions_by_owner", "owner"),
)

expires_at = SESSIONS.c.last_used_at + SESSIONS.c.ttl_s
_idle = SESSIONS.c.active_run.is_(None)
Index("sessions_by_expiry", expires_at, sqlite_where=_idle, postgresql_where=_idle)

HOLDINGS = Table(
    "holdings",
    METADATA,
    # Files of the workspace that were uploaded while there was a quota, by their path from its root.
    Column("path", Text, primary_key=True),
    Column("owner", String, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    # Changes with each write, so that a row is removed only as it was when it was read.
    Column("stamp", String(32), nullable=False),
    Index("holdings_by_owner", "owner", "bytes"),
)

UPLOADS = Table(
    "uploads",
    METADATA,
    # Uploads under way, and what has arrived of those that were cut (`kept`), with the bytes reserved for them.
    Column("id", String(32), primary_key=True),
    Column("owner", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64)),
    Column("bytes", BigInteger, nullable=False),
    Column("kept", Boolean, nullable=False),
    # Unix time until which the replica that takes the upload is known to be there, or what has arrived is kept.
    Column("until", Float, nullable=False),
    Index("uploads_by_owner", "owner"),
)

ORPHANS = Table(
    "orphans",
    METADATA,
    # Artifacts that nothing refers to, by the part of the store that they are in, and since when that is known.
    Column("part", String, primary_key=True),
    Column("digest", String(71), primary_key=True),
    Column("since", Float, nullable=False),
)

TURNS = Table(
    "turns",
    METADATA,
    # Leases of work that one replica does at a time, and when another one may do it.
    Column("work", String, primary_key=True),
    Column("holder", String(32), nullable=False),
    Column("until", Float, nullable=False),
)

LEASES = Table(
    "leases",
    METADATA,
    # Processes that may answer with a session's row from memory, each for some seconds from when it asked. A row that
    # its holder has renewed no more is as good as gone at `until`, long after the lease itself.
    Column("session_id", String, primary_key=True),
    Column("holder", String, primary_key=True),
    Column("seconds", Float, nullable=False),
    Column("until", Float, nullable=False),
    Index("leases_by_end", "until"),
)

RECALLS = Table(
    "recalls",
    METADATA,
    # Sessions whose writers wait for the leases: none is given while the row is there, until its time is over.
    Column("session_id", String, primary_key=True),
    Column("token", String(32), nullable=False),
    Column("until", Float, nullable=False),
)

SCHEMA = Schema("session", METADATA, "0003", Path(__file__).parent / "migrations")
