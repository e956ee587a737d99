"""The commands about runs that are under way, against a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from swath.client import Client

from .conftest import Swath, refused, said

pytestmark = pytest.mark.xdist_group("client-server")

NODES = {
    "source": ("data.AnomalyDataNode", {"normal_class_ids": [0]}),
    "zscore": ("anomaly.deep_svdd.ZScoreNormalizerGlobal", {"num_channels": 3}),
    "projection": ("anomaly.deep_svdd.DeepSVDDProjection", {"in_channels": 3, "rep_dim": 2, "hidden": 4}),
    "center": ("anomaly.deep_svdd.DeepSVDDCenterTracker", {"rep_dim": 2}),
    "loss": ("losses.DeepSVDDSoftBoundaryLoss", {}),
}
EDGES = (
    ("source.outputs.cube", "zscore.inputs.data"),
    ("zscore.outputs.normalized", "projection.inputs.data"),
    ("projection.outputs.embeddings", "center.inputs.embeddings"),
    ("projection.outputs.embeddings", "loss.inputs.embeddings"),
    ("center.outputs.center", "loss.inputs.center"),
)
TRAINRUN = {
    "name": "svdd",
    "pipeline": {
        "nodes": [
            {"name": name, "class_name": f"cuvis_ai.node.{class_name}", "hparams": hparams}
            for name, (class_name, hparams) in NODES.items()
        ],
        "connections": [{"source": source, "target": target} for source, target in EDGES],
        "metadata": {"name": "SVDD"},
    },
    "data": {"data_module": "scene", "batch_size": 1, "params": {"path": "data/tiny.npz"}},
    "training": {"max_epochs": 10_000, "accelerator": "cpu", "optimizer": {"lr": 0.01}},
    "loss_nodes": ["loss"],
}


@pytest.fixture
def run(client: Client) -> Iterator[str]:
    """A gradient run that is under way, and followed."""
    with client.session() as session:
        session.set_run_config(TRAINRUN)
        list(session.train())
        begun = threading.Event()

        def follow() -> None:
            for progress in session.train("gradient", experiment="studio", name="first"):
                if progress.context.global_step > 1:
                    begun.set()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        assert begun.wait(60)
        yield session.run_id
        session.stop()
        thread.join(60)


def test_a_run_is_commanded_from_the_command_line(swath: Swath, client: Client, run: str) -> None:
    [paused] = said(swath("pause", run[:13]))
    assert paused.startswith("Paused at step ")
    listed = json.loads(said(swath("runs", "--experiment", "studio", "--state", "running", "--json"))[0])
    assert (listed["run_id"], listed["paused"], listed["name"]) == (run, True, "first")
    assert said(swath("set", run, "learning_rate=0.5", "weight_decay=0.1"))[0].startswith("Hyper-parameters changed at")
    [rate] = [line.split() for line in said(swath("set", run)) if line.startswith("learning_rate")]
    assert rate[:6] == ["learning_rate", "0.5", ">", "0,", "≤", "1"]
    assert "must be a number above 0 and at most 1, got 3" in refused(swath("set", run, "learning_rate=3"))
    assert "expected NAME=NUMBER" in refused(swath("set", run, "learning_rate"))
    assert any(run in line and "paused" in line for line in said(swath("top", "--once")))

    saved = client.runs.settled(run, client.runs.save_checkpoint(run).number)
    measured = client.runs.settled(run, client.runs.evaluate(run, "train").number)
    [kept] = [each for each in client.runs.checkpoints(run) if each.digest == saved.progress.digest]
    restored = client.runs.settled(run, client.runs.restore(run, f"{kept.hash}@@weights_step={kept.step}").number)
    assert measured.progress.metrics["train_loss"] > 0
    assert (kept.step, restored.state, restored.message[:19]) == (saved.step, 3, "Checkpoint restored")
    assert said(swath("resume", run))[0].startswith("Resumed at step ")
    assert said(swath("stop", run)) == [f"run {run} is stopping"]

    told = [json.loads(line) for line in said(swath("attach", run, "--json"))]
    kinds = [each["command"]["kind"].removeprefix("COMMAND_KIND_") for each in told if "command" in each]
    assert kinds == ["PAUSE", "CHANGE", "SAVE_CHECKPOINT", "EVALUATE", "EVALUATE", "RESTORE", "RESUME"]
    assert [each["seq"] for each in told] == list(range(1, len(told) + 1))


def test_runs_are_compared(swath: Swath, run: str, tmp_path: Path) -> None:
    file = tmp_path / "curves.png"
    said(swath("pause", run))

    table = said(swath("compare", run, run, "--metric", "total", "--plot", file))
    [first, second] = map(json.loads, said(swath("compare", run, run, "--metric", "total", "--json")))

    assert first == second
    assert first["lowest"] <= first["last"] <= first["highest"]
    assert sum(run in line for line in table) == 2
    assert file.read_bytes().startswith(b"\x89PNG")
    assert "the nearest are" in refused(swath("compare", run, "--metric", "totl"))


def test_a_run_that_is_not_there(swath: Swath) -> None:
    assert "Run nothing not found" in refused(swath("pause", "nothing"))


def test_a_run_goes_to_other_tools_whole(swath: Swath, run: str, tmp_path: Path) -> None:
    swath("stop", run)
    swath("attach", run)
    result = swath("export", run[:8], "--to", "csv", "--out", str(tmp_path))
    folder = tmp_path / run
    header, *rows = (folder / "metrics.csv").read_text().splitlines()
    facts = json.loads((folder / "run.json").read_text())
    assert (header, facts["experiment"], facts["name"]) == ("name,split,step,epoch,value", "studio", "first")
    assert said(result) == [f"run {run}: {len(rows)} values and 2 files in {folder}"]
    assert len([row for row in rows if row.startswith("total,train,")]) >= 2
    assert facts["specification"]["training"]["optimizer"]["lr"] == 0.01
    assert json.loads((folder / "artifacts" / "pipeline.json").read_text())["nodes"][1]["name"] == "zscore"
    assert (folder / "artifacts" / "weights.pt").stat().st_size > 100
    assert "Run 0000 not found" in refused(swath("export", "0000", "--to", "csv", "--out", str(tmp_path)))
