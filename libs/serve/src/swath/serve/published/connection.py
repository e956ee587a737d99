"""Calls of published models, as a client of the suite."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from swath.serve.exceptions import ModelError, RequestTimedOut
from swath.serve.exchange import RequestFacts
from swath.serve.published.question import Question

if TYPE_CHECKING:
    import grpc.aio

    from swath.client.calls import Outputs
    from swath.client.config import ClientConfig

# What is imported of the client is imported by the first call: most applications have no use for it.

_channels: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[ClientConfig, grpc.aio.Channel]]] = (
    WeakKeyDictionary()
)
"""One connection per event loop and suite."""

told: dict[str, str] = {}
"""What the host has told of its suite, in the names of a client's variables: not in the environment, which users' code
prints and hands on to what it starts."""


async def infer(question: Question, inputs: Mapping[str, Any], facts: RequestFacts) -> Outputs:
    """Run a model once.

    Args:
        question: What is asked.
        inputs: Arrays by input name.
        facts: The request that asks: its id, its trace and its deadline travel along.

    Raises:
        RayServeException: As of `ModelResponse`.
    """
    config, channel = _connected(question)
    from swath.client.errors import ClientError, UnavailableError
    from swath.client.streaming.frames import AsyncInferenceStream
    from swath.client.streaming.wire import ModelRef
    from swath.serve.published.failures import translated

    left_s = None if facts.deadline is None else facts.deadline - time.time()
    if left_s is not None and left_s <= 0:
        raise RequestTimedOut(f"Request {facts.request_id} had no time left to call model {question.asked!r}.")
    about = {"request_id": facts.request_id, "traceparent": facts.traceparent}
    own = config.with_(metadata={key: value for key, value in about.items() if value and value.isascii()})
    what = ModelRef(question.name, question.version)

    async def once() -> Outputs:
        left = None if facts.deadline is None else facts.deadline - time.time()
        async with AsyncInferenceStream(channel, own, what, question.outputs, timeout_s=left) as stream:
            await stream.send(**inputs)
            return (await stream.receive()).value()

    rule = config.retry.rule(UnavailableError, attempts=config.retry.attempts, timeout_s=left_s)
    try:
        return await rule.call_async(once)
    except ClientError as error:
        raise await translated(error, question, inputs, config, facts) from None


def _connected(question: Question) -> tuple[ClientConfig, grpc.aio.Channel]:
    channels = _channels.setdefault(asyncio.get_running_loop(), {})
    found = channels.get(question.target)
    if found is None:
        try:
            from swath.client.channel import open_aio_channel
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.startswith("swath"):
                raise
            raise ModelError(
                "calling published models needs Swath's client: pip install 'swath-serve[models]'"
            ) from error
        config = _config(question)
        try:
            found = channels[question.target] = config, open_aio_channel(config)
        except (ValueError, OSError) as error:
            raise ModelError(
                f"model {question.asked!r}: the suite at {config.target} cannot be called: {error}"
            ) from error
    return found


def _config(question: Question) -> ClientConfig:
    from swath.client.config import ClientConfig, TlsConfig

    # Together: a token is for the suite that it came with, and for no other.
    source = os.environ if question.target or "SWATH_TARGET" in os.environ else told
    said = {key: source.get(f"SWATH_{key}", "") for key in ("TARGET", "TOKEN", "TLS_ROOT", "TLS_CERT", "TLS_KEY")}
    target = question.target or said["TARGET"]
    if not target:
        raise ModelError(
            f"model {question.asked!r}: it is not known which suite has it: expected HOST:PORT in SWATH_TARGET, or "
            "in `serve.model(..., target=...)`; a server that runs applications gives its own by SWATH_APP_TARGET"
        )
    root, cert, key = (Path(file) if (file := said[f"TLS_{name}"]) else None for name in ("ROOT", "CERT", "KEY"))
    try:
        tls = TlsConfig(root=root, cert=cert, key=key) if root or cert or key else None
    except ValueError as error:
        raise ModelError(f"model {question.asked!r}: SWATH_TLS_CERT and SWATH_TLS_KEY: {error}") from error
    return ClientConfig(target=target, token=said["TOKEN"] or None, tls=tls)
