"""The pipeline service put together."""

from __future__ import annotations

from dataclasses import dataclass

from swath.api import CUVIS, MODEL_CATALOGUE, MODELS, NODES
from swath.rpc.server.methods import slice_handler
from swath.runtime.assembly import Assembly, Deps
from swath.sessions.model import Sessions
from swath.storage.sql.engine import open_engine
from swath.storage.sql.notifications import Notifications
from swath_pipeline.artifacts import PipelineArtifacts
from swath_pipeline.models.catalogue import ModelCatalogue
from swath_pipeline.models.service import ModelService
from swath_pipeline.models.servicer import ModelCatalogueServicer, ModelServicer
from swath_pipeline.models.store import ModelStore
from swath_pipeline.models.tables import SCHEMA
from swath_pipeline.service import PipelineService
from swath_pipeline.servicer import PipelineServicer
from swath_pipeline.settings import PipelineSettings


@dataclass(frozen=True, kw_only=True)
class PipelineAssembly(Assembly):
    """The pipeline service put together.

    Attributes:
        catalogue: What is published, for services in the same process.
    """

    catalogue: ModelCatalogue


def build(deps: Deps, *, settings: PipelineSettings, sessions: Sessions) -> PipelineAssembly:
    """Put the service together.

    Args:
        deps: What the process gives.
        settings: Of this service.
        sessions: Sessions as callers see them.
    """
    stack = deps.stack
    service = PipelineService(sessions, deps.artifacts, deps.workspace)
    servicer = PipelineServicer(service)
    engine = open_engine(deps.database(f"{SCHEMA.name}.db"), schema=SCHEMA.name)
    store = ModelStore(engine)
    stack.push_async_callback(store.close)
    notifications = Notifications(engine)
    stack.push_async_callback(notifications.close)
    catalogue = ModelCatalogue(store, notifications)
    models = ModelService(store, sessions, PipelineArtifacts(deps.artifacts), settings)
    return PipelineAssembly(
        service="pipeline",
        handlers=(
            slice_handler(CUVIS, "pipeline", servicer),
            slice_handler(NODES, "pipeline", servicer),
            slice_handler(MODELS, "pipeline", ModelServicer(models)),
        ),
        private=(slice_handler(MODEL_CATALOGUE, "pipeline", ModelCatalogueServicer(catalogue)),),
        names=(CUVIS, NODES, MODELS),
        start=store.open,
        warm_up=service.warm_up,
        # Who watches turns to another replica.
        drain=notifications.close,
        catalogue=catalogue,
    )
