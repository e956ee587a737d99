"""Headless Chromium, driven by the DevTools protocol over pipes."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """A window of headless Chromium. As a context manager, started and ended.

    Args:
        profile: Empty folder for what the browser keeps.
        size: Width and height of the window, in pixels.

    Attributes:
        requested: Addresses that the page has asked for.
        failures: Exceptions that the page's scripts have ended with.
    """

    def __init__(self, profile: Path, size: tuple[int, int] = (1600, 1000)) -> None:
        assert CHROMIUM is not None
        self.requested: list[str] = []
        self.failures: list[str] = []
        self._numbers = itertools.count(1)
        self._rest = b""
        # The browser reads commands from descriptor 3 and writes to 4.
        read_there, self._write = os.pipe()
        self._read, write_there = os.pipe()
        shell = f'exec 3<&{read_there} 4>&{write_there}; exec "$0" "$@"'
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                shell,
                CHROMIUM,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                f"--user-data-dir={profile}",
                f"--window-size={size[0]},{size[1]}",
                "--remote-debugging-pipe",
                "about:blank",
            ],
            pass_fds=(read_there, write_there),
            stderr=subprocess.DEVNULL,
        )
        os.close(read_there)
        os.close(write_there)
        self._session = ""
        target = next(each for each in self._ask("Target.getTargets")["targetInfos"] if each["type"] == "page")[
            "targetId"
        ]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self._ask(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go to an address."""
        self._ask("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """Return what an expression of JavaScript is, once a promise has settled."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, timeout_s: float = 30.0) -> Any:
        """Wait until an expression is true, and return it."""
        deadline = time.monotonic() + timeout_s
        while not (found := self.run(script)):
            assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {script}\n{self.failures}"
            time.sleep(0.1)
        return found

    def picture(self, path: Path, clip: tuple[int, int, int, int] | None = None) -> None:
        """Write what is seen as a PNG; of a part (x, y, width, height) where one is given."""
        more: dict[str, Any] = {}
        if clip is not None:
            more["clip"] = dict(zip(("x", "y", "width", "height"), clip, strict=True)) | {"scale": 1}
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png", **more)["data"]))

    def close(self) -> None:
        """End it."""
        self._session = ""
        try:
            self._ask("Browser.close")
        except (AssertionError, BrokenPipeError):
            self._process.kill()
        self._process.wait(20)
        os.close(self._write)
        os.close(self._read)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            if answer.get("method") == "Network.requestWillBeSent":
                self.requested.append(answer["params"]["request"]["url"])
            if answer.get("method") == "Runtime.exceptionThrown":
                self.failures.append(str(answer["params"]["exceptionDetails"])[:500])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            some = os.read(self._read, 1 << 20)
            assert some, "the browser has ended"
            self._rest += some
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)
