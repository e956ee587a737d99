"""Losses leave invalid pixels out, and their gradients stay finite."""

from __future__ import annotations

import pytest
import torch

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.graph.roles import Loss

from .spoiling import CLASSES, SHAPES, assert_close, build, compact, make_inputs, pixel_ports, some_pixels, spoil

LOSSES = sorted(name for name, cls in CLASSES.items() if issubclass(cls, Loss))


@pytest.mark.parametrize("every_band", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_leave_invalid_pixels_out(name: str, every_band: bool) -> None:
    cls, shape = CLASSES[name], (1, *SHAPES[0][1:])
    chosen = some_pixels(shape)
    inputs = make_inputs(cls, shape)
    spoilt = spoil(cls, inputs, chosen, every_band=every_band)
    leaves = {port: spoilt[port].requires_grad_() for port in pixel_ports(cls)}
    node = build(name, shape[-1])

    loss = node.forward(context=Context(Stage.TRAIN), **spoilt)["loss"]
    alone = node.forward(context=Context(Stage.TRAIN), **compact(inputs, ~chosen))["loss"]

    assert_close(loss, alone)
    loss.backward()
    for port, leaf in leaves.items():
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all(), port
        assert (leaf.grad[chosen] == 0).all(), port
        assert (leaf.grad[~chosen] != 0).any(), port


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_a_valid_pixel_has_no_loss(name: str) -> None:
    cls, shape = CLASSES[name], SHAPES[0]
    spoilt = spoil(cls, make_inputs(cls, shape), torch.ones(shape[:3], dtype=torch.bool), every_band=True)
    leaves = [spoilt[port].requires_grad_() for port in pixel_ports(cls)]
    loss = build(name, shape[-1]).forward(context=Context(Stage.TRAIN), **spoilt)["loss"]
    assert loss.item() == 0
    loss.backward()
    assert all(leaf.grad is None or (leaf.grad == 0).all() for leaf in leaves)


def test_training_that_diverges_shows_in_the_loss() -> None:
    predictions = torch.zeros(1, 2, 2, 1)
    predictions[0, 0, 0] = torch.nan  # invalid in the batch
    predictions[0, 1, 1] = torch.nan  # what the network made of a valid pixel
    valid = torch.tensor([[[False, True], [True, True]]])
    node = build("AnomalyBCEWithLogits", 1)
    targets = torch.zeros(1, 2, 2, 1, dtype=torch.bool)
    context = Context(Stage.TRAIN, valid={(1, 2, 2): valid})
    assert node.execute({"predictions": predictions, "targets": targets}, context)["loss"].isnan()
