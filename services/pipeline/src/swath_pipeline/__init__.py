"""The pipeline service: documents, weights, introspection, published models. Importing it does not import torch."""

from swath_pipeline.assembly import PipelineAssembly, build
from swath_pipeline.models.catalogue import ModelCatalogue
from swath_pipeline.models.service import ModelService
from swath_pipeline.models.servicer import ModelCatalogueServicer, ModelServicer
from swath_pipeline.models.store import ModelStore
from swath_pipeline.service import PipelineService
from swath_pipeline.servicer import PipelineServicer
from swath_pipeline.settings import PipelineSettings

__all__ = [
    "ModelCatalogue",
    "ModelCatalogueServicer",
    "ModelService",
    "ModelServicer",
    "ModelStore",
    "PipelineAssembly",
    "PipelineService",
    "PipelineServicer",
    "PipelineSettings",
    "build",
]
