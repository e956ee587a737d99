"""Items of a worker that the service does not have on disk yet."""

from __future__ import annotations

import threading
from collections import deque

from swath.errors import InvalidInput
from swath.training.v1 import worker_pb2 as pb
from swath_training.link.messages import item_message
from swath_training.runs.items import Body, Item

_BATCH_BYTES = 1 << 20
# What a message has beside its items, and an item beside its body.
_FRAME_BYTES = 32


class Outbox:
    """Numbers items and keeps them until they are acknowledged. The run's thread puts them in, the link's takes them.

    Args:
        changed: Notified when items are acknowledged; its lock guards them.
        max_items: Unacknowledged items that are kept at most.
        max_bytes: Bytes of them at most.
        max_message_bytes: Bytes of a message to the service at most.
    """

    def __init__(self, changed: threading.Condition, *, max_items: int, max_bytes: int, max_message_bytes: int) -> None:
        self._changed = changed
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._max_message_bytes = max_message_bytes
        self._kept: deque[tuple[pb.Item, int]] = deque()
        self._kept_bytes = 0
        self._last_seq = 0

    def put(self, body: Body) -> None:
        """Add a body as the next item, as soon as there is room for it.

        Raises:
            InvalidInput: It fits into no message.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._kept) < self._max_items and self._kept_bytes < self._max_bytes)
            message = item_message(Item(self._last_seq + 1, body))
            size = message.ByteSize() + _FRAME_BYTES
            if size > self._max_message_bytes:
                raise InvalidInput(
                    f"the run reports {size} bytes at once, and a message to the service may have "
                    f"{self._max_message_bytes} (SWATH_MAX_MESSAGE_BYTES)"
                )
            self._last_seq += 1
            self._kept.append((message, size))
            self._kept_bytes += size

    def after(self, seq: int) -> tuple[list[pb.Item], bool]:
        """Return the items after a number, as many as make one message, and whether that is as large as it may be."""
        batch: list[pb.Item] = []
        total = 0
        with self._changed:
            skip = seq - self._kept[0][0].seq + 1 if self._kept else 0
            for index in range(max(skip, 0), len(self._kept)):
                message, size = self._kept[index]
                if batch and total + size > self._max_message_bytes:
                    return batch, True
                batch.append(message)
                total += size
                if total >= _BATCH_BYTES:
                    return batch, True
        return batch, False

    def acknowledge(self, seq: int) -> None:
        """Remove the items up to a number; the service has them on disk."""
        with self._changed:
            while self._kept and self._kept[0][0].seq <= seq:
                self._kept_bytes -= self._kept.popleft()[1]
            self._changed.notify_all()
