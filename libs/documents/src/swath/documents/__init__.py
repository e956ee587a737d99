"""The documents that configure Swath: pipelines, training runs, data.

Fields, names, defaults and ranges are those of cuvis_ai.v1. `parse` reads a document of a kind, `canonical` and
`digest` name it, `dump_yaml` and `load_yaml` bring it to and from files, `schema` describes it to other programs.
"""

from swath.documents.base import Document
from swath.documents.codec import MAX_YAML_BYTES, canonical, digest, dump_yaml, load_yaml, plain
from swath.documents.data import ConstraintDocument, DataDocument, SelectorDocument, SelectorKind, SplitsDocument
from swath.documents.kinds import KINDS, model, modernize, parse, problems, schema
from swath.documents.live import (
    HYPERPARAMETERS,
    CommandKind,
    CommandState,
    Hyperparameter,
    checked_hyperparameters,
    initial_hyperparameters,
)
from swath.documents.pipeline import (
    SCHEMAS_VERSION,
    ConnectionDocument,
    Endpoint,
    NodeDocument,
    PipelineDocument,
    PipelineMetadata,
)
from swath.documents.plugin import (
    CapabilityDocument,
    PluginManifest,
    PluginSource,
    PortDocument,
    SealedPipeline,
    seal,
    sources_of,
    stored_pipeline,
    unsealed,
)
from swath.documents.training import (
    OPTIMIZERS,
    SCHEDULERS,
    CallbacksDocument,
    CheckpointDocument,
    EarlyStoppingDocument,
    LearningRateMonitorDocument,
    OptimizerDocument,
    SchedulerDocument,
    TrainingDocument,
    review,
)
from swath.documents.trainrun import TrainRunDocument

__all__ = [
    "HYPERPARAMETERS",
    "KINDS",
    "MAX_YAML_BYTES",
    "OPTIMIZERS",
    "SCHEDULERS",
    "SCHEMAS_VERSION",
    "CallbacksDocument",
    "CapabilityDocument",
    "CheckpointDocument",
    "CommandKind",
    "CommandState",
    "ConnectionDocument",
    "ConstraintDocument",
    "DataDocument",
    "Document",
    "EarlyStoppingDocument",
    "Endpoint",
    "Hyperparameter",
    "LearningRateMonitorDocument",
    "NodeDocument",
    "OptimizerDocument",
    "PipelineDocument",
    "PipelineMetadata",
    "PluginManifest",
    "PluginSource",
    "PortDocument",
    "SchedulerDocument",
    "SealedPipeline",
    "SelectorDocument",
    "SelectorKind",
    "SplitsDocument",
    "TrainRunDocument",
    "TrainingDocument",
    "canonical",
    "checked_hyperparameters",
    "digest",
    "dump_yaml",
    "initial_hyperparameters",
    "load_yaml",
    "model",
    "modernize",
    "parse",
    "plain",
    "problems",
    "review",
    "schema",
    "seal",
    "sources_of",
    "stored_pipeline",
    "unsealed",
]
