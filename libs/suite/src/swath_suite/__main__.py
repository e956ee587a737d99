"""`python -m swath_suite up|down|status`: a suite on this machine, in the background."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from swath.errors import SwathError
from swath_suite.layout import LOOPBACK, PORT
from swath_suite.process import is_free
from swath_suite.suite import Suite


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m swath_suite", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--folder", type=Path, default=Path(".suite"), help="where everything goes (%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="the gateway's port (%(default)s, else a free one)")
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        help="where the gateway listens (%(default)s); on any other address by TLS, and callers say who they are",
    )
    parser.add_argument("--keep", action="store_true", help="down: keep sessions, runs and files for the next up")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    try:
        return {"up": _up, "down": _down, "status": _status}[arguments.command](folder, arguments)
    except SwathError as error:
        print(f"swath_suite: {error.message}", file=sys.stderr)
        return 1


def _up(folder: Path, arguments: argparse.Namespace) -> int:
    suite = Suite(folder, port=arguments.port if is_free(arguments.port) else None, host=arguments.host)
    suite.load_processes()
    started = time.monotonic()
    print(f"Starting a suite in {folder}: Postgres, S3, {len(suite.processes)} processes with mutual TLS")
    suite.up()
    suite.save_processes()
    if suite.layout.public_tls:
        certs = folder / "certs"
        mine = certs / "users" / "me"
        shown = f"--tls-root {certs / 'ca.crt'} --tls-cert {mine / 'tls.crt'} --tls-key {mine / 'tls.key'}"
        print("Callers say who they are. A certificate, and a call that shows it:")
        print(f"  swath certs --out {certs} --services '' --users me")
        print(f"  swath ls --target {suite.target} {shown}")
    print(f"Up after {time.monotonic() - started:.1f} s; the gateway's address:")
    print(suite.target)
    return 0


def _down(folder: Path, arguments: argparse.Namespace) -> int:
    if not folder.exists():
        print("No suite is up")
        return 0
    suite = Suite(folder)
    suite.load_processes()
    suite.down()
    if not arguments.keep:
        suite.postgres.erase()
        shutil.rmtree(folder)
    print("Down" + (f"; its state is kept in {folder}" if arguments.keep else "; nothing is left"))
    return 0


def _status(folder: Path, arguments: argparse.Namespace) -> int:
    if not folder.exists():
        print("No suite is up")
        return 1
    suite = Suite(folder)
    suite.load_processes()
    for name, process in suite.processes.items():
        state = "not running" if not process.alive else "ready" if suite.ready(name) else "not ready"
        print(f"{name:14} {state:12} port {suite.layout.ports[name].grpc}  log {process.log}")
    print(suite.target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
