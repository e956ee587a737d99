"""From a scene to a model in production: train, publish, call it by name, bring out a second version, roll back.

    python examples/serving/walkthrough.py [--target HOST:PORT] [--calls 10000]

Without --target it starts a standalone server of its own. One that asks who calls is shown a token, or a certificate;
see README.md. Calls go to the model all the while, and each of them must be
answered by a version that was live, with that version's bits. The last thing printed is a table of what was seen; the
status is 1 if any call failed or had a wrong answer.
"""

from __future__ import annotations

import argparse
import math
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import numpy as np
from connection import Connection, add_options, connection_of
from counts import counted, difference
from load import SETTLED_S, Load, Row
from others import (
    OUTPUT,
    Answer,
    Arrays,
    ClientFailedError,
    NotInstalledError,
    grpcurl,
    in_its_own_python,
    redhare,
    request_of,
)
from rich.console import Console
from rich.table import Table

from swath.client import Client, ClientError, Session, read_scenes
from swath.errors import SwathError

SCENE = Path(__file__).resolve().parents[1] / "data" / "san_diego.npz"
CORNER = 40
"""First row and column, of 100 each, of what calls send."""
CANARY = 0.10
PARTS = 5
BY_CHANCE = 5.0
"""Standard deviations by which a canary's share may differ from what it should be."""


class WalkError(Exception):
    """The walk cannot go on."""


ERRORS = (WalkError, ClientError, SwathError, grpc.RpcError, OSError, ValueError)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="", help="a server that runs already")
    parser.add_argument("--metrics", default="", help="URL of the metrics of that server, to watch the split in them")
    parser.add_argument("--model", default="san-diego", help="name to publish under")
    parser.add_argument("--calls", type=int, default=10_000, help="how many calls are made at least")
    parser.add_argument("--crop", type=int, default=16, help="each call sends so many rows and columns of the scene")
    parser.add_argument("--triton-python", default="", help="Python of an environment with tritonclient[grpc]")
    parser.add_argument("--kserve-python", default="", help="Python of an environment with kserve")
    add_options(parser)
    args = parser.parse_args()
    if not 1 <= args.crop <= 100 - CORNER:
        parser.error(f"--crop must be between 1 and {100 - CORNER}, got {args.crop}")
    if args.calls < 1:
        parser.error(f"--calls must be at least 1, got {args.calls}")
    # Wide enough for the tables also where the output is a file.
    console = Console(highlight=False, width=max(Console().width, 110))
    try:
        with server(args.target, args.metrics) as (target, metrics):
            return Walk(args, connection_of(args, target), metrics, console).walk()
    except ERRORS as error:
        console.print(f"[bold red]The walk failed:[/] [red]{error}[/]", soft_wrap=True)
        return 1


@contextmanager
def server(target: str, metrics: str) -> Iterator[tuple[str, str]]:
    """Yield the address of a server and the URL of its metrics: those given, or of one that lives as long."""
    if target:
        yield target, metrics
        return
    from swath_standalone.process import ServerProcess

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        tempfile.TemporaryDirectory(prefix="swath-walk-") as state,
        ServerProcess(Path(state), environment={"SWATH_METRICS_PORT": str(port)}) as process,
    ):
        yield process.target, f"http://127.0.0.1:{port}/metrics"


class Walk:
    """The walk; read `walk` first."""

    def __init__(self, args: argparse.Namespace, server: Connection, metrics: str, console: Console) -> None:
        self.model, self.calls = args.model, math.ceil(args.calls / PARTS)
        self.server, self.metrics, self.console = server, metrics, console
        scene = next(read_scenes(SCENE)).inputs()
        crop = slice(CORNER, CORNER + args.crop)
        self.arrays: Arrays = {
            "cube": np.ascontiguousarray(scene["cube"][:, crop, crop], np.float32),
            "wavelengths": np.asarray(scene["wavelengths"], np.int32),
        }
        self.clients: dict[str, Callable[[Connection, str, Arrays], Answer]] = {
            "swath": self.ours,
            "tritonclient": in_its_own_python(
                "triton_client.py", "tritonclient", "tritonclient[grpc]", args.triton_python
            ),
            "kserve": in_its_own_python("kserve_client.py", "kserve", "kserve", args.kserve_python),
            "grpcurl": grpcurl,
            "redhare": redhare,
        }
        self.asked: list[tuple[str, str, str, bool | None]] = []
        self.split: dict[str, dict[int, float]] = {}
        self.faults: list[str] = []

    def walk(self) -> int:
        """Walk, and return the status to end with."""
        say = self.console.print
        with Client(self.server.config) as client:
            client.ready(60)
            say(f"Server at [bold]{self.server.target}[/]")
            client.workspace.put(SCENE, "data/san_diego.npz")

            say("\n[bold]1  Train on the San Diego scene, and publish[/]")
            with client.session() as session:
                first, scores = self.train_and_publish(client, session, aliases=["stable"])
            say(f"  [green]✓[/] {self.model} version {first}, alias stable; sessions are gone, the name stays")
            # No call waits for what is published: replicas know of it within a second.
            time.sleep(SETTLED_S)
            before = counted(self.metrics, self.model)

            with Load(self.server, request_of(self.model, self.arrays), first, scores) as load:
                try:
                    self.roll_out(client, load, first)
                except ERRORS as error:
                    self.faults.append(f"the walk ended early: {error}")

        say("\n[bold]6  What was seen[/]")
        self.tell(load, before)
        return 1 if self.faults else 0

    def roll_out(self, client: Client, load: Load, first: int) -> None:
        """What is done under load."""
        say = self.console.print
        say("\n[bold]2  Call it by its name, with everybody's clients; from here on there is load[/]")
        with self.part(load, f"stable: {first}"):
            self.ask_all("first version", load, {first})

        say("\n[bold]3  A second version: fitted on the upper half of the scene, a canary of 10 %[/]")
        with client.session() as session:
            second, scores = self.train_and_publish(client, session, data="san_diego")
        if second == first:
            raise WalkError(f"the second training gave version {first} again")
        load.expected[second] = scores
        say(f"  [green]✓[/] version {second} is there; nobody gets it yet")
        self.move(client, load, {first: 90.0, second: 10.0})
        with self.part(load, f"stable: {first} 90 %, {second} 10 %") as canary:
            pass
        self.check_share(canary, second)

        say("\n[bold]4  Promote it[/]")
        self.move(client, load, {second: 100.0})
        with self.part(load, f"stable: {second}"):
            self.ask_all("promoted", load, {second})

        say("\n[bold]5  Roll back: to where stable pointed before, and then to the first version alone[/]")
        with load.change(first, second):
            client.models.roll_back_alias(self.model, "stable")
        with self.part(load, f"rolled back: {first} 90 %, {second} 10 %") as again:
            pass
        self.check_share(again, second)
        self.move(client, load, {first: 100.0})
        with self.part(load, f"stable: {first} alone"):
            self.ask_all("rolled back", load, {first})

    def train_and_publish(
        self, client: Client, session: Session, *, data: str = "", aliases: Sequence[str] = ()
    ) -> tuple[int, bytes]:
        """Fit RX in a session and publish it; returns the version and the bits of its scores for what calls send."""
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        for _ in session.train("statistical", data=session.resolve("data", data) if data else None):
            pass
        scores = session.infer(outputs=[OUTPUT], **self.arrays)[OUTPUT]
        # What raw bytes mean to clients that say nothing of shapes.
        shape = ",".join(map(str, self.arrays["cube"].shape[1:]))
        labels = {"redhare.dtype": "float32", "redhare.shape": shape, "redhare.layout": "HWC"}
        published = client.models.publish(self.model, session, aliases=aliases, labels=labels)
        return published.version, np.ascontiguousarray(scores).tobytes()

    def ours(self, server: Connection, model: str, arrays: Arrays) -> Answer:
        """Call with our own client: `infer` gives the outputs alone, a stream says which version was drawn as well."""
        with Client(server.config) as client, client.model(model).stream([OUTPUT]) as stream:
            stream.send(**arrays)
            return Answer(stream.version, stream.receive().value()[OUTPUT])

    def ask_all(self, when: str, load: Load, live: set[int]) -> None:
        """Have each client call once, and check that its answer is that of a live version."""
        for name, call in self.clients.items():
            try:
                answer = call(self.server, self.model, self.arrays)
            except NotInstalledError as missing:
                self.asked.append((when, name, "not installed", None))
                self.console.print(f"  - {name} is not installed: {missing}", soft_wrap=True, markup=False)
                continue
            except (ClientFailedError, ClientError, grpc.RpcError) as error:
                self.asked.append((when, name, "failed", False))
                self.faults.append(f"{name}, {when}: {error}")
                continue
            right = answer.version in live and answer.scores.tobytes() == load.expected[answer.version]
            self.asked.append((when, name, f"version {answer.version}", right))
            mark = "[green]✓[/]" if right else "[red]✗[/]"
            self.console.print(f"  {mark} {name}: version {answer.version}, largest {answer.scores.max():.6g}")
            if not right:
                self.faults.append(f"{name}, {when}: an answer of version {answer.version} that is not to be")

    def move(self, client: Client, load: Load, shares: dict[int, float]) -> None:
        """Point the alias somewhere else."""
        with load.change(*shares):
            client.models.set_alias(self.model, "stable", shares)

    @contextmanager
    def part(self, load: Load, title: str) -> Iterator[Row]:
        """Count calls in a row of their own, by the answers and by the server's metrics."""
        before = counted(self.metrics, self.model)
        with load.part(title, self.calls) as row:
            yield row
        if row.calls < self.calls:
            self.faults.append(f"{title}: the load ended after {row.calls} of {self.calls} calls")
        self.split[title] = difference(counted(self.metrics, self.model), before)
        seen = ", ".join(f"{calls:.0f} by version {version}" for version, calls in sorted(self.split[title].items()))
        told = f"  [dim]in metrics: {seen}[/]" if seen else ""
        bad = row.failed + row.wrong
        mark = "[red]✗[/]" if bad else "[green]✓[/]"
        self.console.print(f"  {mark} {title}  {row.calls} calls, {bad} bad{told}")

    def check_share(self, row: Row, version: int) -> None:
        """Check that a canary got its share, as far as chance goes."""
        calls = max(row.answers.total(), 1)
        share = row.answers[version] / calls
        if abs(share - CANARY) > BY_CHANCE * math.sqrt(CANARY * (1 - CANARY) / calls):
            self.faults.append(f"{row.title}: version {version} got {share:.1%} of {calls} calls")

    def tell(self, load: Load, before: dict[int, float]) -> None:
        """Print the tables, and what went wrong."""
        total = Row("all")
        for row in load.rows:
            total.answers += row.answers
            total.wrong += row.wrong
            total.failed += row.failed
        if total.failed or total.wrong:
            self.faults += [f"{total.failed} calls failed, {total.wrong} were answered wrongly", *load.complaints]
        with suppress(OSError):
            self.split["all"] = difference(counted(self.metrics, self.model), before)

        others = Table("when", "client", "answer", "right", title="One call of each client", title_justify="left")
        for when, client, answer, right in self.asked:
            others.add_row(when, client, answer, {True: "yes", False: "NO", None: "-"}[right])
        versions = sorted(load.expected)
        calls = Table("part", title="Load", title_justify="left")
        names = [f"version {version}" for version in versions]
        for column in ("calls", *names, f"share of {versions[-1]}", "in metrics", "wrong", "failed"):
            calls.add_column(column, justify="right")
        for row in (*load.rows, total):
            answers = [row.answers[version] for version in versions]
            share = f"{answers[-1] / max(sum(answers), 1):.1%}"
            metrics = self.split.get(row.title)
            seen = " / ".join(f"{metrics.get(version, 0):.0f}" for version in versions) if metrics else "-"
            calls.add_row(row.title, *map(str, (row.calls, *answers, share, seen, row.wrong, row.failed)))
        self.console.print(others, calls)
        for fault in self.faults:
            self.console.print(f"✗ {fault}", soft_wrap=True, markup=False)
        if not self.faults:
            self.console.print(f"[green]✓ none of {total.calls} calls failed[/]")


if __name__ == "__main__":
    sys.exit(main())
