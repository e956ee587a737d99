"""Cubes in pieces and frames over streams, through a server and through the gateway of a suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from swath.client import (
    Client,
    ClientConfig,
    ConflictError,
    ExhaustedError,
    InvalidArgumentError,
    NotFoundError,
    Session,
)
from swath.client.streaming import CubeRows
from swath.inference.v1 import inference_pb2 as pb
from swath.inference.v1.inference_pb2_grpc import InferenceServiceStub

from .conftest import Deployment

MIB = 1 << 20

LAD = {
    "nodes": [
        {"name": "data", "class_name": "cuvis_ai.node.data.AnomalyDataNode", "hparams": {"normal_class_ids": [0]}},
        {"name": "lad", "class_name": "cuvis_ai.node.anomaly.lad_detector.LADGlobal", "hparams": {"num_channels": 189}},
    ],
    "connections": [{"source": "data.outputs.cube", "target": "lad.inputs.data"}],
}


@pytest.fixture(scope="module")
def fitted(deployment: Deployment) -> Iterator[Callable[[str], Session]]:
    """Gives sessions of the shipped RX on San Diego, and of LAD over the same scene, fitted."""
    made: dict[str, Session] = {}

    def session(detector: str) -> Session:
        if detector not in made:
            opened = made[detector] = deployment.client.open_session()
            config = opened.resolve("trainrun", "trainrun/san_diego_rx")
            if detector == "lad":
                config = {"name": "lad", "data": config["data"], "pipeline": LAD}
            opened.set_run_config(config)
            for _ in opened.train("statistical"):
                pass
        return made[detector]

    deployment.client.workspace.put("examples/data/san_diego.npz", "data/san_diego.npz")
    yield session
    for each in made.values():
        each.close()


@pytest.fixture
def spoilt(scene: dict[str, np.ndarray]) -> dict[str, Any]:
    """The scene with invalid pixels, and rows without a valid one."""
    cube = scene["cube"][None].astype(np.float32)
    cube[0, 3, 5, 7] = np.nan
    cube[0, 40:62] = np.inf
    return {"cube": cube, "wavelengths": scene["wavelengths"][None].astype(np.int32)}


@pytest.fixture
def small(deployment: Deployment) -> Iterator[Client]:
    """A client that takes and sends 3 MiB at most, less than the scene has."""
    with Client(ClientConfig(target=deployment.target, max_message_bytes=3 * MIB)) as client:
        yield client


@pytest.mark.parametrize("detector", ["rx", "lad"])
@pytest.mark.timeout(180)
def test_a_cube_in_pieces_gives_what_it_gives_in_one_message(
    fitted: Callable[[str], Session], small: Client, spoilt: dict[str, Any], detector: str
) -> None:
    whole = fitted(detector).infer(**spoilt)
    session = small.attach(fitted(detector).id)
    with pytest.raises(ExhaustedError, match="infer_cube"):
        session.infer(**spoilt)
    computed: list[tuple[int, int]] = []
    found = session.infer_cube(
        spoilt["cube"], wavelengths=spoilt["wavelengths"], progress=lambda *done: computed.append(done)
    )
    assert found.keys() == whole.keys() >= {"data.cube", "data.wavelengths", f"{detector}.scores"}
    for name, array in whole.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        # As docs/explanation/streaming.md says.
        np.testing.assert_allclose(found[name], array, rtol=2e-6)
    assert np.isnan(found[f"{detector}.scores"]).sum() == 22 * 100 + 1
    assert computed == sorted(computed)
    assert computed[-1] == (spoilt["cube"].nbytes,) * 2


@pytest.mark.timeout(180)
def test_it_is_computed_in_rows(fitted: Callable[[str], Session], deployment: Deployment, scene: dict) -> None:
    # As another client does it, without ours.
    cube = scene["cube"][None].astype(np.float32)
    header = pb.CubeHeader(session_id=fitted("rx").id, outputs=["scores"], shape=cube.shape, dtype=pb.D_TYPE_FLOAT32)
    data = cube.tobytes()
    chunks = (pb.InferCubeRequest(chunk=data[begin : begin + MIB]) for begin in range(0, len(data), MIB))
    with grpc.insecure_channel(deployment.target) as channel:
        plan, output, *rest = InferenceServiceStub(channel).InferCube(
            iter([pb.InferCubeRequest(header=header), *chunks])
        )
    assert (plan.plan.cut, plan.plan.parts) == (pb.CUT_ROWS, 2)
    assert (output.output.name, list(output.output.shape)) == ("rx.scores", [1, 100, 100, 1])
    assert [each.WhichOneof("part") for each in rest] == ["chunk", "chunk", "end"]


def test_what_cannot_be_read_is_the_client_s_own_error(fitted: Callable[[str], Session]) -> None:
    def read(item: int, first: int, end: int) -> np.ndarray:
        raise OSError(5, "Input/output error", "scene.img")

    with pytest.raises(OSError, match=r"scene\.img"):
        fitted("rx").infer_cube(CubeRows((1, 100, 100, 189), np.dtype(np.float32), read))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"outputs": ["nothing"]}, InvalidArgumentError, "no output 'nothing'; it has data.cube"),
        ({"cube": np.zeros((1, 4, 4, 3), np.float32)}, InvalidArgumentError, "189"),
        ({"session": "nobody"}, NotFoundError, "Session nobody not found"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_words(
    fitted: Callable[[str], Session], deployment: Deployment, changes: dict, error: type[Exception], words: str
) -> None:
    session = deployment.client.attach(changes.get("session", fitted("rx").id))
    cube = changes.get("cube", np.zeros((1, 4, 4, 189), np.float32))
    with pytest.raises(error, match=words):
        session.infer_cube(cube, outputs=changes.get("outputs", ()))


def test_a_session_that_changes_meanwhile_is_a_conflict(
    deployment: Deployment, fitted: Callable[[str], Session]
) -> None:
    with deployment.client.session() as session:
        session.load_pipeline({"nodes": LAD["nodes"][:1], "connections": []})
        other = {"nodes": [{**LAD["nodes"][0], "name": "other"}], "connections": []}

        def read(item: int, first: int, end: int) -> np.ndarray:
            if first > 400:
                session.load_pipeline(other)
            return np.zeros((end - first, 100, 189), np.float32)

        with pytest.raises(ConflictError, match="send the cube again"):
            session.infer_cube(CubeRows((1, 900, 100, 189), np.dtype(np.float32), read), outputs=["cube"])


@pytest.mark.timeout(180)
def test_frames_go_in_and_results_come_out_in_order(
    fitted: Callable[[str], Session], deployment: Deployment, spoilt: dict[str, Any]
) -> None:
    session = fitted("rx")
    strips = [spoilt["cube"][:, row : row + 10] for row in range(0, 100, 10)]
    wanted = [session.infer(cube=strip, outputs=["scores"])["rx.scores"] for strip in strips]
    frames = [{"cube": strip, "frame_id": 40 + number} for number, strip in enumerate(strips)]
    frames.insert(3, {"cube": strips[0][0], "frame_id": 7})
    with deployment.client.stream(session, outputs=["scores"]) as stream:
        results = list(stream.run(frames))
    assert [result.id for result in results] == [40, 41, 42, 7, *range(43, 50)]
    bad = results.pop(3)
    with pytest.raises(InvalidArgumentError, match="rank"):
        bad.value()
    for result, scores in zip(results, wanted, strict=True):
        # Frames that come close upon one another are computed together.
        np.testing.assert_allclose(result.value()["rx.scores"], scores, rtol=2e-5)


def test_a_stream_ends_with_its_session(deployment: Deployment) -> None:
    session = deployment.client.open_session()
    session.load_pipeline({"nodes": LAD["nodes"][:1], "connections": []})
    with session.stream() as stream:
        stream.send(cube=np.zeros((1, 2, 2, 3), np.float32))
        stream.receive().value()
        session.close()
        stream.send(cube=np.zeros((1, 2, 2, 3), np.float32))
        with pytest.raises(NotFoundError):
            stream.receive()
