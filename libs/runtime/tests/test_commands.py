"""`swath certs` and `swath token`."""

import json
import stat
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from swath.runtime.auth.commands import certs, token
from swath.runtime.auth.tokens import TokenTable, hash_of


def _run(command, *arguments: object) -> list[str]:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_certs_makes_certificates_of_all_services_and_of_users(tmp_path: Path):
    _run(certs, "--out", tmp_path, "--users", "alice,bob", "--days", 1)
    made = {str(each.parent.relative_to(tmp_path)) for each in tmp_path.glob("**/tls.crt") if each.is_symlink()}
    assert {"session", "gateway", "worker", "users/alice", "users/bob"} <= made


def test_a_ca_rolls_over_in_three_steps(tmp_path: Path):
    _run(certs, "--out", tmp_path, "--services", "session")
    first = (tmp_path / "ca.crt").read_bytes()
    for step in ("--roll-ca", "--rotate", "--retire-ca"):
        _run(certs, "--out", tmp_path, step)
    assert first not in (tmp_path / "session" / "ca.crt").read_bytes()


def test_nothing_is_rotated_where_nothing_is(tmp_path: Path):
    with pytest.raises(Exception, match="there is no CA in"):
        _run(certs, "--out", tmp_path / "new", "--rotate")


def test_a_token_is_shown_once_and_its_hash_goes_to_the_server():
    said = dict(line.split(": ", 1) for line in _run(token, "alice"))
    assert hash_of(said["token"]) == said["sha256"]
    assert said["server"] == f"SWATH_TOKENS='{json.dumps({'alice': said['sha256']})}'"


def test_a_token_is_added_to_a_file_and_older_ones_stay_good(tmp_path: Path):
    file = tmp_path / "tokens.json"
    tokens = [_run(token, "alice", "--file", file)[0].removeprefix("token: ") for _ in range(2)]
    table = TokenTable({}, file)
    assert [table.find(each) for each in tokens] == ["alice", "alice"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(each in file.read_text() for each in tokens)
