"""The asyncio client against a real server: the same calls as the blocking one, each to be awaited."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import numpy as np
import pytest

from swath.client import (
    AsyncClient,
    ClientConfig,
    InvalidArgumentError,
    LocalError,
    NotFoundError,
    RunSummary,
    UnavailableError,
    read_scenes,
)
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

from .conftest import RX, SCALE

pytestmark = pytest.mark.xdist_group("client-server")

RAMP = np.array([0.0, 1.0, 2.0, 4.0], np.float32).reshape(1, 2, 2, 1)


async def test_a_server_that_serves_is_ready(aio: AsyncClient) -> None:
    async with aio:
        await aio.ready(10.0)


async def test_a_server_that_is_not_there_is_not_waited_for_long() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{taken.getsockname()[1]}"
        async with AsyncClient(target) as client:
            with pytest.raises(UnavailableError, match=f"no server answers at {target}"):
                await client.ready(connect_s=0.2)


async def test_a_server_without_the_service_that_is_waited_for_does_not_serve_yet(aio: AsyncClient) -> None:
    async with AsyncClient(ClientConfig(target=aio.config.target, health_service="no.such.Service")) as client:
        with pytest.raises(UnavailableError, match="does not serve yet"):
            await client.ready(timeout_s=0.2)
    await aio.close()


async def test_a_session_ends_with_its_block(aio: AsyncClient) -> None:
    async with aio:
        async with aio.session() as session:
            assert (await session.search(["data"])).rejected == ()
        with pytest.raises(NotFoundError):
            await session.close()


async def test_the_first_error_is_the_one_that_is_seen(aio: AsyncClient) -> None:
    async with aio:
        with pytest.raises(NotFoundError) as caught:
            async with aio.session() as session:
                await session.close()
                await session.load_pipeline(SCALE)
    assert caught.value.method == "LoadPipeline"


async def test_a_pipeline_is_loaded_described_drawn_and_run(aio: AsyncClient) -> None:
    async with aio, aio.session() as session:
        assert (await session.load_pipeline(SCALE)).name == "Scale"
        assert list(await session.inputs()) == ["data"]
        assert list(await session.outputs()) == ["scale.normalized"]
        assert b"MinMaxNormalizer" in await session.draw("dot")
        outputs = await session.infer(data=RAMP)
        assert outputs.only("normalized").ravel().tolist() == [0.0, 0.25, 0.5, 1.0]


async def test_pipelines_are_listed_shown_and_drawn(aio: AsyncClient) -> None:
    async with aio:
        assert {"tiny/rx.yaml", "tiny/scale.yaml"} <= {info.pipeline_path for info in await aio.pipelines("tiny")}
        info = await aio.pipeline_info("tiny/rx.yaml")
        assert b"RXGlobal" in await aio.draw(info.yaml_content, "mermaid")


async def test_a_run_is_followed_and_its_log_read(aio: AsyncClient) -> None:
    async with aio, aio.session() as session:
        await session.set_run_config(await session.resolve("trainrun", "tiny_rx"))
        summary = RunSummary()
        async for progress in session.train():
            summary.add(progress)
        assert summary.complete
        assert (await session.status()).status == pb.TRAIN_STATUS_COMPLETE
        assert [line.text async for line in aio.logs(session.run_id)] == ["attempt begins", "attempt ends"]
        assert await session.stop()


async def test_a_run_that_fails_raises_what_the_server_says(aio: AsyncClient) -> None:
    async with aio, aio.session() as session:
        with pytest.raises(InvalidArgumentError, match="requires data config"):
            [progress async for progress in session.train()]


async def test_a_run_is_saved_restored_and_its_weights_loaded(aio: AsyncClient, trained: str, scene: Path) -> None:
    [frame] = read_scenes(scene)
    async with aio, await aio.restore(trained) as session:
        assert session.run_config["name"] == "tiny_rx"
        scores = (await session.infer(outputs=["scores"], **frame.inputs())).only("scores")
        with pytest.raises(LocalError, match=r"no output 'score'; it has .*rx\.scores"):
            await session.infer(outputs=["score"], **frame.inputs())
        await session.save_trainrun("runs/async.yaml")
        saved = await session.save_pipeline("made/async.yaml")
        assert saved.weights.endswith("configs/pipeline/made/async.pt")
        async with aio.session() as other:
            await other.load_pipeline(RX)
            await other.load_weights(await aio.workspace.read("runs/async_pipeline.pt"))
            again = (await other.infer(outputs=["scores"], **frame.inputs())).only("scores")
    np.testing.assert_array_equal(again, scores)


async def test_nodes_are_listed_described_and_added_by_plugins(aio: AsyncClient, tmp_path: Path) -> None:
    manifest = {"name": "mine", "path": str(tmp_path), "capabilities": [{"class_name": "mine.nodes.Blur"}]}
    async with aio, aio.session() as session:
        assert await session.load_plugin(manifest) == "mine"
        assert {"RXGlobal", "Blur"} <= {node.class_name for node in await session.nodes()}
        [described] = await session.describe_nodes("MinMaxNormalizer")
        assert described.full_path == "cuvis_ai.node.normalization.MinMaxNormalizer"


async def test_calls_at_once_do_not_wait_for_each_other(aio: AsyncClient) -> None:
    async def scaled(factor: float) -> float:
        async with aio.session() as session:
            await session.load_pipeline(SCALE)
            return float((await session.infer(data=RAMP * factor)).only("normalized").sum())

    async with aio:
        assert await asyncio.gather(*(scaled(factor) for factor in (1.0, 2.0, 3.0, 4.0))) == [1.75] * 4
