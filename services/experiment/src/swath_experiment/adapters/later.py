"""Files of samples, by a library that is imported once somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.storage import ArtifactStore, Workspace
from swath_experiment.runs.model import Run, Runs
from swath_experiment.runs.samples import SampleTable

if TYPE_CHECKING:
    from swath_experiment.adapters.sample_files import StoredSampleFiles


class LaterSampleFiles:
    """As `StoredSampleFiles`, without Polars until runs are looked into.

    A process that has imported Polars needs the size of a large message once more while it receives one: 4 times 64 MiB
    in place of 3. Where all services are one process, whoever only infers does not pay for that.

    Args:
        runs, artifacts, workspace, folder: As of `StoredSampleFiles`.
    """

    def __init__(self, runs: Runs, artifacts: ArtifactStore, workspace: Workspace, folder: Path) -> None:
        self._make = partial(_stored, runs, artifacts, workspace, folder)
        self._files: StoredSampleFiles | None = None

    async def table(
        self, runs: Sequence[Run], values: Mapping[str, Mapping[str, Any]], tags: Sequence[str]
    ) -> SampleTable | None:
        """As `SampleFiles.table`."""
        if not runs:
            return None
        if self._files is None:
            made = await asyncio.to_thread(self._make)
            self._files = self._files or made
        return await self._files.table(runs, values, tags)


def _stored(*args: Any) -> StoredSampleFiles:
    from swath_experiment.adapters.sample_files import StoredSampleFiles

    return StoredSampleFiles(*args)
