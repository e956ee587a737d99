"""A session on a server, blocking."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc

from swath.client import calls
from swath.client.calls import Outputs, Saved, SearchPaths
from swath.client.errors import (
    CallError,
    NotFoundError,
    call_error,
    trailers,
)
from swath.client.runs import Position, belonging
from swath.client.streaming.cubes import CubeCall, Place, Progress
from swath.client.streaming.frames import InferenceStream
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.inference.v1 import inference_pb2
from swath.pipeline.v1 import nodes_pb2

if TYPE_CHECKING:
    from swath.client.sync.client import Client


class Session:
    """One session on the server. It is durable: it outlives this object, the connection and a restart of the server.

    Attributes:
        id: Its id.
        run_config: The trainrun that it was restored from; empty otherwise.
        run_id: The run that `train` has followed last: `Client.logs` takes it. Empty before the server has named one.
    """

    def __init__(self, client: Client, session_id: str, run_config: dict[str, Any] | None = None) -> None:
        self._client = client
        self.id = session_id
        self.run_config = run_config or {}
        self.run_id = ""
        self._shared = client.shared_region(session_id)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        # What went wrong inside the block is what the caller must see, not that closing failed after it.
        with suppress(*([CallError] if error else [NotFoundError])):
            self.close()

    def close(self) -> None:
        """End the session and free what it holds on the server."""
        if self._shared is not None:
            self._shared.close()
        self._client.call(calls.close_session(self.id))

    def search(self, paths: Sequence[str] | None, *, append: bool = True) -> SearchPaths:
        """Add to the search paths, or replace them; None means all groups below the server's configs."""
        return self._client.call(calls.search_paths(self.id, paths, append))

    def resolve(self, kind: str, path: str, overrides: Iterable[str] = ()) -> dict[str, Any]:
        """Have the server compose a config with Hydra.

        Args:
            kind: training, optimizer, scheduler, callbacks, data, pipeline or trainrun.
            path: Name below a search path; a trainrun may leave out ``trainrun/``.
            overrides: Hydra overrides, such as ``training.max_epochs=2``.
        """
        return self._client.call(calls.resolve(self.id, kind, path, overrides))

    def set_run_config(self, config: Mapping[str, Any] | bytes) -> bool:
        """Set the trainrun; returns whether the pipeline came with it."""
        return self._client.call(calls.set_run_config(self.id, config))

    def load_pipeline(self, config: Mapping[str, Any] | bytes, data_module: str = "") -> pb.PipelineMetadata:
        """Load a pipeline document in place of the session's pipeline."""
        return self._client.call(calls.load_pipeline(self.id, config, data_module))

    def load_weights(self, weights: str | bytes, *, strict: bool = True) -> str:
        """Load weights by a path on the server, or send them; returns the path that was found."""
        return self._client.call(calls.load_weights(self.id, weights, strict))

    def train(
        self,
        phase: str = "statistical",
        *,
        data: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        experiment: str = "",
        name: str = "",
    ) -> Iterator[pb.TrainResponse]:
        """Train and follow it, message by message.

        The stream goes on by itself when the connection breaks or the server is restarted. Leaving the loop early lets
        the run go on for the server's grace time; `stop` ends it at once.

        Args:
            phase: "statistical", "gradient" or "calibration".
            data: Replaces the data section of the trainrun.
            training: Replaces its training section.
            experiment: What the run belongs to; the session if empty.
            name: A name for people.

        Raises:
            CallError: The run failed, or could not be found again.
        """
        config, request = self._client.config, calls.train(self.id, phase, data, training)
        position, labels = Position(config.retry), belonging(experiment, name)
        self.run_id = ""
        while True:
            stream: Any = self._client.stub.Train(
                request, metadata=config.call_metadata() + labels + position.metadata()
            )
            try:
                position.opened(stream.initial_metadata() or ())
                self.run_id = position.run_id
                for progress in stream:
                    position.received()
                    yield progress
                return
            except grpc.RpcError as error:
                failure = call_error(error, method="Train", target=config.target)
                pause = position.cut(failure, trailers(error))
            finally:
                stream.cancel()
            time.sleep(pause)

    def stop(self) -> str:
        """Stop the session's run at the next batch; returns the server's message."""
        return self._client.call(calls.stop_train(self.id))

    def status(self) -> pb.TrainResponse:
        """The last message of the session's training."""
        return self._client.call(calls.train_status(self.id))

    def infer(self, *, outputs: Iterable[str] = (), text_prompt: str = "", **inputs: Any) -> Outputs:
        """Run the pipeline once.

        Args:
            outputs: ``node.port`` or bare port names to compute; empty means all.
            text_prompt: For pipelines that take one.
            inputs: Arrays or torch tensors by input name: cube [B, H, W, C], wavelengths [B, C], mask [B, H, W], ...
                None leaves an input out.

        Raises:
            LocalError: The pipeline has no output of a name in `outputs`, or gave none.
        """
        if self._shared is None:
            return self._client.call(calls.infer(self.id, inputs, outputs, text_prompt))
        outputs = list(outputs)
        with self._shared.place(inputs) as place, suppress(*([NotFoundError] if place else [])):
            return self._client.call(calls.infer(self.id, inputs, outputs, text_prompt, place))
        # The region has ended since: its server was restarted.
        return self._client.call(calls.infer(self.id, inputs, outputs, text_prompt))

    def infer_cube(
        self,
        cube: Any,
        *,
        outputs: Iterable[str] = (),
        text_prompt: str = "",
        progress: Progress | None = None,
        place: Place | None = None,
        **inputs: Any,
    ) -> Outputs:
        """Run the pipeline once, on a cube that goes in pieces and so may be larger than a message.

        Outputs are those of `infer` (docs/explanation/streaming.md says how exactly). Where the pipeline looks at each
        pixel by itself the cube passes through the server a few rows at a time; otherwise whole frames, or all of it,
        must find room there. A
        connection that breaks is made again, and the cube sent from its start.

        Args:
            cube: [B, H, W, C]: an array, perhaps mapped from a file, a torch tensor, a `Scene`, or `CubeRows`.
            outputs, text_prompt, inputs: As of `infer`.
            progress: Called with bytes of the cube that are computed, and bytes in all.
            place: Makes the array that an output goes to, of its name, shape and dtype, such as one mapped from a file.

        Raises:
            ExhaustedError: The server has no room for what it needs of the cube at a time.
            PreconditionError: An output cannot be put together from parts.
            ConflictError: The session got another pipeline or other weights meanwhile.
        """
        return self._client.infer_cube(CubeCall(self.id, cube, outputs, inputs, text_prompt, progress, place))

    def plan_cube(
        self, cube: Any, *, outputs: Iterable[str] = (), text_prompt: str = "", **inputs: Any
    ) -> inference_pb2.Plan:
        """How `infer_cube` would compute a cube: in which parts, and whether its rows may go as cubes of their own.

        Nothing of the cube is sent. Arguments and errors are those of `infer_cube`.
        """
        return self._client.plan_cube(CubeCall(self.id, cube, outputs, inputs, text_prompt))

    def stream(self, outputs: Iterable[str] = ()) -> InferenceStream:
        """As `Client.stream`."""
        return self._client.stream(self, outputs)

    def load_plugin(self, manifest: Mapping[str, Any] | bytes) -> str:
        """Register a plugin by its manifest and return its name.

        Raises:
            LocalError: The manifest is not what it should be.
        """
        return self._client.call(calls.load_plugin(self.id, manifest))

    def nodes(self) -> list[pb.NodeInfo]:
        """Node classes that there are, those of the session's plugins included."""
        return self._client.call(calls.list_nodes(self.id))

    def describe_nodes(self, *names: str) -> list[nodes_pb2.NodeDescription]:
        """Node classes with their constructors' arguments; all of them if none are named."""
        return self._client.call(calls.describe_nodes(self.id, names))

    def draw(self, kind: str = "svg") -> bytes:
        """A picture of the session's pipeline: png, svg, dot or mermaid."""
        return self._client.call(calls.visualization(self.id, kind, ""))

    def inputs(self) -> dict[str, pb.TensorSpec]:
        """Inputs that the pipeline takes from a batch."""
        return self._client.call(calls.inputs(self.id))

    def outputs(self) -> dict[str, pb.TensorSpec]:
        """Outputs of the pipeline that no other node takes."""
        return self._client.call(calls.outputs(self.id))

    def save_pipeline(self, path: str, metadata: pb.PipelineMetadata | None = None) -> Saved:
        """Save pipeline and weights on the server; relative paths lie below ``configs/pipeline``."""
        return self._client.call(calls.save_pipeline(self.id, path, metadata))

    def save_trainrun(self, path: str, *, weights: bool = True) -> Saved:
        """Save the trainrun on the server, with its pipeline and weights beside it; paths as in the workspace."""
        return self._client.call(calls.save_trainrun(self.id, path, weights))
