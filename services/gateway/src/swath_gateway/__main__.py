"""`python -m swath_gateway`: run Envoy; with `config`: print its configuration; with `drain`: have its calls end."""

from __future__ import annotations

import argparse
import ctypes
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from swath.errors import SwathError
from swath.runtime.logs import tell
from swath.runtime.process import settings_or_exit
from swath.runtime.variables import mistyped
from swath_gateway.bootstrap import bootstrap
from swath_gateway.drain import drain
from swath_gateway.settings import GatewaySettings

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m swath_gateway", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("run", "config", "drain"), default="run")
    parser.add_argument(
        "--folder", type=Path, default=Path("/tmp/swath-gateway"), help="where the configuration goes (%(default)s)"
    )
    parser.add_argument("--envoy", default="envoy", help="the Envoy program (%(default)s)")
    arguments = parser.parse_args()
    settings = settings_or_exit(GatewaySettings, "swath_gateway")
    for line in mistyped():
        tell(f"swath_gateway: {line}", sys.stderr)
    if arguments.command == "drain":
        sys.exit(_drain(settings, arguments.folder))
    arguments.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    document = json.dumps(bootstrap(settings, arguments.folder), indent=2)
    if arguments.command == "config":
        print(document)
        return
    program = shutil.which(arguments.envoy)
    if program is None:
        sys.exit(f"swath_gateway: there is no program {arguments.envoy!r}; see --envoy")
    place = arguments.folder / "envoy.json"
    place.write_text(document)
    command = [program, "-c", str(place), "--log-level", "warning", "--disable-hot-restart"]
    if settings.threads:
        command += ["--concurrency", str(settings.threads)]
    sys.exit(_run(command))


def _drain(settings: GatewaySettings, folder: Path) -> int:
    try:
        left = drain(settings, folder)
    except SwathError as error:
        tell(f"swath_gateway: {error.message}", sys.stderr)
        return 1
    tell(f"swath_gateway: {left} calls are left", sys.stdout)
    return 0


def _run(command: list[str]) -> int:
    """Run Envoy, hand signals on to it, and return its exit status. It ends with this process, however that ends."""
    envoy = subprocess.Popen(command, preexec_fn=_end_with_parent)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: envoy.send_signal(received))
    return envoy.wait()


def _end_with_parent() -> None:
    # An Envoy that was left behind would share the port with the next one, and answer by the old configuration.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
