"""Which processes may answer from memory with a session's row, and whose writers wait for them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("holder", sa.String, primary_key=True),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_index("leases_by_end", "leases", ["until"])
    op.create_table(
        "recalls",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
