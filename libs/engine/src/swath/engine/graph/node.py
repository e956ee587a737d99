"""The base class of all nodes; `swath.engine.graph.roles` has those of nodes with a part in training."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from swath.engine.error_text import first_line
from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid, LinAlgError, run_on_valid
from swath.engine.graph.ports import ALWAYS, Port, Stage, describe_value, ports
from swath.engine.ops import validity
from swath.errors import InputInvalid


class Node(torch.nn.Module):
    """One step of a pipeline.

    Subclasses declare their ports and stages on the class, take keyword arguments that JSON can hold, and override
    `run`. Every constructor argument is recorded in `hparams`, defaults included; ``**name`` stands for the arguments
    of the next constructor in line.

    Attributes:
        inputs: Input ports by name.
        outputs: Output ports by name.
        stages: Stages that the node takes part in.
        category: Lower-case name of a node category of the public API, such as ``transform``.
        tags: Lower-case names of node tags of the public API.
        trainable_buffers: Buffers that `unfreeze` turns into parameters.
        optional_state: State entries that a weights file may lack; all others are required.
        legacy_hparams: Arguments of older documents that have no effect; they are dropped and not written again.
        legacy_state: State entries of older weights files that have no effect.
        open_hparams: Whether arguments that the constructor does not name are passed to it nevertheless.
        stateful: Whether outputs depend on earlier calls outside of training, so that calls must not share an instance.
            A constructor may set it depending on its arguments.
        independence: What parts of a batch have to do with one another at inference. A constructor may set it
            depending on its arguments.
        invalid: How it is kept from pixels with a band that is not finite. A constructor may set it depending on its
            arguments.
        makes_invalid: Whether its outputs may hold invalid pixels where its inputs have none, as an index of 0 / 0
            does: the engine looks then. A constructor may set it depending on its arguments.
        spectra: Input ports ``[N, 1, 1, C]`` of spectra, which are no pixels.
        blank_state: State entries in which NaN stands for what is not known yet.
        effect: Whether it writes outside of the process; then it runs even if none of its outputs is requested.
        name: The node's name in its pipeline.
        hparams: Current constructor arguments, including calibrated thresholds.
    """

    inputs: ClassVar[Mapping[str, Port]] = ports()
    outputs: ClassVar[Mapping[str, Port]] = ports()
    stages: ClassVar[frozenset[Stage]] = ALWAYS
    category: ClassVar[str] = "transform"
    tags: ClassVar[tuple[str, ...]] = ()
    trainable_buffers: ClassVar[tuple[str, ...]] = ()
    optional_state: ClassVar[tuple[str, ...]] = ()
    legacy_hparams: ClassVar[frozenset[str]] = frozenset()
    legacy_state: ClassVar[frozenset[str]] = frozenset()
    open_hparams: ClassVar[bool] = False
    stateful: bool = False
    independence: Independence = Independence.BATCH
    invalid: Invalid = Invalid.FILLED
    makes_invalid: bool = False
    spectra: ClassVar[frozenset[str]] = frozenset()
    blank_state: ClassVar[frozenset[str]] = frozenset()
    effect: ClassVar[bool] = False

    name: str
    hparams: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # Here rather than in __init__, so that no subclass has to pass its arguments on.
        self = super().__new__(cls)
        object.__setattr__(self, "name", cls.__name__)
        object.__setattr__(self, "hparams", cls._bind(args, kwargs))
        return self

    def __init__(self) -> None:
        super().__init__()

    @classmethod
    def _bind(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            bound = cls._signature().bind(*args, **kwargs)
        except TypeError:
            return {}  # a copy is being made, or __init__ is about to refuse the call with a better message
        bound.apply_defaults()
        return {key: _plain(value) for key, value in bound.arguments.items()}

    @classmethod
    def parameters_accepted(cls) -> tuple[str, ...]:
        """Return the names of the constructor's arguments."""
        return tuple(cls._signature().parameters)

    @classmethod
    def _signature(cls) -> inspect.Signature:
        merged: dict[str, inspect.Parameter] = {}
        for constructor in (vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)):
            parameters = list(inspect.signature(constructor).parameters.values())[1:]
            named = [parameter for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
            # A parent's arguments are keyword-only, so that required ones may follow optional ones.
            merged |= {
                parameter.name: parameter.replace(kind=parameter.KEYWORD_ONLY) if merged else parameter
                for parameter in named
                if parameter.name not in merged
            }
            if len(named) == len(parameters):
                break
        return inspect.Signature(list(merged.values()))

    @abstractmethod
    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        """Compute the outputs.

        Args:
            inputs: Values by port; ports without a value are absent. Variadic ports hold lists.
            context: Stage and position in the run.

        Returns:
            Values by port; optional outputs may be left out.

        Raises:
            InputInvalid: The inputs match the ports but not the node.
            NotFitted: The node needs a fit first.
        """
        raise NotImplementedError

    def metric_names(self, given: Collection[str]) -> frozenset[str] | None:
        """Return the names of all numbers that the node may give on its ``metrics`` port; None if nobody knows yet.

        Args:
            given: Its inputs that have a source.
        """
        return None

    def execute(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        """Call `run` as `invalid` says; in a forward without invalid pixels (`Context.valid`) that is all it does.

        Raises:
            InputInvalid: As `run`, and where a matrix made of the inputs is singular.
        """
        try:
            return self.run(inputs, context) if context.valid is None else run_on_valid(self, inputs, context)
        except LinAlgError as error:
            raise InputInvalid(
                f"Node '{self.name}' ({type(self).__name__}): a matrix made of its inputs cannot be inverted or "
                f"decomposed: {first_line(error)}; raise its eps, or give it more pixels or fewer channels",
                metadata={"node": self.name},
            ) from error

    def forward(self, *, context: Context | None = None, **inputs: Any) -> dict[str, Any]:
        """Call `execute` by keyword, for notebooks and tests."""
        return self.execute(inputs, replace(context or Context(), valid=validity.of_batch(inputs)))

    @property
    def fitted(self) -> bool:
        """Whether the node can run in its present state; True if no fit is needed."""
        return True

    def unfreeze(self) -> None:
        """Turn `trainable_buffers` into parameters and let gradients change all parameters of the node."""
        for key in self.trainable_buffers:
            buffer = self._buffers.get(key)
            if buffer is not None and buffer.is_floating_point():
                delattr(self, key)
                self.register_parameter(key, torch.nn.Parameter(buffer.detach().clone()))
        self.requires_grad_(True)
        self.state_changed()

    def state_changed(self) -> None:
        """Drop values derived from parameters and buffers. Called after a fit, a load, a move and `unfreeze`."""

    def forget(self) -> None:
        """Reset the memory of earlier calls (see `stateful`)."""

    def close(self) -> None:
        """Flush and close files that the node holds open."""

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the node's state, by key; it does not change when the node does."""
        return {key: value.detach().clone() for key, value in self.state_dict().items()}

    def not_finite(self) -> list[str]:
        """Return the keys of state entries that hold NaN or infinities; NaN in `blank_state` is allowed."""
        known = {
            key: torch.where(value.isnan(), 0, value) if key in self.blank_state else value
            for key, value in self.state_dict().items()
        }
        return [key for key, value in known.items() if not validity.all_finite(value)]

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        """Return why a state cannot be loaded, one text per fault.

        Args:
            state: Values by key, as `state` gives them.
            strict: Whether missing and unexpected keys are faults. A wrong shape always is.
        """
        own = self.state_dict()
        known = {key: value for key, value in state.items() if key not in self.legacy_state}
        faults = [
            f"{self.name}.{key} has shape {list(value.shape)}, expected {list(own[key].shape)}"
            for key, value in known.items()
            if key in own and value.shape != own[key].shape
        ]
        if strict:
            optional = self.optional_state
            faults += [f"{self.name}.{key} is missing" for key in own if key not in known and key not in optional]
            faults += [f"{self.name}.{key} is unexpected" for key in known if key not in own and key not in optional]
        return faults

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Load a state, ignoring keys that the node does not have. `faults` checks beforehand whether it fits."""
        own = self.state_dict()
        with torch.no_grad():
            for key, value in state.items():
                if key in own:
                    own[key].copy_(value)
                elif key in self.optional_state:
                    self._restore_optional(key, value)
        self.state_changed()

    def _restore_optional(self, key: str, value: Tensor) -> None:
        """Load an entry of `optional_state` that the node does not hold yet."""

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        moved = super()._apply(fn, recurse)
        self.state_changed()
        return moved

    def refuse(self, port: str, expected: str, value: Any) -> InputInvalid:
        """Return the error for an input that matches the port but not the node."""
        return input_error(self.name, "input", port, f"expected {expected}, got {describe_value(value)}")


def input_error(node: str, side: str, port: str, fault: str) -> InputInvalid:
    """Return the error for a value that does not match its port."""
    return InputInvalid(
        f"Node '{node}' {side} '{port}' validation failed: {fault}", metadata={"node": node, "port": port}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
