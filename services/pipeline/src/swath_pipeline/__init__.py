"""The pipeline service: documents, weights, introspection. Importing it does not import torch."""

from swath_pipeline.assembly import build
from swath_pipeline.service import PipelineService
from swath_pipeline.servicer import PipelineServicer

__all__ = ["PipelineService", "PipelineServicer", "build"]
