"""What a forward takes, computes and gives."""

import pytest
import torch

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.errors import GraphInvalid, InputInvalid, NotFitted


@pytest.fixture
def ndvi(build):
    nodes = {"data": ["CU3SDataNode"], "ndvi": ["NDVISelector"], "match": ["ScoreThreshold", {"keep": "above"}]}
    return build(
        nodes,
        ["data.cube > ndvi.cube", "data.wavelengths > ndvi.wavelengths", "ndvi.index_image > match.scores"],
    )


@pytest.fixture
def batch():
    return {"cube": torch.rand(1, 2, 3, 2), "wavelengths": torch.tensor([[668.0, 827.0]])}


def test_outputs_are_keyed_by_node_and_port(ndvi, batch):
    outputs = ndvi(batch)
    assert outputs["ndvi.index_image"].shape == (1, 2, 3, 1)
    assert outputs["match.decisions"].dtype is torch.bool
    assert outputs["ndvi.band_info"]["band_indices"] == [1, 0]


def test_only_names_outputs_in_full_or_by_port(ndvi, batch):
    assert set(ndvi(batch, only=["match.decisions"])) == {"match.decisions"}
    assert set(ndvi(batch, only=["cube", "index_image"])) == {"data.cube", "ndvi.index_image"}
    assert ndvi(batch, only=["no.such"]) == {}


def test_only_computes_what_is_asked_for(ndvi, batch):
    seen: list[str] = []
    ndvi(batch, Context(observe=lambda name, seconds: seen.append(name)), only=["ndvi.rgb_image"])
    assert seen == ["data", "ndvi"]


def test_nodes_that_write_run_whatever_is_asked_for(build, batch, tmp_path):
    pytest.importorskip("av")
    nodes = {
        "data": ["CU3SDataNode"],
        "ndvi": ["NDVISelector"],
        "video": ["ToVideoNode", {"output_video_path": "a.mp4"}],
    }
    edges = ["data.cube > ndvi.cube", "data.wavelengths > ndvi.wavelengths", "ndvi.rgb_image > video.rgb_image"]
    pipeline = build(nodes, edges)
    pipeline(batch, Context(resolve=tmp_path.joinpath), only=["data.cube"])
    pipeline.close()
    assert pipeline.effect
    assert (tmp_path / "a.mp4").stat().st_size > 0


def test_upto_gives_the_outputs_of_those_nodes(ndvi, batch):
    assert set(ndvi(batch, upto=["ndvi"])) == {"ndvi.rgb_image", "ndvi.band_info", "ndvi.index_image"}
    with pytest.raises(GraphInvalid, match="No node named 'x'"):
        ndvi(batch, upto=["x"])


def test_feeds_gives_what_would_reach_a_node(ndvi, batch):
    fed = ndvi.inputs_of(["match", "data"], batch)
    assert set(fed["match"]) == {"scores"}
    assert fed["data"]["cube"] is batch["cube"]


def test_a_key_of_the_batch_reaches_every_free_port_of_its_name(build):
    pipeline = build({"above": ["ScoreThreshold", {"keep": "above"}], "below": ["ScoreThreshold"]}, [])
    outputs = pipeline({"scores": torch.full((1, 1, 1, 1), 0.7), "threshold": torch.tensor([0.8])})
    assert not outputs["above.decisions"].item()
    assert outputs["below.decisions"].item()


def test_nodes_of_other_stages_are_left_out(build):
    pipeline = build({"loss": ["SelectorDiversityRegularizer", {"weight": 2}]}, [])
    weights = torch.tensor([1.0, 3.0])
    assert pipeline({"weights": weights}) == {}
    assert pipeline({"weights": weights}, Context(Stage.TRAIN))["loss.loss"] == -2.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cube": None}, r"Node 'data' missing required inputs: \['cube'\]"),
        ({"cube": torch.rand(2, 3, 2)}, "Shape rank mismatch: source has 3 dimensions, target expects 4"),
        ({"wavelengths": torch.zeros(1, 2, dtype=torch.float16)}, "Dtype mismatch: source is float16"),
        ({"cube": [1, 2]}, "Type mismatch: source is list"),
        ({"wavelengths": torch.zeros(1, 5)}, "Node 'ndvi' input 'wavelengths'"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(ndvi, batch, change, words):
    with pytest.raises(InputInvalid, match=words):
        ndvi(batch | change)


def test_an_error_tells_expected_and_got(ndvi, batch):
    with pytest.raises(InputInvalid) as caught:
        ndvi(batch | {"cube": torch.rand(2, 3, 2)})
    assert "(expected tensor[-1,-1,-1,-1], got float32[2,3,2])" in caught.value.message
    assert caught.value.metadata == {"node": "data", "port": "cube"}


def test_the_wrong_number_of_channels_is_refused(build):
    pipeline = build({"rx": ["RXGlobal", {"num_channels": 3}]}, [])
    with pytest.raises(InputInvalid, match="dimension 3 of the source is 4, target expects 3"):
        pipeline({"data": torch.rand(1, 2, 2, 4)})


def test_a_node_without_statistics_says_so(build):
    pipeline = build({"rx": ["RXGlobal", {"num_channels": 3}]}, [])
    with pytest.raises(NotFitted, match=r"Node 'rx' \(RXGlobal\) is not fitted"):
        pipeline({"data": torch.rand(1, 2, 2, 3)})


def test_variadic_ports_get_a_list_in_the_order_of_edges(build):
    nodes = {
        "low": ["ScoreThreshold", {"threshold": 0.2, "keep": "above"}],
        "high": ["ScoreThreshold", {"threshold": 0.8}],
        "both": ["DecisionFusion", {"mode": "all"}],
    }
    pipeline = build(nodes, ["low.decisions > both.decisions", "high.decisions > both.decisions"])
    scores = torch.tensor([0.1, 0.5, 0.9]).reshape(1, 1, 3, 1)
    assert pipeline({"scores": scores})["both.decisions"].flatten().tolist() == [False, True, False]


def test_values_are_freed_once_used(build):
    nodes = {f"n{index}": ["PerPixelUnitNorm"] for index in range(3)}
    pipeline = build(nodes, ["n0.normalized > n1.data", "n1.normalized > n2.data"])
    plan = pipeline._plan(Stage.INFERENCE, only=["n2.normalized"])
    assert [step.release for step in plan.steps] == [(), ("n0.normalized",), ("n1.normalized",)]


def test_plans_are_kept_but_not_without_bound(ndvi, batch):
    for index in range(600):
        ndvi(batch, only=[f"name{index}"])
    assert len(ndvi._plans) <= 256


def test_an_empty_pipeline_gives_nothing(build):
    assert build({}, [])({"cube": torch.zeros(1)}) == {}


def test_an_invalid_pixel_that_a_node_makes_is_left_out_by_the_next_whatever_else_is_in_the_batch(build):
    nodes = {
        "data": ["CU3SDataNode"],
        "index": ["CIRedEdgeSelector", {"eps": 0.0}],
        "scaled": ["MinMaxNormalizer", {"use_running_stats": False}],
    }
    edges = ["data.cube > index.cube", "data.wavelengths > index.wavelengths", "index.index_image > scaled.data"]
    pipeline = build(nodes, edges)
    cube = torch.rand(2, 4, 5, 2) + 0.5
    cube[0, 1, 2] = 0.0  # of which the index is 0 / 0
    wavelengths = torch.tensor([[705.0, 783.0]]).expand(2, -1)

    alone = pipeline({"cube": cube, "wavelengths": wavelengths})["scaled.normalized"]
    cube[1, 0, 0] = torch.nan
    beside = pipeline({"cube": cube, "wavelengths": wavelengths})["scaled.normalized"]

    assert alone[0].isnan().sum() == 1
    assert alone[0, 1, 2].isnan()
    torch.testing.assert_close(beside[0], alone[0], equal_nan=True)
    assert alone[0][alone[0].isfinite()].max() == 1.0
