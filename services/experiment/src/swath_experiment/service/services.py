"""All that the methods of ExperimentService decide."""

from __future__ import annotations

from dataclasses import dataclass

from swath_experiment.runs.model import Runs
from swath_experiment.runs.samples import SampleFiles
from swath_experiment.service.commands import Commands
from swath_experiment.service.edits import Edits
from swath_experiment.service.evaluation import Evaluation
from swath_experiment.service.metrics import Metrics
from swath_experiment.service.notebooks import Notebooks
from swath_experiment.service.samples import Samples
from swath_experiment.service.scope import Experiment, Who, experiment_of
from swath_experiment.settings import ExperimentSettings
from swath_experiment.store import ExperimentStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """A run as the page lists it."""

    hash: str
    name: str
    notes: str
    created_at: float
    used_at: float
    weight_step: int
    is_current: bool


class Services:
    """All that the methods decide, by subject.

    Args:
        runs: The training service.
        files: What runs have written of samples.
        store: What people add.
        settings: Limits.
    """

    def __init__(self, runs: Runs, files: SampleFiles, store: ExperimentStore, settings: ExperimentSettings) -> None:
        self._runs, self._store = runs, store
        self.evaluation = Evaluation(runs, store)
        self.commands = Commands(runs, store, self.evaluation, settings)
        self.metrics = Metrics(runs, store, self.evaluation, settings)
        self.samples = Samples(runs, files, store, settings)
        self.edits = Edits(runs, store, self.samples, settings)
        self.notebooks = Notebooks(store, settings)

    async def experiment(self, who: Who) -> Experiment:
        """Return the experiment that a call is about.

        Raises:
            NotFound: It names one that there is not.
        """
        return await experiment_of(self._runs, who)

    async def listed(self, experiment: Experiment) -> list[ListedRun]:
        """Return an experiment's runs, newest first, with what people say of them."""
        if not experiment.runs:
            return []
        notes = await self._store.run_notes(experiment.place)
        current = experiment.current
        found = []
        for hash_, run in experiment.by_hash().items():
            name, text = notes.get(hash_, (None, None))
            kept = await self._runs.checkpoints(run.id)
            found.append(
                ListedRun(
                    hash=hash_,
                    name=name or run.name or run.experiment,
                    notes=text or "",
                    created_at=run.created_at,
                    used_at=run.used_at,
                    weight_step=max((each.step for each in kept), default=-1),
                    is_current=run is current,
                )
            )
        return found
