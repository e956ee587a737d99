"""The same numbers have the same bits wherever they lie in memory: a message may begin anywhere."""

import ctypes

import numpy as np
import pytest
import torch

from swath.engine.graph.context import Context
from swath.engine.nodes.channel_mixer import ConcreteChannelMixer, LearnableChannelMixer
from swath.engine.nodes.channel_selector import CameraEmulationFalseRGBSelector
from swath.engine.nodes.spectral_angle_mapper import SpectralAngleMapper

BANDS = 61
CUBE = (0.2 + np.random.default_rng(11).random((2, 16, 12, BANDS))).astype(np.float32)
SIGNATURES = torch.from_numpy(np.ascontiguousarray(CUBE[0, 3:5, 4][:, None, None]))
WAVELENGTHS = torch.linspace(430, 910, BANDS)


def _at(offset):
    """Return the cube at so many bytes behind a multiple of 64."""
    memory = bytearray(CUBE.nbytes + 128)
    begin = -ctypes.addressof(ctypes.c_char.from_buffer(memory)) % 64 + offset
    memory[begin : begin + CUBE.nbytes] = CUBE.tobytes()
    return torch.from_numpy(np.frombuffer(memory, np.float32, CUBE.size, begin).reshape(CUBE.shape))


NODES = [
    (lambda: SpectralAngleMapper(BANDS), "scores", lambda cube: {"cube": cube, "spectral_signature": SIGNATURES}),
    (lambda: ConcreteChannelMixer(BANDS, 3), "rgb", lambda cube: {"data": cube}),
    (lambda: LearnableChannelMixer(BANDS, 3), "rgb", lambda cube: {"data": cube}),
]


@pytest.mark.parametrize(("make", "output", "inputs"), NODES, ids=["angles", "concrete", "learnable"])
def test_wherever_a_cube_begins_its_bits_are_the_same(make, output, inputs):
    torch.manual_seed(3)
    node = make().eval()
    with torch.inference_mode():
        expected = node.run(inputs(_at(0)), Context())[output]
        for offset in range(4, 64, 4):
            assert torch.equal(node.run(inputs(_at(offset)), Context())[output], expected), offset


def test_colours_of_a_camera_are_the_same_as_well():
    node = CameraEmulationFalseRGBSelector()
    expected = node.compose(_at(0), WAVELENGTHS)[0]
    for offset in range(4, 64, 4):
        assert torch.equal(node.compose(_at(offset), WAVELENGTHS)[0], expected), offset
