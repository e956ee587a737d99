"""What workers of a run have logged."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "lines",
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    # With defaults of the database's own: a release that knows nothing of these columns goes on adding runs.
    op.add_column("runs", sa.Column("line_number", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("line_bytes", sa.BigInteger, nullable=False, server_default="0"))
