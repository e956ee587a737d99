"""Deployed applications."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "applications",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("grpc_options", sa.JSON, nullable=False),
        sa.Column("found", sa.JSON, nullable=False),
        sa.Column("bundle", sa.String(71)),
        sa.Column("deployed_at", sa.Float, nullable=False),
        sa.Column("deployed_by", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("token", sa.String, nullable=False),
    )
    op.create_index("applications_by_owner", "applications", ["owner"])
    op.create_index("applications_by_position", "applications", ["position"])
