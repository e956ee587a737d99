"""`make test-processors` runs the tests in this folder with each kind of code that the processor can run."""

import os

import pytest
import torch


@pytest.mark.skipif("ATEN_CPU_CAPABILITY" not in os.environ, reason="no kind of processor was asked for")
def test_the_kind_of_processor_is_the_one_that_was_asked_for():
    assert torch.backends.cpu.get_cpu_capability() == os.environ["ATEN_CPU_CAPABILITY"].upper()
