"""One function per call: which method, with which request, and how to read the answer.

Nothing here does input or output, so that the blocking and the asyncio client are two thin shells around the same
calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np

from swath.client.errors import LocalError
from swath.client.shared import Place
from swath.client.tensors import proto_to_numpy, tensor_to_proto
from swath.client.workflow import config_search_paths, trainrun_path
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.pipeline.v1 import nodes_pb2
from swath.rpc.outputs import outputs_in
from swath.training.v1 import runs_pb2

R = TypeVar("R")

PHASES = {
    "statistical": pb.TRAINER_TYPE_STATISTICAL,
    "gradient": pb.TRAINER_TYPE_GRADIENT,
    "calibration": pb.TRAINER_TYPE_CALIBRATION,
}
_FIXED_INPUTS = frozenset({"cube", "wavelengths", "mask", "rgb_image", "frame_id", "mesu_index"})


@dataclass(frozen=True, slots=True)
class Call(Generic[R]):
    """One unary call.

    Attributes:
        method: Name of the RPC.
        request: Its request message.
        read: Turns the response message into what a user of the client gets.
        stub: The client's attribute that has the method.
        check: Takes that and the answer's trailing metadata, and raises if it is not what was asked for.
        metadata: Further metadata of this call.
    """

    method: str
    request: Any
    read: Callable[[Any], R]
    stub: str = "stub"
    check: Callable[[R, Mapping[str, Any]], None] | None = None
    metadata: tuple[tuple[str, bytes], ...] = ()


class Outputs(dict[str, np.ndarray]):
    """Arrays by ``node.port``, and the scalars of the same answer in `metrics`."""

    metrics: dict[str, float]

    def only(self, port: str) -> np.ndarray:
        """The one array whose key is `port` or ends in ``.port``.

        Raises:
            LocalError: None or several are.
        """
        found = [key for key in self if key == port or key.rsplit(".", 1)[-1] == port]
        if len(found) != 1:
            raise LocalError(f"expected one output '{port}', the server sent {sorted(self) or 'none'}")
        return self[found[0]]


@dataclass(frozen=True, slots=True)
class SearchPaths:
    """A session's search paths after a change.

    Attributes:
        current: All of them, in search order.
        rejected: Those of the request that are no folder on the server or lie outside its allowed roots.
    """

    current: tuple[str, ...]
    rejected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """Paths on the server of what was saved; empty where that part was not."""

    pipeline: str
    weights: str
    trainrun: str = ""


def create_session() -> Call[str]:
    return Call("CreateSession", pb.CreateSessionRequest(), lambda reply: reply.session_id)


def close_session(session_id: str) -> Call[bool]:
    return Call("CloseSession", pb.CloseSessionRequest(session_id=session_id), lambda reply: reply.success)


def search_paths(session_id: str, paths: Sequence[str] | None, append: bool) -> Call[SearchPaths]:
    wanted = config_search_paths() if paths is None else list(paths)
    request = pb.SetSessionSearchPathsRequest(session_id=session_id, search_paths=wanted, append=append)
    return Call(
        "SetSessionSearchPaths",
        request,
        lambda reply: SearchPaths(tuple(reply.current_paths), tuple(reply.rejected_paths)),
    )


def resolve(session_id: str, kind: str, path: str, overrides: Iterable[str]) -> Call[dict[str, Any]]:
    path = trainrun_path(path) if kind == "trainrun" else path
    request = pb.ResolveConfigRequest(session_id=session_id, config_type=kind, path=path, overrides=list(overrides))
    return Call("ResolveConfig", request, lambda reply: json.loads(reply.config_bytes))


def set_run_config(session_id: str, config: Mapping[str, Any] | bytes) -> Call[bool]:
    message = pb.TrainRunConfig(config_bytes=_json(config))
    request = pb.SetTrainRunConfigRequest(session_id=session_id, config=message)
    return Call("SetTrainRunConfig", request, lambda reply: reply.pipeline_from_config)


def load_pipeline(session_id: str, config: Mapping[str, Any] | bytes, data_module: str) -> Call[pb.PipelineMetadata]:
    request = pb.LoadPipelineRequest(
        session_id=session_id, pipeline=pb.PipelineConfig(config_bytes=_json(config)), data_module=data_module
    )
    return Call("LoadPipeline", request, lambda reply: reply.metadata)


def load_weights(session_id: str, weights: str | bytes, strict: bool) -> Call[str]:
    request = pb.LoadPipelineWeightsRequest(session_id=session_id, strict=strict)
    if isinstance(weights, bytes):
        request.weights_bytes = weights
    else:
        request.weights_path = weights
    return Call("LoadPipelineWeights", request, lambda reply: reply.resolved_path)


def train(
    session_id: str, phase: str, data: Mapping[str, Any] | None, training: Mapping[str, Any] | None
) -> pb.TrainRequest:
    """The request of a Train stream.

    Raises:
        LocalError: No such phase.
    """
    if phase not in PHASES:
        raise LocalError(f"no training phase '{phase}'; there are {', '.join(PHASES)}")
    request = pb.TrainRequest(session_id=session_id, trainer_type=PHASES[phase])
    if data is not None:
        request.data.config_bytes = _json(data)
    if training is not None:
        request.training.config_bytes = _json(training)
    return request


def stop_train(session_id: str) -> Call[str]:
    return Call("StopTrain", pb.StopTrainRequest(session_id=session_id), lambda reply: reply.message)


def train_status(session_id: str) -> Call[pb.TrainResponse]:
    request = pb.GetTrainStatusRequest(session_id=session_id)
    return Call("GetTrainStatus", request, lambda reply: reply.latest_progress)


def read_logs(run_id: str, after: int, follow: bool) -> runs_pb2.ReadLogsRequest:
    """The request of a ReadLogs stream."""
    return runs_pb2.ReadLogsRequest(run_id=run_id, after=after, follow=follow)


def infer(
    session_id: str,
    inputs: Mapping[str, Any],
    outputs: Iterable[str],
    text_prompt: str = "",
    place: Place | None = None,
) -> Call[Outputs]:
    batch = pb.InputBatch(text_prompt=text_prompt)
    put = tensor_to_proto if place is None else place.put
    for name, value in inputs.items():
        if value is None:
            continue
        tensor = put(value)
        if name in _FIXED_INPUTS:
            getattr(batch, name).CopyFrom(tensor)
        else:
            batch.extra_inputs[name].CopyFrom(tensor)
    wanted = list(outputs)
    request = pb.InferenceRequest(session_id=session_id, inputs=batch, output_specs=wanted)
    check = partial(_require_outputs, wanted) if wanted else None
    metadata = () if place is None else place.metadata()
    return Call("Inference", request, partial(_read_outputs, place), check=check, metadata=metadata)


def inputs(session_id: str) -> Call[dict[str, pb.TensorSpec]]:
    request = pb.GetPipelineInputsRequest(session_id=session_id)
    return Call("GetPipelineInputs", request, lambda reply: dict(reply.input_specs))


def outputs(session_id: str) -> Call[dict[str, pb.TensorSpec]]:
    request = pb.GetPipelineOutputsRequest(session_id=session_id)
    return Call("GetPipelineOutputs", request, lambda reply: dict(reply.output_specs))


def save_pipeline(session_id: str, path: str, metadata: pb.PipelineMetadata | None) -> Call[Saved]:
    request = pb.SavePipelineRequest(session_id=session_id, pipeline_path=path, metadata=metadata)
    return Call("SavePipeline", request, lambda reply: Saved(reply.pipeline_path, reply.weights_path))


def save_trainrun(session_id: str, path: str, weights: bool) -> Call[Saved]:
    request = pb.SaveTrainRunRequest(session_id=session_id, trainrun_path=path, save_weights=weights)
    return Call(
        "SaveTrainRun", request, lambda reply: Saved(reply.pipeline_path, reply.weights_path, reply.trainrun_path)
    )


def restore(path: str, weights: str | None, strict: bool, session_id: str) -> Call[tuple[str, dict[str, Any]]]:
    request = pb.RestoreTrainRunRequest(trainrun_path=path, weights_path=weights, strict=strict, session_id=session_id)
    return Call(
        "RestoreTrainRun", request, lambda reply: (reply.session_id, json.loads(reply.trainrun.config_bytes or b"{}"))
    )


def list_pipelines(tag: str) -> Call[list[pb.PipelineInfo]]:
    request = pb.ListAvailablePipelinesRequest(filter_tag=tag or None)
    return Call("ListAvailablePipelines", request, lambda reply: list(reply.pipelines))


def list_nodes(session_id: str) -> Call[list[pb.NodeInfo]]:
    request = pb.ListAvailableNodesRequest(session_id=session_id)
    return Call("ListAvailableNodes", request, lambda reply: list(reply.nodes))


def describe_nodes(session_id: str, names: Iterable[str]) -> Call[list[nodes_pb2.NodeDescription]]:
    request = nodes_pb2.DescribeNodesRequest(session_id=session_id, class_names=list(names))
    return Call("DescribeNodes", request, lambda reply: list(reply.nodes), "node_stub")


def load_plugin(session_id: str, manifest: Mapping[str, Any] | bytes) -> Call[str]:
    request = pb.LoadPluginRequest(session_id=session_id, manifest=pb.PluginManifest(config_bytes=_json(manifest)))
    return Call("LoadPlugin", request, _read_plugin)


def pipeline_info(path: str) -> Call[pb.PipelineInfo]:
    return Call("GetPipelineInfo", pb.GetPipelineInfoRequest(pipeline_path=path), lambda reply: reply.pipeline_info)


def visualization(session_id: str, kind: str, content: str) -> Call[bytes]:
    request = pb.GetPipelineVisualizationRequest(session_id=session_id, format=kind, config_content=content)
    return Call("GetPipelineVisualization", request, lambda reply: reply.image_data)


def _read_plugin(reply: pb.LoadPluginResponse) -> str:
    if reply.error:
        raise LocalError(f"the server refused the manifest: {reply.error}")
    return reply.registered_plugin


def _read_outputs(place: Place | None, reply: pb.InferenceResponse) -> Outputs:
    found = Outputs()
    for name, tensor in reply.outputs.items():
        shared = place.get(tensor) if place is not None else None
        # One copy is enough: it makes the arrays independent of the message, which ends here.
        found[name] = np.asarray(proto_to_numpy(tensor)) if shared is None else shared
    found.metrics = dict(reply.metrics)
    return found


def _require_outputs(wanted: Sequence[str], found: Outputs, trailers: Mapping[str, Any]) -> None:
    """Refuse an answer without an output that was asked for: a server passes over names that it does not know."""
    sent = {*found, *found.metrics}
    sent |= {name.rsplit(".", 1)[-1] for name in sent}
    missing = [name for name in wanted if name not in sent]
    if not missing:
        return
    quoted = ", ".join(map(repr, missing))
    if (there := outputs_in(trailers)) is not None:
        raise LocalError(f"the pipeline has no output {quoted}; it has {', '.join(there)}")
    gave = f"it gave {', '.join(sorted({*found, *found.metrics}))}" if found or found.metrics else "it gave nothing"
    raise LocalError(f"the pipeline gave no output {quoted} as a tensor or number; {gave}")


def _json(document: Mapping[str, Any] | bytes) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()
