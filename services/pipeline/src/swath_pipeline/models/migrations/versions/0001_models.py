"""Published models."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("published", sa.Boolean, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("newest", sa.BigInteger, nullable=False),
        sa.Column("aliases", sa.JSON, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("callers", sa.JSON, nullable=False),
        sa.Column("editors", sa.JSON, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
    )
    op.create_index("models_by_owner", "models", ["owner"])
    op.create_table(
        "versions",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("pipeline_digest", sa.String(71), nullable=False),
        sa.Column("weights_digest", sa.String(71)),
        sa.Column("inputs", sa.JSON, nullable=False),
        sa.Column("outputs", sa.JSON, nullable=False),
        sa.Column("published_at", sa.Float, nullable=False),
        sa.Column("published_by", sa.String, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("plugins", sa.JSON, nullable=False),
    )
    op.create_table(
        "claims",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("pipeline_digest", sa.String(71), nullable=False),
        sa.Column("weights_digest", sa.String(71)),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_table(
        "states",
        sa.Column("replica", sa.String, primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("memory_bytes", sa.BigInteger, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_index("states_by_model", "states", ["name"])
    op.create_index("states_by_end", "states", ["until"])
