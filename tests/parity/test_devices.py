"""Every node gives on a GPU what it gives on the CPU, within what float32 leaves open.

SWATH_TEST_DEVICE names another device than the first CUDA one.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tools.parity import nodes
from tools.parity.cases import Case, cases
from tools.parity.compare import difference

DEVICE = os.environ.get("SWATH_TEST_DEVICE", "cuda")
TOLERANCE = 1e-4

if DEVICE.startswith("cuda") and not torch.cuda.is_available():
    pytest.skip("this machine has no CUDA device", allow_module_level=True)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.class_name)
def test_outputs_are_those_of_the_cpu(case: Case, tmp_path: Path) -> None:
    ordered = nodes.order(case, tmp_path / "case")
    here, there = nodes.build(ordered), nodes.build(ordered)
    if case.fit:
        nodes.fit(here, ordered)
    there.restore(here.state())
    there.to(DEVICE)

    found = difference(nodes.forward(there, ordered, device=DEVICE), nodes.forward(here, ordered))

    assert not found.faults
    assert found.relative <= TOLERANCE
    # A value on the edge of a threshold may fall on either side of it.
    assert found.unequal <= TOLERANCE * found.compared
