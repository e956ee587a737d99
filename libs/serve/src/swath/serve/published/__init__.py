"""Published models for users' code: `serve.model("scene@stable")` is a handle, as that of a deployment is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from swath.serve.context import running
from swath.serve.exceptions import RayServeException
from swath.serve.handle.answers import Response, argument
from swath.serve.handle.target import Target, facts_of, get_caller
from swath.serve.published.connection import infer, told
from swath.serve.published.question import Question

if TYPE_CHECKING:
    from swath.client.calls import Outputs

__all__ = ["ModelHandle", "ModelResponse", "model", "told"]

_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]{0,127})(?:@(?P<version>[\w.-]{1,128}))?", re.ASCII)


class ModelHandle:
    """Calls a published model: `await handle.remote(cube=cube)`, `handle.remote(cube=cube).result()` in plain `def`.

    The model is computed by Swath's inference service, which runs the calls of all callers together where its pipeline
    allows. The handle may be pickled, kept, and given to `bind`.

    Args:
        name: Of the model.
        version: A number or an alias; empty is the alias "stable", or the newest version without it.
        outputs: ``node.port`` or bare port names to compute; empty means all.
        target: HOST:PORT of the suite; empty is what `SWATH_TARGET` says where the call is made.
    """

    def __init__(self, name: str, version: str = "", outputs: Iterable[str] = (), target: str = "") -> None:
        self.name = name
        self.version = version
        self._outputs = tuple(outputs)
        self._target = target

    def options(
        self,
        *,
        outputs: str | Iterable[str] | None = None,
        version: str | int | None = None,
        target: str | None = None,
    ) -> ModelHandle:
        """Return a handle that differs in some options; this one stays as it is. They are those of the class."""
        wanted = (outputs,) if isinstance(outputs, str) else outputs
        return ModelHandle(
            self.name,
            self.version if version is None else str(version),
            self._outputs if wanted is None else wanted,
            self._target if target is None else target,
        )

    def remote(self, *args: Any, **inputs: Any) -> ModelResponse:
        """Call it; returns at once.

        Args:
            args: None: inputs have names.
            inputs: Numpy arrays by input name, such as cube [B, H, W, C]; None leaves one out. They must stay as they
                are until the answer is there. The answer of another call is replaced by its value before this one
                starts. `text_prompt` is text.

        Raises:
            TypeError: An input has no name.
            RayServeException: Nothing carries calls in this process: no application was started here.
        """
        if args:
            raise TypeError(f"inputs of a model have names: {self.name}.remote(cube=...), got {len(args)} without one")
        return ModelResponse(Question(self.name, self.version, self._outputs, self._target), inputs)

    def __reduce__(self) -> tuple[Any, ...]:
        return ModelHandle, (self.name, self.version, self._outputs, self._target)

    def __repr__(self) -> str:
        return f"ModelHandle({self.name!r}, version={self.version!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelHandle) and other.__reduce__() == self.__reduce__()

    def __hash__(self) -> int:
        return hash(self.__reduce__())


class ModelResponse(Response):
    """The answer of a model: numpy arrays by ``node.port``; `.only("scores")` is the one of a port.

    `await` it in asyncio, call `.result()` elsewhere. Both may be repeated. A failed call raises what
    `swath.serve.exceptions` has below `ModelError`, `BackPressureError`, `RequestTimedOut` or `RequestCancelledError`.
    It ends with the request whose handler has made it, and has no longer than that.
    """

    def __init__(self, question: Question, inputs: dict[str, Any]) -> None:
        caller = get_caller()
        if caller is None:
            raise RayServeException("handles work where applications run: call `serve.run` or `serve.start` first")
        parent = running.get()
        super().__init__(caller.loop, parent, facts_of(Target("", None), parent))
        self._question = question
        self._inputs = inputs
        self._start()

    async def _run(self) -> Outputs:
        inputs, self._inputs = self._inputs, {}
        return await infer(self._question, {name: await argument(each) for name, each in inputs.items()}, self._facts)


def model(name: str, *, outputs: str | Iterable[str] = (), target: str = "") -> ModelHandle:
    """Return a handle of a published model; nothing is asked before it is called.

    Args:
        name: "NAME", "NAME@ALIAS" or "NAME@VERSION"; of a bare name the alias "stable" answers, or the newest version.
        outputs: ``node.port`` or bare port names to compute; empty means all.
        target: HOST:PORT of the suite that has it. Where the suite runs the application, it says so itself; elsewhere
            `SWATH_TARGET` does, with `SWATH_TOKEN` and `SWATH_TLS_ROOT`, as for the command line.

    Raises:
        ValueError: It is no name of a model.
    """
    found = _NAME.fullmatch(name) if isinstance(name, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if found is None:
        raise ValueError(f"serve.model: expected NAME, NAME@ALIAS or NAME@VERSION of a published model, got {name!r}")
    return ModelHandle(
        found["name"], found["version"] or "", (outputs,) if isinstance(outputs, str) else outputs, target
    )
