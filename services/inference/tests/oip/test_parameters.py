"""What the parameters of a request ask for."""

import pytest

from swath.errors import InputInvalid
from swath.inference import open_inference_pb2 as pb
from swath_inference.protocols.oip.messages import CallParameters, call_parameters


def _parsed(**values):
    request = pb.ModelInferRequest()
    for name, (kind, value) in values.items():
        if kind is None:
            request.parameters[name].SetInParent()
        else:
            setattr(request.parameters[name], kind, value)
    return call_parameters(request.parameters)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "sequence_id": ("int64_param", 7),
            "sequence_start": ("bool_param", True),
            "sequence_end": ("bool_param", False),
        },
        {"sequence_id": ("string_param", "a")},
        {"priority": ("uint64_param", 0), "timeout": ("int64_param", 0)},
        {"triton_enable_empty_final_response": ("bool_param", True)},
        {"mine": ("double_param", 0.5), "headers": ("string_param", "x"), "binary_data_output": ("bool_param", True)},
    ],
)
def test_what_asks_for_nothing(values):
    assert _parsed(**values) == CallParameters()


def test_the_first_level_goes_before_the_second_and_a_high_one_after_those_without():
    first, second, plain, last = (_parsed(priority=("uint64_param", level)).priority for level in (1, 2, 0, 2**64 - 1))
    assert first > second > plain > last
    assert _parsed(priority=("int64_param", 1)).priority == first


def test_a_timeout_is_in_microseconds():
    assert _parsed(timeout=("int64_param", 1500)).queue_s == 0.0015


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"timeout": ("string_param", "1")}, "invalid value type for 'timeout' parameter, expected int64_param."),
        ({"priority": ("bool_param", True)}, "expected int64_param or uint64_param."),
        ({"priority": ("int64_param", -1)}, "invalid value for 'priority', expected value >= 0"),
        ({"timeout": ("int64_param", -1)}, "invalid value for 'timeout', expected value >= 0"),
        ({"sequence_id": ("bool_param", True)}, "expected int64_param or string_param."),
        ({"sequence_start": ("int64_param", 1)}, "'sequence_start' parameter, expected bool_param."),
        ({"triton_enable_empty_final_response": ("int64_param", 1)}, "expected bool_param."),
        ({"triton_final_response": ("bool_param", True)}, "starting with 'triton_' are reserved"),
        (
            {"novalue": (None, None)},
            "invalid value type for 'novalue' parameter, expected int64_param, bool_param, or string_param.",
        ),
    ],
)
def test_what_is_refused(values, text):
    with pytest.raises(InputInvalid, match=text):
        _parsed(**values)
