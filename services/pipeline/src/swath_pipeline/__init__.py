"""The pipeline service: documents, weights, introspection. Importing it does not import torch."""

from swath.sessions.model import Sessions
from swath.storage import ArtifactStore, Workspace
from swath_pipeline.catalogue import Discovery
from swath_pipeline.files import Saving
from swath_pipeline.introspection import Introspection
from swath_pipeline.plugins import Plugins
from swath_pipeline.service import Loading
from swath_pipeline.servicer import PipelineServicer

__all__ = ["PipelineServicer", "compose"]


def compose(sessions: Sessions, artifacts: ArtifactStore, workspace: Workspace) -> PipelineServicer:
    """Put the service together over what it asks others for."""
    loading = Loading(sessions, artifacts, workspace)
    return PipelineServicer(
        loading,
        Saving(sessions, artifacts, workspace, loading),
        Discovery(workspace),
        Introspection(sessions, artifacts),
        Plugins(sessions),
    )
