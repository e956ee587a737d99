"""What people are told of node classes."""

import pytest

from swath.engine.graph.describe import arguments_in, describe
from swath.engine.nodes.channel_selector import SoftChannelSelector

GOOGLE = """Does it.

    Args:
        first: One line.
        second: Two lines, of which this
            is one.

    Attributes:
        third: Not an argument.
"""
NUMPY = """Does it.

    Parameters
    ----------
    first : int
        One line.
    second : float, optional
        Two lines, of which this
        is one.

    Returns
    -------
    third : int
        Not an argument.
"""


@pytest.mark.parametrize("text", [GOOGLE, NUMPY], ids=["Args", "Parameters"])
def test_arguments_are_found_in_both_styles(text):
    assert arguments_in(text) == {"first": "One line.", "second": "Two lines, of which this is one."}


def test_a_class_is_described():
    described = describe(SoftChannelSelector, "a.SoftChannelSelector")
    hparams = {hparam.name: hparam for hparam in described.hparams}
    assert (described.fittable, described.stages) == (True, ("train", "val", "test", "inference"))
    assert described.trainable_buffers == ("channel_logits",)
    assert hparams["n_select"].required
    assert (hparams["hard"].type, hparams["hard"].default) == ("bool", "false")
    assert hparams["temperature_init"].description == "Temperature T of the softmax."
