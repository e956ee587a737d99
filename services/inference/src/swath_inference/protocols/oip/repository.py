"""The published models as the protocol's repository of this replica: what answers, what is loaded and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from swath.errors import Denied, InputInvalid, ModelNotFound, Precondition, SwathError, Unsupported
from swath.inference import open_inference_pb2 as pb
from swath.published.model import Model, State
from swath.published.names import no_model, shown
from swath_inference.calls import CallsByHolder
from swath_inference.dataplane.models import Key
from swath_inference.published.calls import ModelCalls
from swath_inference.published.model import Published

Parameters = Mapping[str, pb.ModelRepositoryParameter]

READY = "READY"
_STATES = {State.KNOWN: READY, State.READY: READY, State.LOADING: "LOADING", State.FAILED: "UNAVAILABLE"}
_UNLOADED = "unloaded"


@dataclass(frozen=True, slots=True)
class Entry:
    """A version in the index.

    Attributes:
        published: The version.
        state: As the protocol calls it.
        reason: Why it does not answer, in words.
    """

    published: Published
    state: str
    reason: str = ""


class Repository:
    """Finds versions for calls, loads and unloads them.

    What is unloaded answers NOT_FOUND by this protocol, at this replica, until it is loaded: who wants a version gone
    everywhere unpublishes it.

    Args:
        calls: Knows what is published, and loads it.
        loaded: Called with each version that was loaded anew.
    """

    def __init__(self, calls: ModelCalls, loaded: Callable[[Published], None]) -> None:
        self._models = calls.models
        self._calls = calls
        self._loaded = loaded
        self._running = CallsByHolder[tuple[str, Key]]()
        self._unloaded: set[tuple[str, Key]] = set()
        self._ended = asyncio.Event()

    def find(self, name: str, version: str, caller: str | None) -> Published:
        """Return the version that a call is to run on.

        Raises:
            InvalidInput: The version is neither a number nor an alias.
            ModelNotFound: There is no such model or version, it was unloaded, or it is not for this caller.
            Unavailable: Nobody knows yet what is published.
        """
        published = self._models.find(name, version, caller)
        if _id(published) in self._unloaded:
            raise ModelNotFound(f"Model {shown(name)} version {published.version} not found: it was unloaded here")
        return published

    def enter(self, published: Published) -> None:
        """Count a call of a version, which then has to `leave`, as one that runs."""
        self._running.enter(_id(published))

    def leave(self, published: Published) -> None:
        """Count a call no longer."""
        if self._running.leave(_id(published)):
            self._ended.set()

    def index(self, caller: str | None, *, ready: bool = False) -> list[Entry]:
        """Return the versions that somebody may call.

        Args:
            caller: Who asks; None where nobody is asked who calls.
            ready: Whether only those that answer calls.

        Raises:
            Unavailable: Nobody knows yet what is published.
        """
        entries = [self._entry(each) for each in self._models.all(caller)]
        return [each for each in entries if not ready or each.state == READY]

    def versions(self, published: Published, caller: str | None) -> list[int]:
        """Return the numbers of a model's versions that answer calls."""
        there = self.index(caller, ready=True)
        return [each.published.version for each in there if each.published.name == published.name]

    def is_ready(self, name: str, version: str, caller: str | None) -> bool:
        """Whether calls of a version are answered. One that is loaded with the first call is.

        Raises:
            InvalidInput: The version is neither a number nor an alias.
        """
        try:
            return self._entry(self.find(name, version, caller)).state == READY
        except ModelNotFound:
            return False

    async def load(self, name: str, caller: str | None, parameters: Parameters) -> None:
        """Load the versions of a model that its aliases point at, and have all of them answer calls.

        Raises:
            InputInvalid: A version cannot be loaded, or a parameter is none.
            Unsupported: A parameter would change a version.
            Denied: The caller may not change the model.
            ModelNotFound: There is no such model, or not for this caller.
        """
        for key in parameters:
            if key == "config" or key.startswith("file:"):
                raise Unsupported(
                    f"load of model {shown(name)}: parameter {shown(key)} would change a version, and versions never "
                    "change; publish another one"
                )
            raise InputInvalid(f"unrecognized load parameter {shown(key)}.")
        versions = self._changeable(name, caller)
        for each in versions:
            if _id(each) in self._unloaded:
                self._unloaded.discard(_id(each))
                self._loaded(each)
        targets = {share.version for route in self._models.routes(name).values() for share in route.shares}
        for each in versions:
            if each.version in targets:
                try:
                    await self._calls.model(each)
                except SwathError as error:
                    raise InputInvalid(
                        f"load failed for model {shown(name)}: version {each.version} is at UNAVAILABLE state: "
                        f"{error.message}"
                    ) from error

    async def unload(self, name: str, caller: str | None, parameters: Parameters) -> None:
        """Have no version of a model answer calls any more, and return when none runs; its memory is given back then.

        Raises:
            InputInvalid: A parameter is none.
            Precondition: The model is pinned.
            Denied, ModelNotFound: As of `load`.
        """
        for key, value in parameters.items():
            if key != "unload_dependents":
                raise InputInvalid(f"unrecognized unload parameter {shown(key)}.")
            if value.WhichOneof("parameter_choice") != "bool_param":
                raise InputInvalid("invalid value type for 'unload_dependents' parameter, expected bool_param.")
        versions = self._changeable(name, caller)
        if self._model(name, caller).pinned:
            raise Precondition(f"model {shown(name)} is pinned, so that replicas keep it: unpin it, or unpublish it")
        self._unloaded.update(map(_id, versions))
        while any(_id(each) in self._running for each in versions):
            self._ended.clear()
            await self._ended.wait()
        for each in versions:
            if _id(each) in self._unloaded:
                await self._calls.release(each)

    def _changeable(self, name: str, caller: str | None) -> list[Published]:
        """Return the versions of a model that the caller may change."""
        model = self._model(name, caller)
        if not model.changeable_by(caller):
            raise Denied(f"model {shown(name)}: its owner and editors load and unload it, {caller!r} is none of them")
        return [each for each in self._models.all(caller) if each.name == name]

    def _model(self, name: str, caller: str | None) -> Model:
        for model in self._models.catalogue:
            if model.name == name and model.callable_by(caller):
                return model
        raise no_model(name)

    def _entry(self, published: Published) -> Entry:
        if _id(published) in self._unloaded:
            running = _id(published) in self._running
            return Entry(published, "UNLOADING" if running else "UNAVAILABLE", _UNLOADED)
        return Entry(published, _STATES[published.state], published.reason)


def _id(published: Published) -> tuple[str, Key]:
    # Of a model that is published anew, the number says nothing.
    return published.holder, published.key
