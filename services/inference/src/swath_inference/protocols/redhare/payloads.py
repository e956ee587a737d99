"""Bytes of records as tensors: raw elements, numpy's files, PNG and JPEG."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.errors import InputInvalid, TooLarge
from swath_inference.protocols.redhare.forms import SHAPE, Form

if TYPE_CHECKING:
    import torch

LARGEST = 1024**3
"""Most bytes that compressed ones may become."""

_MAGIC = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"PK\x03\x04": "npz", b"\x93NUMPY": "npy"}
FORMATS = ("raw", "npy", "npz", "png", "jpeg")
_AXES = "BHWC"
# What has no more than one way to become channels: the others are converted.
_CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}


@cache
def _dtypes() -> dict[str, Any]:
    """Return torch dtypes by numpy's names. Imports torch, which a process that starts does aside."""
    from swath.engine.graph.codec import OIP_DTYPES

    return {str(dtype).removeprefix("torch."): dtype for dtype in OIP_DTYPES.values()}


def dtype_named(name: str, what: str) -> Any:
    """Return the torch dtype of a name.

    Raises:
        InputInvalid: There is none.
    """
    found = _dtypes().get(name)
    if found is None:
        raise InputInvalid(f"{what}: there is no element type {name!r}; expected one of {', '.join(_dtypes())}")
    return found


def guessed(data: bytes, form: Form, *, described: bool) -> str:
    """Return the format of bytes.

    Args:
        data: The bytes.
        form: What raw ones are.
        described: Whether the record gives their shape: then they are raw.
    """
    known = next((name for magic, name in _MAGIC.items() if data.startswith(magic)), "raw")
    # Elements may happen to begin as a JPEG does; they do not happen to be as many as the model wants as well.
    return "raw" if described or known == "raw" or _fills(data, form) else known


def _fills(data: bytes, form: Form) -> bool:
    return bool(form.raw_shape) and min(form.raw_shape) >= 0 and _sized(form) == len(data)


def _sized(form: Form) -> int:
    return dtype_named(form.raw_dtype, form.name).itemsize * math.prod(form.raw_shape)


def read_raw(data: bytes, form: Form, *, shape: tuple[int, ...] | None = None, dtype: str = "") -> torch.Tensor:
    """Return elements as the model takes them.

    Args:
        data: C-contiguous and little-endian.
        form: What they are unless the record says so.
        shape: As the record says.
        dtype: As the record says; then they are not converted.

    Raises:
        InputInvalid: They do not fill the shape, or it is not known.
    """
    from swath.engine.graph.codec import view_bytes

    kind = dtype_named(dtype or form.raw_dtype, form.name)
    if shape is not None:
        placed = _placed(view_bytes(shape, kind, data, name=form.name), form)
        return placed if dtype else _converted(placed, form)
    unknown = sum(size < 0 for size in form.raw_shape)
    if unknown > 1 or not form.raw_shape:
        wanted = list(form.raw_shape) or "of any rank"
        raise InputInvalid(
            f"{form.name}: {len(data)} bytes of {dtype or form.raw_dtype} may have many shapes {wanted}: give 'shape', "
            f"or have the model labelled with {SHAPE}"
        )
    tensor = view_bytes(form.raw_shape, kind, data, name=form.name)
    placed = _placed(tensor, form)
    return placed if dtype else _converted(placed, form)


def _placed(tensor: torch.Tensor, form: Form) -> torch.Tensor:
    """Return a tensor with its axes in the order that the model takes, and a batch of one where there is no batch."""
    if len(form.layout) == tensor.ndim:
        order = [form.layout.index(axis) for axis in _AXES if axis in form.layout]
        tensor = tensor.permute(order).contiguous()
        if "C" not in form.layout:
            tensor = tensor.unsqueeze(-1)
    return tensor.unsqueeze(0) if tensor.ndim == form.rank - 1 else tensor


def _converted(tensor: torch.Tensor, form: Form) -> torch.Tensor:
    return tensor.to(_dtypes().get(form.dtype, tensor.dtype))


def read_image(data: bytes, form: Form, kind: str) -> torch.Tensor:
    """Return the pixels of a PNG or JPEG [1, H, W, C], or [H, W, C] where the model takes three dimensions; not scaled.

    Raises:
        InputInvalid: It cannot be read.
        TooLarge: It has too many pixels.
    """
    import torch
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Its own limit, which is another one.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=(kind.upper(),))
        _check_size(image.width * image.height * 4, form.name)
        pixels = np.asarray(image.convert(_CONVERTED[image.mode]) if image.mode in _CONVERTED else image)
    except Image.DecompressionBombError as error:
        raise TooLarge(f"{form.name}: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputInvalid(f"{form.name}: not a {kind.upper()} that can be read: {error}") from error
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if form.rank not in (3, 4):
        raise InputInvalid(f"{form.name}: a picture needs an input of 3 or 4 dimensions, this one has {form.rank}")
    native = np.array(pixels, dtype=pixels.dtype.newbyteorder("="), order="C")
    tensor = torch.from_numpy(native)
    return _converted(tensor if form.rank == 3 else tensor.unsqueeze(0), form)


def read_arrays(data: bytes, kind: str, name: str) -> dict[str, torch.Tensor]:
    """Return the arrays of an npz file by name, or that of an npy file by an empty one.

    Args:
        data: The file.
        kind: "npz" or "npy".
        name: What it is, for messages.

    Raises:
        InputInvalid: It cannot be read, or holds objects, which are refused.
        TooLarge: Its arrays are too large.
    """
    try:
        if kind == "npy":
            return {"": _array(io.BytesIO(data), len(data), name)}
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_size(sum(each.file_size for each in members), name)
            found = {}
            for each in members:
                with archive.open(each) as stream:
                    found[each.filename.removesuffix(".npy")] = _array(
                        stream, each.file_size, f"{name}: {each.filename}"
                    )
            return found
    except TooLarge:
        raise
    # A damaged archive makes zipfile, its decompressors and numpy raise some ten classes of errors.
    except Exception as error:
        raise InputInvalid(f"{name}: not an {kind} file that can be read: {error or type(error).__name__}") from error


def _array(stream: Any, size: int, name: str) -> torch.Tensor:
    """Read an array whose header is believed only as far as there are bytes."""
    import torch

    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"numpy's format {version} is not known")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject or dtype.kind not in "buif":
        raise ValueError(f"{name}: expected numbers, got {dtype}; objects are refused")
    if min(shape, default=1) < 0 or dtype.itemsize * math.prod(shape) > size:
        raise ValueError(f"{name}: its header tells of {dtype} {list(shape)}, which is more than its {size} bytes")
    content = stream.read(dtype.itemsize * math.prod(shape))
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    native = np.array(array, dtype=dtype.newbyteorder("="), order="C")
    return torch.from_numpy(native)


def _check_size(size: int, name: str) -> None:
    if size > LARGEST:
        raise TooLarge(f"{name}: it would become {size} bytes, more than {LARGEST}")
