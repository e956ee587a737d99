"""`swath app` without a server: `run` hosts applications until Ctrl-C, `build` writes a file; exit codes are true."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from swath.client.cli import app
from swath.client.errors import LocalError
from swath.serve.cli.options import key_values
from swath.serve.schema import read_file
from swath_suite.process import free_ports
from swath_suite.testing.greeting import CONFIG, GREET, hello, said, write_greeting

SWATH = Path(sys.executable).with_name("swath")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with an application and its config file, on a free port."""
    write_greeting(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG.replace("grpc_options:\n", "grpc_options:\n  port: 0\n"))
    return tmp_path


@pytest.fixture
def run(code: Path) -> Iterator[Callable[..., Any]]:
    """Starts `swath app run` in the folder; returns the process and where it listens."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [SWATH, "app", "run", *words], cwd=code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, _await(process, "listening on ").removeprefix("listening on ")

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _await(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line.strip()
    assert process.stderr is not None
    raise AssertionError(f"{words!r} was not printed: {process.stderr.read()}")


def _free_port() -> int:
    (port,) = free_ports(1)
    return port


def _greet(address: str) -> str:
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(GREET, hello, said)
        return call("Ada", metadata=(("application", "greet"),), timeout=30)


def test_a_config_file_runs_until_it_is_interrupted(run: Callable[..., Any]) -> None:
    process, address = run("config.yaml")
    _await(process, "greet RUNNING")
    assert _greet(address) == "Bonjour Ada from nobody None []"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def test_code_that_changes_is_deployed_anew_and_what_is_wrong_changes_nothing(
    run: Callable[..., Any], code: Path
) -> None:
    process, address = run("config.yaml", "--reload")
    _await(process, "greet RUNNING")
    _await(process, "Ctrl-C")
    file, text = code / "greeter.py", (code / "greeter.py").read_text()
    file.write_text(text + "\nthis is no Python\n")
    assert "SyntaxError" in _await(process, "import_path")
    assert _greet(address).startswith("Bonjour Ada from")
    file.write_text(text.replace("from {who}", "of {who}"))
    _await(process, "deploying anew")
    deadline = time.monotonic() + 30
    while not _greet(address).startswith("Bonjour Ada of"):
        assert time.monotonic() < deadline
        # Each call leaves a line, and nobody reads them meanwhile.
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_what_does_not_come_up_ends_with_1(run: Callable[..., Any]) -> None:
    process, _ = run("greeter:broken", "--name", "one", "--grpc-port", "0")
    assert "ValueError: no weights" in _await(process, "one DEPLOY_FAILED")
    assert process.wait(30) == 1


def test_calls_are_answered_while_nobody_reads_the_output(run: Callable[..., Any]) -> None:
    process, address = run("config.yaml")
    _await(process, "greet RUNNING")
    # Each call leaves a line of some 200 bytes, and a pipe takes 64 KiB.
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(GREET, hello, said)
        for _ in range(600):
            assert call("Ada", metadata=(("application", "greet"),), timeout=10).startswith("Bonjour Ada")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_in_the_background_it_returns_once_it_runs(code: Path) -> None:
    port = _free_port()
    words = ["greeter:app", "--name", "greet", "--grpc-port", str(port), "--non-blocking"]
    words += ["--grpc-servicer-functions", "greet_pb2_grpc.add_GreetServiceServicer_to_server"]
    # Its output goes to a file: what runs on would keep a pipe open.
    with (code / "output").open("w") as output:
        done = subprocess.run([SWATH, "app", "run", *words], cwd=code, stdout=output, stderr=output, timeout=100)
    told = (code / "output").read_text()
    assert done.returncode == 0, told
    (pid,) = re.findall(r"runs in the background, process (\d+); end it with: kill \1", told)
    try:
        assert _greet(f"127.0.0.1:{port}") == "Hello Ada from nobody None []"
    finally:
        os.kill(int(pid), signal.SIGTERM)


def test_in_the_background_what_does_not_come_up_ends_with_1(code: Path) -> None:
    words = ["greeter:broken", "--grpc-port", "0", "--non-blocking"]
    with (code / "output").open("w") as output:
        done = subprocess.run([SWATH, "app", "run", *words], cwd=code, stdout=output, stderr=output, timeout=100)
    assert done.returncode == 1
    assert "ValueError: no weights" in (code / "output").read_text()


def test_a_server_is_started_in_the_background_once(tmp_path: Path) -> None:
    port = _free_port()
    words = ["app", "start", "--grpc-port", str(port), "--state", str(tmp_path / "state")]
    with (tmp_path / "output").open("w") as output:
        done = subprocess.run([SWATH, *words], stdout=output, stderr=output, timeout=200)
    told = (tmp_path / "output").read_text()
    assert done.returncode == 0, told
    (pid,) = re.findall(rf"a server runs at 127.0.0.1:{port}, process (\d+); deploy with: swath app deploy", told)
    try:
        again = CliRunner().invoke(app, words)
        assert again.exit_code == 0
        assert f"127.0.0.1:{port}" in again.output
        assert "process" not in again.output
    finally:
        os.kill(int(pid), signal.SIGTERM)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["greeter:ap"], "has no attribute 'ap', did you mean 'app'?"),
        (["missing.yaml"], "there is no config file missing.yaml"),
        (["greeter:app", "x"], "expected KEY=VALUE, got 'x'"),
        (["greeter:app", "--runtime-env-json", "{"], "--runtime-env-json is no JSON"),
        (["greeter:app", "--app-dir", "nowhere"], "there is no such folder"),
    ],
)
def test_what_cannot_run_is_refused_in_words(
    code: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(code)
    result = CliRunner().invoke(app, ["app", "run", *words])
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())


def test_a_file_of_code(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(code)
    monkeypatch.setattr(sys, "path", [*sys.path])
    function = "greet_pb2_grpc.add_GreetServiceServicer_to_server"
    words = ["greeter:app", "-o", "built.yaml", "--grpc-servicer-functions", function]
    result = CliRunner().invoke(app, ["app", "build", *words])
    assert (result.exit_code, result.output) == (0, "wrote built.yaml\n")
    config = read_file(code / "built.yaml").config
    assert [each.name for each in config.applications[0].deployments] == ["Prefix", "Greeter"]
    assert config.grpc_options.grpc_servicer_functions == (function,)
    for name in ("greeter", "greet_pb2", "greet_pb2_grpc"):
        sys.modules.pop(name, None)


def test_arguments_of_a_function_that_builds() -> None:
    assert key_values(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(LocalError, match="a is given twice: '1' and '2'"):
        key_values(["a=1", "a=2"])


def test_every_command_says_what_it_does() -> None:
    result = CliRunner().invoke(app, ["app", "--help"])
    for name in ("run", "deploy", "status", "config", "build", "delete", "start", "shutdown"):
        assert f" {name} " in result.output
    assert " app " in CliRunner().invoke(app, ["--help"]).output
