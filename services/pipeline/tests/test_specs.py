"""Ports and node classes as messages of the public API."""

from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
import torch

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.documents import CapabilityDocument
from swath.engine.graph.describe import Description, Hparam
from swath.engine.graph.ports import ANY, LIST, Port
from swath.engine.graph.registry import Entry
from swath_pipeline.adapters.icons import icon
from swath_pipeline.adapters.specs import capability_info, description, entry_info, tensor_spec


@pytest.mark.parametrize(
    ("dtype", "code"),
    [
        (torch.float32, pb.D_TYPE_FLOAT32),
        (torch.float64, pb.D_TYPE_FLOAT64),
        (torch.int64, pb.D_TYPE_INT64),
        (torch.uint8, pb.D_TYPE_UINT8),
        (torch.bool, pb.D_TYPE_BOOL),
        (torch.bfloat16, pb.D_TYPE_UNSPECIFIED),
        (ANY, pb.D_TYPE_UNSPECIFIED),
        (LIST, pb.D_TYPE_UNSPECIFIED),
    ],
)
def test_a_port_of_one_type_has_its_code_and_others_have_none(dtype, code):
    assert tensor_spec("cube", Port(dtype, (-1,)), required=True).dtype == code


def test_sizes_that_a_node_decides_are_open():
    spec = tensor_spec("cube", Port(torch.float32, (-1, 4, "num_channels")), required=False)
    assert (spec.name, list(spec.shape), spec.required) == ("cube", [-1, 4, -1], False)


class TestBuiltIn:
    @pytest.fixture
    def info(self):
        return entry_info(
            Entry(
                class_name="Detector",
                full_path="cuvis_ai.node.Detector",
                category="model",
                tags=("anomaly", "learnable", "no such tag"),
                inputs={"data": Port(torch.float32, (-1, "bands"), optional=True, description="Spectra")},
                outputs={"scores": Port(torch.float32, (-1,), variadic=True)},
                stages=frozenset(),
                description="Detects.",
            )
        )

    def test_a_class_says_where_it_is_and_what_it_is(self, info):
        assert (info.class_name, info.full_path, info.source) == ("Detector", "cuvis_ai.node.Detector", "builtin")
        assert info.plugin_name == ""
        assert info.category == pb.NODE_CATEGORY_MODEL

    def test_tags_that_the_wire_does_not_know_are_left_out(self, info):
        assert list(info.tags) == [pb.NODE_TAG_ANOMALY, pb.NODE_TAG_LEARNABLE]

    def test_ports_go_by_name(self, info):
        data, scores = info.input_specs["data"], info.output_specs["scores"]
        assert (data.name, list(data.shape), data.optional, data.description) == ("data", [-1, -1], True, "Spectra")
        assert (scores.dtype, scores.variadic) == (pb.D_TYPE_FLOAT32, True)

    def test_its_picture_is_that_of_its_category(self, info):
        assert info.icon_svg == icon("model")


class TestOfAPlugin:
    def _info(self, **fields):
        return capability_info(CapabilityDocument.model_validate({"class_name": "acme.nodes.Blur", **fields}), "acme")

    def test_a_class_names_its_plugin(self):
        info = self._info()
        assert (info.class_name, info.full_path) == ("Blur", "acme.nodes.Blur")
        assert (info.source, info.plugin_name) == ("plugin", "acme")

    @pytest.mark.parametrize("dtype", ["float32", "torch.float32", "FLOAT32"])
    def test_a_port_s_type_may_be_written_as_torch_does(self, dtype):
        info = self._info(input_specs={"data": {"dtype": dtype, "shape": [-1, "bands", 3]}})
        assert info.input_specs["data"].dtype == pb.D_TYPE_FLOAT32
        assert list(info.input_specs["data"].shape) == [-1, -1, 3]

    def test_a_type_that_the_wire_does_not_know_has_no_code(self):
        info = self._info(output_specs={"boxes": {"dtype": "list", "shape": []}})
        assert info.output_specs["boxes"].dtype == pb.D_TYPE_UNSPECIFIED

    def test_its_own_picture_comes_before_that_of_its_category(self):
        assert self._info(icon_svg="<svg/>", category="model").icon_svg == b"<svg/>"
        assert self._info(category="model").icon_svg == icon("model")
        assert self._info().icon_svg == b""

    def test_a_category_that_is_none_is_unspecified(self):
        assert self._info().category == pb.NODE_CATEGORY_UNSPECIFIED
        assert self._info(category="LOSS").category == pb.NODE_CATEGORY_LOSS


def test_a_description_goes_over_whole():
    described = Description(
        full_path="cuvis_ai.node.Detector",
        summary="Detects.",
        documentation="Detects.\n\nArgs: ...",
        hparams=(Hparam("mode", "Literal", False, '"fast"', "How.", ("fast", "exact")),),
        stages=("train", "inference"),
        fittable=True,
        calibratable=False,
        stateful=True,
        effect=False,
        trainable_buffers=("mu",),
    )
    message = description(described)
    [hparam] = message.hparams
    assert (hparam.name, hparam.type, hparam.required, hparam.default_json) == ("mode", "Literal", False, '"fast"')
    assert (hparam.description, list(hparam.choices)) == ("How.", ["fast", "exact"])
    assert (message.summary, list(message.stages), list(message.trainable_buffers)) == (
        "Detects.",
        ["train", "inference"],
        ["mu"],
    )
    flags = SimpleNamespace(fittable=True, calibratable=False, stateful=True, effect=False)
    assert all(getattr(message, name) is value for name, value in vars(flags).items())


def test_each_category_of_the_wire_has_a_picture_that_is_svg():
    names = {name.removeprefix("NODE_CATEGORY_").lower() for name in dict(pb.NodeCategory.items())} - {"unspecified"}
    assert {name for name in names if icon(name)} == names
    for name in names:
        assert ET.fromstring(icon(name)).attrib["viewBox"] == "0 0 24 24"


def test_what_is_no_category_has_no_picture():
    assert icon("") == icon("nothing") == b""
