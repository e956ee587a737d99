"""The Python client against a real server, and against one that is killed under it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swath.client import AsyncClient, Client, NotFoundError, RunSummary, Session, read_scenes, roc_auc

from .conftest import SCENE, Server


async def test_async_client_does_the_whole_workflow(server: str, tmp_path: Path) -> None:
    [scene] = read_scenes(SCENE)
    async with AsyncClient(server) as client:
        await client.workspace.put(SCENE, "data/san_diego.npz")
        async with client.session() as session:
            await session.set_run_config(await session.resolve("trainrun", "san_diego_rx"))
            summary = RunSummary()
            async for progress in session.train("statistical"):
                summary.add(progress)
            scores = (await session.infer(outputs=["rx.scores"], **scene.inputs())).only("scores")
            await session.save_trainrun("live/rx.yaml")
        async with await client.restore("live/rx.yaml", "live/rx_pipeline.pt") as restored:
            again = (await restored.infer(outputs=["rx.scores"], **scene.inputs())).only("scores")
        entry = await client.workspace.get("live/rx_pipeline.pt", tmp_path / "weights.pt")
        listed = [found.path async for found in client.workspace.list("live")]
    assert summary.nodes == ["rx", "logit"]
    assert roc_auc(scores, scene.mask) == pytest.approx(0.940, abs=1e-3)  # type: ignore[arg-type]
    assert (again == scores).all()
    assert (tmp_path / "weights.pt").stat().st_size == entry.size
    assert "live/rx.yaml" in listed


async def test_twenty_sessions_at_once(server: str) -> None:
    async with AsyncClient(server) as client:

        async def once() -> str:
            async with client.session() as session:
                config = await session.resolve("training", "default", ["max_epochs=7"])
                return str(config["max_epochs"])

        assert await asyncio.gather(*(once() for _ in range(20))) == ["7"] * 20


def test_session_is_closed_and_the_first_error_is_the_one_that_is_seen(server: str) -> None:
    with Client(server) as client:
        with pytest.raises(NotFoundError, match="no_such"), client.session() as session:
            session.resolve("trainrun", "no_such")
        with pytest.raises(NotFoundError, match=session.id):
            session.close()


def test_upload_that_is_there_already_is_not_sent_again(server: str) -> None:
    seen: list[tuple[int, int]] = []
    with Client(server) as client:
        entries = [
            client.workspace.put(b"x" * 3_000_000, "live/x.bin", lambda done, total: seen.append((done, total)))
            for _ in range(2)
        ]
        assert [entry.size for entry in entries] == [3_000_000] * 2
        assert client.workspace.read("live/x.bin") == b"x" * 3_000_000
    assert [done for done, _ in seen] == [0, 1_048_576, 2_097_152, 3_000_000, 3_000_000]


@pytest.mark.timeout(300)
def test_train_goes_on_by_itself_when_the_server_is_killed(mortal: Server) -> None:
    [scene] = read_scenes(SCENE)

    def train(session: Session, kill_after: int | None) -> list[str]:
        told = []
        session.set_run_config(session.resolve("trainrun", "san_diego_channel_selector", ["training.max_epochs=3"]))
        for phase in ("statistical", "gradient"):
            for progress in session.train(phase):
                # Two runs that write to one folder name their checkpoint files differently.
                told.append(progress.message.partition(": /")[0])
                if len(told) == kill_after:
                    mortal.kill()
                    mortal.start()
        return told

    with Client(mortal.target) as client:
        client.workspace.put(SCENE, "data/san_diego.npz")
        with client.session() as disturbed, client.session() as undisturbed:
            told = train(disturbed, kill_after=25), train(undisturbed, kill_after=None)
            scores = [session.infer(outputs=["rx.scores"], **scene.inputs()) for session in (disturbed, undisturbed)]
    assert told[0] == told[1]
    assert (scores[0]["rx.scores"] == scores[1]["rx.scores"]).all()
