"""Users' services, read off their servicer functions."""

import pickle

import pytest

from swath.errors import InvalidInput
from swath.serve.front import read_services


def test_methods_and_descriptors_are_read(probe):
    first, second = read_services(probe.functions)
    assert (first.name, second.name) == ("wire.probe.Probe", "wire.probe.Other")
    kinds = {each.name: (each.request_streaming, each.response_streaming) for each in first.methods}
    assert kinds == {
        "Unary": (False, False),
        "Server": (False, True),
        "Client": (True, False),
        "Bidi": (True, True),
        "Missing": (False, False),
    }
    assert first.methods[0].path == "/wire.probe.Probe/Unary"
    assert (first.methods[0].request_type, first.methods[0].response_type) == ("wire.probe.Ask", "wire.probe.Answer")
    copy = pickle.loads(pickle.dumps(first))
    assert copy == first
    assert copy.pool.FindMessageTypeByName("wire.probe.Ask").fields_by_name["number"].number == 2


def test_a_function_itself_will_do_and_twice_is_once(probe):
    function = probe.grpc.add_OtherServicer_to_server
    assert [each.name for each in read_services([function, probe.functions[1]])] == ["wire.probe.Other"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere_pb2_grpc.add_X_to_server", "importing nowhere_pb2_grpc failed: ModuleNotFoundError"),
        ("add_X_to_server", "expected module.function"),
        ("wire_probe_pb2_grpc.add_ProbServicer_to_server", "has no function .*; it has add_ProbeServicer_to_server"),
        ("wire_probe_pb2_grpc.ProbeStub", "is no function that adds a servicer to a server"),
        ("json.dumps", "is no function that adds a servicer to a server"),
    ],
)
def test_what_is_no_servicer_function_is_refused_by_name(probe, path, said):
    with pytest.raises(InvalidInput, match=said) as refused:
        read_services([path])
    assert path in refused.value.message
