"""A request from what arrived to what is answered, the same for unary calls and streams."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from swath.errors import InputInvalid
from swath_inference.protocols.oip.messages import InferMessage, call_parameters
from swath_inference.protocols.oip.repository import Repository
from swath_inference.protocols.oip.shared_memory import Client, SystemSharedMemory
from swath_inference.protocols.oip.statistics import Request, Statistics
from swath_inference.protocols.oip.tensors.elements import Input
from swath_inference.protocols.oip.tensors.inputs import checked_inputs
from swath_inference.protocols.oip.tensors.outputs import answer, wanted_outputs
from swath_inference.protocols.oip.traits import ModelTraits
from swath_inference.published.calls import ModelCalls
from swath_inference.published.counts import OK, code_of
from swath_inference.published.model import Published


class Inference:
    """Runs published models over requests.

    Args:
        calls: Computes.
        repository: Finds versions.
        statistics: Counts requests.
        traits: What requests have to fit.
        memory: Shared memory that clients have registered.
    """

    def __init__(
        self,
        calls: ModelCalls,
        repository: Repository,
        statistics: Statistics,
        traits: ModelTraits,
        memory: SystemSharedMemory,
    ) -> None:
        self._calls = calls
        self._repository = repository
        self._statistics = statistics
        self._traits = traits
        self._memory = memory

    async def infer(
        self, message: InferMessage, client: Client, *, remaining: float | None = None, on_stream: bool = False
    ) -> bytes:
        """Return the answer of a request on the wire.

        Args:
            message: The request.
            client: Who calls, and from where.
            remaining: Seconds for which the client waits; None means for ever.
            on_stream: Whether the answer is one of a stream.

        Raises:
            ModelNotFound: There is no such version, or not for this caller.
            InvalidInput: The request does not fit the model, or the protocol.
            SwathError: As of `ModelCalls.infer`.
        """
        # Flat, as the data plane is, and for the same reason.
        published = self._repository.find(message.request.model_name, message.request.model_version, client.caller)
        counts, statistics = self._calls.counts.of(published), self._statistics.of(published)
        request, code = Request(), OK
        self._repository.enter(published)
        try:
            return await self._computed(message, published, client, request, remaining, on_stream)
        except BaseException as error:
            code = code_of(error)
            raise
        finally:
            self._repository.leave(published)
            counts.end(code, request.add_to(statistics, succeeded=code is OK))

    async def _computed(
        self,
        message: InferMessage,
        published: Published,
        client: Client,
        request: Request,
        remaining: float | None,
        on_stream: bool,
    ) -> bytes:
        now = time.monotonic()
        asked, name = message.request, published.name
        parameters = call_parameters(asked.parameters)
        limits = [now + seconds for seconds in (remaining, parameters.queue_s) if seconds is not None]
        traits = await self._traits.of(published)
        inputs = checked_inputs(
            message,
            published.inputs,
            partial(self._memory.reader, client),
            model=name,
            takes=traits.takes,
            max_batch_size=traits.max_batch_size,
        )
        wanted = wanted_outputs(asked, published.outputs, partial(self._memory.writer, client), name)
        if traits.max_batch_size and inputs:
            request.items = inputs[0].shape[0]

        def read() -> dict[str, Any]:
            began = time.monotonic_ns()
            batch = {each.name: each.read(message.payloads) for each in inputs}
            request.read_ns = time.monotonic_ns() - began
            return batch

        def write(outputs: dict[str, Any]) -> bytes:
            began = time.monotonic_ns()
            data = answer(
                outputs,
                wanted,
                name=name,
                version=published.version,
                request_id=asked.id,
                batched=bool(traits.max_batch_size),
                on_stream=on_stream,
                declared=published.outputs,
            )
            request.write_ns = time.monotonic_ns() - began
            return data

        return await self._calls.infer_part(
            published,
            read,
            [*wanted] or [spec.name for spec in published.outputs],
            write,
            partial(_refuse, wanted, name),
            size=message.size + _in_memory(inputs),
            deadline=min(limits, default=None),
            priority=parameters.priority,
            started=request.started,
        )


def _in_memory(inputs: Sequence[Input]) -> int:
    """Return the bytes of inputs that lie in shared memory."""
    return sum(each.memory_bytes for each in inputs)


def _refuse(wanted: Iterable[str], model: str, there: Sequence[str]) -> None:
    """Refuse outputs that were asked for by name and that a model declares and does not give at inference."""
    if missing := [each for each in wanted if each not in there]:
        raise InputInvalid(
            f"output {', '.join(missing)} of model {model!r} is none of inference; there are {', '.join(there)}"
        )
