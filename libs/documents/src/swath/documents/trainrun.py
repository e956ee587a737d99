"""Training runs: a pipeline, data, and what is done with both."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Discriminator, Field, Tag

from swath.documents.base import Document
from swath.documents.data import DataDocument
from swath.documents.pipeline import PipelineDocument
from swath.documents.training import TrainingDocument


def _form(value: Any) -> str:
    return "inline" if isinstance(value, (dict, PipelineDocument)) else "path"


class TrainRunDocument(Document):
    """One training run, complete enough to be repeated."""

    model_config = ConfigDict(title="TrainRunConfig")

    name: str = Field(description="Name of the run")
    pipeline: (
        Annotated[Annotated[str, Tag("path")] | Annotated[PipelineDocument, Tag("inline")], Discriminator(_form)] | None
    ) = Field(
        default=None, description="The pipeline: path of its file (relative to the run's own), or the document itself"
    )
    data: DataDocument = Field(description="Data")
    training: TrainingDocument | None = Field(
        default=None, description="Gradient training; a statistical run needs none"
    )
    loss_nodes: list[str] = Field(default_factory=list, description="Nodes whose outputs are summed to the loss")
    metric_nodes: list[str] = Field(default_factory=list, description="Nodes whose metrics are reported")
    freeze_nodes: list[str] = Field(default_factory=list, description="Nodes that gradients leave alone")
    unfreeze_nodes: list[str] = Field(
        default_factory=list, description="Fitted nodes whose values become parameters for the gradient phase"
    )
    output_dir: str = Field(default="./outputs", description="Folder for what the run writes")
    tags: dict[str, str] = Field(default_factory=dict, description="Facts to find the run by")
