"""One end of a call: messages both ways, bounded by credit, and one end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from swath.serve.transport.frames import Buffer, Kind

if TYPE_CHECKING:
    from swath.serve.transport.channel import Channel

WINDOW = 1024 * 1024
"""Bytes of messages that a sender may be ahead of its reader, and always one message."""

_MESSAGE = 256
"""What a message costs beside its bytes, so that many small ones are bounded too."""


class Ended(Exception):
    """The other end has gone: taken back, ended, or its process has."""


class Call:
    """A call as one of its two ends sees it. Belongs to the channel's event loop.

    Who opened it may send messages, say that there are no more, and take it back; the other one may send messages and
    end it, once. Each waits with `send` while the other end has not read what is under way.

    Attributes:
        number: Its number, by which frames find it; each end counts its own calls.
        opener: Whether this end has opened it.
        about: What it is about, as it was opened with.
        payload: What it was opened with.
        end: What the other end has ended it with: what it says and its payload; None while it runs.
        lost: Whether the other end's process has gone before the end.
        over: Whether nothing more comes or goes.
        on_end: Called once when the call is over for whoever opened it: ended, taken back or lost.
        on_cancel: Called once when the opener has taken it back or has gone.
        on_credit: Called when something may be sent again.
    """

    __slots__ = (
        "_channel",
        "_consumed",
        "_inbox",
        "_no_more",
        "_room",
        "_waiting_for_message",
        "_waiting_for_room",
        "about",
        "end",
        "lost",
        "number",
        "on_cancel",
        "on_credit",
        "on_end",
        "opener",
        "over",
        "payload",
    )

    def __init__(self, channel: Channel, number: int, opener: bool, about: Any, payload: Buffer) -> None:
        self._channel = channel
        self.number = number
        self.opener = opener
        self.about = about
        self.payload = payload
        self.end: tuple[Any, Buffer] | None = None
        self.lost = False
        self.over = False
        self.on_end: Callable[[], None] | None = None
        self.on_cancel: Callable[[], None] | None = None
        self.on_credit: Callable[[], None] | None = None
        self._inbox: deque[tuple[Any, Buffer]] = deque()
        self._no_more = False
        self._room = WINDOW
        self._consumed = 0
        self._waiting_for_message: asyncio.Future[None] | None = None
        self._waiting_for_room: asyncio.Future[None] | None = None

    # What this end does.

    async def receive(self) -> tuple[Any, Buffer] | None:
        """Return the next message, with what is said about it; None after the last one."""
        while not self._inbox:
            if self._no_more or self.over:
                return None
            self._waiting_for_message = self._channel.loop.create_future()
            try:
                await self._waiting_for_message
            finally:
                self._waiting_for_message = None
        return self._taken()

    def receive_now(self) -> tuple[Any, Buffer] | None:
        """Return the next message if it is there, without waiting."""
        return self._taken() if self._inbox else None

    def _taken(self) -> tuple[Any, Buffer]:
        message = self._inbox.popleft()
        self._consumed += len(message[1]) + _MESSAGE
        if self._consumed >= WINDOW // 2 and not self.over:
            self._channel.write(Kind.CREDIT, self, self._consumed)
            self._consumed = 0
        return message

    @property
    def room(self) -> bool:
        """Whether a message may be sent now."""
        return self._room > 0

    async def send(self, payload: Sequence[Buffer], about: Any = None) -> None:
        """Send a message once the other end has read enough of those before.

        Raises:
            Ended: Nobody reads any more.
        """
        while self._room <= 0 and not self.over:
            waiting = self._waiting_for_room or self._channel.loop.create_future()
            self._waiting_for_room = waiting
            await asyncio.shield(waiting)
        self.send_now(payload, about)

    def send_now(self, payload: Sequence[Buffer], about: Any = None) -> None:
        """Send a message without a look at what is under way.

        Raises:
            Ended: Nobody reads any more.
        """
        if self.over:
            raise Ended
        self._room -= sum(map(len, payload)) + _MESSAGE
        self._channel.write(Kind.ITEM, self, about, payload)

    def finish(self) -> None:
        """Say that no more messages come from this end, which opened it."""
        if not self.over:
            self._channel.write(Kind.FINISH, self)

    def finish_with(self, about: Any, payload: Sequence[Buffer] = ()) -> None:
        """End the call that the other end has opened. Once; later ones change nothing."""
        if not self.over:
            self.over = True
            self._channel.write(Kind.END, self, about, payload)
            self._channel.forget(self)
            self._wake()

    def cancel(self) -> None:
        """Take back the call, which this end has opened. What comes for it later is dropped."""
        if not self.over:
            self._channel.write(Kind.CANCEL, self)
            self._channel.forget(self)
            self._inbox.clear()
            self._over()

    # What the other end has done, as the channel tells.

    def arrived(self, kind: Kind, about: Any, payload: Buffer) -> None:
        """Take a frame of the other end."""
        if kind is Kind.ITEM:
            self._inbox.append((about, payload))
            self._wake()
        elif kind is Kind.CREDIT:
            self._room += about
            if self._room > 0:
                self._wake_sender()
        elif kind is Kind.FINISH:
            self._no_more = True
            self._wake()
        elif kind is Kind.END:
            self.end = (about, payload)
            self._channel.forget(self)
            self._over()
        elif kind is Kind.CANCEL:
            self._taken_back()

    def gone(self) -> None:
        """Take note that the other end's process has gone."""
        if self.opener:
            self.lost = True
            self._over()
        else:
            self._taken_back()

    def _taken_back(self) -> None:
        self.over = True
        self._inbox.clear()
        self._channel.forget(self)
        self._wake()
        self._wake_sender()
        if self.on_cancel is not None:
            told, self.on_cancel = self.on_cancel, None
            told()

    def _over(self) -> None:
        self.over = True
        self._wake()
        self._wake_sender()
        if self.on_end is not None:
            told, self.on_end = self.on_end, None
            told()

    def _wake(self) -> None:
        if self._waiting_for_message is not None and not self._waiting_for_message.done():
            self._waiting_for_message.set_result(None)

    def _wake_sender(self) -> None:
        if self._waiting_for_room is not None:
            if not self._waiting_for_room.done():
                self._waiting_for_room.set_result(None)
            self._waiting_for_room = None
        if self.on_credit is not None:
            self.on_credit()
