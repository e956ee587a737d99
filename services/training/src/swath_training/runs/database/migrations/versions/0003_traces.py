"""Which call a run belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # With a default of the database's own: a release that knows nothing of this column goes on adding runs.
    op.add_column("runs", sa.Column("traceparent", sa.String(55), nullable=False, server_default=""))
