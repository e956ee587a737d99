"""What people add to runs, and who did what."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "run_notes",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("experiment", sa.String(255), primary_key=True),
        sa.Column("hash", sa.String(24), primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("notes", sa.Text),
    )
    op.create_table(
        "point_notes",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("experiment", sa.String(255), primary_key=True),
        sa.Column("hash", sa.String(40), primary_key=True),
        sa.Column("metric", sa.String(255), primary_key=True),
        sa.Column("step", sa.BigInteger, primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "tags",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("experiment", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("categories", sa.JSON),
    )
    op.create_table(
        "sample_values",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("experiment", sa.String(255), primary_key=True),
        sa.Column("column", sa.String(255), primary_key=True),
        sa.Column("sample", sa.String(128), primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
    )
    op.create_table(
        "views",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("experiment", sa.String(255), primary_key=True),
        sa.Column("queries", sa.JSON, nullable=False),
    )
    op.create_table(
        "notebooks",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("experiment", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("experiment", sa.String(255), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_experiment", "audit", ["owner", "experiment", "number"])
