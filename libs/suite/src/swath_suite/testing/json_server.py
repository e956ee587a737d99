"""An HTTP server that answers JSON, in the place of what tests cannot have: the Kubernetes API, an issuer's keys."""

from __future__ import annotations

import json
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: Such as GET.
        path: With the query, if there is one.
        headers: By name, in any case.
        body: Of JSON; None if there is none.
    """

    method: str
    path: str
    headers: Message[str, str] = field(repr=False)
    body: Any = None


class JsonServer:
    """Serves on a free port of loopback until it is stopped, one thread per connection.

    Args:
        answer: Called with each request; returns an HTTP status and a body: text as it is, anything else as JSON.
        certificate: Folder with tls.crt and tls.key, for HTTPS.

    Attributes:
        requests: What it was asked so far.
    """

    def __init__(self, answer: Callable[[Request], tuple[int, Any]], certificate: Path | None = None) -> None:
        self.requests: list[Request] = []
        self._answer = answer
        self._http = _Http(("127.0.0.1", 0), self._handler())
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
            # In the thread of each connection: one that is not trusted does not end the server.
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._http.server_port
        self.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Method and path, without the query, of each request so far."""
        return [(each.method, each.path.partition("?")[0]) for each in self.requests]

    def stop(self) -> None:
        """Stop listening; a second time does nothing."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _respond(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Request(self.command, self.path, self.headers, json.loads(content) if content else None)
                server.requests.append(asked)
                code, body = server._answer(asked)
                answer = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _respond  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


class _Http(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that does not trust the certificate says so and goes.
        if not isinstance(sys.exception(), ssl.SSLError):
            super().handle_error(request, client_address)
