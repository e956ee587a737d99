"""Channels whose TLS files may change, blocking and asyncio, on one core.

When the files change, a second connection is opened beside the first. Once it is ready it gets the new calls; those in
flight end where they began, on a connection that is closed after them. gRPC for Python cannot do this by itself: the
credentials of a channel are fixed when it is made.
"""

from swath.rpc.reloading.aio import ReloadingAioChannel
from swath.rpc.reloading.blocking import ReloadingChannel

__all__ = ["ReloadingAioChannel", "ReloadingChannel"]
