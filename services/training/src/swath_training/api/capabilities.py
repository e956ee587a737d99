"""Options of gradient training, as GetTrainingCapabilities lists them: read from the documents that check them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from swath.documents import (
    OPTIMIZERS,
    SCHEDULERS,
    CheckpointDocument,
    Document,
    EarlyStoppingDocument,
    LearningRateMonitorDocument,
    OptimizerDocument,
    SchedulerDocument,
)

_TYPES = {str: "string", int: "int", float: "float", bool: "bool", tuple: "tuple", list: "list", dict: "dict"}
_BOUNDS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; defaults are text, empty for none.

    Attributes:
        name: Its name.
        type: ``string``, ``int``, ``float``, ``bool`` or ``tuple``; several with bars between them.
        description: One sentence.
        default: As text.
        required: Whether a form insists on it: a document must have it, or clients know it as required.
        validation: ``> 0, <= 1`` or ``in ['min', 'max']``; empty where any value of the type goes.
    """

    name: str
    type: str
    description: str
    default: str = ""
    required: bool = False
    validation: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback of a training document, by the name that clients know."""

    type: str
    description: str
    parameters: tuple[Parameter, ...]


def parameters(
    document: type[Document], *, wanted: tuple[str, ...] = (), but: tuple[str, ...] = ()
) -> tuple[Parameter, ...]:
    """Return the fields of a document as parameters.

    Args:
        document: The kind of document.
        wanted: Fields with a default that a form insists on all the same.
        but: Fields to leave out.
    """
    return tuple(
        _parameter(name, field, wanted=name in wanted)
        for name, field in document.model_fields.items()
        if name not in but
    )


def _parameter(name: str, field: FieldInfo, *, wanted: bool) -> Parameter:
    options = [option for option in _options(field.annotation) if option is not type(None)]
    choices = [value for option in options if get_origin(option) is Literal for value in get_args(option)]
    kinds = [
        type(value) if get_origin(option) is Literal else option for option in options for value in _values(option)
    ]
    rules = [f"in {choices}"] if choices and len(choices) == len(kinds) else []
    rules += [
        f"{sign} {getattr(constraint, bound):g}"
        for constraint in field.metadata
        for bound, sign in _BOUNDS
        if getattr(constraint, bound, None) is not None
    ]
    default = field.get_default(call_default_factory=True)
    return Parameter(
        name=name,
        type="|".join(dict.fromkeys(_TYPES.get(get_origin(kind) or kind, kind.__name__) for kind in kinds)),
        description=field.description or "",
        default="" if default is None or default is PydanticUndefined else str(default),
        required=wanted or field.is_required(),
        validation=", ".join(rules),
    )


def _options(annotation: Any) -> Iterator[Any]:
    """Yield the types that a field takes."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _options(option)
    else:
        yield annotation


def _values(option: Any) -> tuple[Any, ...]:
    return get_args(option) if get_origin(option) is Literal else (option,)


def _callback(name: str, document: type[Document], *wanted: str) -> Callback:
    return Callback(name, (document.__doc__ or "").rstrip("."), parameters(document, wanted=wanted))


OPTIMIZER_NAMES: Final = OPTIMIZERS
SCHEDULER_NAMES: Final = SCHEDULERS
CALLBACKS: Final = (
    _callback("EarlyStopping", EarlyStoppingDocument, "monitor"),
    _callback("ModelCheckpoint", CheckpointDocument, "dirpath", "monitor"),
    _callback("LearningRateMonitor", LearningRateMonitorDocument),
)
OPTIMIZER_PARAMETERS: Final = parameters(OptimizerDocument, wanted=("lr",), but=("name",))
SCHEDULER_PARAMETERS: Final = parameters(SchedulerDocument, but=("name",))
