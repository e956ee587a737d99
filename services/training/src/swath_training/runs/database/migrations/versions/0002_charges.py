"""Which replica has a run in charge, and until when it is followed elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # With defaults of the database's own: a release that knows nothing of these columns goes on adding runs.
    op.add_column("runs", sa.Column("holder", sa.Text, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("held_until", sa.Float, nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("followed_until", sa.Float, nullable=False, server_default="0"))
