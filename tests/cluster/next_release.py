"""A release that comes after this one, as far as its tables go."""

from __future__ import annotations

from pathlib import Path

import yaml

from swath_session.tables import SCHEMA

from .conftest import REPOSITORY, Cluster

_ADDITIONS = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table("additions", sa.Column("id", sa.String, primary_key=True))
    op.add_column("sessions", sa.Column("addition", sa.Text, nullable=False, server_default=""))
    op.create_index("sessions_by_addition", "sessions", ["addition"])
"""


class NextRelease:
    """A session service whose tables are one revision further: two files over those of its image.

    Attributes:
        revision: That revision.
        values: What makes it run.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.revision = f"{int(SCHEMA.revision) + 1:04}"
        say = "import swath_session; print(*swath_session.__path__)"
        package = cluster.kubectl(
            "exec", cluster.pods("session")[0], "-c", "session", "--", "python", "-c", say
        ).strip()
        tables = (REPOSITORY / "services" / "session" / "src" / "swath_session" / "tables.py").read_text()
        assert tables.count(f'"{SCHEMA.revision}"') == 1
        files = {
            "tables.py": tables.replace(f'"{SCHEMA.revision}"', f'"{self.revision}"'),
            f"migrations/versions/{self.revision}_additions.py": _ADDITIONS.format(
                revision=self.revision, before=SCHEMA.revision
            ),
        }
        data = {Path(name).name: text for name, text in files.items()}
        content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "next-release"}, "data": data}
        cluster.kubectl("apply", "-f", "-", given=yaml.safe_dump(content))
        mounts = [
            {"name": "next", "mountPath": f"{package}/{name}", "subPath": Path(name).name, "readOnly": True}
            for name in files
        ]
        volume = {"name": "next", "configMap": {"name": "next-release"}}
        session = {"extraVolumes": [volume], "extraVolumeMounts": mounts}
        self.values = folder / "next.yaml"
        self.values.write_text(yaml.safe_dump({"services": {"session": session}}))
