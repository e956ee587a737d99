"""Tables of the apps service: deployed applications."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import JSON, BigInteger, Column, Float, Index, MetaData, String, Table, Text

from swath.storage.sql.migrations import Schema

METADATA = MetaData()

APPLICATIONS = Table(
    "applications",
    METADATA,
    # Rows are removed with their applications.
    Column("name", String(255), primary_key=True),
    Column("owner", String, nullable=False),
    # Grows with each change.
    Column("revision", BigInteger, nullable=False),
    # Order of deployment.
    Column("position", BigInteger, nullable=False),
    # The part of the config file that is about it.
    Column("config", JSON, nullable=False),
    # What the file says of all its applications.
    Column("grpc_options", JSON, nullable=False),
    # What was found in the code: gRPC services, deployments.
    Column("found", JSON, nullable=False),
    Column("bundle", String(71)),
    Column("deployed_at", Float, nullable=False),
    Column("deployed_by", String, nullable=False),
    # The same as people write it.
    Column("text", Text, nullable=False),
    # By which replicas elsewhere know their hosts.
    Column("token", String, nullable=False),
    Index("applications_by_owner", "owner"),
    Index("applications_by_position", "position"),
)

SCHEMA = Schema("apps", METADATA, "0001", Path(__file__).parent / "migrations")
