"""The files of Weights Studio, where the package `weightslab` is installed. It is never imported."""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import re
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from swath.client.errors import MissingPackageError

CONFIG = "/swath-studio.js"
"""Where the page finds what it is to ask and how."""

_INDEX = "index.html"
_BELOW = "weightslab/ui/static/"
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2", ".html": "text/html; charset=utf-8"}


@dataclass(frozen=True)
class Page:
    """The files of the page.

    Attributes:
        root: Folder that holds them.
        known: Their paths as the page asks for them, such as "/assets/a.js".
    """

    root: Path
    known: frozenset[str] = field(repr=False)

    def read(self, path: str) -> tuple[bytes, str] | None:
        """Return the content of a file and its media type; None where there is none of that path."""
        path = "/" + _INDEX if path == "/" else path
        if path == CONFIG:
            return _config(), _TYPES[".js"]
        if path not in self.known:
            return None
        kind = _TYPES.get(Path(path).suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
        data = (self.root / path[1:]).read_bytes()
        if path == "/" + _INDEX:
            # Before all others: they read what it sets as soon as they are there.
            data = data.replace(b"<head>", f'<head><script src="{CONFIG}"></script>'.encode(), 1)
        return data, kind

    def policy(self) -> str:
        """Return the page's Content-Security-Policy: it asks this server alone, and runs no script but its own."""
        text = (self.root / _INDEX).read_text(encoding="utf-8")
        hashes = " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
            for script in _SCRIPT.findall(text)
        )
        return (
            f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
            "worker-src 'self' blob:; frame-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )


def find_page() -> Page:
    """Return the files of the installed package.

    Raises:
        MissingPackageError: It is not installed, or has no page.
    """
    try:
        listed = files("weightslab") or ()
    except PackageNotFoundError:
        listed = ()
    found = {str(each): Path(str(each.locate())) for each in listed if str(each).startswith(_BELOW)}
    index = found.get(_BELOW + _INDEX)
    if index is None or not index.is_file():
        raise MissingPackageError(
            "Weights Studio is in the package weightslab, which is not installed with its page: "
            "pip install --no-deps weightslab==2.0.3"
        )
    return Page(index.parent, frozenset("/" + name.removeprefix(_BELOW) for name in found))


def _config() -> bytes:
    switches = {
        "WS_ENABLE_GRPC_AUTH_TOKEN": "0",
        "WS_ENABLE_UI_TELEMETRY": "0",
        "WS_ENABLE_PLOTS": "1",
        "WS_ENABLE_DATA_EXPLORATION": "1",
        "WS_ENABLE_HYPERPARAMETERS_OPTIMIZATION": "1",
        "WS_ENABLE_AGENT": "1",
        "WS_ENABLE_NOTEBOOK": "1",
        "WS_PLOT_MAX_POINTS_REQUEST": "1000",
    }
    lines = [f"window.{name} = {json.dumps(value)};" for name, value in switches.items()]
    # Each window is a reader of its own: what is new to one is not taken from the others.
    lines += [
        "const reader = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16)).join('');",
        "window.WS_SERVER_HOST = window.location.host + '/api/' + reader;",
        "window.WS_SERVER_PROTOCOL = window.location.protocol.replace(':', '');",
        "window.WS_OPENCODE_URL = window.location.origin + '/agent';",
    ]
    return ("(() => {\n" + "\n".join(lines) + "\n})();\n").encode()
