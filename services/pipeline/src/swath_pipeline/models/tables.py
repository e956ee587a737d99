"""Tables of the pipeline service: published models."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, MetaData, String, Table, Text

from swath.storage.sql.migrations import Schema

METADATA = MetaData()

MODELS = Table(
    "models",
    METADATA,
    Column("name", String(128), primary_key=True),
    # Whether it is there. A row outlives its model, so that numbers of versions and of revisions are never given twice.
    Column("published", Boolean, nullable=False),
    Column("owner", String, nullable=False),
    Column("revision", BigInteger, nullable=False),
    # The highest number that a version has ever had.
    Column("newest", BigInteger, nullable=False),
    Column("aliases", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("callers", JSON, nullable=False),
    Column("editors", JSON, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Index("models_by_owner", "owner"),
)

VERSIONS = Table(
    "versions",
    METADATA,
    # Rows are added and removed, and never changed.
    Column("name", String(128), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("pipeline_digest", String(71), nullable=False),
    Column("weights_digest", String(71)),
    Column("inputs", JSON, nullable=False),
    Column("outputs", JSON, nullable=False),
    Column("published_at", Float, nullable=False),
    Column("published_by", String, nullable=False),
    Column("description", Text, nullable=False),
    Column("plugins", JSON, nullable=False),
)

CLAIMS = Table(
    "claims",
    METADATA,
    # Artifacts of what is about to be published: their session may be closed meanwhile.
    Column("id", String(32), primary_key=True),
    Column("pipeline_digest", String(71), nullable=False),
    Column("weights_digest", String(71)),
    # Unix time after which the process that publishes is taken to have died.
    Column("until", Float, nullable=False),
)

STATES = Table(
    "states",
    METADATA,
    # What replicas of inference say of versions, until it is too old to be believed.
    Column("replica", String, primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("until", Float, nullable=False),
    Index("states_by_model", "name"),
    Index("states_by_end", "until"),
)

SCHEMA = Schema("pipeline", METADATA, "0001", Path(__file__).parent / "migrations")
