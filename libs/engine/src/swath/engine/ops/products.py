"""Products of matrices whose rounding is the same wherever their memory begins."""

from __future__ import annotations

from torch import Tensor

_ALIGNMENT = 64
"""Bytes: what torch allocates begins at a multiple of it."""


def settled(values: Tensor) -> Tensor:
    """Return values as they are, or a copy of them where they begin anywhere in memory, as what arrived in a message.

    On processors the product of a tall matrix and one of a few columns is rounded in another order where the tall one
    begins at no multiple of 16 bytes (MKL documents it). What is to be the same, bit by bit, for the same numbers goes
    through here first. What torch has computed begins where it should.
    """
    if values.device.type == "cpu" and values.data_ptr() % _ALIGNMENT:
        return values.clone()
    return values
