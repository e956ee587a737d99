"""What a mirror knows of its local files: which object each one is, and which objects are gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from swath.storage.files import Stamp


@dataclass(slots=True)
class Entry:
    """A local file that is the copy of an object.

    Attributes:
        listing: Number of the newest listing that has shown it.
        version: As `Object.version`.
        stamp: The file as it was left.
        used: When it was last asked for, by the monotonic clock, seconds.
    """

    listing: int
    version: str
    stamp: Stamp
    used: float


class MirrorIndex:
    """The entries of a mirror by key, and tombstones of keys that listings under way may still show.

    Listings are numbered as they begin: of two that say something about a key, the one with the higher number counts.
    """

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Entry]] = {}
        self._tombstones: dict[str, int] = {}

    def find(self, key: str) -> Entry | None:
        """Return the entry of a key, None if there is no file of it."""
        parent, _, name = key.rpartition("/")
        return self._entries.get(parent, {}).get(name)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files directly in a folder."""
        return list(self._entries.get(folder, ()))

    def below(self, key: str) -> Iterator[tuple[str, Entry]]:
        """Give the entries at and below a key, by key; all of them for an empty one."""
        if key and (entry := self.find(key)) is not None:
            yield key, entry
        for folder in list(self._entries):
            if not key or folder == key or folder.startswith(f"{key}/"):
                for name, entry in list(self._entries[folder].items()):
                    yield f"{folder}/{name}".lstrip("/"), entry

    def newest(self, key: str) -> int:
        """Return the number of the newest listing that said something about a key, 0 for none."""
        entry = self.find(key)
        return max(entry.listing if entry else 0, self._tombstones.get(key, 0))

    def add(self, key: str, entry: Entry) -> None:
        """Note the file of a key."""
        parent, _, name = key.rpartition("/")
        self._entries.setdefault(parent, {})[name] = entry
        self._tombstones.pop(key, None)

    def remove(self, key: str, listing: int) -> None:
        """Note that there is no file of a key any more, as of a listing."""
        parent, _, name = key.rpartition("/")
        inside = self._entries.get(parent, {})
        inside.pop(name, None)
        if not inside:
            self._entries.pop(parent, None)
        self._tombstones[key] = listing

    def expire(self, oldest: int) -> None:
        """Drop the tombstones that no listing from this number on can contradict."""
        self._tombstones = {key: at for key, at in self._tombstones.items() if at > oldest}
