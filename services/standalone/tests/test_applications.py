"""`swath serve` and `swath app`: a config file deployed with its code, told of, kept through a kill, deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from swath.client import AsyncClient
from swath.client.cli import app
from swath.rpc.proxies import NO_PROXY
from swath.serve.bundles import pack
from swath_standalone.process import ServerProcess
from swath_suite.testing.greeting import CONFIG, GREET, hello, said, write_greeting

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that says it is ready for applications."""
    process = ServerProcess(tmp_path / "state").start(wait_for="swath.apps")
    yield process
    process.stop()


@pytest.fixture
def swath(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `swath app` against the server."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(command: str, *words: str) -> Result:
        return CliRunner().invoke(app, ["app", command, *words, "--target", server.target])

    return run


def _greet(server: ServerProcess) -> str:
    with grpc.insecure_channel(server.target, options=[NO_PROXY]) as channel:
        call: Any = channel.unary_unary(GREET, hello, said)
        return call("Ada", metadata=(("application", "greet"),), timeout=60)


async def _deployed_again(server: ServerProcess, code: Path) -> tuple[list[str], list[str]]:
    """Deploy the same code; return the states that were told, and what is deployed then."""
    async with AsyncClient(server.target) as client:
        bundle = await client.applications.put_bundle(pack(code))
        (kept,) = await client.applications.configs("greet")
        deployment = client.applications.deploy(kept.config, bundles={"": bundle.digest})
        states = [each.applications[0].status async for each in deployment]
        return states[-1:], [each.name for each in await client.applications.status()]


def test_a_config_file_with_its_code_from_deploy_to_delete(
    server: ServerProcess, swath: Callable[..., Result], tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    file = write_greeting(code) / "config.yaml"
    file.write_text(CONFIG.replace("name: Prefix", "name: Prefx"))
    refused = swath("deploy", str(file))
    assert refused.exit_code == 1
    assert f"{file}, line 7, applications[0].deployments[0].name: Deployment 'Prefx' does not exist" in refused.output
    assert "no application is deployed" in swath("status").output

    file.write_text(CONFIG)
    deployed = swath("deploy", str(file))
    assert deployed.exit_code == 0, deployed.output
    assert "greet DEPLOYING" in deployed.output
    assert "greet RUNNING" in deployed.output
    assert _greet(server) == "Bonjour Ada from nobody None []"
    (line,) = swath("status", "--json").output.splitlines()
    told = json.loads(line)
    assert [(each["name"], each["replica_states"]) for each in told["deployments"]] == [
        ("Prefix", {"RUNNING": 1}),
        ("Greeter", {"RUNNING": 1}),
    ]
    table = swath("status").output
    assert [line.split()[:2] for line in table.splitlines()[2:]] == [
        ["greet", "RUNNING"],
        ["Prefix", "HEALTHY"],
        ["Greeter", "HEALTHY"],
    ]
    assert "import_path: greeter:app" in swath("config").output
    unknown = swath("status", "--name", "gret")
    assert unknown.exit_code == 1
    assert "no application 'gret', did you mean 'greet'?" in unknown.output

    # Nothing that was acknowledged is lost.
    server.kill()
    server.start(wait_for="swath.apps")
    assert _greet(server) == "Bonjour Ada from nobody None []"

    # The asyncio client does the same: what has not changed goes on.
    assert asyncio.run(_deployed_again(server, code)) == (["RUNNING"], ["greet"])

    # An application that does not come up is told by the exit code, and takes the place of all others.
    failed = swath("deploy", "greeter:broken", "--name", "broken", "--app-dir", str(code))
    assert failed.exit_code == 1
    assert "ValueError: no weights" in failed.output
    assert swath("deploy", "greeter:broken", "--app-dir", str(code), "--no-wait").exit_code == 0
    assert swath("delete", "default", "--yes").output == "deleted default\n"
    assert swath("delete", "default", "--yes").exit_code == 1
    assert swath("shutdown", "--yes").output == "deleted nothing: there was none\n"
