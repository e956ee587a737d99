"""What parts of a batch have to do with one another in a pipeline."""

from swath.engine.graph.independence import Independence

PIXELS = ["MinMaxNormalizer", {}]


def test_a_pipeline_is_as_independent_as_the_least_of_its_nodes(build):
    nodes = {"scale": PIXELS, "z": ["ZScoreNormalizer"]}
    edges = ["scale.normalized > z.data"]
    assert build({"scale": PIXELS}, []).independence is Independence.PIXEL
    assert build(nodes, edges).independence is Independence.FRAME
    nodes["z"] = ["ZScoreNormalizer", {"dims": [0]}]
    assert build(nodes, edges).independence is Independence.BATCH


def test_nodes_that_do_not_run_at_inference_do_not_count(build):
    nodes = {"scale": PIXELS, "statistics": ["ScoreHeatmapVisualizer"]}
    assert build(nodes, ["scale.normalized > statistics.scores"]).independence is Independence.PIXEL


def test_a_stateful_node_makes_it_depend_on_the_batch(build):
    pipeline = build({"scale": ["PercentileNormalizer", {"n_channels": 2, "norm_mode": "running"}]}, [])
    assert pipeline.stateful
    assert pipeline.independence is Independence.BATCH


def test_wavelengths_belong_to_the_batch_on_their_whole_way(build):
    nodes = {"source": ["CU3SDataNode"], "index": ["NDVISelector"]}
    pipeline = build(nodes, ["source.cube > index.cube", "source.wavelengths > index.wavelengths"])
    assert pipeline.independence is Independence.PIXEL
    assert pipeline.common_inputs == {"wavelengths"}
    assert pipeline.common_outputs == {"source.wavelengths", "index.band_info"}


def test_a_value_of_the_items_must_not_reach_a_port_of_the_batch(build):
    nodes = {"source": ["CU3SDataNode"], "map": ["SpectralAngleMapper"]}
    assert build(nodes, []).independence is Independence.PIXEL
    assert build(nodes, ["source.cube > map.spectral_signature"]).independence is Independence.BATCH
