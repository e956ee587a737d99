"""Swath's main job in a minute: train three detectors on a real scene over gRPC, kill the server, go on.

    python examples/demo [--target HOST:PORT] [--output FILE.png]

Without --target it starts `swath serve` itself; with it, it drives a server that runs already and kills nothing.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter

from methods import METHODS, Method
from picture import draw
from report import table
from rich.console import Console
from server import DEFAULT_PORT, START_S, DemoServer
from steps import ExpectationError, Result, check_restored, check_still_open, run, save, upload

from swath.client import Client, ClientConfig, ClientError, Scene, Session, read_scenes

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "examples" / "data" / "san_diego.npz"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="", help="a server that runs already")
    parser.add_argument("--output", type=Path, default=Path("outputs/demo.png"), help="where the picture goes")
    args = parser.parse_args()
    console = Console(highlight=False)
    started = perf_counter()
    try:
        with nullcontext() if args.target else DemoServer() as server:
            if server is not None:
                with console.status("starting the server"):
                    server.start()
            demo(args.target or (server.target if server else ""), server, args.output, console)
    except (ExpectationError, ClientError, RuntimeError, OSError) as error:
        console.print(f"[bold red]The demo failed:[/] [red]{error}[/]", soft_wrap=True)
        return 1
    console.print(f"\nPicture: [bold]{args.output}[/]    all in {perf_counter() - started:.0f} s")
    return 0


def demo(target: str, server: DemoServer | None, output: Path, console: Console) -> None:
    """The four steps.

    Args:
        target: The server.
        server: The process behind it where it is the demo's own.
        output: Where the picture goes.
        console: Where to tell what happens.
    """
    scene = next(read_scenes(SCENE))
    with Client(ClientConfig(target=target)) as client:
        say_hello(client, target, server, console)
        sent = upload(client, SCENE, ROOT / "configs", console)
        console.print(f"  [green]✓[/] scene and configs uploaded  [dim]{sent / 1e6:.1f} MB[/]")

        console.print("\n[bold]1  Statistical training[/]")
        results = [judge(client, METHODS[0], scene, console)[0]]

        console.print("\n[bold]2  Two phases: statistical, then gradient with calibration and evaluation[/]")
        results.append(judge(client, METHODS[1], scene, console)[0])
        last, left_open = judge(client, METHODS[2], scene, console, keep=True)
        results.append(last)

        console.print("\n[bold]3  Kill the server and go on[/]")
        kill_and_restart(server, console)
        with console.status("restoring"):
            for result in results:
                check_restored(client, result, scene)
        console.print("  [green]✓[/] all three restored from what was saved: scores are bit-equal")
        check_still_open(client, left_open.id, last, scene)
        console.print("  [green]✓[/] the session that was open still has its pipeline, weights and config")
        left_open.close()

    console.print("\n[bold]4  Result[/]")
    console.print(table(results))
    draw(output, scene, results)


def say_hello(client: Client, target: str, server: DemoServer | None, console: Console) -> None:
    """Wait until the server takes calls, and say which one it is."""
    with console.status("waiting for the server"):
        client.ready(START_S)
    if server is None:
        console.print(f"Driving the server at [bold]{target}[/]")
        return
    why = "" if server.port == DEFAULT_PORT else f"  [yellow](port {DEFAULT_PORT} is taken)[/]"
    console.print(f"Server started at [bold]{target}[/]{why}")


def judge(client: Client, method: Method, scene: Scene, console: Console, keep: bool = False) -> tuple[Result, Session]:
    """Train one method in a session of its own, judge it, save it, and close the session unless it is to be kept."""
    console.print(f"  [bold]{method.title}[/]  [dim]{method.trainrun}[/]")
    session = client.open_session()
    result = run(session, method, scene, console)
    console.print(f"  [green]✓[/] ROC AUC over the {method.scope} [bold]{result.auc:.4f}[/]")
    save(session, method)
    if not keep:
        session.close()
    return result, session


def kill_and_restart(server: DemoServer | None, console: Console) -> None:
    """SIGKILL the demo's own server and start it again; leave another one alone."""
    if server is None:
        console.print("  [yellow]kill skipped:[/] this server is not the demo's own")
        return
    server.kill()
    started = perf_counter()
    with console.status("starting the server again"):
        server.start()
    console.print(f"  [green]✓[/] SIGKILL, and back after {perf_counter() - started:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
