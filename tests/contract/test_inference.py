"""What Inference gives."""

import numpy as np
import pytest

from swath.client import Client, numpy_to_proto, proto_to_numpy
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


@pytest.fixture(scope="module")
def client(server):
    with Client(server.target) as opened:
        yield opened


@pytest.fixture(scope="module")
def fitted(client):
    """A session with global RX fitted on the whole scene."""
    with client.session() as session:
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        for _ in session.train("statistical"):
            pass
        yield session


def test_global_rx_on_the_real_scene_reaches_the_published_figure(fitted, scene):
    from swath.client import roc_auc

    scores = fitted.infer(cube=scene["cube"][None].astype(np.float32), wavelengths=scene["wavelengths"][None])
    assert roc_auc(scores.only("scores"), scene["mask"]) == pytest.approx(0.940, abs=0.001)


def test_a_filter_names_outputs_in_full_or_by_port(stub, fitted, scene):
    batch = pb.InputBatch(
        cube=numpy_to_proto(scene["cube"][None].astype(np.float32)),
        wavelengths=numpy_to_proto(scene["wavelengths"][None].astype(np.int32)),
    )

    def outputs(*specs: str) -> set[str]:
        request = pb.InferenceRequest(session_id=fitted.id, inputs=batch, output_specs=specs)
        return set(stub.Inference(request).outputs)

    everything = outputs()
    (scores,) = (key for key in everything if key.endswith(".scores"))
    assert outputs("scores") == outputs(scores) == {scores}
    assert outputs("nothing") == set()


def test_shared_memory_gives_the_same_answer(stub, fitted, scene):
    from multiprocessing.shared_memory import SharedMemory

    cube = scene["cube"][None].astype(np.float32)
    segment = SharedMemory(name=f"swath-{fitted.id}-cube", create=True, size=cube.nbytes)
    try:
        np.ndarray(cube.shape, cube.dtype, buffer=segment.buf)[:] = cube
        reference = pb.ShmRef(name=f"/{segment.name}", byte_offset=0, byte_size=cube.nbytes)

        def infer(tensor: pb.Tensor) -> np.ndarray:
            batch = pb.InputBatch(cube=tensor, wavelengths=numpy_to_proto(scene["wavelengths"][None].astype(np.int32)))
            request = pb.InferenceRequest(session_id=fitted.id, inputs=batch, output_specs=["scores"])
            return np.asarray(proto_to_numpy(next(iter(stub.Inference(request).outputs.values()))))

        by_reference = infer(pb.Tensor(shape=cube.shape, dtype=pb.D_TYPE_FLOAT32, shm_ref=reference))
        np.testing.assert_array_equal(by_reference, infer(numpy_to_proto(cube)))
    finally:
        segment.close()
        segment.unlink()


def test_float_wavelengths_are_taken(fitted, scene):
    cube = scene["cube"][None].astype(np.float32)
    whole = fitted.infer(cube=cube, wavelengths=scene["wavelengths"][None].astype(np.int32))
    real = fitted.infer(cube=cube, wavelengths=scene["wavelengths"][None].astype(np.float32))
    np.testing.assert_array_equal(whole.only("scores"), real.only("scores"))


def test_profiling_counts_forwards_of_each_node(stub, fitted, scene):
    stub.SetProfiling(pb.SetProfilingRequest(session_id=fitted.id, enabled=True, reset=True, skip_first_n=1))
    for _ in range(3):
        fitted.infer(cube=scene["cube"][None].astype(np.float32), wavelengths=scene["wavelengths"][None])
    stats = stub.GetProfilingSummary(pb.GetProfilingSummaryRequest(session_id=fitted.id)).node_stats
    stub.SetProfiling(pb.SetProfilingRequest(session_id=fitted.id, enabled=False))
    assert {entry.count for entry in stats} == {2}
    assert all(entry.min_ms <= entry.median_ms <= entry.max_ms for entry in stats)
