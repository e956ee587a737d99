"""Tables of the experiment service: what people add to runs, and who did what."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

from swath.storage.sql.migrations import Schema

METADATA = MetaData()

RUN_NOTES = Table(
    "run_notes",
    METADATA,
    # The owner is of the experiment: two people may call theirs the same.
    Column("owner", String(255), primary_key=True),
    Column("experiment", String(255), primary_key=True),
    Column("hash", String(24), primary_key=True),
    # Null where nobody gave one.
    Column("name", Text),
    Column("notes", Text),
)

POINT_NOTES = Table(
    "point_notes",
    METADATA,
    Column("owner", String(255), primary_key=True),
    Column("experiment", String(255), primary_key=True),
    # That of an evaluation has its number behind it.
    Column("hash", String(40), primary_key=True),
    Column("metric", String(255), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("note", Text, nullable=False),
)

TAGS = Table(
    "tags",
    METADATA,
    Column("owner", String(255), primary_key=True),
    Column("experiment", String(255), primary_key=True),
    Column("name", String(128), primary_key=True),
    # What it may be; null for one that a sample has or has not.
    Column("categories", JSON),
)

VALUES = Table(
    "sample_values",
    METADATA,
    # What people say of samples, by column: "discarded", "tag:<name>" and columns that were copied.
    Column("owner", String(255), primary_key=True),
    Column("experiment", String(255), primary_key=True),
    Column("column", String(255), primary_key=True),
    Column("sample", String(128), primary_key=True),
    Column("value", JSON, nullable=False),
)

VIEWS = Table(
    "views",
    METADATA,
    # What a user has asked to see, query after query. The owner is the user.
    Column("owner", String(255), primary_key=True),
    Column("experiment", String(255), primary_key=True),
    Column("queries", JSON, nullable=False),
)

NOTEBOOKS = Table(
    "notebooks",
    METADATA,
    Column("owner", String(255), primary_key=True),
    Column("experiment", String(255), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("text", Text, nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("owner", String(255), nullable=False),
    Column("experiment", String(255), nullable=False),
    # Who did it; empty where nobody is asked.
    Column("by", Text, nullable=False),
    Column("action", String(32), nullable=False),
    # "success", or "failed" with the error's text.
    Column("status", String(16), nullable=False),
    Column("error", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("at", Float, nullable=False),
    Index("audit_by_experiment", "owner", "experiment", "number"),
    sqlite_autoincrement=True,
)

SCHEMA = Schema("experiment", METADATA, "0001", Path(__file__).parent / "migrations")
