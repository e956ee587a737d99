"""Work that goes on while parts of a suite die, and counts of what was acknowledged. For tests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from swath.client import CallError, Client, ClientConfig, RetryConfig, Session

SCENE = Path(__file__).resolve().parents[5] / "examples" / "data" / "san_diego.npz"

_folders = count(1)
"""Each workload has a folder of its own."""


class Workload:
    """Clients that do what the demo does, over and over, until they are told to stop.

    Each keeps a session whose detector is fitted and runs the 7.6 MB scene through it; opens sessions, saves pipelines
    and uploads files, and keeps account of what was acknowledged. Calls that may be repeated are, by the retry policy
    that clients publish; whatever fails in spite of that is kept as well.

    Args:
        config: How the gateway is reached; an address alone is given more patience than clients have by default.
        clients: How many at once.
        detector: Opens the session of each; it fits one of its own if not given.

    Attributes:
        acknowledged: Calls that succeeded, by kind.
        failures: Calls that did not, by kind.
    """

    def __init__(
        self, config: ClientConfig | str, clients: int = 2, detector: Callable[[Client], Session] | None = None
    ) -> None:
        if isinstance(config, str):
            # A service of one replica takes some seconds to come back, more on a machine that is busy.
            config = ClientConfig(target=config, retry=RetryConfig(initial_s=1.0, max_s=15.0))
        self._config = config
        self._detector = fitted if detector is None else detector
        self._folder = f"chaos-{next(_folders)}"
        self._ended = threading.Event()
        self._started = threading.Barrier(clients + 1)
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(clients)]
        self._crashes: list[BaseException] = []
        self._sessions: list[str] = []
        self._saved: set[str] = set()
        self._files: dict[str, bytes] = {}
        self.acknowledged: Counter[str] = Counter()
        self.failures: list[tuple[str, CallError]] = []

    def start(self) -> None:
        """Return once every client has done everything once."""
        for thread in self._threads:
            thread.start()
        self._started.wait(180)

    def stop(self) -> None:
        """Let clients finish what they do, and see that they can."""
        self._ended.set()
        for thread in self._threads:
            thread.join(180)
        assert not any(thread.is_alive() for thread in self._threads), "a call hangs"
        assert not self._crashes

    def goes_on(self, calls: int = 8, timeout_s: float = 60.0) -> None:
        """Wait until so many more calls were acknowledged."""
        wanted, deadline = self.acknowledged.total() + calls, time.monotonic() + timeout_s
        while self.acknowledged.total() < wanted:
            assert time.monotonic() < deadline, f"hardly any call succeeds: {self.failures[-3:]}"
            time.sleep(0.05)

    def missing(self) -> list[str]:
        """Return what was acknowledged and is not there."""
        gone = []
        with Client(self._config) as client:
            for session_id in self._sessions:
                try:
                    client.attach(session_id).search(None)
                except CallError as error:
                    gone.append(f"session {session_id}: {error}")
            listed = {each.pipeline_path for each in client.pipelines()}
            gone += [f"pipeline {path}" for path in self._saved - listed]
            for path, content in self._files.items():
                try:
                    if client.workspace.read(path) != content:
                        gone.append(f"content of {path}")
                except CallError as error:
                    gone.append(f"file {path}: {error}")
        return gone

    def report(self) -> str:
        """Say how much was acknowledged, how much of it there is, and what failed."""
        kept = len(self._sessions) + len(self._saved) + len(self._files)
        return f"acknowledged {dict(self.acknowledged)}, {kept} things to find again, failed {self.failures}"

    def _work(self, number: int) -> None:
        try:
            with Client(self._config) as client:
                self._rounds(client, number)
        except BaseException as error:
            self._crashes.append(error)
            self._started.abort()

    def _rounds(self, client: Client, number: int) -> None:
        cube, wavelengths = scene()
        session = self._detector(client)

        def infer() -> np.ndarray:
            return session.infer(cube=cube, wavelengths=wavelengths, outputs=["scores"]).only("scores")

        expected = infer()
        for turn in count():
            path = f"{self._folder}/{number}-{turn % 20}"
            content = f"{path} in turn {turn}".encode()
            if (scores := self._attempt("infer", infer)) is not None:
                assert np.array_equal(scores, expected), "another model answered"
            if (opened := self._attempt("open", client.open_session)) is not None:
                self._sessions.append(opened.id)
            # A file whose overwriting was not acknowledged may hold either content.
            before = self._files.pop(f"{path}.txt", None)
            if self._attempt("put", lambda: client.workspace.put(content, f"{path}.txt")) is not None:  # noqa: B023
                self._files[f"{path}.txt"] = content
            elif before is not None:
                assert client.workspace.read(f"{path}.txt") in (before, content)
            if self._attempt("save", lambda: session.save_pipeline(f"{path}.yaml")) is not None:  # noqa: B023
                self._saved.add(f"{path}.yaml")
            if turn == 0:
                self._started.wait(180)
            if self._ended.is_set():
                return

    def _attempt(self, kind: str, call: Callable[[], Any]) -> Any:
        try:
            result = call()
        except CallError as error:
            self.failures.append((kind, error))
            return None
        self.acknowledged[kind] += 1
        return result


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Return the cube [1, H, W, C] and its wavelengths [1, C]."""
    with np.load(SCENE) as arrays:
        return arrays["cube"][None].astype("float32"), arrays["wavelengths"][None]


def fitted(client: Client) -> Session:
    """Return a session whose global RX is fitted to the scene."""
    client.workspace.put(str(SCENE), "data/san_diego.npz")
    session = client.open_session()
    session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
    for _ in session.train("statistical"):
        pass
    return session
