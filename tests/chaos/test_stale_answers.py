"""Replicas answer from memory, and never with a session as it was before a write that was acknowledged.

Each write of a session has a number that Inference answers with, so that every answer says which write it has seen.
"""

from __future__ import annotations

import asyncio
import io
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import torch
from prometheus_client.parser import text_string_to_metric_families

from swath.client import NotFoundError, UnavailableError
from swath.client.aio import AsyncClient, AsyncSession
from swath_suite.suite import Suite
from swath_suite.testing.workload import SCENE, scene

ANSWERS = 10_000
READERS = 8
FROZEN_S = 4.0
PIXEL = np.ones((1, 1, 1, 4), dtype=np.float32)


def _pipeline(node: str, class_name: str, **hparams: Any) -> dict[str, Any]:
    return {"nodes": [{"name": node, "class_name": class_name, "hparams": hparams}], "connections": []}


def _normalizer(number: int) -> dict[str, Any]:
    return _pipeline(f"v{number}", "cuvis_ai.node.normalization.MinMaxNormalizer", use_running_stats=False)


def _weights(bands: int, factor: float) -> bytes:
    """Weights of RX with which a pixel's score is its squared length times a factor."""
    state = {
        "mu": torch.zeros(bands, dtype=torch.float64),
        "cov": torch.eye(bands, dtype=torch.float64),
        "cov_inv": factor * torch.eye(bands, dtype=torch.float64),
    }
    content = io.BytesIO()
    torch.save({"state_dict": {"rx": state}, "metadata": {"name": "made"}}, content)
    return content.getvalue()


class Written:
    """A session that one writer writes, and what its answers must show.

    Attributes:
        acknowledged: Number of the last write that was acknowledged.
    """

    def __init__(self, client: AsyncClient, session: AsyncSession) -> None:
        self.client = client
        self.session = session
        self.acknowledged = 0

    async def prepare(self) -> None:
        """Make the first write, which has the number 0."""

    async def write(self) -> None:
        """Make the next write, and take note of it once it is acknowledged."""

    async def read(self) -> tuple[int, int]:
        """Return the number of the write that was acknowledged last before a call, and of that which it shows."""
        before, session = self.acknowledged, self.session
        return before, self.shown(await session.infer(data=PIXEL))

    def shown(self, outputs: Any) -> int:
        """Return which write an answer shows."""
        raise NotImplementedError


class PipelineLoaded(Written):
    """LoadPipeline: the name of the node is the number."""

    async def prepare(self) -> None:
        await self.session.load_pipeline(_normalizer(0))

    async def write(self) -> None:
        number = self.acknowledged + 1
        await self.session.load_pipeline(_normalizer(number))
        self.acknowledged = number

    def shown(self, outputs: Any) -> int:
        return int(next(iter(outputs)).partition(".")[0].removeprefix("v"))


class WeightsLoaded(Written):
    """LoadPipelineWeights: the score of a pixel of length one is the number."""

    async def prepare(self) -> None:
        await self.session.load_pipeline(_pipeline("rx", "cuvis_ai.node.anomaly.rx_detector.RXGlobal", num_channels=4))
        await self.session.load_weights(_weights(4, 0.0))

    async def write(self) -> None:
        number = self.acknowledged + 1
        await self.session.load_weights(_weights(4, number))
        self.acknowledged = number

    def shown(self, outputs: Any) -> int:
        return round(outputs.only("scores").item() / 4)


class Trained(Written):
    """Even numbers are runs' ends: RX as it is fitted to the scene. Odd ones are weights that say which they are."""

    begun = 0

    async def prepare(self) -> None:
        cube, self.wavelengths = scene()
        self.pixel = np.ascontiguousarray(cube[:, :1, :1])
        await self.client.workspace.put(str(SCENE), "data/san_diego.npz")
        await self.session.set_run_config(await self.session.resolve("trainrun", "trainrun/san_diego_rx"))
        await self._train()
        self.fitted = (await self._infer()).only("scores").item()

    async def write(self) -> None:
        number = self.acknowledged + 1
        if number % 2:
            self.begun = number
            await self.session.load_weights(_weights(189, 1000.0 + number), strict=False)
        else:
            # All runs end alike: until the next one begins, such a score is known to be the one before it.
            await asyncio.sleep(1.5)
            self.begun = number
            await self._train()
        self.acknowledged = number

    async def read(self) -> tuple[int, int]:
        before = self.acknowledged
        return before, self.shown(await self._infer())

    def shown(self, outputs: Any) -> int:
        score = outputs.only("scores").item()
        if np.isclose(score, self.fitted, rtol=1e-5):
            return self.begun - self.begun % 2
        return round(score / float((self.pixel.astype(np.float64) ** 2).sum()) - 1000.0)

    async def _infer(self) -> Any:
        return await self.session.infer(cube=self.pixel, wavelengths=self.wavelengths, outputs=["rx.scores"])

    async def _train(self) -> None:
        async for _ in self.session.train("statistical"):
            pass


class Closed(Written):
    """CloseSession: odd numbers are sessions that are closed, even ones such as were opened."""

    async def prepare(self) -> None:
        await self.session.load_pipeline(_normalizer(0))

    async def write(self) -> None:
        number = self.acknowledged + 1
        if number % 2:
            await self.session.close()
        else:
            opened = await self.client.open_session()
            await opened.load_pipeline(_normalizer(0))
            self.session = opened
        self.acknowledged = number

    async def read(self) -> tuple[int, int]:
        before, session = self.acknowledged, self.session
        try:
            await session.infer(data=PIXEL)
        except NotFoundError:
            # The session of the call is closed, or about to be.
            return before, before + 1 - before % 2
        return before, before - before % 2


async def _until(ended: asyncio.Event, pause: float, act: Callable[[], Awaitable[None]]) -> None:
    while not ended.is_set():
        await act()
        await asyncio.sleep(pause)


def _reads(suite: Suite, name: str) -> dict[str, float]:
    """Return how a replica has read sessions so far: from memory, or by asking."""
    families = text_string_to_metric_families(suite.metrics(name))
    [family] = [family for family in families if family.name == "swath_session_reads"]
    return {sample.labels["from"]: sample.value for sample in family.samples}


async def test_every_answer_has_the_writes_that_were_acknowledged_before_it(suite: Suite) -> None:
    frozen, killed = suite.replicas("inference")
    quarter, ended = asyncio.Event(), asyncio.Event()
    answers, stale, away = 0, [], 0

    async def read(client: AsyncClient, written: list[Written]) -> None:
        nonlocal answers, away
        turn = 0
        while answers < ANSWERS:
            turn += 1
            each = written[turn % len(written)]
            try:
                before, shown = await each.read()
            except UnavailableError:
                away += 1
                await asyncio.sleep(0.05)
                continue
            answers += 1
            if answers >= ANSWERS / 4:
                quarter.set()
            if shown < before:
                stale.append((type(each).__name__, before, shown))

    async def disturb() -> None:
        await quarter.wait()
        frozen.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_S / 2)
            await asyncio.to_thread(killed.restart)
            await asyncio.sleep(FROZEN_S / 2)
        finally:
            frozen.signal(signal.SIGCONT)

    async with AsyncClient(suite.target) as client:
        written: list[Written] = [
            kind(client, await client.open_session()) for kind in (PipelineLoaded, WeightsLoaded, Trained, Closed)
        ]
        for each in written:
            await each.prepare()
        before = _reads(suite, frozen.name)
        async with asyncio.TaskGroup() as group:
            writing = [group.create_task(_until(ended, 0.5, each.write)) for each in written]
            reading = [group.create_task(read(client, written)) for _ in range(READERS)]
            disturbing = group.create_task(disturb())
            await asyncio.wait([*reading, disturbing])
            ended.set()
            await asyncio.wait(writing)
        numbers = {type(each).__name__: each.acknowledged for each in written}
        for each in written:
            if not (isinstance(each, Closed) and each.acknowledged % 2):
                await each.session.close()
    await asyncio.to_thread(killed.wait_until, lambda: suite.ready(killed.name))
    await asyncio.to_thread(suite.wait)
    print(f"{answers} answers, {away} refused, writes {numbers}, of {frozen.name} {_reads(suite, frozen.name)}")
    assert stale == []
    assert all(number >= 4 for number in numbers.values())
    after = _reads(suite, frozen.name)
    assert after["memory"] - before["memory"] > after["authority"] - before["authority"]
