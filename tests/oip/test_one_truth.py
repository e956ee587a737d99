"""The same batch has the same bits by every way: of every pipeline that is shipped."""

import base64
import io
import struct
import uuid

import numpy as np
import pytest

from swath.inference import open_inference_pb2 as pb

from .ways import by_protocol, by_redhare, by_shared_memory, by_stream, request_of

BANDS = 61
WAVELENGTHS = (430 + 8 * np.arange(BANDS)).astype(np.int32)
DATA = {
    "data_module": "npz_multi",
    "splits": {
        stage: [{"kind": "file_indices", "source": "data/Lentils/Lentils_000.cu3s", "ids": [0, 1]}]
        for stage in ("train", "val", "test")
    },
    "batch_size": 2,
    "params": {"universe_csv": "oip/frames/universe.csv"},
}

# Path, what it is fitted to, and what it is called with: part of the scene, or made frames of 61 channels.
PIPELINES = [
    ("san_diego/rx", "san_diego_rx", "scene"),
    ("san_diego/channel_selector", "san_diego_channel_selector", "scene"),
    ("san_diego/deep_svdd", "san_diego_deep_svdd", "scene"),
    ("anomaly/rx/rx_statistical", "frames", "frames"),
    ("anomaly/rx/channel_selector", "frames", "frames"),
    ("anomaly/deep_svdd/deep_svdd", "frames", "frames"),
    ("medical/blood_perfusion/ndvi", "", "frames"),
    ("spectral_match/spectral_match", "", "signatures"),
    ("spectral_match/spectral_match_validity", "", "signatures"),
]


@pytest.fixture(scope="session")
def frames(deployment):
    """Frames of 61 channels in the workspace, the second with an odd patch."""
    random = np.random.default_rng(7)
    rows = ["source,index,materialized_path"]
    for index in range(2):
        cube = 0.4 + 0.2 * np.sin(WAVELENGTHS / 60) + 0.02 * random.standard_normal((24, 24, BANDS))
        mask = np.zeros((24, 24), np.int32)
        if index:
            cube[8:14, 8:14] += 0.3 * np.linspace(-1, 1, BANDS)
            mask[8:14, 8:14] = 2
        content = io.BytesIO()
        np.savez(content, cube=cube.astype(np.float32), mask=mask, wavelengths=WAVELENGTHS.astype(np.float32))
        deployment.client.workspace.put(content.getvalue(), f"oip/frames/frame_{index}.npz")
        rows.append(f"data/Lentils/Lentils_000.cu3s,{index},frame_{index}.npz")
    deployment.client.workspace.put("\n".join(rows).encode(), "oip/frames/universe.csv")


def _batch(kind, batch):
    """Return what a pipeline is called with."""
    if kind == "scene":
        return batch
    random = np.random.default_rng(11)
    cube = (0.2 + random.random((2, 16, 12, BANDS))).astype(np.float32)
    called = {"cube": cube, "wavelengths": np.stack([WAVELENGTHS] * 2)}
    if kind == "signatures":
        called["spectral_signature"] = np.ascontiguousarray(cube[0, 3:5, 4][:, None, None])
    return called


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("path", "fitted", "kind"), PIPELINES, ids=[each[0] for each in PIPELINES])
def test_by_every_way_the_same_bits(deployment, frames, batch, path, fitted, kind):
    name = f"{path.replace('/', '-')}-{uuid.uuid4().hex[:8]}"
    with deployment.client.session() as session:
        if fitted.startswith("san_diego"):
            session.set_run_config(session.resolve("trainrun", f"trainrun/{fitted}"))
        else:
            session.load_pipeline(session.resolve("pipeline", f"pipeline/{path}"))
        if fitted:
            for _ in session.train("statistical", data=DATA if fitted == "frames" else None):
                pass
        deployment.publish(session, name)
        called = _batch(kind, batch)
        expected = session.infer(**called)
        declared = deployment.stub.ModelMetadata(pb.ModelMetadataRequest(name=name), timeout=60).outputs
        raw, typed, streamed = by_protocol(deployment.stub, name, called)
        frame, version = by_stream(deployment.client, name, called)
        recorded = by_redhare(deployment.target, name, called)
        sizes = {key: array.nbytes for key, array in expected.items() if isinstance(array, np.ndarray) and array.nbytes}
        shared = {}
        # Only a server on this machine that nothing is in front of.
        if deployment.replicas == 1:
            shared = by_shared_memory(deployment.stub, request_of(name, called, raw=True), sizes)
    # What goes out is what the metadata has told of.
    for each in declared:
        datatype, shape, _ = raw.get(each.name, (each.datatype, each.shape, b""))
        assert datatype == each.datatype, each.name
        assert len(shape) == len(each.shape), each.name
        assert all(told in (-1, size) for told, size in zip(each.shape, shape, strict=True)), each.name
    assert raw.keys() <= {each.name for each in declared}
    assert [raw] * 3 == streamed
    assert (version, frame.metrics) == (1, expected.metrics)
    assert frame.keys() == expected.keys()
    assert typed == raw
    tensors = {key: value for key, value in expected.items() if isinstance(value, np.ndarray)}
    assert len(tensors) > 3
    for key, array in tensors.items():
        bits = (array.shape, array.tobytes())
        assert raw[key][1:] == bits, key
        assert (frame[key].shape, frame[key].tobytes()) == bits, key
        assert (tuple(recorded[key]["shape"]), base64.b64decode(recorded[key]["data"])) == bits, key
        assert recorded[key]["dtype"] == str(array.dtype), key
        assert deployment.replicas > 1 or not array.nbytes or shared[key] == array.tobytes(), key
    # Beside tensors there is only what the session's answer has no form for, or calls a metric.
    for key in raw.keys() - tensors.keys():
        datatype, shape, data = raw[key]
        assert datatype == "BYTES" or (shape == (1,) and struct.unpack("<d", data)[0] == expected.metrics[key])
