"""What identities hold in the workspace, and artifacts that nothing refers to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("sessions_by_owner", "sessions", ["owner"])
    op.create_table(
        "holdings",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("stamp", sa.String(32), nullable=False),
    )
    op.create_index("holdings_by_owner", "holdings", ["owner", "bytes"])
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("kept", sa.Boolean, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_index("uploads_by_owner", "uploads", ["owner"])
    op.create_table(
        "orphans",
        sa.Column("part", sa.String, primary_key=True),
        sa.Column("digest", sa.String(71), primary_key=True),
        sa.Column("since", sa.Float, nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("work", sa.String, primary_key=True),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
