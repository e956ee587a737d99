"""What is asked of a published model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """What of which model is asked for, where; see `ModelHandle`."""

    name: str
    version: str
    outputs: tuple[str, ...]
    target: str

    @property
    def asked(self) -> str:
        """The model, as users' code says it."""
        return f"{self.name}@{self.version}" if self.version else self.name
