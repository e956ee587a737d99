"""Where loaded models of published versions are: the model cache, which sessions use as well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swath_inference.dataplane.models import Key, Model, ModelCache
from swath_inference.published.model import Published


class Shelf:
    """The part of the model cache that holders have who are no sessions.

    Args:
        cache: Returns the model cache, once the devices are up.
        exercise: Runs a version once, so that what only the first call has to do is done.
        tidy: Gives memory that no tensor takes any more back to the devices.
    """

    def __init__(
        self,
        cache: Callable[[], Awaitable[ModelCache]],
        exercise: Callable[[Published, Model], Awaitable[None]],
        tidy: Callable[[], Awaitable[None]],
    ) -> None:
        self._open = cache
        self._cache: ModelCache | None = None
        self._exercise = exercise
        self._tidy = tidy

    async def keep(self, published: Published, *, pinned: bool) -> Model:
        """Return a version's model, loaded if need be; the version keeps it from now on.

        Args:
            published: The version.
            pinned: Whether it stays whatever else needs room, and is run once.

        Raises:
            SwathError: It cannot be loaded.
        """
        self._cache = await self._open()
        model = await self._cache.get(published.key, published.holder, session=False, pinned=pinned)
        if pinned:
            await self._exercise(published, model)
        return model

    def loaded(self, key: Key) -> bool:
        """Whether the model of a key is loaded."""
        return self._cache is not None and self._cache.find(key) is not None

    def unpin(self, holder: str) -> None:
        """Keep what a holder has no longer than there is room."""
        if self._cache is not None:
            self._cache.unpin(holder)

    def drop(self, holder: str) -> bool:
        """End a holder's use of its model; return whether that dropped the model."""
        return self._cache is not None and self._cache.release(holder)

    async def release(self, holder: str) -> None:
        """End a holder's use of its model, and free what nobody uses any more."""
        if self.drop(holder):
            await self._tidy()
