"""The walk-through of serving as a process, against `swath serve`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swath.client import Client, NotFoundError

from .conftest import EXAMPLES, SCENE

CALLS = 10_000
ROUNDS = ("first version", "promoted", "rolled back")


def walk(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXAMPLES / "serving" / "walkthrough.py"), "--crop", "8", *arguments]
    environment = os.environ | variables
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], timeout_s: float = 240) -> tuple[int, str]:
    try:
        output, errors = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
        process.wait()
    assert not errors, output + errors
    return process.returncode, output


def rows(output: str) -> dict[str, list[str]]:
    """Rows of the tables: the other cells by the first one, or by the first two of what clients were told."""
    found = {}
    for line in re.findall("^│ (.*) │$", output, re.MULTILINE):
        first, *others = (cell.strip() for cell in line.split("│"))
        if first in ROUNDS:
            first, others = f"{first}: {others[0]}", others[1:]
        found[first] = others
    return found


def figures(cells: list[str]) -> tuple[int, int, int, float]:
    """Calls, answers of the two versions, and what the second one has of them."""
    calls, first, second, share = cells[:4]
    return int(calls), int(first), int(second), float(share.removesuffix("%")) / 100


@pytest.mark.timeout(300)
def test_none_of_the_calls_fails_while_versions_come_and_go(peer: Callable[[str], Path]) -> None:
    peers = [f"--{name}-python={peer(name)}" for name in ("triton", "kserve")]
    status, output = finish(walk("--calls", str(CALLS), *peers))
    assert status == 0, output
    found = rows(output)
    # Both versions answer, each while it is live; a canary's share is 10 % but for five standard deviations of chance.
    for title, low, high in (
        ("stable: 1", 0, 0),
        ("stable: 1 90 %, 2 10 %", 0.066, 0.134),
        ("stable: 2", 1, 1),
        ("rolled back: 1 90 %, 2 10 %", 0.066, 0.134),
        ("stable: 1 alone", 0, 0),
    ):
        calls, first, second, share = figures(found[title])
        assert calls >= CALLS / 5
        assert first + second == calls
        assert low <= second / calls <= high
        assert share == pytest.approx(second / calls, abs=6e-4)
    for title in (*(title for title in found if title.startswith(("stable", "rolled back: 1"))), "all"):
        assert found[title][-2:] == ["0", "0"]
    calls, *by_load, _ = figures(found["all"])
    assert calls >= CALLS
    assert f"none of {calls} calls failed" in output

    clients = ["swath", "tritonclient", "kserve", "redhare", *(["grpcurl"] if shutil.which("grpcurl") else [])]
    for when, version in zip(ROUNDS, (1, 2, 1), strict=True):
        for client in clients:
            assert found[f"{when}: {client}"] == [f"version {version}", "yes"]
    # The server has counted each call of the load, and each of a client: twice the first version, once the second.
    counted = [int(number) for number in found["all"][4].split(" / ")]
    assert counted == [by_load[0] + 2 * len(clients), by_load[1] + len(clients)]


@pytest.mark.xdist_group("suite")
@pytest.mark.timeout(300)
def test_behind_the_gateway_none_fails_either(suite: Any) -> None:
    for _ in ("once", "and on what is there then"):
        status, output = finish(walk("--target", suite.target, "--model", "walk-behind-the-gateway", "--calls", "1000"))
        assert status == 0, output
        found = rows(output)
        assert figures(found["all"])[0] >= 1000
        assert found["all"][4:] == ["-", "0", "0"]
        assert found["promoted: redhare"] == ["version 2", "yes"]


@pytest.mark.timeout(300)
def test_every_client_says_who_calls_by_tls(public_suite: Any, identities: Any, peer: Callable[[str], Path]) -> None:
    config = public_suite.config(user="alice")
    common = ["--target", config.target, f"--tls-root={config.tls.root}"]
    proofs = {
        "token": ([], {"SWATH_TOKEN": identities.tokens["alice"]}),
        "certificate": ([f"--tls-cert={config.tls.cert}", f"--tls-key={config.tls.key}"], {}),
    }
    # Others' clients take seconds to start, so each walk has one of them; and walks wait most of the time.
    others = {"token": ("triton", "tritonclient"), "certificate": ("kserve", "kserve")}
    walks = {}
    for proof, (options, variables) in proofs.items():
        name, _ = others[proof]
        options = [*common, "--user", "alice", "--model", f"walk-by-{proof}", "--calls", "250", *options]
        variables["SWATH_PASSWORD"] = identities.passwords["alice"]
        walks[proof] = walk(*options, f"--{name}-python={peer(name)}", **variables)
    stranger = walk(*common, "--model", "walk-by-nobody")
    ends = {proof: finish(process) for proof, process in walks.items()}
    for proof, (status, output) in ends.items():
        assert status == 0, output
        found = rows(output)
        assert found["all"][5:] == ["0", "0"]
        for client in ("swath", others[proof][1], "redhare", *(["grpcurl"] if shutil.which("grpcurl") else [])):
            assert found[f"promoted: {client}"] == ["version 2", "yes"]
    with Client(public_suite.config(identities.tokens["alice"])) as client:
        assert [client.models.get(f"walk-by-{proof}").model.owner for proof in proofs] == ["alice", "alice"]
    # Who says nothing is told so at the first call.
    status, output = finish(stranger)
    assert status == 1
    assert re.search("The walk failed: .*the call does not say who makes it", output)


def published_by_then(client: Client, name: str, process: subprocess.Popen[str]) -> None:
    """Wait until a walk has published its model and calls it."""
    while process.poll() is None:
        try:
            if any(alias.name == "stable" for alias in client.models.get(name).model.aliases):
                return
        except NotFoundError:
            pass
        time.sleep(0.05)
    pytest.fail("the walk ended before it had published")


@pytest.mark.timeout(300)
def test_what_is_not_there_is_said_and_versions_of_others_are_wrong_answers(server: str) -> None:
    name = "walk-with-a-stranger"
    with Client(server) as client, client.session() as session:
        client.workspace.put(SCENE, "data/san_diego.npz")
        stranger = session.resolve("trainrun", "trainrun/san_diego_rx", ["pipeline.nodes.rx.hparams.eps=1e3"])
        session.set_run_config(stranger)
        for _ in session.train("statistical"):
            pass
        process = walk("--target", server, "--model", name, "--calls", "100")
        published_by_then(client, name, process)
        client.models.publish(name, session, aliases=["stable"])
    status, output = finish(process)
    assert status == 1
    assert re.search(r"✗ 0 calls failed, [1-9]\d* were answered wrongly", output)
    assert "✗ version 2 answered, live were [1]" in output
    found = rows(output)
    assert int(found["all"][-2]) > 0
    assert found["first version: tritonclient"] == ["not installed", "-"]
    assert "pip install 'tritonclient[grpc]', then --triton-python" in output


@pytest.mark.timeout(300)
def test_calls_that_fail_are_counted(server: str) -> None:
    name = "walk-into-nothing"
    with Client(server) as client:
        process = walk("--target", server, "--model", name, "--calls", "100")
        published_by_then(client, name, process)
        client.models.unpublish(name)
    status, output = finish(process)
    assert status == 1
    assert re.search(r"✗ [1-9]\d* calls failed, \d+ were answered wrongly", output)
    assert "✗ NOT_FOUND: " in output
    assert int(rows(output)["all"][-1]) > 0


def test_it_says_in_one_sentence_that_there_is_no_server() -> None:
    status, output = finish(walk("--target", "127.0.0.1:1"))
    assert status == 1
    assert "The walk failed: no server answers at 127.0.0.1:1" in output
