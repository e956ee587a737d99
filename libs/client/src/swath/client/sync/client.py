"""The blocking client.

with Client("localhost:50051") as client, client.session() as session:
    session.set_run_config(session.resolve("trainrun", "rx_statistical"))
    for progress in session.train("statistical"):
        print(format_progress(progress))
    scores = session.infer(cube=cube, wavelengths=wavelengths).only("scores")
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import grpc

from swath.client import calls, channel
from swath.client.calls import Call, Outputs, Saved, SearchPaths
from swath.client.config import ClientConfig
from swath.client.errors import (
    CallError,
    NotFoundError,
    UnavailableError,
    call_error,
    trailers,
    translated,
)
from swath.client.logs import LogLine
from swath.client.models import Models
from swath.client.published import PublishedModel
from swath.client.runs import Position
from swath.client.shared import SharedRegion
from swath.client.streaming.cubes import INFER_CUBE, CubeCall, Place, Progress
from swath.client.streaming.frames import InferenceStream
from swath.client.streaming.wire import what_of
from swath.client.workspace import Workspace
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub
from swath.inference.v1 import inference_pb2
from swath.models.v1.models_pb2_grpc import ModelServiceStub
from swath.pipeline.v1 import nodes_pb2
from swath.pipeline.v1.nodes_pb2_grpc import NodeServiceStub
from swath.training.v1.runs_pb2_grpc import RunServiceStub
from swath.workspace.v1.workspace_pb2_grpc import WorkspaceServiceStub

R = TypeVar("R")


class Client:
    """A connection to a Swath server (or a suite behind one address). Use it as a context manager, or call `close`.

    Args:
        config: Where and how; a string is a target.

    Attributes:
        config: As given.
        stub: The generated stub, for what has no method here.
        node_stub: The generated stub of NodeService, likewise.
        model_stub: That of ModelService.
        workspace: The server's files.
        models: The server's published models.
    """

    def __init__(self, config: ClientConfig | str | None = None) -> None:
        self.config = ClientConfig.of(config)
        self._channel = channel.open_channel(self.config)
        self.stub = CuvisAIServiceStub(self._channel)
        self.workspace = Workspace(self.config, WorkspaceServiceStub(self._channel))
        self.node_stub = NodeServiceStub(self._channel)
        self.model_stub = ModelServiceStub(self._channel)
        self.models = Models(self.call)
        self._runs = RunServiceStub(self._channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Sessions stay on the server until they are closed or expire."""
        self._channel.close()

    def ready(self, timeout_s: float = 30.0, connect_s: float = 5.0) -> None:
        """Wait until the server takes calls.

        Args:
            timeout_s: For a server that is there, but does not serve yet.
            connect_s: For one that cannot be reached at all.

        Raises:
            UnavailableError: It did not within the time; the message names which of the two it was.
        """
        # A channel that checks health looks the same whether nobody is there or somebody is not ready.
        with channel.open_channel(self.config.with_(health_service=None)) as plain:
            self._await(plain, connect_s, "no server answers at {}")
        self._await(self._channel, timeout_s, "the server at {} does not serve yet")

    def _await(self, waited_for: grpc.Channel, timeout_s: float, complaint: str) -> None:
        try:
            grpc.channel_ready_future(waited_for).result(timeout=timeout_s)
        except grpc.FutureTimeoutError:
            raise UnavailableError("UNAVAILABLE", complaint.format(self.config.target)) from None

    def call(self, call: Call[R]) -> R:
        """Make one call and read its answer.

        Raises:
            CallError: The server, or the way to it, refused.
            LocalError: The answer is not what was asked for.
        """
        method = getattr(getattr(self, call.stub), call.method)
        options = {"timeout": self.config.timeout_s, "metadata": [*self.config.call_metadata(), *call.metadata]}
        with translated(call.method, self.config.target):
            if call.check is None:
                return call.read(method(call.request, **options))
            reply, ended = method.with_call(call.request, **options)
        found = call.read(reply)
        call.check(found, dict(ended.trailing_metadata() or ()))
        return found

    def shared_region(self, session_id: str) -> SharedRegion | None:
        """Shared memory for the calls of a session; None where the config does not ask for any."""
        return SharedRegion(self._channel, self.config, session_id) if self.config.shared_memory else None

    def open_session(self, search_paths: Sequence[str] | None = None) -> Session:
        """Make a session and leave closing it to the caller; see `session`."""
        session = Session(self, self.call(calls.create_session()))
        session.search(search_paths, append=False)
        return session

    @contextmanager
    def session(self, search_paths: Sequence[str] | None = None) -> Iterator[Session]:
        """A session for a ``with`` block, closed at its end.

        Args:
            search_paths: Where configs and weights are looked for; None takes all groups below the server's configs.
        """
        with _closing(self.open_session(search_paths)) as session:
            yield session

    def attach(self, session_id: str) -> Session:
        """A handle to a session that is open already; no call is made."""
        return Session(self, session_id)

    def restore(
        self, trainrun_path: str, weights_path: str | None = None, *, strict: bool = True, session_id: str = ""
    ) -> Session:
        """Open a saved trainrun in a new session, or in the one named; its config is in `Session.run_config`."""
        found, config = self.call(calls.restore(trainrun_path, weights_path, strict, session_id))
        return Session(self, found, config)

    def pipelines(self, tag: str = "") -> list[pb.PipelineInfo]:
        """Pipelines that the server has below ``configs/pipeline``, or those with a tag."""
        return self.call(calls.list_pipelines(tag))

    def pipeline_info(self, path: str) -> pb.PipelineInfo:
        """A pipeline below ``configs/pipeline`` with its text; `path` ends in .yaml."""
        return self.call(calls.pipeline_info(path))

    def draw(self, content: str, kind: str = "svg") -> bytes:
        """A picture of a pipeline document given as YAML: png, svg, dot or mermaid."""
        return self.call(calls.visualization("", kind, content))

    def model(self, name: str, version: str | int = "") -> PublishedModel:
        """A published model, to be called by its name.

        Args:
            name: Of the model; whether there is one is found out with the first call.
            version: A number or an alias; empty is the alias "stable", or the newest one without it.
        """
        return PublishedModel(self, name, version)

    def stream(
        self,
        session: Session | str | None = None,
        outputs: Iterable[str] = (),
        *,
        model: str = "",
        version: str | int = "",
    ) -> InferenceStream:
        """Open a stream of frames through a session's pipeline, or a published model; use it as a context manager.

        Args:
            session: A session, or its id.
            outputs: As of `Session.infer`.
            model: Name of a published model, in place of a session.
            version: Of the model: a number or an alias; empty is the alias "stable", or the newest one without it.

        Raises:
            NotFoundError: No such session, model or version.
            LocalError: Neither or both of a session and a model.
        """
        session_id = session if isinstance(session, str) or session is None else session.id
        return InferenceStream(self._channel, self.config, what_of(session_id, model, version), outputs)

    def infer_cube(self, cube: CubeCall) -> Outputs:
        """Send a cube in pieces; see `Session.infer_cube`."""
        retry = self.config.retry
        return retry.rule(UnavailableError, attempts=retry.attempts).call(lambda: self._infer_cube(cube))

    def _infer_cube(self, cube: CubeCall) -> Outputs:
        call: Any = self._channel.stream_stream(INFER_CUBE)
        with translated("InferCube", self.config.target):
            answers: Any = call(cube.requests(self.config.max_message_bytes), metadata=self.config.call_metadata())
            try:
                for answer in answers:
                    cube.receive(answer)
            except grpc.RpcError:
                cube.raise_failure()
                raise
            finally:
                answers.cancel()
        return cube.finish()

    def plan_cube(self, cube: CubeCall) -> inference_pb2.Plan:
        """Ask for the plan of a cube; see `Session.plan_cube`."""
        call: Any = self._channel.stream_stream(INFER_CUBE)
        with translated("InferCube", self.config.target):
            answers: Any = call(cube.question(), timeout=self.config.timeout_s, metadata=self.config.call_metadata())
            try:
                return cube.plan(next(answers))
            finally:
                answers.cancel()

    def logs(self, run_id: str, *, follow: bool = False) -> Iterator[LogLine]:
        """What the workers of a run have logged, oldest line first; a connection that breaks is made again.

        Args:
            run_id: The run, as `Session.run_id` gives it.
            follow: Whether to wait for the lines that are still to come, until the run is over.

        Raises:
            NotFoundError: There is no such run, or it is another user's.
        """
        position = Position(self.config.retry, run_id=run_id)
        while True:
            request = calls.read_logs(run_id, position.seq, follow)
            stream = self._runs.ReadLogs(request, metadata=self.config.call_metadata())
            try:
                for reply in stream:
                    for line in map(LogLine.of, reply.lines):
                        position.received(line.number)
                        yield line
                return
            except grpc.RpcError as error:
                failure = call_error(error, method="ReadLogs", target=self.config.target)
                pause = position.cut(failure, {})
            finally:
                stream.cancel()
            time.sleep(pause)


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
    ) -> Iterator[pb.TrainResponse]:
        """Train and follow it, message by message.

        The stream goes on by itself when the connection breaks or the server is restarted. Leaving the loop early lets
        the run go on for the server's grace time; `stop` ends it at once.

        Args:
            phase: "statistical", "gradient" or "calibration".
            data: Replaces the data section of the trainrun.
            training: Replaces its training section.

        Raises:
            CallError: The run failed, or could not be found again.
        """
        config, request = self._client.config, calls.train(self.id, phase, data, training)
        position = Position(config.retry)
        self.run_id = ""
        while True:
            stream: Any = self._client.stub.Train(request, metadata=config.call_metadata() + position.metadata())
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


@contextmanager
def _closing(session: Session) -> Iterator[Session]:
    with session:
        yield session
