"""What the bytes of a record mean to a model: by its specs, and by what its labels add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swath.errors import InputInvalid, Precondition

if TYPE_CHECKING:
    from swath.published.model import TensorSpec
    from swath_inference.published.model import Published

INPUT, DTYPE, SHAPE, LAYOUT = "redhare.input", "redhare.dtype", "redhare.shape", "redhare.layout"
"""Labels of a model: the input that `data` is for; element type, shape (commas between, -1 for any) and order of the
axes (letters of BHWC) of raw bytes."""

_AXES = "BHWC"
_CUBE = "cube"
"""What pipelines call the image."""


@dataclass(frozen=True, slots=True)
class Form:
    """What bytes of one input are unless the record says otherwise.

    Attributes:
        name: Of the input.
        dtype: Element type that the model takes.
        rank: Dimensions that the model takes.
        raw_dtype: Element type of the bytes.
        raw_shape: Their shape; -1 is any length.
        layout: Their axes, letters of BHWC in the order in which they lie; empty: as the model takes them.
    """

    name: str
    dtype: str
    rank: int
    raw_dtype: str
    raw_shape: tuple[int, ...]
    layout: str = ""


def form_of(published: Published, name: str = "") -> Form:
    """Return what bytes mean for an input.

    Args:
        published: The model.
        name: The input; empty is the one that its label names, or else the only one that a call must give, or the cube.

    Raises:
        InputInvalid: It has no such input, or several, none of which is labelled.
        Precondition: A label makes no sense: whoever publishes the model has to mend it.
    """
    main = _main(published)
    chosen = name or main
    if not chosen:
        raise InputInvalid(
            f"the model has several inputs, {_names(published)}: name one by 'input', give all of them in 'inputs', or "
            f"have the model labelled with {INPUT}"
        )
    spec = spec_of(published, chosen)
    if spec is None:
        wrong = "" if name else f"label {INPUT}: "
        raise InputInvalid(f"{wrong}the model has no input {chosen!r}; it has {_names(published)}")
    form = Form(spec.name, spec.dtype, len(spec.shape), spec.dtype, spec.shape)
    return _labelled(form, published.labels) if chosen == main else form


def _labelled(form: Form, labels: Mapping[str, str]) -> Form:
    shape, layout = form.raw_shape, labels.get(LAYOUT, "").upper()
    if text := labels.get(SHAPE, ""):
        try:
            shape = tuple(int(size) for size in text.strip("[]() ").split(","))
        except ValueError:
            raise Precondition(f"label {SHAPE}: expected sizes with commas between, got {text!r}") from None
    if layout and (not set(layout) <= set(_AXES) or len(set(layout)) < len(layout) or not {"H", "W"} <= set(layout)):
        raise Precondition(f"label {LAYOUT}: expected axes such as HWC or BCHW, got {layout!r}")
    if layout and SHAPE in labels and len(layout) != len(shape):
        raise Precondition(f"labels {SHAPE} and {LAYOUT}: {len(shape)} sizes and {len(layout)} axes")
    if layout and SHAPE not in labels:
        # The spec is of what the model takes; in another order, or without a batch, its sizes go with their axes.
        sizes = dict(zip(_AXES[-form.rank :] if form.rank < len(_AXES) else _AXES, form.raw_shape, strict=False))
        shape = tuple(sizes.get(axis, -1) for axis in layout)
    return Form(form.name, form.dtype, form.rank, labels.get(DTYPE) or form.dtype, shape, layout)


def _main(published: Published) -> str:
    """Return the input that `data` is for unless something else is said; empty where nobody can tell."""
    if INPUT in published.labels:
        return published.labels[INPUT]
    every = [each.name for each in published.inputs]
    needed = [each.name for each in published.inputs if not each.optional] or every
    return needed[0] if len(needed) == 1 else _CUBE if _CUBE in every else ""


def _names(published: Published) -> str:
    return ", ".join(each.name for each in published.inputs) or "none"


def spec_of(published: Published, name: str) -> TensorSpec | None:
    """Return the spec of an input, None where there is none of that name."""
    return next((each for each in published.inputs if each.name == name), None)
