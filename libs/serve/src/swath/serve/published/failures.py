"""What goes wrong with calls of published models, for users' code and for their clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swath.client.aio import AsyncClient
from swath.client.config import ClientConfig
from swath.client.errors import (
    CallError,
    CancelledError,
    ClientError,
    DeadlineError,
    ExhaustedError,
    InvalidArgumentError,
    LocalError,
    NotFoundError,
    UnavailableError,
)
from swath.serve.config import nearest
from swath.serve.exceptions import (
    BackPressureError,
    ModelError,
    ModelInputError,
    ModelNotFound,
    ModelUnavailable,
    RayServeException,
    RequestCancelledError,
    RequestTimedOut,
)
from swath.serve.exchange import RequestFacts
from swath.serve.published.question import Question

_LOOK_S = 2.0
"""Seconds for looking up which models there are."""


async def translated(
    error: ClientError, question: Question, inputs: Mapping[str, Any], config: ClientConfig, facts: RequestFacts
) -> RayServeException:
    """Return what users' code gets for an error of the client."""
    text = f"model {question.asked!r}: {error.message if isinstance(error, CallError) else error}"
    if isinstance(error, NotFoundError):
        return ModelNotFound(text + await _hint(question, config))
    if isinstance(error, DeadlineError):
        return RequestTimedOut(f"Request {facts.request_id} timed out: {text}")
    if isinstance(error, CancelledError):
        return RequestCancelledError(f"Request {facts.request_id} was cancelled: {text}")
    if isinstance(error, InvalidArgumentError | LocalError):
        return ModelInputError(f"{text}; given were {_described(inputs) or 'no inputs'}")
    after = error.retry_after_s if isinstance(error, CallError) else None
    if isinstance(error, ExhaustedError):
        return BackPressureError(text, after)
    if isinstance(error, UnavailableError):
        return ModelUnavailable(text, after)
    return ModelError(text, after)


def _described(inputs: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}: {each.dtype}{[*each.shape]}" if hasattr(each, "shape") else f"{name}: {type(each).__name__}"
        for name, each in inputs.items()
        if each is not None
    )


async def _hint(question: Question, config: ClientConfig) -> str:
    """Return which name was perhaps meant, in words; which versions there are the server has said."""
    try:
        async with AsyncClient(config.with_(timeout_s=_LOOK_S)) as client:
            models = [each.name for each in await client.models.list()]
    except ClientError:
        return ""
    if question.name in models:
        return ""
    return nearest(question.name, models) or (f"; there are {', '.join(sorted(models)[:10])}" if models else "")
