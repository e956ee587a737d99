"""The command group: commands of other packages, and what becomes of errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from swath.client.cli import app

runner = CliRunner()
_numbers = itertools.count(1)

CODE = '''
def greet(name: str = "nobody") -> None:
    """Greet somebody."""
    print(f"hello {name}")

def divide() -> None:
    """Divide by zero."""
    1 / 0

def read() -> None:
    """Read a file that is not there."""
    open("/no/such/file")

def write() -> None:
    """Fail without a file's name."""
    raise OSError("the disk is full")

class Refused(Exception):
    reason = "REFUSED"

def refuse() -> None:
    """Fail as a server's command does."""
    raise Refused("not allowed:\\n  ask the operator")
'''

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package whose commands are the functions named, as ``name=module:function``."""

    def make(*commands: str) -> None:
        number = next(_numbers)
        folder = tmp_path / f"package{number}"
        information = folder / f"extra{number}-1.0.dist-info"
        information.mkdir(parents=True)
        (folder / f"extra{number}.py").write_text(CODE)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: extra{number}\nVersion: 1.0\n")
        lines = "\n".join(command.replace("extra:", f"extra{number}:") for command in commands)
        (information / "entry_points.txt").write_text(f"[swath.commands]\n{lines}\n")
        monkeypatch.syspath_prepend(folder)

    return make


def test_a_command_of_another_package_has_its_own_options(install: Install) -> None:
    install("greet=extra:greet")
    assert runner.invoke(app, ["greet"]).output == "hello nobody\n"
    assert runner.invoke(app, ["greet", "--name", "somebody"]).output == "hello somebody\n"
    assert "Greet somebody." in runner.invoke(app, ["--help"]).output


def test_a_package_that_is_broken_takes_no_other_command_with_it(install: Install) -> None:
    install("fly=no_such_package:fly", "greet=extra:greet")
    assert runner.invoke(app, ["greet"]).exit_code == 0
    assert "fly" in runner.invoke(app, ["--help"]).output
    broken = runner.invoke(app, ["fly"])
    assert broken.exit_code == 1
    assert broken.stderr.startswith("error: the command 'fly' of no_such_package:fly cannot be loaded: No module named")


def test_a_command_of_our_own_is_not_replaced(install: Install) -> None:
    install("version=extra:divide")
    assert runner.invoke(app, ["version"]).output.startswith("swath ")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("read", "error: /no/such/file: No such file or directory\n"),
        ("write", "error: the disk is full\n"),
        ("refuse", "error: not allowed: ask the operator\n"),
    ],
)
def test_an_error_that_has_a_name_is_one_line(install: Install, command: str, message: str) -> None:
    install(f"{command}=extra:{command}")
    result = runner.invoke(app, [command])
    assert (result.exit_code, result.stderr, result.stdout) == (1, message, "")


def test_an_error_that_has_none_keeps_its_traceback(install: Install) -> None:
    install("divide=extra:divide")
    result = runner.invoke(app, ["divide"])
    assert isinstance(result.exception, ZeroDivisionError)
    assert result.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_is_shown_when_it_is_asked_for_and_when_nothing_is(arguments: list[str]) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == (0 if arguments else 2)
    assert "Train and serve pipelines for hyperspectral data over gRPC." in result.output


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("train", ["--phase", "--upload", "--save", "--save-pipeline", "--keep"]),
        ("infer", ["--pipeline", "--trainrun", "--session", "--weights", "--override", "--port", "--output"]),
        ("restore", ["--weights", "--phase", "--keep"]),
        ("nodes", ["--category", "--tag", "--plugin"]),
        ("pipeline", ["--out", "--tag"]),
        ("logs", ["--follow", "--json"]),
        ("ls", ["--recursive", "--sha256"]),
    ],
)
def test_each_command_shows_its_own_options_beside_those_for_the_server(command: str, options: list[str]) -> None:
    output = runner.invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    for option in [*options, "--target", "--token", "--tls-root", "--tls-cert", "--tls-key", "--max-message-mb"]:
        assert option in output


@pytest.mark.parametrize("size", ["0", "2048", "many"])
def test_a_message_s_size_is_1_to_2047_mib(size: str) -> None:
    result = runner.invoke(app, ["ls", "--max-message-mb", size])
    assert result.exit_code == 2
    assert "--max-message-mb" in result.stderr


def test_an_empty_target_names_no_server() -> None:
    result = runner.invoke(app, ["ls", "--target", ""])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: target must name a server")


def test_a_target_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swath.client.cli.connection.CONNECT_S", 0.2)
    result = runner.invoke(app, ["ls"], env={"SWATH_TARGET": "127.0.0.1:1"})
    assert "no server answers at 127.0.0.1:1; start one with: swath serve" in result.stderr
