"""Adapters that run modules of the reference package's base class as nodes of this engine."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from swath.engine.error_text import first_line
from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Stage
from swath.engine.graph.roles import Fittable
from swath.engine.ops.validity import all_finite
from swath.engine.plugins.consumer_thread import ConsumerThread
from swath.engine.plugins.reference_specs import accepted, is_array, plain, ports
from swath.engine.plugins.values import given, given_context, pack, taken, unpack
from swath.errors import DataInvalid, GraphInvalid, InputInvalid, NotFitted, SwathError

_NOT_THEIRS = (SwathError, torch.OutOfMemoryError, MemoryError, OSError)
"""Errors that are not about what a class was given, or say so themselves."""
_FITTED = "_statistically_initialized"
_preparing: WeakKeyDictionary[torch.nn.Module, threading.Lock] = WeakKeyDictionary()
_locks = threading.Lock()
_NO_MEMORY = frozenset(vars(torch.nn.Module())) | {
    "hparams",
    "_name",
    "_input_ports",
    "_output_ports",
    "_frozen",
    _FITTED,
}


class Adapted(Node):
    """A node that runs a module of the reference's base class.

    Attributes:
        reference: The class of the plugin.
        inner: The module.
    """

    invalid = Invalid.PASSED
    makes_invalid = True
    reference: ClassVar[type[torch.nn.Module]]
    inner: Any
    _prepared: bool = False

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
        self.__dict__["_prepared"] = False
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
        if context.stage is Stage.INFERENCE and not self._prepared:
            self._prepare()
        try:
            outputs = self.inner(**self._given(inputs, context), context=given_context(context))
        except _NOT_THEIRS:
            raise
        except Exception as error:  # a plugin's code may raise anything
            raise self._failed(error) from error
        return {name: taken(value) for name, value in (outputs or {}).items()}

    def _given(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        """Return inputs as the class takes them."""
        specs = self.inner.INPUT_SPECS
        return {
            name: value.cpu().numpy() if is_array(specs[name]) and isinstance(value, Tensor) else given(value, context)
            for name, value in inputs.items()
        }

    def _failed(self, error: Exception) -> SwathError:
        """Return the error for one that the class raised."""
        return InputInvalid(f"{self._who}: {first_line(error)}", metadata={"node": self.name})

    @property
    def _who(self) -> str:
        return f"Node '{self.name}' ({type(self).__name__})"

    def _prepare(self) -> None:
        """Let the class build what depends on its device and weights, which are final when it infers."""
        with _locks:  # beside the node: a lock in it could not be copied with it
            own = _preparing.setdefault(self, threading.Lock())
        with own:
            prepare = getattr(self.inner, "prepare_inference", None)
            if prepare is not None and not self._prepared:
                try:
                    prepare()
                except _NOT_THEIRS:
                    raise
                except Exception as error:  # a plugin's code may raise anything
                    raise self._failed(error) from error
            self.__dict__["_prepared"] = True

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
        try:
            return pack(self.inner.state_dict(*args, **kwargs))
        except TypeError as error:
            raise GraphInvalid(f"{self._who}: {error}", metadata={"node": self.name}) from error

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        # Only the module itself knows which shapes it takes: some have no shapes before their fit.
        trial = copy.deepcopy(self.inner)
        try:
            trial.load_state_dict(unpack(state), strict=strict)
        except Exception as error:  # a plugin's code may raise anything
            lines = [line.strip() for line in str(error).splitlines()]
            return [f"{self.name}: {line}" for line in (lines[1:] or lines) if line]
        return []

    def restore(self, state: Mapping[str, Tensor]) -> None:
        if state:
            with torch.no_grad():
                self.inner.load_state_dict(unpack(state), strict=False)
        self.state_changed()


class AdaptedFittable(Adapted, Fittable):
    """One that learns statistics from a stream of batches.

    The fit runs on a copy, which replaces the module at the end of the pass. Whether it computes before a fit is for
    the class to decide: it is asked, and what it refuses is told as the refusal of a node that is not fitted.
    """

    _consumer: ConsumerThread | None = None
    _trial: Any = None

    @property
    def fitted(self) -> bool:
        return bool(getattr(self.inner, _FITTED, False)) or not self.needs_fit()

    def needs_fit(self) -> bool:
        return bool(getattr(self.inner, "requires_initial_fit", True))

    def _failed(self, error: Exception) -> SwathError:
        if self.fitted:
            return super()._failed(error)
        return NotFitted(
            f"{self._who} is not fitted: run a statistical training phase or load weights that hold its statistics "
            f"({first_line(error)})",
            metadata={"node": self.name},
        )

    def begin_fit(self) -> None:
        if self._consumer is not None:
            self._consumer.abandon()
        trial = copy.deepcopy(self.inner)
        object.__setattr__(self, "_trial", trial)  # not part of this node's state before the end of the pass
        object.__setattr__(self, "_consumer", ConsumerThread(trial.statistical_initialization))

    def fit_batch(self, inputs: dict[str, Any]) -> None:
        assert self._consumer is not None
        try:
            self._consumer.feed(self._given(inputs, Context()))
        except _NOT_THEIRS:
            raise
        except Exception as error:  # a plugin's code may raise anything
            raise self._unfit(error) from error

    def end_fit(self) -> None:
        assert self._consumer is not None
        assert self._trial is not None
        try:
            self._consumer.finish()
        except _NOT_THEIRS:
            raise
        except Exception as error:  # a plugin's code may raise anything
            raise self._unfit(error) from error
        self.inner = self._trial
        object.__setattr__(self, "_consumer", None)
        object.__setattr__(self, "_trial", None)
        setattr(self.inner, _FITTED, True)
        self._note_hparams()
        self._done()

    def _unfit(self, error: Exception) -> DataInvalid:
        return DataInvalid(f"{self._who} cannot be fitted: {first_line(error)}", metadata={"node": self.name})

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        return Adapted.faults(self, _without(state, "fitted"), strict=strict)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        values = _without(state, "fitted")
        Adapted.restore(self, values)
        if values:
            setattr(self.inner, _FITTED, bool(state.get("fitted", True)))


def _without(state: Mapping[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != key}
