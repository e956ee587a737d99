"""A standalone server that has as many files open as it may."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from swath.client import Client, ClientConfig, RetryConfig, UnavailableError
from swath_standalone.process import ServerProcess


def test_an_upload_is_refused_in_words_and_works_again_later(tmp_path: Path) -> None:
    file = tmp_path / "scene.bin"
    file.write_bytes(b"x" * 1000)
    with ServerProcess(tmp_path / "state") as server:
        config = ClientConfig(target=server.target, retry=RetryConfig(attempts=1))
        with Client(config) as client:
            client.workspace.put(file, "before.bin")
            _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
            numbers = [int(name) for name in os.listdir(f"/proc/{server.pid}/fd")]
            lowest_free = next(number for number in range(len(numbers) + 1) if number not in numbers)
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (lowest_free, hard))
            with pytest.raises(UnavailableError, match="too many files open"):
                client.workspace.put(file, "then.bin")
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
            client.workspace.put(file, "after.bin")
