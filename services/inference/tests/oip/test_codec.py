"""Tensors of the protocol against numpy: what arrives, and what is answered."""

import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from swath.api.payloads import LARGE
from swath.errors import InputInvalid
from swath.inference import open_inference_pb2 as pb
from swath.published.model import TensorSpec
from swath_inference.protocols.oip.messages import InferMessage
from swath_inference.protocols.oip.tensors.inputs import checked_inputs
from swath_inference.protocols.oip.tensors.outputs import answer, wanted_outputs

NAMES = {
    "BOOL": "bool",
    **{f"{kind.upper()}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


def _none(reference, name):
    raise AssertionError("no shared memory was registered")


def _request(name, datatype, shape, *, raw=None, **contents):
    request = pb.ModelInferRequest(model_name="m")
    each = request.inputs.add(name=name, datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(each.contents, field).extend(values)
    if raw is not None:
        request.raw_input_contents.append(raw)
    return request


def _read(request, *specs, memory=_none, max_batch_size=0, takes=None):
    message = InferMessage.read(request.SerializeToString())
    found = checked_inputs(message, specs, memory, model="m", takes=takes or {}, max_batch_size=max_batch_size)
    return {each.name: each.read(message.payloads) for each in found}


def _spec(dtype, shape, name="x", **more):
    return TensorSpec(name, dtype, tuple(shape), **more)


def _written(outputs, request=None, specs=(), *, batched=False):
    wanted = wanted_outputs(request or pb.ModelInferRequest(), specs, _none, "m")
    data = answer(outputs, wanted, name="m", version=3, request_id="ü", batched=batched, on_stream=False)
    return pb.ModelInferResponse.FromString(data)


@st.composite
def tensors(draw, names=tuple(NAMES)):
    """A datatype and an array of it; one axis in front, so that an empty one has frames that are none."""
    datatype = draw(st.sampled_from(names))
    shape = draw(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 3)) | st.tuples(st.integers(0, 9)))
    return datatype, draw(arrays.arrays(NAMES[datatype], shape))


def _same(tensor, array):
    assert tuple(tensor.shape) == array.shape
    assert str(tensor.dtype).removeprefix("torch.") == array.dtype.name
    assert tensor.numpy().tobytes() == array.tobytes()


class TestInputs:
    @given(tensors())
    @settings(max_examples=200, deadline=None)
    def test_raw_bytes_are_what_numpy_has(self, given):
        datatype, array = given
        request = _request("x", datatype, array.shape, raw=array.astype(array.dtype.newbyteorder("<")).tobytes())
        _same(_read(request, _spec(NAMES[datatype], [-1] * array.ndim))["x"], array)

    @given(tensors(tuple(FIELDS)))
    @settings(max_examples=200, deadline=None)
    def test_typed_elements_are_what_numpy_has(self, given):
        datatype, array = given
        request = _request("x", datatype, array.shape, **{FIELDS[datatype]: array.ravel().tolist()})
        found = _read(request, _spec(NAMES[datatype], [-1] * array.ndim))["x"]
        assert tuple(found.shape) == array.shape
        np.testing.assert_array_equal(found.numpy(), array)

    @pytest.mark.parametrize("datatype", ["FP32", "FP64", "UINT8", "INT64"])
    def test_large_ones_are_views_of_what_arrived(self, datatype):
        array = np.arange(LARGE).astype(NAMES[datatype])
        raw = _request("x", datatype, array.shape, raw=array.tobytes())
        message = InferMessage.read(raw.SerializeToString())
        [found] = checked_inputs(message, [_spec(NAMES[datatype], [-1])], _none, model="m", takes={}, max_batch_size=0)
        assert found.raw is not None
        assert isinstance(found.raw(), memoryview)
        _same(found.read(message.payloads), array)
        _same(
            _read(
                _request("x", datatype, array.shape, **{FIELDS[datatype]: array.tolist()}), _spec(NAMES[datatype], [-1])
            )["x"],
            array,
        )

    def test_several_raw_entries_belong_to_the_inputs_in_their_order(self):
        request = pb.ModelInferRequest()
        large = np.arange(LARGE, dtype=np.float32)
        for name, array in (("b", large), ("a", np.array([1, 2], np.float32)), ("c", large[::-1])):
            request.inputs.add(name=name, datatype="FP32", shape=array.shape)
            request.raw_input_contents.append(array.tobytes())
        found = _read(request, *(_spec("float32", [-1], name) for name in "abc"))
        assert [found[name][0].item() for name in "abc"] == [1.0, 0.0, LARGE - 1]

    def test_bfloat16_has_the_upper_half_of_a_float(self):
        values = np.array([1.5, -2.0, 3.140625], np.float32)
        raw = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
        found = _read(_request("x", "BF16", [3], raw=raw), _spec("bfloat16", [-1]))["x"]
        assert found.dtype is torch.bfloat16
        assert found.float().tolist() == values.tolist()

    def test_a_bool_is_0_or_1_whatever_its_byte(self):
        found = _read(_request("x", "BOOL", [4], raw=b"\0\1\2\xff"), _spec("bool", [-1]))["x"]
        assert found.view(torch.uint8).tolist() == [0, 1, 1, 1]

    def test_what_takes_any_number_type_gets_the_one_that_came(self):
        found = _read(
            _request("x", "UINT16", [1, 2], raw=b"\1\0\2\0"), _spec("tensor", [-1, -1]), takes={"x": {"UINT16", "FP32"}}
        )["x"]
        assert (found.dtype, found.tolist()) == (torch.uint16, [[1, 2]])

    @pytest.mark.parametrize("raw", [True, False])
    @pytest.mark.parametrize(
        ("dtype", "element", "value"),
        [
            ("text", "Größe \0".encode(), "Größe \0"),
            ("text", b"", ""),
            ("list", b'[{"x": 1}]', [{"x": 1}]),
            ("dict", b'{"a": [1, 2]}', {"a": [1, 2]}),
        ],
    )
    def test_what_is_no_tensor_is_one_element_of_bytes(self, raw, dtype, element, value):
        how = {"raw": struct.pack("<I", len(element)) + element} if raw else {"bytes_contents": [element]}
        assert _read(_request("x", "BYTES", [1], **how), _spec(dtype, []))["x"] == value

    def test_large_text_is_read_where_it_arrived(self):
        text = "é" * LARGE
        assert _read(_request("x", "BYTES", [1], bytes_contents=[text.encode()]), _spec("text", []))["x"] == text

    def test_inputs_in_shared_memory_take_no_raw_entry(self):
        request = pb.ModelInferRequest(raw_input_contents=[np.array([7], np.float32).tobytes()])
        shared = request.inputs.add(name="a", datatype="FP32", shape=[2])
        shared.parameters["shared_memory_region"].string_param = "r"
        shared.parameters["shared_memory_byte_size"].int64_param = 8
        shared.parameters["shared_memory_offset"].int64_param = 3
        request.inputs.add(name="b", datatype="FP32", shape=[1])

        def memory(reference, name):
            assert (reference.region, reference.offset, reference.size, name) == ("r", 3, 8, "a")
            return lambda: memoryview(np.array([1, 2], np.float32).tobytes())

        found = _read(request, _spec("float32", [-1], "a"), _spec("float32", [-1], "b"), memory=memory)
        assert (found["a"].tolist(), found["b"].tolist()) == ([1.0, 2.0], [7.0])


FOUR = np.zeros(4, np.float32).tobytes()


def _twice():
    request = _request("x", "FP32", [1, 4], raw=FOUR)
    request.inputs.append(request.inputs[0])
    request.raw_input_contents.append(FOUR)
    return request


def _mixed():
    return _request("x", "FP32", [1, 4], raw=FOUR, fp32_contents=[0.0] * 4)


def _too_many():
    request = _request("x", "FP32", [1, 4], raw=FOUR)
    request.raw_input_contents.append(FOUR)
    return request


def _too_few():
    request = _request("x", "FP32", [1, 4], raw=FOUR)
    request.inputs.add(name="half", datatype="FP16", shape=[1])
    return request


def _shared(**parameters):
    request = _request("x", "FP32", [1, 4])
    for name, value in parameters.items():
        kind = "string_param" if isinstance(value, str) else "int64_param"
        setattr(request.inputs[0].parameters[name], kind, value)
    return request


REFUSED = [
    (_request("cubex", "FP32", [1, 4], raw=FOUR), "unexpected inference input 'cubex' for model 'm'"),
    (_twice(), "input 'x' already exists in request"),
    (_request("x", "FP64", [1, 4], raw=FOUR), "inference input 'x' data-type is 'FP64', but model 'm' expects 'FP32'"),
    (_request("x", "fp32", [1, 4], raw=FOUR), "data-type is 'fp32'"),
    (_request("x", "", [1, 4], raw=FOUR), "data-type is ''"),
    (_request("x", "FP32", [4], raw=FOUR), r"unexpected shape for input 'x' .* Expected \[-1,4\], got \[4\]"),
    (_request("x", "FP32", [2, 2], raw=FOUR), r"Expected \[-1,4\], got \[2,2\]"),
    (_request("x", "FP32", [-1, 4], raw=FOUR), r"All input dimensions should be specified .* got \[-1,4\]"),
    (_request("x", "FP32", [1, 4], raw=FOUR[:-1]), "input byte size mismatch for input 'x' .* Expected 16, got 15"),
    (_request("x", "FP32", [1, 4], fp32_contents=[0.0] * 3), "Expected 16, got 12"),
    (_request("x", "FP32", [2**62, 4], raw=b""), "too large"),
    (_request("x", "FP32", [2**30, 4], raw=b""), "Expected 17179869184, got 0"),
    (_request("y", "FP32", [2**32, 2**32, 1, 1], raw=b""), "too large"),
    (_request("y", "FP32", [2**32, 2**32, 0, 1], raw=b""), "too large"),
    (_request("y", "FP32", [1] * 200, raw=b""), r"got \[1,1,.*200 dimensions\]"),
    (_request("x", "FP32", [1, 4]), "unable to find data for input tensor 'x'"),
    (_request("x", "FP32", [1, 4], fp64_contents=[0.0] * 4), "unexpected explicit tensor data .* fp64_contents"),
    (_request("x", "FP32", [1, 4], fp32_contents=[0.0] * 4, bool_contents=[True]), "bool_contents"),
    (_request("half", "FP16", [1], int_contents=[1]), "raw_input_contents alone"),
    (_mixed(), "contents field must not be specified when using raw_input_contents for 'x'"),
    (_too_many(), "expected 1 entries of raw_input_contents .* got 2"),
    (_too_few(), "unable to find data for input tensor 'half'"),
    (_request("byte", "INT8", [2], int_contents=[127, 300]), "expected INT8 elements of -128 to 127, got 300"),
    (_request("word", "UINT16", [1], uint_contents=[65536]), "expected UINT16 elements of 0 to 65535, got 65536"),
    (_request("text", "BYTES", [2], bytes_contents=[b"a", b"b"]), r"Expected \[1\], got \[2\]"),
    (_request("text", "BYTES", [1], bytes_contents=[b"a", b"b"]), "expected 1 string elements .* got 2"),
    (_request("text", "BYTES", [1], raw=b"\1\0\0"), "incomplete length of element 0"),
    (_request("text", "BYTES", [1], raw=b"\5\0\0\0abc"), "element 0 has 3 bytes, expected 5"),
    (_request("text", "BYTES", [1], raw=b"\1\0\0\0a\1\0\0\0b"), "expected 1 elements, got 2"),
    (_request("text", "BYTES", [1], bytes_contents=[b"\xff"]), "no text in UTF-8"),
    (_request("list", "BYTES", [1], bytes_contents=[b"{}"]), "expected a JSON list, got a dict"),
    (_request("list", "BYTES", [1], bytes_contents=[b"[" * 100_000]), "no JSON"),
    (_request("any", "BYTES", [1], bytes_contents=[b"a"]), "expects 'FP32'"),
    (_shared(shared_memory_region="r"), "'shared_memory_byte_size' must be specified along with"),
    (_shared(shared_memory_byte_size=16), "'shared_memory_region' must be specified along with"),
    (_shared(shared_memory_region=1), "invalid value type for 'shared_memory_region' parameter, expected string_param"),
    (_shared(shared_memory_region="r", shared_memory_byte_size="16"), "expected int64_param"),
    (_shared(shared_memory_region="r", shared_memory_byte_size=-16), "expected value >= 0, got -16"),
    (_shared(shared_memory_region="r", shared_memory_byte_size=12), "Expected 16, got 12"),
]

SPECS = (
    _spec("float32", [-1, 4]),
    _spec("float32", [-1, -1, -1, -1], "y"),
    _spec("float16", [-1], "half"),
    _spec("int8", [-1], "byte"),
    _spec("uint16", [-1], "word"),
    _spec("text", [], "text"),
    _spec("list", [], "list"),
    _spec("tensor", [-1], "any"),
)


@pytest.mark.parametrize(("request_", "text"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_what_is_wrong_with_an_input_is_said(request_, text):
    with pytest.raises(InputInvalid, match=text):
        _read(request_, *SPECS, memory=lambda reference, name: lambda: memoryview(bytes(reference.size)))


def test_a_batch_is_bounded_and_the_same_in_all_inputs():
    specs = _spec("float32", [-1, 4]), _spec("float32", [-1], "z")
    with pytest.raises(InputInvalid, match=r"batch-size must be <= 2 for 'm', got 3"):
        _read(_request("x", "FP32", [3, 4], raw=FOUR * 3), *specs, max_batch_size=2)
    request = _request("x", "FP32", [2, 4], raw=FOUR * 2)
    request.inputs.add(name="z", datatype="FP32", shape=[1])
    request.raw_input_contents.append(bytes(4))
    with pytest.raises(InputInvalid, match="different batch sizes"):
        _read(request, *specs, max_batch_size=2)


class TestOutputs:
    @given(tensors())
    @settings(max_examples=200, deadline=None)
    def test_what_is_answered_is_what_numpy_has(self, given):
        datatype, array = given
        response = _written({"n.p": torch.from_numpy(array.copy())})
        assert (response.model_name, response.model_version, response.id) == ("m", "3", "ü")
        [described], [raw] = response.outputs, response.raw_output_contents
        assert (described.name, described.datatype, tuple(described.shape)) == ("n.p", datatype, array.shape)
        assert raw == array.tobytes()
        assert not described.HasField("contents")

    def test_what_arrives_comes_back_bit_by_bit(self):
        array = np.random.default_rng(1).integers(0, 2**32, 100, np.uint32).view(np.float32)
        found = _read(_request("x", "FP32", [100], raw=array.tobytes()), _spec("float32", [-1]))["x"]
        assert _written({"n.p": found}).raw_output_contents[0] == array.tobytes()

    def test_bfloat16_goes_back_as_it_came(self):
        tensor = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
        response = _written({"n.p": tensor})
        assert (response.outputs[0].datatype, response.raw_output_contents[0]) == ("BF16", b"\xc0\x3f\x00\xc0")

    def test_numbers_texts_and_lists_have_a_form_and_the_rest_is_left_out(self):
        outputs = {"a.n": 3, "a.f": 0.5, "a.t": "é", "a.l": ["x", ""], "a.v": [1, 2], "a.d": {"k": 1}, "a.o": object()}
        response = _written(outputs)
        found = {
            each.name: (each.datatype, list(each.shape), raw)
            for each, raw in zip(response.outputs, response.raw_output_contents, strict=True)
        }
        assert found == {
            "a.n": ("INT64", [1], struct.pack("<q", 3)),
            "a.f": ("FP64", [1], struct.pack("<d", 0.5)),
            "a.t": ("BYTES", [1], b"\2\0\0\0\xc3\xa9"),
            "a.l": ("BYTES", [2], b"\1\0\0\0x\0\0\0\0"),
            "a.v": ("INT64", [2], struct.pack("<qq", 1, 2)),
            "a.d": ("BYTES", [1], struct.pack("<I", 8) + json.dumps({"k": 1}).encode()),
        }

    def test_only_those_that_are_asked_for_in_the_models_order_and_once(self):
        request = pb.ModelInferRequest()
        for name in ("n.c", "n.a", "n.c"):
            request.outputs.add(name=name)
        specs = [_spec("float32", [-1], f"n.{name}") for name in "abc"]
        response = _written({f"n.{name}": torch.zeros(1) for name in "abc"}, request, specs)
        assert [each.name for each in response.outputs] == ["n.a", "n.c"]

    def test_one_that_the_model_does_not_have_is_refused(self):
        request = pb.ModelInferRequest()
        request.outputs.add(name="zz")
        with pytest.raises(InputInvalid, match="unexpected inference output 'zz' for model 'm'"):
            _written({}, request, [_spec("float32", [-1], "n.a")])

    def test_one_that_was_asked_for_and_has_no_form_is_an_error(self):
        request = pb.ModelInferRequest()
        request.outputs.add(name="n.a")
        with pytest.raises(InputInvalid, match=r"output 'n\.a' of model 'm' cannot be sent"):
            _written({"n.a": torch.zeros(1, dtype=torch.complex64)}, request, [_spec("tensor", [-1], "n.a")])


def _classified(values, count, *, batched=False):
    request = pb.ModelInferRequest()
    request.outputs.add(name="n.a").parameters["classification"].int64_param = count
    response = _written({"n.a": values}, request, [_spec("tensor", [-1], "n.a")], batched=batched)
    [described], raw = response.outputs, response.raw_output_contents[0]
    assert described.datatype == "BYTES"
    strings = []
    while raw:
        length = struct.unpack_from("<I", raw)[0]
        strings.append(raw[4 : 4 + length].decode())
        raw = raw[4 + length :]
    return list(described.shape), strings


class TestClassification:
    def test_the_largest_come_first(self):
        values = torch.tensor([[0.25, 2.0, -1.0], [3.0, 3.0, 1e-7]])
        assert _classified(values, 2) == ([2], ["3.000000:3", "3.000000:4"])
        assert _classified(values, 2, batched=True) == (
            [2, 2],
            ["2.000000:1", "0.250000:0", "3.000000:0", "3.000000:1"],
        )

    def test_more_than_there_are_is_all(self):
        assert _classified(torch.tensor([1.0, float("nan")]), 9) == ([2], ["1.000000:0", "nan:1"])

    def test_whole_numbers_of_any_kind(self):
        assert _classified(torch.tensor([3, 255, 0], dtype=torch.uint8), 2) == ([2], ["255:1", "3:0"])
        assert _classified(torch.tensor([False, True]), 1) == ([1], ["1:1"])
        assert _classified(torch.tensor([-1, 2**63 - 1]), 1) == ([1], [f"{2**63 - 1}:1"])

    def test_nothing_has_no_classes(self):
        assert _classified(torch.zeros(0), 3) == ([0], [])

    def test_bytes_cannot_be_classified(self):
        with pytest.raises(InputInvalid, match="no values to classify"):
            _classified("text", 1)

    @pytest.mark.parametrize(("value", "text"), [(0, "expected value > 0, got 0"), (-1, "got -1")])
    def test_how_many_is_above_0(self, value, text):
        with pytest.raises(InputInvalid, match=text):
            _classified(torch.zeros(1), value)
