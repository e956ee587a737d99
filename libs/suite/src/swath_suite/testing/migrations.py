"""What a revision of tables does to a release that knows nothing of it. For tests."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from alembic.migration import MigrationContext
from alembic.operations import Operations

_TAKES_AWAY = (
    (r"^DROP ", "drops something"),
    (r"^ALTER TABLE \S+ DROP COLUMN", "drops a column"),
    (r"^ALTER TABLE \S+ RENAME", "renames"),
    (r"^ALTER TABLE \S+ ALTER COLUMN \S+ (SET NOT NULL|TYPE)", "narrows a column"),
    (r"^ALTER TABLE \S+ ADD COLUMN (?!.* DEFAULT ).*NOT NULL", "adds a column that has to be given"),
    (r"^ALTER TABLE \S+ ADD (CONSTRAINT|PRIMARY|UNIQUE|CHECK|FOREIGN)", "adds a constraint"),
    (r"^CREATE UNIQUE INDEX", "adds a constraint"),
    (r"^(UPDATE|DELETE|TRUNCATE) ", "changes rows"),
)


def statements(upgrade: Callable[[], None]) -> list[str]:
    """Return what a revision asks of Postgres, each statement in one line."""
    out = io.StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
    with Operations.context(context):
        upgrade()
    return [" ".join(each.split()) for each in out.getvalue().split(";") if each.strip()]


def taken_away(upgrade: Callable[[], None]) -> list[str]:
    """Return what in a revision the release before may stumble over, with the reason; nothing if it only adds.

    What it does to tables of its own making is nobody else's.
    """
    given = statements(upgrade)
    own = {made.group(1) for each in given if (made := re.match(r"CREATE TABLE (\S+)", each))}
    found = []
    for each in given:
        table = re.match(r"(?:ALTER TABLE|UPDATE|DELETE FROM) (\S+)|CREATE UNIQUE INDEX \S+ ON (\S+)", each)
        if table and (table[1] or table[2]) in own:
            continue
        found += [f"{reason}: {each}" for pattern, reason in _TAKES_AWAY if re.match(pattern, each)][:1]
    return found
