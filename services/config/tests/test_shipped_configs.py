"""Every configuration that ships with the server resolves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import SHIPPED, Resolve

NAMES = sorted(file.relative_to(SHIPPED).with_suffix("").as_posix() for file in SHIPPED.rglob("*.yaml"))
TRAINRUNS = [name for name in NAMES if name.startswith("trainrun/")]
PIPELINES = [name for name in NAMES if name.startswith("pipeline/")]


def test_the_names_that_clients_know_are_there() -> None:
    assert {
        "pipeline/anomaly/rx/rx_statistical",
        "pipeline/anomaly/rx/channel_selector",
        "pipeline/anomaly/deep_svdd/deep_svdd",
        "pipeline/spectral_match/spectral_match",
        "pipeline/spectral_match/spectral_match_validity",
        "pipeline/medical/blood_perfusion/ndvi",
        "trainrun/rx_statistical",
        "trainrun/default_statistical",
        "trainrun/channel_selector",
        "trainrun/default_gradient",
        "trainrun/deep_svdd",
        "trainrun/san_diego_rx",
        "trainrun/san_diego_channel_selector",
        "trainrun/san_diego_deep_svdd",
        "training/default",
        "data/lentils",
        "data/san_diego",
        "data/san_diego_scene",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_resolves(compose: Resolve, name: str) -> None:
    assert compose(name.split("/")[0], name)


@pytest.mark.parametrize("name", NAMES)
def test_it_begins_by_telling_what_it_is(name: str) -> None:
    lines = [line for line in (SHIPPED / f"{name}.yaml").read_text().splitlines() if not line.startswith("# @package")]

    assert lines[0].startswith("# ")


@pytest.mark.parametrize("name", PIPELINES)
def test_edges_join_nodes_of_the_pipeline(compose: Resolve, name: str) -> None:
    pipeline = compose("pipeline", name)
    nodes = [node["name"] for node in pipeline["nodes"]]
    ends = {edge[side].split(".")[0] for edge in pipeline["connections"] for side in ("source", "target")}

    assert len(nodes) == len(set(nodes))
    assert ends == set(nodes)


@pytest.mark.parametrize("name", TRAINRUNS)
def test_a_trainrun_names_nodes_of_its_pipeline(compose: Resolve, name: str, shipped: Path) -> None:
    trainrun = compose("trainrun", name)
    pipeline: Any = trainrun["pipeline"]
    if isinstance(pipeline, str):
        file = (shipped / "trainrun" / pipeline).resolve()
        pipeline = compose("pipeline", file.relative_to(shipped).as_posix())
    nodes = {node["name"] for node in pipeline["nodes"]}

    for field in ("loss_nodes", "metric_nodes", "freeze_nodes", "unfreeze_nodes"):
        assert set(trainrun[field]) <= nodes


@pytest.mark.parametrize(
    ("name", "nodes", "edges"),
    [
        ("anomaly/rx/rx_statistical", 8, 11),
        ("anomaly/rx/channel_selector", 13, 20),
        ("anomaly/deep_svdd/deep_svdd", 13, 23),
        ("spectral_match/spectral_match", 4, 3),
        ("spectral_match/spectral_match_validity", 6, 7),
        ("medical/blood_perfusion/ndvi", 3, 4),
    ],
)
def test_parity_pipelines_have_the_references_size(compose: Resolve, name: str, nodes: int, edges: int) -> None:
    pipeline = compose("pipeline", f"pipeline/{name}")

    assert (len(pipeline["nodes"]), len(pipeline["connections"])) == (nodes, edges)
