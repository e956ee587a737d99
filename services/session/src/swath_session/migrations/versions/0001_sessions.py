"""Sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("search_paths", sa.JSON, nullable=False),
        sa.Column("pipeline_digest", sa.String),
        sa.Column("weights_digest", sa.String),
        sa.Column("run_config_digest", sa.String),
        sa.Column("plugins", sa.JSON, nullable=False),
        sa.Column("profiling", sa.JSON, nullable=False),
        sa.Column("active_run", sa.String),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("last_used_at", sa.Float, nullable=False),
        sa.Column("ttl_s", sa.Float, nullable=False),
    )
    idle = sa.text("active_run IS NULL")
    op.create_index(
        "sessions_by_expiry",
        "sessions",
        [sa.text("(last_used_at + ttl_s)")],
        sqlite_where=idle,
        postgresql_where=idle,
    )
