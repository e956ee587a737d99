"""Classes of the reference's base classes, as nodes and data modules.

The last tests run the reference's own classes, unchanged, where SWATH_REFERENCE names a folder that holds its packages
(site-packages of an environment with cuvis-ai and cuvis-ai-dataloader).
"""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from swath.documents import PluginSource, SealedPipeline, load_yaml, parse
from swath.engine import data
from swath.engine.graph.context import Context
from swath.engine.graph.ports import ANY, LIST, Stage
from swath.engine.graph.roles import Decider, Fittable
from swath.engine.plugins.consumer_thread import ConsumerThread
from swath.engine.plugins.loading import Plugins
from swath.engine.plugins.pipelines import build_pipeline
from swath.engine.plugins.reference import adapt
from swath.errors import DataInvalid, InputInvalid, NotFitted

REFERENCE = os.environ.get("SWATH_REFERENCE", "")
SHIPPED = Path(__file__).resolve().parents[4] / "configs" / "pipeline"


def _spec(dtype, shape, **fields):
    return SimpleNamespace(**({"dtype": dtype, "shape": shape, "optional": False, "description": ""} | fields))


class Centre(torch.nn.Module):
    """Subtracts the mean of what it was fitted with, as the reference's statistical nodes are built."""

    INPUT_SPECS = {
        "data": _spec(torch.float32, (-1, "channels")),
        "wavelengths": _spec(np.int32, (-1,), optional=True),
        "more": _spec(torch.Tensor, (-1,), optional=True, variadic=True),
    }
    OUTPUT_SPECS = {"centred": _spec(torch.float32, (-1, "channels")), "metrics": _spec(list, ())}
    EXECUTION_STAGES = frozenset({"val", "inference"})
    _category = "transform"
    _tags = frozenset({"torch", "stateful"})

    def __init__(self, channels, scale=1.0, **kwargs):
        super().__init__()
        self.hparams = {"channels": channels, "scale": scale, **kwargs}
        self.channels = channels
        self.scale = scale
        self._statistically_initialized = False
        self.register_buffer("mean", torch.empty(0))

    def statistical_initialization(self, stream):
        rows = torch.cat([batch["data"] for batch in stream])
        if len(rows) < 2:
            raise RuntimeError("received insufficient samples")
        self.mean = rows.mean(dim=0)
        self._statistically_initialized = True

    def forward(self, data, context, **_):
        if data.shape[0] == 0:
            raise ValueError("no rows\nand more")
        return {"centred": (data - self.mean) * self.scale, "metrics": [str(context.stage)]}

    def load_state_dict(self, state_dict, strict=True, assign=False):
        if "mean" in state_dict:
            self.mean = torch.empty_like(state_dict["mean"])
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def unfreeze(self):
        mean = self.mean
        del self.mean
        self.mean = torch.nn.Parameter(mean)


def _centre(**hparams):
    cls: Any = adapt(Centre)
    return cls(**hparams)


@pytest.fixture
def centre():
    node = _centre(channels=2)
    node.name = "centre"
    return node


@pytest.fixture
def fitted(centre):
    centre.begin_fit()
    for rows in ([[0.0, 2.0]], [[2.0, 4.0]]):
        centre.fit_batch({"data": torch.tensor(rows)})
    centre.end_fit()
    return centre


def test_what_a_class_declares_is_translated(centre):
    assert centre.inputs["data"].sizes(centre) == (-1, 2)
    assert centre.inputs["wavelengths"].dtype is torch.int32
    assert (centre.inputs["more"].dtype, centre.inputs["more"].variadic) == (ANY, True)
    assert centre.outputs["metrics"].dtype is LIST
    assert centre.stages == {Stage.VAL, Stage.INFERENCE}
    assert (centre.stateful, centre.category, centre.hparams) == (True, "transform", {"channels": 2, "scale": 1.0})


def test_hparams_that_a_class_swallows_are_kept():
    cls = adapt(Centre)
    assert cls.parameters_accepted() == ("channels", "scale")
    assert cls.open_hparams
    assert _centre(channels=2, old=1).hparams["old"] == 1


def test_a_fit_pulls_batches_and_is_in_force_at_its_end(centre):
    assert isinstance(centre, Fittable)
    with pytest.raises(NotFitted, match="centre"):
        centre.run({"data": torch.zeros(1, 2)}, Context())
    centre.begin_fit()
    centre.fit_batch({"data": torch.tensor([[0.0, 2.0]])})
    assert not centre.fitted
    centre.fit_batch({"data": torch.tensor([[2.0, 4.0]])})
    centre.end_fit()
    outputs = centre.run({"data": torch.tensor([[1.0, 4.0]])}, Context())
    assert outputs["centred"].tolist() == [[0.0, 1.0]]
    assert outputs["metrics"] == ["inference"]


def test_a_fit_that_fails_says_which_node(fitted):
    fitted.begin_fit()
    fitted.fit_batch({"data": torch.tensor([[9.0, 9.0]])})
    with pytest.raises(DataInvalid, match=r"'centre'.*insufficient samples"):
        fitted.end_fit()
    assert fitted.state()["mean"].tolist() == [1.0, 3.0]


def test_a_pass_that_is_given_up_changes_nothing(fitted):
    fitted.begin_fit()
    fitted.fit_batch({"data": torch.tensor([[100.0, 100.0]])})
    fitted.begin_fit()
    assert fitted.state()["mean"].tolist() == [1.0, 3.0]


def test_state_has_the_module_s_own_keys_and_goes_into_a_node_that_was_never_fitted(fitted):
    other = _centre(channels=2)
    assert list(fitted.state()) == ["mean"]
    assert other.faults(fitted.state(), strict=True) == []
    other.restore(fitted.state())
    assert other.fitted
    assert other.state()["mean"].tolist() == [1.0, 3.0]
    (fault,) = other.faults({"median": torch.zeros(2), **fitted.state()}, strict=True)
    assert "median" in fault


def test_unfreezing_gives_the_optimizer_the_module_s_parameters(fitted):
    fitted.unfreeze()
    assert [parameter.tolist() for parameter in fitted.parameters()] == [[1.0, 3.0]]


def test_an_error_of_a_class_names_the_node(fitted):
    with pytest.raises(InputInvalid, match=r"Node 'centre' \(Centre\): no rows$"):
        fitted.run({"data": torch.zeros(0, 2)}, Context())


def test_a_consumer_that_ends_early_is_handed_no_more():
    seen = []
    pull = ConsumerThread(lambda stream: seen.append(next(stream)))
    for number in range(3):
        pull.feed({"number": number})
    pull.finish()
    assert seen == [{"number": 0}]


class Counter(torch.nn.Module):
    """Counts its calls."""

    INPUT_SPECS = {"data": _spec(torch.float32, (-1,))}
    OUTPUT_SPECS = {"seen": _spec(list, ())}
    _tags = frozenset({"stateful"})

    def __init__(self):
        super().__init__()
        self.seen = []
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, data, context):
        self.seen.append(len(self.seen))
        return {"seen": list(self.seen)}


def test_a_class_with_memory_forgets_it_and_keeps_its_weights():
    cls: Any = adapt(Counter)
    node = cls()
    first = node.run({"data": torch.zeros(1)}, Context())
    weight = node.inner.weight
    weight.data.fill_(3.0)
    assert node.run({"data": torch.zeros(1)}, Context()) == {"seen": [0, 1]}
    node.forget()
    assert node.run({"data": torch.zeros(1)}, Context()) == first
    assert node.inner.weight is weight
    assert weight.item() == 3.0


class Threshold(torch.nn.Module):
    """Decides by a threshold that `calibrate` places, as the reference's deciders are built."""

    INPUT_SPECS = {"logits": _spec(torch.float32, (-1,))}
    OUTPUT_SPECS = {"decisions": _spec(torch.bool, (-1,))}

    def __init__(self, threshold=None):
        super().__init__()
        self.hparams = {"threshold": threshold}

    def forward(self, logits, context):
        return {"decisions": logits > self.hparams["threshold"]}

    def calibrate(self, logits, targets):
        self.hparams["threshold"] = float(logits[targets].min()) - 1.0
        return {"f1_score": 1.0}


def test_a_decider_of_the_reference_is_calibrated():
    cls: Any = adapt(Threshold)
    node = cls()
    assert isinstance(node, Decider)
    assert (node.threshold_names, node.placed) == (("threshold",), False)
    scores = torch.tensor([1.0, 5.0]).view(1, 1, 2, 1)
    assert node.calibrate([scores], [scores > 3]) == {"f1_score": 1.0}
    assert (node.hparams, node.placed) == ({"threshold": 4.0}, True)


class Frames:
    """A data module as the reference's base class has them."""

    def __init__(self, *, splits, batch_size, num_workers, table_path):
        self.table = Path(table_path)

    @staticmethod
    def validate_params(params):
        if "table_path" not in params:
            raise ValueError("missing table_path")

    def setup(self, stage):
        rows = [float(line) for line in self.table.read_text().split()]
        self.train_ds = [{"cube": torch.full((1, 1, 2), row)} for row in rows]
        self.val_ds = None

    def train_dataloader(self):
        raise AssertionError("batches are the engine's")


def _module(tmp_path, monkeypatch, **params):
    monkeypatch.setattr(Plugins, "_load", lambda self, source, dotted: Frames)
    plugins = Plugins([PluginSource(name="acme", path="/acme", data_modules={"table": "acme.Frames"})])
    document = parse("data", {"data_module": "table", "batch_size": 2, "params": params})
    return data.build(document, lambda path: tmp_path / path, seed=3, plugins=plugins)


def test_a_data_module_s_frames_are_batched_by_the_engine(tmp_path, monkeypatch):
    (tmp_path / "table.txt").write_text("1 2 3")
    module = _module(tmp_path, monkeypatch, table_path="table.txt")
    assert (module.splits, module.frames("train")) == (("train",), 3)
    whole = [batch["cube"][:, 0, 0, 0].tolist() for batch in module.loader("train", epoch=1)]
    rest = [batch["cube"][:, 0, 0, 0].tolist() for batch in module.loader("train", epoch=1, start_batch=1)]
    assert sorted(value for batch in whole for value in batch) == [1.0, 2.0, 3.0]
    assert rest == whole[1:]


def test_a_data_module_s_complaint_is_the_client_s(tmp_path, monkeypatch):
    with pytest.raises(DataInvalid, match="missing table_path"):
        _module(tmp_path, monkeypatch)


@pytest.fixture
def reference(monkeypatch):
    """The folder of the reference's packages, allowed."""
    if not REFERENCE:
        pytest.skip("SWATH_REFERENCE names no folder with the reference's packages")
    monkeypatch.setenv("SWATH_PLUGINS", REFERENCE)
    return REFERENCE


def _theirs(folder, name):
    """A shipped pipeline with the reference's own classes."""
    document = parse("pipeline", load_yaml((SHIPPED / f"{name}.yaml").read_text()))
    classes = sorted({node.class_name for node in document.nodes})
    source = PluginSource(name="cuvis_ai_builtin", path=folder, named=True, nodes=classes)
    return SealedPipeline(**{**dict(document), "sources": [source]}), document


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["anomaly/rx/channel_selector", "anomaly/rx/rx_statistical", "anomaly/deep_svdd/deep_svdd"]
)
def test_the_reference_s_own_classes_run_unchanged_and_agree(reference, name):
    sealed, document = _theirs(reference, name)
    theirs, ours = build_pipeline(sealed), build_pipeline(document)
    random = torch.Generator().manual_seed(1)
    batch = {
        "cube": torch.rand(1, 12, 12, 61, generator=random) + 0.1,
        "wavelengths": torch.arange(430, 918, 8, dtype=torch.int32)[None],
    }
    for pipeline in (theirs, ours):
        assert all(node.reference.__module__.startswith("cuvis_ai.") for node in theirs.nodes.values())
        for wave in pipeline.fit_waves():
            for key, inputs in pipeline.inputs_of(wave, batch).items():
                node = pipeline.nodes[key]
                assert isinstance(node, Fittable)
                node.begin_fit()
                node.fit_batch(inputs)
                node.end_fit()
    ours.load_state(theirs.state(), strict=True)
    with torch.inference_mode():
        expected, got = theirs(batch), ours(batch)
    for key, value in expected.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            scale = value.abs().max().clamp_min(1e-12)
            assert ((got[key] - value).abs().max() / scale).item() < 1e-4, key
    assert any(isinstance(node, Decider) for node in theirs.nodes.values())


@pytest.mark.filterwarnings("ignore")
def test_the_reference_s_data_module_reads_as_ours_does(reference, tmp_path):
    rows = ["source,index,materialized_path"]
    for index in range(4):
        cube = np.full((3, 3, 5), index, np.float32)
        np.savez(tmp_path / f"{index}.npz", cube=cube, wavelengths=np.linspace(400, 800, 5, dtype=np.float32))
        rows.append(f"all,{index},{tmp_path / f'{index}.npz'}")
    (tmp_path / "universe.csv").write_text("\n".join(rows) + "\n")
    document = parse(
        "data",
        {
            "data_module": "npz_multi",
            "batch_size": 2,
            "params": {"universe_csv": str(tmp_path / "universe.csv")},
            "splits": {"train": [{"kind": "glob", "pattern": "*"}]},
        },
    )
    modules = {"npz_multi": "cuvis_ai_dataloader.data.datamodule_npz_multi.MultiNpzDataModule"}
    source = PluginSource(name="cuvis_ai_dataloader", path=reference, named=True, data_modules=modules)
    theirs = data.build(document, Path, seed=0, plugins=Plugins([source]))
    ours = data.build(document, Path, seed=0)
    for left, right in zip(theirs.loader("train", epoch=0), ours.loader("train", epoch=0), strict=True):
        assert torch.equal(left["cube"], right["cube"])
