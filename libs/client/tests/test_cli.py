"""The command line, as far as it goes without a server."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from swath.client.cli import app
from swath.client.cli.train import Phase, phases

runner = CliRunner()


def test_help_lists_own_commands_and_those_of_other_packages() -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    for name in ("train", "logs", "infer", "restore", "nodes", "pipeline", "ls", "cp", "rm", "version", "serve"):
        assert name in result.output


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "logs",
        "infer",
        "restore",
        "publish",
        "models",
        "alias",
        "unpublish",
        "nodes",
        "pipeline",
        "ls",
        "cp",
        "rm",
    ],
)
def test_each_command_has_help_and_connection_options(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "--target" in result.output


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_version(asked: str) -> None:
    expected = (Path(__file__).resolve().parents[3] / "VERSION").read_text().strip()
    assert runner.invoke(app, [asked]).output == f"swath {expected}\n"


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.image", None)
    arguments = ["infer", str(tmp_path / "missing.npz"), "-p", "rx", "-o", "scores.png", "--target", "127.0.0.1:1"]
    monkeypatch.setattr("swath.client.cli.connection.CONNECT_S", 0.5)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert "pip install 'swath[plots]'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ls", "--target", "127.0.0.1:1"], "no server answers at 127.0.0.1:1"),
        (["ls", "--tls-cert", "cert.pem"], "mutual TLS needs both files"),
        (["ls", "--tls-root", "missing.pem"], "missing.pem: No such file"),
    ],
)
def test_errors_are_one_line_and_exit_with_1(arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swath.client.cli.connection.CONNECT_S", 0.5)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_unknown_command_exits_with_2() -> None:
    assert runner.invoke(app, ["fly"]).exit_code == 2


@pytest.mark.parametrize(
    ("phase", "losses", "run"),
    [
        (Phase.AUTO, ["loss"], ["statistical", "gradient"]),
        (Phase.AUTO, [], ["statistical"]),
        (Phase.BOTH, [], ["statistical", "gradient"]),
        (Phase.GRADIENT, [], ["gradient"]),
        (Phase.CALIBRATION, [], ["calibration"]),
    ],
)
def test_phases(phase: Phase, losses: list[str], run: list[str]) -> None:
    assert phases(phase, {"loss_nodes": losses}) == run


def test_neither_client_nor_command_line_imports_torch_or_is_slow_to_import() -> None:
    code = "import sys, swath.client.cli; print(sorted({'torch', 'grpc', 'numpy', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    code = "import sys, swath.client as c; [getattr(c, n) for n in c.__all__]; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_the_client_imports_nothing_that_only_servers_need() -> None:
    heavy = ["opentelemetry", "prometheus_client", "pydantic", "structlog", "swath.rpc.server"]
    code = f"import sys, swath.client as c; [getattr(c, n) for n in c.__all__]; print({{*{heavy}}} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
