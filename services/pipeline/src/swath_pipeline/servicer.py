"""Pipeline calls of cuvis_ai.v1, translated."""

from __future__ import annotations

import json
from typing import Any

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.documents import PipelineMetadata, PluginManifest, canonical
from swath.pipeline.v1 import nodes_pb2
from swath_pipeline.adapters.specs import capability_info, description, entry_info, tensor_spec
from swath_pipeline.catalogue import CatalogueEntry
from swath_pipeline.service import PipelineService


class PipelineServicer:
    """The methods of CuvisAIService that the pipeline service owns, and those of NodeService.

    Args:
        service: Decides.
    """

    def __init__(self, service: PipelineService) -> None:
        self._service = service

    async def ListAvailablePipelines(
        self, request: pb.ListAvailablePipelinesRequest, context: Any
    ) -> pb.ListAvailablePipelinesResponse:
        found = await self._service.pipelines(request.filter_tag or None)
        return pb.ListAvailablePipelinesResponse(pipelines=[_info(each) for each in found])

    async def GetPipelineInfo(self, request: pb.GetPipelineInfoRequest, context: Any) -> pb.GetPipelineInfoResponse:
        found = await self._service.pipeline(request.pipeline_path)
        info = _info(found)
        info.yaml_content = found.text
        return pb.GetPipelineInfoResponse(pipeline_info=info)

    async def LoadPipeline(self, request: pb.LoadPipelineRequest, context: Any) -> pb.LoadPipelineResponse:
        metadata = await self._service.load_pipeline(
            request.session_id, request.pipeline.config_bytes, request.data_module
        )
        return pb.LoadPipelineResponse(success=True, metadata=_metadata(metadata))

    async def LoadPipelineWeights(
        self, request: pb.LoadPipelineWeightsRequest, context: Any
    ) -> pb.LoadPipelineWeightsResponse:
        source = request.WhichOneof("weights_source")
        resolved = await self._service.load_weights(
            request.session_id,
            path=request.weights_path if source == "weights_path" else None,
            data=request.weights_bytes if source == "weights_bytes" else None,
            strict=request.strict if request.HasField("strict") else True,
        )
        return pb.LoadPipelineWeightsResponse(success=True, resolved_path=resolved)

    async def SavePipeline(self, request: pb.SavePipelineRequest, context: Any) -> pb.SavePipelineResponse:
        given = request.metadata
        metadata = {
            "name": given.name,
            "description": given.description,
            "created": given.created,
            "tags": list(given.tags),
            "author": given.author,
        }
        saved = await self._service.save_pipeline(request.session_id, request.pipeline_path, metadata)
        return pb.SavePipelineResponse(success=True, pipeline_path=str(saved.pipeline), weights_path=str(saved.weights))

    async def SaveTrainRun(self, request: pb.SaveTrainRunRequest, context: Any) -> pb.SaveTrainRunResponse:
        saved = await self._service.save_run(request.session_id, request.trainrun_path, weights=request.save_weights)
        return pb.SaveTrainRunResponse(
            success=True,
            trainrun_path=str(saved.trainrun),
            pipeline_path=str(saved.pipeline),
            weights_path=str(saved.weights or ""),
        )

    async def RestoreTrainRun(self, request: pb.RestoreTrainRunRequest, context: Any) -> pb.RestoreTrainRunResponse:
        session_id, run = await self._service.restore_run(
            request.trainrun_path,
            request.weights_path if request.HasField("weights_path") else None,
            strict=request.strict if request.HasField("strict") else True,
            session_id=request.session_id,
        )
        return pb.RestoreTrainRunResponse(
            session_id=session_id, trainrun=pb.TrainRunConfig(config_bytes=canonical(run))
        )

    async def GetPipelineInputs(
        self, request: pb.GetPipelineInputsRequest, context: Any
    ) -> pb.GetPipelineInputsResponse:
        specs = {
            name: tensor_spec(name, port, required=not port.optional)
            for name, port in (await self._service.inputs(request.session_id)).items()
        }
        return pb.GetPipelineInputsResponse(input_names=list(specs), input_specs=specs)

    async def GetPipelineOutputs(
        self, request: pb.GetPipelineOutputsRequest, context: Any
    ) -> pb.GetPipelineOutputsResponse:
        specs = {
            name: tensor_spec(name, port, required=False)
            for name, port in (await self._service.outputs(request.session_id)).items()
        }
        return pb.GetPipelineOutputsResponse(output_names=list(specs), output_specs=specs)

    async def GetPipelineVisualization(
        self, request: pb.GetPipelineVisualizationRequest, context: Any
    ) -> pb.GetPipelineVisualizationResponse:
        if request.config_content:
            data, kind = await self._service.draw_document(request.config_content, request.format)
        else:
            data, kind = await self._service.draw(request.session_id, request.format)
        return pb.GetPipelineVisualizationResponse(image_data=data, format=kind)

    async def LoadPlugin(self, request: pb.LoadPluginRequest, context: Any) -> pb.LoadPluginResponse:
        name, error = await self._service.register_plugin(request.session_id, request.manifest.config_bytes)
        return pb.LoadPluginResponse(registered_plugin=name, error=error)

    async def ListLoadedPlugins(
        self, request: pb.ListLoadedPluginsRequest, context: Any
    ) -> pb.ListLoadedPluginsResponse:
        manifests = await self._service.plugins(request.session_id)
        return pb.ListLoadedPluginsResponse(plugins=[_plugin(manifest) for manifest in manifests])

    async def GetPluginInfo(self, request: pb.GetPluginInfoRequest, context: Any) -> pb.GetPluginInfoResponse:
        manifest = await self._service.plugin(request.session_id, request.plugin_name)
        return pb.GetPluginInfoResponse(plugin=_plugin(manifest))

    async def ListAvailableNodes(
        self, request: pb.ListAvailableNodesRequest, context: Any
    ) -> pb.ListAvailableNodesResponse:
        entries, manifests = await self._service.node_classes(request.session_id)
        nodes = [entry_info(entry) for entry in entries]
        for manifest in manifests:
            nodes += [
                capability_info(capability, manifest.name)
                for capability in manifest.capabilities
                if capability.kind == "node"
            ]
        return pb.ListAvailableNodesResponse(nodes=nodes)

    async def DescribeNodes(
        self, request: nodes_pb2.DescribeNodesRequest, context: Any
    ) -> nodes_pb2.DescribeNodesResponse:
        found = await self._service.describe_nodes(request.session_id, tuple(request.class_names))
        return nodes_pb2.DescribeNodesResponse(nodes=map(description, found))


def _metadata(metadata: PipelineMetadata) -> pb.PipelineMetadata:
    return pb.PipelineMetadata(**json.loads(metadata.model_dump_json()))


def _info(found: CatalogueEntry) -> pb.PipelineInfo:
    return pb.PipelineInfo(
        pipeline_path=found.path,
        resolved_path=str(found.file),
        metadata=_metadata(found.metadata),
        weights_path=str(found.weights or ""),
    )


def _plugin(manifest: PluginManifest) -> pb.PluginInfo:
    return pb.PluginInfo(
        name=manifest.name,
        type="git" if manifest.repo else "local",
        source=manifest.repo or manifest.path or "",
        tag=manifest.tag or "",
        capabilities=[capability.class_name for capability in manifest.capabilities],
    )
