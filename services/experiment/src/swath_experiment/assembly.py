"""The experiment service put together."""

from __future__ import annotations

from swath.api import EXPERIMENT
from swath.rpc.server.methods import slice_handler
from swath.runtime.assembly import Assembly, Deps
from swath.storage.sql.engine import open_engine
from swath_experiment.adapters.later import LaterSampleFiles
from swath_experiment.runs.model import Runs
from swath_experiment.runs.samples import SampleFiles
from swath_experiment.service.services import Services
from swath_experiment.servicer import ExperimentServicer
from swath_experiment.settings import ExperimentSettings
from swath_experiment.store import ExperimentStore
from swath_experiment.tables import SCHEMA


def build(deps: Deps, *, settings: ExperimentSettings, runs: Runs, files: SampleFiles | None = None) -> Assembly:
    """Put the service together.

    Args:
        deps: What the process gives.
        settings: Of this service.
        runs: The training service, as callers of this one may see it.
        files: What runs have written of samples; as the artifact store has it if None.
    """
    engine = open_engine(deps.database(f"{SCHEMA.name}.db"), schema=SCHEMA.name)
    store = ExperimentStore(engine)
    deps.stack.push_async_callback(store.close)
    files = files or LaterSampleFiles(runs, deps.artifacts, deps.workspace, deps.state / "pictures")
    services = Services(runs, files, store, settings)
    return Assembly(
        service="experiment",
        handlers=(slice_handler(EXPERIMENT, "experiment", ExperimentServicer(services)),),
        names=(EXPERIMENT,),
        start=store.open,
    )
