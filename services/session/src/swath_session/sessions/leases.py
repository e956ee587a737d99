"""Leases of sessions in SQL: who may answer with a row from memory, and how a writer takes that back.

Each function is a part of a write transaction, of which there is one at a time. So whatever any replica does, stops or
forgets, these hold:

- A lease is given with the row as it is, and never while the session is recalled.
- A row is written only where no lease is left: all were given back, or the writer has waited for longer than they last
  since the recall that is still there, during which none was given.

The waiting goes by the writer's own clock. The database's clock says only when a row here is too old to matter.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Float, Row, bindparam, case, delete, insert, select, update

from swath.storage.sql.notifications import notify
from swath_session.tables import LEASES, RECALLS

_l, _r = LEASES.c, RECALLS.c

RECALLED = "session.recalled"
"""Notifications of this channel hold a session, a recall's token and a holder, with blanks between them."""
RETURNED = "session.returned"
"""Notifications of this channel hold the id of a session of which leases were given back."""

_FORGOTTEN_AFTER = 10.0
"""Lengths of a lease after which nobody waits for it any more. So many, since the database's clock may be set."""
_RECALL_S = 10.0
"""Seconds for which a recall stays whose writer is gone, beside the longest lease."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Leases that a writer has to wait for.

    Attributes:
        token: Of the recall, the same for all writers who wait at the time.
        seconds: The longest of the leases.
    """

    token: str
    seconds: float


class Leases:
    """The tables of leases.

    Args:
        clock: The present by the database's clock, Unix time in seconds.
    """

    def __init__(self, clock: ColumnElement[float]) -> None:
        self._clock = clock
        # Built once: building them costs more than running them.
        self._held = select(_l.seconds, _l.holder, (_l.until > clock).label("live")).where(
            _l.session_id == bindparam("key")
        )
        self._recall = select(_r.token, (_r.until > clock).label("live")).where(_r.session_id == bindparam("key"))
        seconds = bindparam("given", type_=Float())
        kept = clock + bindparam("kept", type_=Float())
        self._renew = (
            update(LEASES)
            .where(_l.holder == bindparam("who"), _l.session_id.in_(bindparam("keys", expanding=True)))
            # Of two that the holder may go by, the longer one: replicas may give leases of different lengths.
            .values(
                seconds=case((_l.seconds > seconds, _l.seconds), else_=seconds),
                until=case((_l.until > kept, _l.until), else_=kept),
            )
            .returning(_l.session_id)
        )
        self._give = insert(LEASES).values(until=clock + bindparam("kept"))
        self._recalls = select(_r.session_id, (_r.until > clock).label("live")).where(
            _r.session_id.in_(bindparam("keys", expanding=True))
        )

    def give(self, connection: Connection, session_ids: Collection[str], holder: str, seconds: float) -> set[str]:
        """Give leases of sessions that there are, and return of which: all but those that are recalled."""
        recalls = connection.execute(self._recalls, {"keys": list(session_ids)}).all()
        if over := [row.session_id for row in recalls if not row.live]:
            # Its writer, should it come yet, must not take the leases that follow for those it has waited for.
            connection.execute(delete(RECALLS).where(_r.session_id.in_(over)))
        given = set(session_ids).difference(row.session_id for row in recalls if row.live)
        if given:
            values = {"who": holder, "given": seconds, "kept": seconds * _FORGOTTEN_AFTER}
            renewed = connection.execute(self._renew, {**values, "keys": list(given)}).scalars().all()
            if new := given.difference(renewed):
                kept = values["kept"]
                rows = [{"session_id": key, "holder": holder, "seconds": seconds, "kept": kept} for key in new]
                connection.execute(self._give, rows)
        return given

    def take_back(self, connection: Connection, session_id: str, recall: Recall | None, waited: bool) -> Recall | None:
        """Make sure that a session may be written in this transaction, or recall its leases.

        Args:
            connection: Of the transaction.
            session_id: The session.
            recall: What this writer waits for, if it has been here before.
            waited: Whether it has waited for longer than those leases last, since it was told of that recall.

        Returns:
            What it has to wait for; None where it may write, in this transaction.
        """
        held = connection.execute(self._held, {"key": session_id}).all()
        if recall is None and not held:
            return None
        found = connection.execute(self._recall, {"key": session_id}).one_or_none()
        live = [row for row in held if row.live]
        if live and not (waited and recall is not None and found is not None and found.token == recall.token):
            return self._begin(
                connection, session_id, [row.holder for row in live], max(r.seconds for r in live), found
            )
        connection.execute(delete(LEASES).where(_l.session_id == session_id))
        connection.execute(delete(RECALLS).where(_r.session_id == session_id))
        return None

    def give_back(self, connection: Connection, holder: str, session_id: str, token: str) -> None:
        """Take note that a holder has dropped a row since it was told of a recall; too late, it changes nothing."""
        found = connection.execute(self._recall, {"key": session_id}).one_or_none()
        if found is not None and found.token == token:
            connection.execute(delete(LEASES).where(_l.session_id == session_id, _l.holder == holder))
            notify(connection, RETURNED, session_id)

    def give_all_back(self, connection: Connection, holder: str) -> None:
        """Take note that a holder answers from memory no more."""
        gone = delete(LEASES).where(_l.holder == holder).returning(_l.session_id)
        for session_id in connection.execute(gone).scalars().all():
            notify(connection, RETURNED, session_id)

    def forget(self, connection: Connection) -> None:
        """Remove what is too old to matter."""
        connection.execute(delete(LEASES).where(_l.until <= self._clock))
        connection.execute(delete(RECALLS).where(_r.until <= self._clock))

    def _begin(
        self,
        connection: Connection,
        session_id: str,
        holders: Collection[str],
        seconds: float,
        found: Row[str, bool] | None,
    ) -> Recall:
        """Recall leases, or join a recall that is there: no lease was given since it began."""
        token = secrets.token_hex(16) if found is None else found.token
        until = self._clock + (seconds + _RECALL_S)
        if found is None:
            connection.execute(insert(RECALLS).values(session_id=session_id, token=token, until=until))
        else:
            connection.execute(update(RECALLS).where(_r.session_id == session_id).values(until=until))
        if found is None or not found.live:
            for holder in holders:
                notify(connection, RECALLED, f"{session_id} {token} {holder}")
        return Recall(token, seconds)
