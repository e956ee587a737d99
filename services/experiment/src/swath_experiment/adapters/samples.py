"""Files that runs have written of their samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swath_experiment.runs.model import Run
from swath_experiment.runs.samples import SampleTable


class NoSampleFiles:
    """Runs that write nothing of their samples. Fulfils `swath_experiment.runs.samples.SampleFiles`."""

    async def table(
        self, runs: Sequence[Run], values: Mapping[str, Mapping[str, Any]], tags: Sequence[str]
    ) -> SampleTable | None:
        """Return None: there is nothing to read."""
        return None
