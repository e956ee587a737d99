"""Published models that are called by their names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from swath.client.calls import Outputs
from swath.client.errors import UnavailableError
from swath.client.streaming.cubes import CubeCall, Place, Progress
from swath.client.streaming.frames import AsyncInferenceStream, InferenceStream
from swath.client.streaming.wire import ModelRef
from swath.inference.v1 import inference_pb2

if TYPE_CHECKING:
    from swath.client.aio import AsyncClient
    from swath.client.sync import Client


class PublishedModel:
    """A published model; its methods are those of a session that run a pipeline.

        scores = client.model("scene").infer(cube=cube, wavelengths=wavelengths).only("scores")

    Args:
        client: Of the server.
        name: Of the model.
        version: A number or an alias; empty is the alias "stable", or the newest one without it.
    """

    def __init__(self, client: Client, name: str, version: str | int = "") -> None:
        self._client = client
        self.name = name
        self.version = str(version)

    def infer(self, *, outputs: Iterable[str] = (), text_prompt: str = "", **inputs: Any) -> Outputs:
        """Run the model once; arguments as of `Session.infer`.

        Raises:
            NotFoundError: There is no such model or version, or not for you.
        """
        wanted, retry = tuple(outputs), self._client.config.retry

        def once() -> Outputs:
            with self.stream(wanted) as stream:
                stream.send(text_prompt=text_prompt, **inputs)
                return stream.receive().value()

        return retry.rule(UnavailableError, attempts=retry.attempts).call(once)

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
        """Run the model once on a cube that goes in pieces, as `Session.infer_cube`."""
        call = CubeCall(ModelRef(self.name, self.version), cube, outputs, inputs, text_prompt, progress, place)
        return self._client.infer_cube(call)

    def plan_cube(
        self, cube: Any, *, outputs: Iterable[str] = (), text_prompt: str = "", **inputs: Any
    ) -> inference_pb2.Plan:
        """How `infer_cube` would compute a cube, as `Session.plan_cube`."""
        return self._client.plan_cube(CubeCall(ModelRef(self.name, self.version), cube, outputs, inputs, text_prompt))

    def stream(self, outputs: Iterable[str] = ()) -> InferenceStream:
        """Open a stream of frames; its version is drawn when it opens. As `Client.stream`."""
        return self._client.stream(None, outputs, model=self.name, version=self.version)


class AsyncPublishedModel:
    """As `PublishedModel`, with ``await``."""

    def __init__(self, client: AsyncClient, name: str, version: str | int = "") -> None:
        self._client = client
        self.name = name
        self.version = str(version)

    async def infer(self, *, outputs: Iterable[str] = (), text_prompt: str = "", **inputs: Any) -> Outputs:
        """As `PublishedModel.infer`."""
        wanted, retry = tuple(outputs), self._client.config.retry

        async def once() -> Outputs:
            async with self.stream(wanted) as stream:
                await stream.send(text_prompt=text_prompt, **inputs)
                return (await stream.receive()).value()

        return await retry.rule(UnavailableError, attempts=retry.attempts).call_async(once)

    async def infer_cube(
        self,
        cube: Any,
        *,
        outputs: Iterable[str] = (),
        text_prompt: str = "",
        progress: Progress | None = None,
        place: Place | None = None,
        **inputs: Any,
    ) -> Outputs:
        """As `PublishedModel.infer_cube`."""
        call = CubeCall(ModelRef(self.name, self.version), cube, outputs, inputs, text_prompt, progress, place)
        return await self._client.infer_cube(call)

    async def plan_cube(
        self, cube: Any, *, outputs: Iterable[str] = (), text_prompt: str = "", **inputs: Any
    ) -> inference_pb2.Plan:
        """As `PublishedModel.plan_cube`."""
        return await self._client.plan_cube(
            CubeCall(ModelRef(self.name, self.version), cube, outputs, inputs, text_prompt)
        )

    def stream(self, outputs: Iterable[str] = ()) -> AsyncInferenceStream:
        """As `PublishedModel.stream`, for ``async with``."""
        return self._client.stream(None, outputs, model=self.name, version=self.version)
