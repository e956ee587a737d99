"""Node classes of the reference package's base class, run as nodes of this engine.

Such a class is a torch module with ``INPUT_SPECS`` and ``OUTPUT_SPECS``, ``forward(**inputs, context=...)`` and, if it
learns statistics, ``statistical_initialization(stream)``. The class is used unchanged; an adapter translates ports,
stages, hparams, state, fits, thresholds, metrics and pictures.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.roles import Decider, Fittable
from swath.engine.ops.validity import all_finite
from swath.engine.plugins.consumer_thread import ConsumerThread
from swath.engine.plugins.reference_specs import accepted, is_array, overrides, plain, ports, stages
from swath.engine.plugins.values import given, given_context, taken
from swath.errors import DataInvalid, InputInvalid, SwathError

_FAULTS = (ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, AttributeError)
_FITTED = "_statistically_initialized"
_NO_MEMORY = frozenset(vars(torch.nn.Module())) | {
    "hparams",
    "_name",
    "_input_ports",
    "_output_ports",
    "_frozen",
    _FITTED,
}


def is_reference(found: Any) -> bool:
    """Whether something is a class that `adapt` takes."""
    return (
        isinstance(found, type)
        and issubclass(found, torch.nn.Module)
        and isinstance(getattr(found, "INPUT_SPECS", None), Mapping)
        and isinstance(getattr(found, "OUTPUT_SPECS", None), Mapping)
    )


def adapt(cls: type[torch.nn.Module]) -> type[Node]:
    """Return a node class that runs a class of the reference's base class."""
    bases: list[type] = []
    if overrides(cls, "calibrate") and "logits" in cls.INPUT_SPECS:  # type: ignore[attr-defined]
        bases.append(AdaptedDecider)
    if overrides(cls, "statistical_initialization"):
        bases.append(AdaptedFittable)
    tags = tuple(str(tag) for tag in getattr(cls, "_tags", ()))
    category = str(getattr(cls, "_category", "unspecified"))
    return type(
        cls.__name__,
        tuple(bases) or (Adapted,),
        {
            "__doc__": cls.__doc__,
            "__module__": cls.__module__,
            "reference": cls,
            "inputs": ports(cls.INPUT_SPECS),  # type: ignore[attr-defined]
            "outputs": ports(cls.OUTPUT_SPECS),  # type: ignore[attr-defined]
            "stages": stages(getattr(cls, "EXECUTION_STAGES", ("always",))),
            "category": category,
            "tags": tags,
            "stateful": "stateful" in tags,
            "effect": category == "sink",
            # Documents in use carry arguments that classes of the reference swallow.
            "open_hparams": accepted(cls)[1],
        },
    )


class Adapted(Node):
    """A node that runs a module of the reference's base class.

    Attributes:
        reference: The class of the plugin.
        inner: The module.
    """

    invalid = Invalid.PASSED
    reference: ClassVar[type[torch.nn.Module]]
    inner: Any

    def __init__(self, **hparams: Any) -> None:
        super().__init__()
        self.inner = self.reference(**hparams)
        object.__setattr__(self, "inputs", ports(self.inner.INPUT_SPECS))
        object.__setattr__(self, "outputs", ports(self.inner.OUTPUT_SPECS))
        self._note_hparams()
        self._note_memory()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        inner = self.__dict__.get("_modules", {}).get("inner")
        if name in ("name", "inner") and hasattr(inner, "_name"):
            inner._name = self.name  # the module may not have its name set in the open

    @classmethod
    def _bind(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        return dict(kwargs)

    @classmethod
    def parameters_accepted(cls) -> tuple[str, ...]:
        return accepted(cls.reference)[0]

    def _note_hparams(self) -> None:
        own = getattr(self.inner, "hparams", None)
        if isinstance(own, Mapping):
            self.hparams = {key: plain(value) for key, value in own.items()}

    def _note_memory(self) -> None:
        """Copy what the module holds beside its state, which `forget` restores."""
        inner = self.__dict__.get("_modules", {}).get("inner")
        if not self.stateful or inner is None:
            return
        memory: dict[str, Any] = {}
        for key in vars(inner).keys() - _NO_MEMORY:
            with suppress(TypeError):  # what cannot be copied, such as an open file, is no memory of frames
                memory[key] = copy.deepcopy(vars(inner)[key], {id(inner): inner})
        self.__dict__["_memory"] = memory

    def forget(self) -> None:
        vars(self.inner).update(copy.deepcopy(self.__dict__.get("_memory", {}), {id(self.inner): self.inner}))

    def state_changed(self) -> None:
        self._note_memory()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            # Ports refer to attributes of the module for sizes.
            inner = self.__dict__.get("_modules", {}).get("inner")
            if inner is None or name.startswith("_"):
                raise
            return getattr(inner, name)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        specs = self.inner.INPUT_SPECS
        values = {
            name: value.cpu().numpy() if is_array(specs[name]) and isinstance(value, Tensor) else given(value, context)
            for name, value in inputs.items()
        }
        try:
            outputs = self.inner(**values, context=given_context(context))
        except (SwathError, torch.OutOfMemoryError):
            raise
        except _FAULTS as error:
            raise InputInvalid(
                f"Node '{self.name}' ({type(self).__name__}): {_first_line(error)}", metadata={"node": self.name}
            ) from error
        return {name: taken(value) for name, value in outputs.items()}

    def unfreeze(self) -> None:
        unfreeze = getattr(self.inner, "unfreeze", None)
        if unfreeze is None:
            self.inner.requires_grad_(True)
        else:
            unfreeze()
        self.state_changed()

    def close(self) -> None:
        cleanup = getattr(self.inner, "cleanup", None)
        if cleanup is not None:
            cleanup()

    def not_finite(self) -> list[str]:
        # What a plugin's buffers mean is its own affair; parameters are numbers that gradients change.
        return [key for key, value in self.named_parameters() if not all_finite(value)]

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        # Weights files are those of the reference: keys of the module, without a prefix for `inner`.
        return self.inner.state_dict(*args, **kwargs)

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        # Only the module itself knows which shapes it takes: some have no shapes before their fit.
        trial = copy.deepcopy(self.inner)
        try:
            trial.load_state_dict(dict(state), strict=strict)
        except _FAULTS as error:
            lines = [line.strip() for line in str(error).splitlines()]
            return [f"{self.name}: {line}" for line in (lines[1:] or lines) if line]
        return []

    def restore(self, state: Mapping[str, Tensor]) -> None:
        if state:
            with torch.no_grad():
                self.inner.load_state_dict(dict(state), strict=False)
        self.state_changed()


class AdaptedFittable(Adapted, Fittable):
    """One that learns statistics from a stream of batches.

    The fit runs on a copy, which replaces the module at the end of the pass.
    """

    _consumer: ConsumerThread | None = None
    _trial: Any = None

    @property
    def fitted(self) -> bool:
        return bool(getattr(self.inner, _FITTED, False)) or not self.needs_fit()

    def needs_fit(self) -> bool:
        return bool(getattr(self.inner, "requires_initial_fit", True))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        return super().run(inputs, context)

    def begin_fit(self) -> None:
        if self._consumer is not None:
            self._consumer.abandon()
        trial = copy.deepcopy(self.inner)
        object.__setattr__(self, "_trial", trial)  # not part of this node's state before the end of the pass
        object.__setattr__(self, "_consumer", ConsumerThread(trial.statistical_initialization))

    def fit_batch(self, inputs: dict[str, Any]) -> None:
        assert self._consumer is not None
        try:
            self._consumer.feed(inputs)
        except _FAULTS as error:
            raise self._unfit(error) from error

    def end_fit(self) -> None:
        assert self._consumer is not None
        assert self._trial is not None
        try:
            self._consumer.finish()
        except _FAULTS as error:
            raise self._unfit(error) from error
        self.inner = self._trial
        object.__setattr__(self, "_consumer", None)
        object.__setattr__(self, "_trial", None)
        setattr(self.inner, _FITTED, True)
        self._note_hparams()
        self._done()

    def _unfit(self, error: Exception) -> DataInvalid:
        return DataInvalid(
            f"Node '{self.name}' ({type(self).__name__}) cannot be fitted: {_first_line(error)}",
            metadata={"node": self.name},
        )

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        return Adapted.faults(self, _without(state, "fitted"), strict=strict)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        values = _without(state, "fitted")
        Adapted.restore(self, values)
        if values:
            setattr(self.inner, _FITTED, bool(state.get("fitted", True)))


class AdaptedDecider(Adapted, Decider):
    """One whose threshold is calibrated on labelled data."""

    score_port = "logits"

    @property
    def threshold_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The first hparam that is a threshold or a quantile, if there is one."""
        names = [name for name in self.hparams if "threshold" in name or "quantile" in name]
        return tuple(names[:1])

    def calibrate(self, scores: list[Tensor], masks: list[Tensor]) -> dict[str, float]:
        targets = torch.cat([mask if mask.dim() == 4 else mask.unsqueeze(-1) for mask in masks])
        report = self.inner.calibrate(torch.cat(scores), targets)
        self.state_changed()
        if not report:
            raise DataInvalid(f"Node '{self.name}' ({type(self).__name__}) has no threshold that data can place")
        self._note_hparams()
        return {
            str(key): float(value)
            for key, value in report.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }


def _without(state: Mapping[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != key}


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
