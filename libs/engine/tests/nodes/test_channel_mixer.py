"""Mixers by hand and against layers of torch."""

import math

import numpy as np
import pytest
import torch
from sklearn import decomposition

from swath.engine.graph import registry
from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.nodes.channel_mixer import ConcreteChannelMixer, LearnableChannelMixer
from swath.errors import DataInvalid, InputInvalid, NotFitted

TRAIN = Context(Stage.TRAIN)


@pytest.fixture
def data():
    return torch.rand(2, 4, 5, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def concrete():
    node = ConcreteChannelMixer(3, 2, tau_start=4.0, tau_end=1.0, max_epochs=3)
    node.restore({"logits": torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])})
    return node.eval()


def test_each_output_picks_a_channel(concrete, data):
    data[..., 2] = torch.nan  # what is not picked does not matter
    outputs = concrete.forward(data=data)
    assert torch.equal(outputs["rgb"], data[..., [1, 0]])
    assert outputs["selection_weights"].tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]


def test_outputs_can_stay_soft(concrete, data):
    concrete.hard = False
    outputs = concrete.forward(data=data)
    weights = torch.softmax(concrete.logits, dim=1)
    torch.testing.assert_close(outputs["selection_weights"], weights)
    torch.testing.assert_close(outputs["rgb"], torch.einsum("bhwc,kc->bhwk", data, weights))


@pytest.mark.parametrize(("epoch", "temperature"), [(0, 4.0), (1, 2.0), (2, 1.0), (9, 1.0)])
def test_training_adds_noise_and_cools_down(concrete, data, epoch, temperature):
    torch.manual_seed(5)
    noise = -torch.log(-torch.log(torch.rand(2, 3) + 1e-6) + 1e-6)
    torch.manual_seed(5)
    outputs = concrete.train().forward(context=Context(Stage.TRAIN, epoch=epoch), data=data)
    expected = torch.softmax((concrete.logits + noise) / temperature, dim=1)
    torch.testing.assert_close(outputs["selection_weights"], expected)


def test_validation_has_no_noise(concrete, data):
    outputs = concrete.train().forward(context=Context(Stage.VAL), data=data)
    assert outputs["selection_weights"].sum(dim=1).tolist() == [1.0, 1.0]


def test_the_noise_is_gumbels():
    node = ConcreteChannelMixer(2000, 50)
    noise = node._noise()
    # Mean: Euler's constant; variance: pi^2 / 6.
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.02)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.05)


def test_picking_is_trained_by_gradient(concrete, data):
    concrete.train().forward(context=TRAIN, data=data)["rgb"].sum().backward()
    assert concrete.logits.grad.abs().max() > 0


def test_soft_picking_is_differentiable(concrete, data):
    concrete.hard = False
    concrete.double()
    leaf = data[:1, :2, :2].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values, _: concrete.forward(data=values)["rgb"], (leaf, concrete.logits))


def _layers(node, data, slope):
    """The layers as convolutions of torch, before normalisation."""
    values = data.permute(0, 3, 1, 2)
    for index, layer in enumerate(node.convs, start=1):
        values = layer(values)
        if index < len(node.convs) or not node.normalized:
            values = torch.nn.functional.leaky_relu(values, slope)
    return values


@pytest.mark.parametrize("scheme", [None, [3, 4, 2]])
@pytest.mark.parametrize("normalize", [True, False])
def test_layers_mix_the_channels_of_each_pixel(data, scheme, normalize):
    node = LearnableChannelMixer(3, 2, 0.2, reduction_scheme=scheme, normalize_output=normalize).eval()
    mixed = _layers(node, data, 0.2)
    expected = torch.sigmoid(node.output_bn(mixed)) if normalize else mixed
    outputs = node.forward(data=data)
    torch.testing.assert_close(outputs["rgb"], expected.permute(0, 2, 3, 1))
    last = node.convs[-1]
    assert isinstance(last, torch.nn.Conv2d)
    assert torch.equal(outputs["weights"], last.weight.flatten(1))


def test_training_normalises_by_the_batch(data):
    node = LearnableChannelMixer(3, 2).train()
    mixed = _layers(node, data, 0.01)
    expected = torch.sigmoid(torch.nn.BatchNorm2d(2)(mixed)).permute(0, 2, 3, 1)
    torch.testing.assert_close(node.forward(context=TRAIN, data=data)["rgb"], expected)
    mean = 0.1 * mixed.mean(dim=(0, 2, 3))
    torch.testing.assert_close(node.state()["output_bn.running_mean"], mean.detach())


@pytest.mark.parametrize(
    ("mode", "finish"),
    [
        ("none", lambda mixed: mixed),
        ("sigmoid_only", torch.sigmoid),
        (
            "per_frame_minmax",
            lambda mixed: (mixed - mixed.amin((2, 3), True)) / (mixed.amax((2, 3), True) - mixed.amin((2, 3), True)),
        ),
    ],
)
def test_inference_can_finish_in_another_way(data, mode, finish):
    node = LearnableChannelMixer(3, 2, inference_normalization=mode).eval()
    node.restore({"output_bn.running_mean": torch.ones(2)})
    expected = finish(_layers(node, data, 0.01)).permute(0, 2, 3, 1)
    torch.testing.assert_close(node.forward(data=data)["rgb"], expected)
    assert not torch.allclose(node.forward(context=Context(Stage.VAL), data=data)["rgb"], expected)


def test_the_state_has_the_keys_of_the_reference_package():
    node = LearnableChannelMixer(3, 2, reduction_scheme=[3, 4, 2])
    layers = {f"convs.{index}.{key}" for index in (0, 1) for key in ("weight", "bias")}
    norm = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert set(node.state()) == layers | {f"output_bn.{key}" for key in norm}
    assert node.state()["convs.0.weight"].shape == (4, 3, 1, 1)


@pytest.mark.parametrize("outputs", [2, 5])
def test_the_first_layer_can_be_fitted_to_the_principal_components(data, outputs):
    node = LearnableChannelMixer(3, outputs, init_method="pca")
    with pytest.raises(NotFitted, match="LearnableChannelMixer"):
        node.forward(data=data)
    node.begin_fit()
    for batch in data.split(1):
        node.fit_batch({"data": batch})
    node.end_fit()
    count = min(outputs, 3)
    components = decomposition.PCA(count).fit(data.reshape(-1, 3).double().numpy()).components_
    weights = node.forward(data=data)["weights"].detach().numpy()
    np.testing.assert_allclose(np.abs((weights[:count] * components).sum(1)), 1.0, rtol=1e-5)
    assert not weights[count:].any()


def test_a_fit_needs_data():
    node = LearnableChannelMixer(3, 2, init_method="pca")
    node.begin_fit()
    with pytest.raises(DataInvalid, match="2 pixels"):
        node.end_fit()


@pytest.mark.parametrize("init", ["xavier", "kaiming", "zeros"])
def test_first_weights(init):
    first, second = (registry.create("LearnableChannelMixer", "mixer", _hparams(init)) for _ in range(2))
    weight = first.state()["convs.0.weight"]
    bound = {"xavier": math.sqrt(6 / 500), "kaiming": math.sqrt(6 / 400), "zeros": 0.0}[init]
    assert torch.equal(second.state()["convs.0.weight"], weight)
    assert weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert not first.state()["convs.0.bias"].any()


def _hparams(init):
    return {"input_channels": 400, "output_channels": 100, "init_method": init, "leaky_relu_negative_slope": 0.0}


def test_one_pixel_is_no_batch_to_normalise_by():
    with pytest.raises(InputInvalid, match="at least 2 pixels"):
        LearnableChannelMixer(3, 2).train().forward(context=TRAIN, data=torch.zeros(1, 1, 1, 3))


@pytest.mark.parametrize("scheme", [[3], [2, 2], [3, 4], [3, 0, 2]])
def test_the_scheme_leads_from_inputs_to_outputs(scheme):
    with pytest.raises(ValueError, match="reduction_scheme"):
        LearnableChannelMixer(3, 2, reduction_scheme=scheme)


def test_mixing_is_differentiable(data):
    node = LearnableChannelMixer(3, 2).double().train()
    leaf = data[:1, :2, :2].double().requires_grad_()
    leaves = (leaf, *node.parameters())
    assert torch.autograd.gradcheck(lambda values, *_: node.forward(context=TRAIN, data=values)["rgb"], leaves)
