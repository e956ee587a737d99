"""SetProfiling and GetProfilingSummary."""

import numpy as np
import pytest

from swath.client import numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

DATA = {"name": "data", "class_name": "cuvis_ai.node.data.CU3SDataNode"}
NORM = {
    "name": "norm",
    "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
    "hparams": {"use_running_stats": False},
}


@pytest.fixture
def infer(stub, session, load):
    """Runs a pipeline of two nodes so many times."""
    load(DATA, NORM, edges=(("data.cube", "norm.data"),))
    batch = pb.InputBatch(
        cube=numpy_to_proto(np.ones((1, 4, 4, 3), dtype=np.float32)),
        wavelengths=numpy_to_proto(np.array([[400, 500, 600]], dtype=np.int32)),
    )

    def call(times: int) -> None:
        for _ in range(times):
            stub.Inference(pb.InferenceRequest(session_id=session, inputs=batch))

    return call


@pytest.fixture
def profile(stub, session):
    """Sets profiling; the switches that are not given are off."""

    def call(**fields) -> bool:
        return stub.SetProfiling(pb.SetProfilingRequest(session_id=session, **fields)).profiling_enabled

    return call


@pytest.fixture
def summary(stub, session):
    """The summary by node."""

    def call(**fields) -> dict[str, pb.NodeProfilingStats]:
        answer = stub.GetProfilingSummary(pb.GetProfilingSummaryRequest(session_id=session, **fields))
        return {each.node_name: each for each in answer.node_stats}

    return call


def test_nothing_is_recorded_while_it_is_off(infer, summary):
    infer(2)
    assert summary() == {}


def test_each_node_has_its_times_in_milliseconds(infer, profile, summary):
    assert profile(enabled=True)
    infer(3)
    stats = summary()
    assert set(stats) == {"data", "norm"}
    for each in stats.values():
        assert (each.count, each.stage) == (3, pb.EXECUTION_STAGE_INFERENCE)
        assert 0 < each.min_ms <= each.median_ms <= each.max_ms <= each.total_ms
        assert each.mean_ms == pytest.approx(each.total_ms / 3)


def test_the_first_calls_can_be_left_out_and_a_reset_starts_anew(infer, profile, summary):
    profile(enabled=True, skip_first_n=2)
    infer(2)
    assert summary() == {}
    infer(3)
    # Each replica of a suite leaves out its own first calls: they are what it warms up by.
    assert {each.count for each in summary().values()} <= {1, 2, 3}
    assert summary()
    profile(enabled=True, reset=True)
    assert summary() == {}


def test_switching_it_off_keeps_what_was_recorded(infer, profile, summary):
    profile(enabled=True)
    infer(1)
    assert profile(enabled=False) is False
    infer(1)
    assert {each.count for each in summary().values()} == {1}


def test_a_summary_can_be_of_one_stage(infer, profile, summary):
    profile(enabled=True)
    infer(1)
    assert summary(stage=pb.EXECUTION_STAGE_TRAIN) == {}
    assert summary(stage=pb.EXECUTION_STAGE_INFERENCE)


def test_a_negative_skip_is_refused(stub, session, infer, failure):
    code, text = failure(stub.SetProfiling, pb.SetProfilingRequest(session_id=session, enabled=True, skip_first_n=-1))
    assert code == "INVALID_ARGUMENT"
    assert "skip_first_n" in text
