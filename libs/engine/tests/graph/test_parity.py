"""The six shipped pipelines of the reference package that need no plugin run here as they are."""

import pytest
import torch

from swath.engine.graph import weights
from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage

BANDS = 61


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    mask = torch.zeros(2, 12, 10, dtype=torch.int32)
    mask[:, 3:6, 3:6] = 2
    cube = torch.randint(100, 3000, (2, 12, 10, BANDS), generator=generator)
    cube[mask == 2] += 500
    return {
        "cube": cube.to(torch.uint16),
        "mask": mask,
        "wavelengths": torch.arange(430, 430 + 8 * BANDS, 8, dtype=torch.int32).expand(2, -1),
        "mesu_index": torch.tensor([0, 1]),
        "spectral_signature": cube[:1, 4:5, 4:5].to(torch.float32),
    }


def _fit(pipeline, batch):
    for wave in pipeline.fit_waves():
        fed = pipeline.inputs_of(wave, batch)
        for name in wave:
            pipeline.nodes[name].begin_fit()
            pipeline.nodes[name].fit_batch(fed[name])
            pipeline.nodes[name].end_fit()


@pytest.mark.parametrize(
    ("name", "counts", "wanted"),
    [
        ("channel_selector", (13, 20), "BinaryDecider.decisions"),
        ("rx_statistical", (8, 11), "BinaryDecider.decisions"),
        ("deep_svdd", (13, 23), "QuantileBinaryDecider.decisions"),
        ("spectral_match", (4, 3), "mask.decisions"),
        ("spectral_match_validity", (6, 7), "mask.decisions"),
    ],
)
def test_it_fits_and_decides(parity, batch, tmp_path, name, counts, wanted):
    pipeline = Pipeline.from_document(parity[name])
    if name == "deep_svdd":  # written for an instrument with 27 bands from 700 nm on
        batch["wavelengths"] = batch["wavelengths"] - (batch["wavelengths"][0, 34] - 700)
    _fit(pipeline, batch)
    outputs = pipeline(batch, only=[wanted])
    assert (len(pipeline.nodes), len(pipeline.edges)) == counts
    assert outputs[wanted].shape == (2, 12, 10, 1)
    context = Context(Stage.VAL, resolve=tmp_path.joinpath)
    metrics = pipeline(batch, context).get("metrics_anomaly.metrics", [])
    assert all(0 <= item.value <= 1 for item in metrics)
    pipeline.close()


def test_the_selector_trains_end_to_end(parity, batch, tmp_path):
    pipeline = Pipeline.from_document(parity["channel_selector"])
    _fit(pipeline, batch)
    for name in ("SoftChannelSelector", "RXGlobal", "ScoreToLogit"):
        pipeline.nodes[name].unfreeze()
    outputs = pipeline.train()(batch, Context(Stage.TRAIN, resolve=tmp_path.joinpath))
    loss = sum(outputs[f"{name}.loss"] for name in ("bce", "entropy", "diversity"))
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    trained = {
        f"{name}.{key}"
        for name, node in pipeline.nodes.items()
        for key, p in node.named_parameters()
        if p.grad is not None
    }
    assert trained == {
        "SoftChannelSelector.channel_logits",
        "RXGlobal.mu",
        "RXGlobal.cov_inv",
        "ScoreToLogit.scale",
        "ScoreToLogit.bias",
    }


def test_the_state_has_the_keys_of_the_shipped_weights(parity, batch):
    pipeline = Pipeline.from_document(parity["channel_selector"])
    _fit(pipeline, batch)
    state, _ = weights.load(weights.dump(pipeline.state()))
    assert {name: set(entry) for name, entry in state.items() if entry} == {
        "MinMaxNormalizer": {"running_min", "running_max"},
        "SoftChannelSelector": {"channel_logits"},
        "RXGlobal": {"mu", "cov", "cov_inv"},
        "ScoreToLogit": {"scale", "bias"},
    }
    assert len(state) == 13


def test_the_index_becomes_a_video(parity, batch, tmp_path):
    av = pytest.importorskip("av")
    pipeline = Pipeline.from_document(parity["ndvi"])
    pipeline(batch, Context(resolve=tmp_path.joinpath))
    pipeline.close()
    with av.open(str(tmp_path / "output/blood_perfusion/ndvi_projection.mp4")) as video:
        frames = list(video.decode(video=0))
    assert [(frame.height, frame.width) for frame in frames] == [(12, 10)] * 2
