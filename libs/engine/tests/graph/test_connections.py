"""Which graphs can be, and what is said of those that cannot."""

import pytest

from swath.errors import GraphInvalid

DATA = ["LentilsAnomalyDataNode", {"normal_class_ids": [0]}]
NORM = ["MinMaxNormalizer"]


@pytest.mark.parametrize(
    ("nodes", "edges", "words"),
    [
        ({"a": ["NoSuchNode"]}, [], "Unknown node class 'NoSuchNode'"),
        ({"a": ["RXGlobl", {"num_channels": 3}]}, [], "did you mean RXGlobal"),
        ({"a": ["os.system"]}, [], "Unknown node class 'os.system'"),
        ({"n": NORM}, ["x.cube > n.data"], "Source node not found: x"),
        ({"d": DATA}, ["d.cube > x.data"], "Target node not found: x"),
        ({"d": DATA, "n": NORM}, ["d.cube > n.p"], "Input port 'p' not found on node 'n'"),
        ({"d": DATA, "n": NORM}, ["d.p > n.data"], "Output port 'p' not found on node 'd'"),
        ({"d": DATA, "n": NORM}, ["d.mask > n.data"], "Cannot connect d.mask to n.data: Dtype mismatch"),
        ({"d": DATA, "n": NORM}, ["d.cube > n.data", "n.normalized > n.data"], "takes one edge"),
        ({"n": NORM, "m": NORM}, ["n.normalized > m.data", "m.normalized > n.data"], "Graph contains a cycle"),
        ({"n": NORM}, ["n.normalized > n.data"], "Graph contains a cycle"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(build, nodes, edges, words):
    with pytest.raises(GraphInvalid, match=words):
        build(nodes, edges)


def test_ranks_must_agree(build):
    with pytest.raises(GraphInvalid, match="Shape rank mismatch: source has 1 dimensions, target expects 4"):
        build({"s": ["SoftChannelSelector", {"n_select": 1, "input_channels": 4}], "n": NORM}, ["s.weights > n.data"])


def test_a_symbolic_size_is_read_from_the_node(build):
    nodes = {
        "select": ["SoftChannelSelector", {"n_select": 1, "input_channels": 4}],
        "rx": ["RXGlobal", {"num_channels": 3}],
    }
    with pytest.raises(GraphInvalid, match="dimension 3 of the source is 4, target expects 3"):
        build(nodes, ["select.selected > rx.data"])


def test_an_error_names_node_and_port_for_machines(build):
    with pytest.raises(GraphInvalid) as caught:
        build({"d": DATA, "n": NORM}, ["d.cube > n.p"])
    assert caught.value.metadata == {"node": "n", "port": "p"}


def test_float_wavelengths_connect_to_ports_of_whole_ones(build):
    nodes = {"d": ["CU3SDataNode"], "band": ["BandpassByWavelength", {"min_wavelength_nm": 500}]}
    build(nodes, ["d.cube > band.data", "d.wavelengths > band.wavelengths"])


def test_a_name_is_used_once(document):
    from swath.engine.graph.pipeline import Pipeline

    twice = document({"n": NORM}, []).model_copy(update={"nodes": document({"n": NORM}, []).nodes * 2})
    with pytest.raises(GraphInvalid, match="'n' is used twice"):
        Pipeline.from_document(twice)


def test_order_follows_the_edges_and_else_the_document(build):
    nodes = {"late": NORM, "free": NORM, "early": NORM}
    assert build(nodes, ["early.normalized > late.data"]).order == ("free", "early", "late")


def test_an_edge_given_twice_counts_once(build):
    assert len(build({"d": DATA, "n": NORM}, ["d.cube > n.data"] * 2).edges) == 1
