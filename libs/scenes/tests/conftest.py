"""Cubes to write."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def small_cube() -> np.ndarray:
    """4 x 6 pixels of 3 bands, all numbers different."""
    return np.arange(4 * 6 * 3, dtype=np.uint16).reshape(4, 6, 3)
