"""Methods that look into the model, and of samples that are no pictures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from swath.errors import SwathError
from swath.experiment_service import experiment_service_pb2 as pb
from swath_experiment.service.model import no_layers, no_surgery
from swath_experiment.servicer.calls import Methods, refused


class ModelMethods(Methods):
    """Methods that look into the model, and of samples that are no pictures."""

    async def ManipulateWeights(self, request: pb.WeightsOperationRequest, context: Any) -> pb.WeightsOperationResponse:
        """Refuse: a run's pipeline is what its document says."""
        try:
            no_surgery()
        except SwathError as error:
            return refused(error, pb.WeightsOperationResponse)

    async def GetWeights(self, request: pb.WeightsRequest, context: Any) -> pb.WeightsResponse:
        """Refuse."""
        try:
            no_layers()
        except SwathError as error:
            return pb.WeightsResponse(neuron_id=request.neuron_id, success=False, error_message=error.message)

    async def GetActivations(self, request: pb.ActivationRequest, context: Any) -> pb.ActivationResponse:
        """Refuse: the answer has no room for words."""
        no_layers()

    async def GetPointCloud(self, request: pb.PointCloudRequest, context: Any) -> AsyncIterator[pb.PointCloudChunk]:
        """Refuse: samples are cubes."""
        yield pb.PointCloudChunk(success=False, message=await self._no(request, context, "point cloud"))

    async def GetMedia(self, request: pb.MediaRequest, context: Any) -> AsyncIterator[pb.MediaChunk]:
        """Refuse: samples are cubes."""
        yield pb.MediaChunk(success=False, message=await self._no(request, context, "video or sound"))

    async def _no(self, request: Any, context: Any, kind: str) -> str:
        try:
            await self.services.samples.find(await self.experiment(context), request.sample_id)
        except SwathError as error:
            return refused(error, pb.CommandResponse).message
        return f"sample {request.sample_id} is a cube: it has no {kind}"
