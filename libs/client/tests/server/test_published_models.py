"""Published models, called by their names through the client and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from swath.client import AsyncClient, Client, InvalidArgumentError, LocalError, NotFoundError
from swath.models.v1 import models_pb2 as pb
from swath.models.v1.models_pb2_grpc import ModelServiceStub
from swath_standalone.process import ServerProcess

from .conftest import SCALE, Swath, refused, said

pytestmark = pytest.mark.xdist_group("client-server")

DATA = np.random.default_rng(4).random((2, 6, 5, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def models(server: ServerProcess) -> Iterator[Any]:
    with grpc.insecure_channel(server.target) as channel:
        yield ModelServiceStub(channel)


@pytest.fixture(scope="module")
def expected(client: Client, models: Any) -> Iterator[np.ndarray]:
    """What the session gives that the model `scale` was published from."""
    with client.session() as session:
        session.load_pipeline(SCALE)
        published = models.Publish(pb.PublishRequest(name="scale", session_id=session.id, aliases=["stable"]))
        expected = session.infer(data=DATA).only("normalized")
    assert published.version == 1
    yield expected
    models.Unpublish(pb.UnpublishRequest(name="scale"))


def test_a_model_gives_the_bits_of_the_session_that_it_came_from(client: Client, expected: np.ndarray) -> None:
    model = client.model("scale")
    np.testing.assert_array_equal(model.infer(data=DATA).only("normalized"), expected)
    with model.stream(["normalized"]) as stream:
        assert stream.version == 1
        for result in stream.run({"data": DATA} for _ in range(3)):
            np.testing.assert_array_equal(result.value().only("normalized"), expected)
    with client.stream(model="scale", version=1) as stream:
        stream.send(data=DATA)
        np.testing.assert_array_equal(stream.receive().value().only("normalized"), expected)


async def test_so_it_does_with_await(aio: AsyncClient, expected: np.ndarray) -> None:
    async with aio:
        model = aio.model("scale", "stable")
        np.testing.assert_array_equal((await model.infer(data=DATA)).only("normalized"), expected)
        async with model.stream() as stream:
            assert stream.version == 1
            await stream.send(data=DATA)
            np.testing.assert_array_equal((await stream.receive()).value().only("normalized"), expected)


def test_what_is_no_model_is_said_by_the_server_or_before(client: Client, expected: np.ndarray) -> None:
    with pytest.raises(NotFoundError, match="Model 'scales' not found"):
        client.model("scales").infer(data=DATA)
    with pytest.raises(NotFoundError, match="has no version '2': versions are 1; aliases are stable"):
        client.stream(model="scale", version=2)
    with pytest.raises(InvalidArgumentError, match="alias: expected"):
        client.model("scale", "../1").infer(data=DATA)
    with pytest.raises(InvalidArgumentError, match="the pipeline has no output 'score'"):
        client.model("scale").infer(outputs=["score"], data=DATA)
    with pytest.raises(LocalError, match="either a session or a model"):
        client.stream()
    with pytest.raises(LocalError, match="either a session or a model"):
        client.stream("id", model="scale")
    with pytest.raises(LocalError, match="not of a session"):
        client.stream("id", version=1)


@pytest.fixture(scope="module")
def trained_model(client: Client, models: Any, trained: str) -> Iterator[str]:
    """Name of a model of the trained trainrun."""
    with client.session() as session:
        session.load_pipeline(session.resolve("pipeline", "tiny/rx"))
        session.load_weights("runs/tiny_pipeline.pt")
        models.Publish(pb.PublishRequest(name="rx", session_id=session.id))
    yield "rx"
    models.Unpublish(pb.UnpublishRequest(name="rx"))


@pytest.mark.parametrize("stream", [False, True])
def test_the_command_line_runs_a_model_as_it_runs_a_trainrun(
    swath: Swath, trained_model: str, trained: str, scene: Path, tmp_path: Path, stream: bool
) -> None:
    options = ["--port", "scores", *(["--stream"] if stream else [])]
    for arguments, name in ((("--model", trained_model), "model"), (("--trainrun", trained), "trainrun")):
        said(swath("infer", scene, *arguments, *options, "-o", tmp_path / f"{name}.npz"))
    scores = {}
    for file in tmp_path.glob("*.npz"):
        with np.load(file) as arrays:
            scores[file.stem.split("_")[0]] = arrays["rx.scores"]
    np.testing.assert_array_equal(scores["model"], scores["trainrun"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "rx", "--session", "s1"), "--pipeline, --trainrun, --session and --model"),
        (("--model-version", "2", "-p", "tiny/rx"), "--model-version is of a --model"),
        (("--model", "rx", "-w", "x.pt"), "a published model has its own"),
        (("--model", "rx", "--model-version", "9"), "has no version '9'"),
    ],
)
def test_what_cannot_run_is_said(
    swath: Swath, trained_model: str, scene: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused(swath("infer", scene, *arguments))
