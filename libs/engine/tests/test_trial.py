"""Pipelines are run once over made batches: what can be run is, and only what fails whatever it is given is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from swath.documents import parse
from swath.engine.graph.pipeline import Pipeline
from swath.engine.nodes.anomaly.rx_detector import RXGlobal
from swath.engine.trial import try_forward
from swath.errors import Precondition

RX = {"name": "rx", "class_name": "cuvis_ai.node.anomaly.rx_detector.RXGlobal", "hparams": {"num_channels": 5}}
SCALE = {
    "name": "scale",
    "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
    "hparams": {"use_running_stats": False},
}


def _pipeline(*nodes: dict[str, Any], connections: Any = ()) -> Pipeline:
    return Pipeline.from_document(parse("pipeline", {"nodes": list(nodes), "connections": list(connections)}))


@pytest.fixture
def rx() -> Pipeline:
    """RX with statistics of five channels."""
    pipeline = _pipeline(RX)
    node: Any = pipeline.nodes["rx"]
    node.begin_fit()
    node.fit_batch({"data": torch.rand(1, 8, 8, 5)})
    node.end_fit()
    return pipeline


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes that RX was given."""
    shapes: list[tuple[int, ...]] = []
    run = RXGlobal.run

    def watched(self: Any, inputs: Any, context: Any) -> Any:
        shapes.append(tuple(inputs["data"].shape))
        return run(self, inputs, context)

    monkeypatch.setattr(RXGlobal, "run", watched)
    return shapes


def test_declared_sizes_are_kept_and_open_ones_are_guessed(rx: Pipeline, seen: list[tuple[int, ...]]) -> None:
    assert try_forward(rx) == ""
    assert seen == [(1, 16, 16, 5)]


def test_channels_are_guessed_by_what_the_pipeline_has_learned(rx: Pipeline) -> None:
    wire = {"source": "scale.outputs.normalized", "target": "rx.inputs.data"}
    both = _pipeline(SCALE, RX, connections=[wire])
    both.nodes["rx"] = rx.nodes["rx"]
    assert both.input_specs()["data"].shape[-1] == -1
    assert try_forward(both) == ""


@pytest.mark.parametrize("error", [RuntimeError("no kernel"), TypeError("no kernel"), AttributeError("no kernel")])
def test_what_fails_whatever_it_is_given_is_refused(
    rx: Pipeline, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(RXGlobal, "run", fail)
    with pytest.raises(Precondition, match=f"as the pipeline declares them: {type(error).__name__}: no kernel"):
        try_forward(rx)


def test_what_depends_on_the_size_is_not(rx: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any, inputs: Any, __: Any) -> None:
        raise RuntimeError(f"kernel is larger than {inputs['data'].shape}")

    monkeypatch.setattr(RXGlobal, "run", fail)
    assert "it did not take made inputs: RuntimeError: kernel is larger than" in try_forward(rx)


def test_memory_of_the_device_is_no_fault_of_the_pipeline(rx: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(RXGlobal, "run", fail)
    assert try_forward(rx) == "the device has not enough memory"


def test_what_writes_files_is_not_run(rx: Pipeline, seen: list[tuple[int, ...]]) -> None:
    rx.effect = True
    assert try_forward(rx) == "it writes files"
    assert seen == []


SHIPPED = Path(__file__).resolve().parents[3] / "configs" / "pipeline"


@pytest.mark.parametrize("place", sorted(SHIPPED.rglob("*.yaml")), ids=lambda place: place.stem)
def test_no_pipeline_that_is_shipped_is_refused(place: Path) -> None:
    import yaml

    document = yaml.safe_load(place.read_text())
    if not isinstance(document, dict) or not document.get("nodes"):
        pytest.skip("a part of others")
    pipeline = _pipeline(*document["nodes"], connections=document.get("connections", ()))
    try_forward(pipeline)
