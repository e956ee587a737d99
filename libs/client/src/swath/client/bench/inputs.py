"""What is sent: a scene, or arrays that are made up of the specs of inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from swath.client.bench.subjects import Spec
from swath.client.errors import LocalError

_AXES = ("batch", "height", "width", "channels")


def from_scene(scene: Any, specs: Sequence[Spec]) -> dict[str, np.ndarray]:
    """Return the inputs that a scene has and that there are.

    Args:
        scene: As `read_scenes` gives it.
        specs: Of the inputs.

    Raises:
        LocalError: There is no input for a cube, or one that the scene does not have.
    """
    known = {each.name: each for each in specs}
    found = {name: value for name, value in scene.inputs().items() if value is not None and name in known}
    if "cube" not in found:
        cubes = [each.name for each in specs if len(each.shape) == len(_AXES)]
        if len(cubes) != 1:
            raise LocalError(f"a scene's cube goes to none of the inputs {', '.join(known) or '(none)'}")
        found[cubes[0]] = scene.inputs()["cube"]
    _check(found, specs)
    return {name: _as(known[name], value) for name, value in found.items()}


def made_up(specs: Sequence[Spec], sizes: Mapping[str, int], names: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Return arrays of the shapes and types of inputs, the same ones each time.

    Numbers are in 0..1, integers in 0..255.

    Args:
        specs: Of the inputs.
        sizes: Of the axes batch, height, width and channels, where a spec leaves them open.
        names: Inputs to make up; those that a call must have if none is named, or the cube where nobody says.

    Raises:
        LocalError: An input has a type or a rank that nothing can be made up of, or there is none of a name.
    """
    chosen = set(names) or {each.name for each in specs if each.required}
    if not chosen:
        every = [each.name for each in specs]
        chosen = {"cube"} & set(every) or set(every[:1])
    if missing := chosen - {each.name for each in specs}:
        raise LocalError(
            f"there is no input {', '.join(sorted(missing))}; there are {', '.join(e.name for e in specs)}"
        )
    random = np.random.default_rng(0)
    return {each.name: _made(each, sizes, random) for each in specs if each.name in chosen}


def _made(spec: Spec, sizes: Mapping[str, int], random: np.random.Generator) -> np.ndarray:
    if not spec.dtype or len(spec.shape) > len(_AXES):
        raise LocalError(
            f"input {spec.name}: nothing can be made up for {spec.dtype or 'what is no tensor'} {list(spec.shape)}: "
            "give a scene by --scene, or name other inputs by --input"
        )
    # [B, H, W, C]; with fewer dimensions the first one is the batch and the last one the channels.
    axes = {4: _AXES, 3: _AXES[:3], 2: ("batch", "channels"), 1: ("batch",), 0: ()}[len(spec.shape)]
    shape = [sizes[axis] if size < 0 else size for axis, size in zip(axes, spec.shape, strict=True)]
    kind = np.dtype(spec.dtype)
    if kind.kind == "f":
        return random.random(shape).astype(kind)
    return random.integers(0, 2 if kind.kind == "b" else 128 if kind == np.int8 else 256, shape).astype(kind)


def _check(found: Mapping[str, Any], specs: Sequence[Spec]) -> None:
    if missing := [each.name for each in specs if each.required and each.name not in found]:
        raise LocalError(f"the scene has nothing for the inputs {', '.join(missing)}")


def _as(spec: Spec, value: np.ndarray) -> np.ndarray:
    """Return an array of the type that an input takes; a cube as stored may be of a narrower one."""
    return value if not spec.dtype else value.astype(spec.dtype, copy=False)
