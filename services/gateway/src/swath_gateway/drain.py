"""Going away without a failed call: what a gateway does before it is told to end."""

from __future__ import annotations

import http.client
import json
import socket
import time
from pathlib import Path

from swath.errors import Unavailable
from swath_gateway.bootstrap import admin_socket
from swath_gateway.settings import GatewaySettings

_ACTIVE = "http.public.downstream_rq_active"
_TIMEOUT_S = 5.0
_POLL_INTERVAL_S = 0.25


def drain(settings: GatewaySettings, folder: Path) -> int:
    """Have a running gateway say that it goes, wait until its calls have ended, and return how many are left.

    `/ready` answers 503 from here on, and every answer asks its client to connect elsewhere; new calls are taken all
    the same. Envoy itself is left running: whoever stops it does so after this.

    Args:
        settings: The lag, through which load balancers notice, and the grace after it.
        folder: The gateway's folder.

    Raises:
        Unavailable: No gateway runs there.
    """
    _ask(folder, "POST", "/healthcheck/fail")
    time.sleep(settings.drain_lag_s)
    deadline = time.monotonic() + settings.drain_grace_s
    while (left := _active(folder)) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL_S)
    return left


def _active(folder: Path) -> int:
    """Return how many calls are under way."""
    found = json.loads(_ask(folder, "GET", f"/stats?format=json&filter=^{_ACTIVE}$"))
    return next((int(each["value"]) for each in found["stats"] if each.get("name") == _ACTIVE), 0)


def _ask(folder: Path, verb: str, path: str) -> bytes:
    """Ask Envoy's administration, which listens on a Unix socket."""
    connection = http.client.HTTPConnection("localhost", timeout=_TIMEOUT_S)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(_TIMEOUT_S)
        connection.sock.connect(str(admin_socket(folder)))
        connection.request(verb, path)
        answer = connection.getresponse()
        content = answer.read()
    except OSError as error:
        raise Unavailable(f"no gateway answers at {admin_socket(folder)}: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise Unavailable(f"the gateway answers {answer.status} to {verb} {path}")
    return content
