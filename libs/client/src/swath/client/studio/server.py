"""A small web server for one user on one machine: the page's files, and its calls passed on to a Swath server."""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import grpc

from swath.client.studio import web
from swath.client.studio.page import Page
from swath.experiment_service import experiment_service_pb2 as pb

_SERVICE = pb.DESCRIPTOR.services_by_name["ExperimentService"]
_CALL = re.compile(rf"/api/([0-9a-f]{{1,64}})/{_SERVICE.full_name}/([A-Za-z]+)")
_MOST_BODY = 64 * 2**20
_COOKIE = "swath-studio"
_HOST = "127.0.0.1"


class StudioServer:
    """Serves the page at an address of this machine. As a context manager, started and stopped.

    Whoever knows `url` acts as the user: it holds a key that other users of this machine do not have. A page of another
    site cannot call here, as its browser sends no cookie with that.

    Args:
        page: Its files.
        channel: To the Swath server.
        metadata: Gives what each call carries, such as a token.
        experiment: Run or experiment that is shown; the newest if empty.
        port: To listen on; 0 takes a free one.
        timeout_s: Longest call that is not a stream.
    """

    def __init__(
        self,
        page: Page,
        channel: grpc.Channel,
        *,
        metadata: Callable[[], Iterable[tuple[str, str]]] = tuple,
        experiment: str = "",
        port: int = 0,
        timeout_s: float = 120.0,
    ) -> None:
        self.page, self.channel = page, channel
        self.key = secrets.token_urlsafe(24)
        self.timeout_s = timeout_s
        self._metadata = metadata
        self._named = (("swath-experiment", experiment),) if experiment else ()
        self._server = _Server((_HOST, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, name="studio", daemon=True)

    @property
    def url(self) -> str:
        """Address to open, with the key."""
        return f"{self.origin}/?key={self.key}"

    @property
    def origin(self) -> str:
        """Address without the key."""
        return f"http://{_HOST}:{self._server.server_address[1]}"

    def call(self, method: str, message: bytes, reader: str) -> Iterator[bytes]:
        """Pass a call on; return its answer as frames, of which the last one is the status."""
        descriptor = _SERVICE.methods_by_name[method]
        path = f"/{_SERVICE.full_name}/{method}"
        metadata = (*self._metadata(), *self._named, ("swath-reader", reader))
        try:
            if descriptor.server_streaming:
                for answer in self.channel.unary_stream(path)(message, metadata=metadata):
                    yield web.message_frame(answer)
            else:
                answer = self.channel.unary_unary(path)(message, metadata=metadata, timeout=self.timeout_s)
                yield web.message_frame(answer)
        except grpc.RpcError as error:
            failed: Any = error
            yield web.status_frame(failed.code().value[0], failed.details() or "")
        else:
            yield web.status_frame(0)

    def start(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def wait(self) -> None:
        """Wait until it is stopped."""
        self._thread.join()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], studio: StudioServer) -> None:
        super().__init__(address, _Handler)
        self.studio = studio


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def studio(self) -> StudioServer:
        """Return what is served."""
        assert isinstance(self.server, _Server)
        return self.server.studio

    def do_GET(self) -> None:
        studio = self.studio
        path, _, query = self.path.partition("?")
        if not self._is_ours():
            return
        if path == "/" and query.startswith("key="):
            if not hmac.compare_digest(query.removeprefix("key="), studio.key):
                self._say(HTTPStatus.FORBIDDEN, "this is not the key that `swath studio` printed")
                return
            self._send(
                HTTPStatus.SEE_OTHER,
                b"",
                [("Location", "/"), ("Set-Cookie", f"{_COOKIE}={studio.key}; HttpOnly; SameSite=Strict; Path=/")],
            )
            return
        if not self._has_key():
            return
        found = studio.page.read(path)
        if found is None:
            self._say(HTTPStatus.NOT_FOUND, "there is no such file")
            return
        data, kind = found
        self._send(HTTPStatus.OK, data, [("Content-Type", kind), ("Content-Security-Policy", studio.page.policy())])

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MOST_BODY:
            self.close_connection = True
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a body of at most {_MOST_BODY} bytes")
            return
        body = self.rfile.read(int(length))
        if not self._is_ours() or not self._has_key():
            return
        call = _CALL.fullmatch(self.path)
        if call is None:
            self._say(HTTPStatus.NOT_FOUND, "there is no such call")
            return
        reader, method = call.groups()
        if method not in _SERVICE.methods_by_name:
            self._answer([web.status_frame(grpc.StatusCode.UNIMPLEMENTED.value[0], f"there is no method {method}")])
            return
        try:
            message = web.read_message(body)
        except ValueError as error:
            self._answer([web.status_frame(grpc.StatusCode.INVALID_ARGUMENT.value[0], str(error))])
            return
        self._answer(self.studio.call(method, message, reader))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a page that is open asks every few seconds."""

    def _is_ours(self) -> bool:
        """Whether the request is for this address: a name of another site may be made to lead here."""
        if f"http://{self.headers.get('Host', '')}" == self.studio.origin:
            return True
        self._say(HTTPStatus.MISDIRECTED_REQUEST, f"expected {self.studio.origin}")
        return False

    def _has_key(self) -> bool:
        cookies = (self.headers.get("Cookie") or "").split("; ")
        key = next((each.partition("=")[2] for each in cookies if each.startswith(f"{_COOKIE}=")), "")
        if hmac.compare_digest(key.encode(), self.studio.key.encode()):
            return True
        self._say(HTTPStatus.FORBIDDEN, "open the address that `swath studio` printed: it holds a key")
        return False

    def _answer(self, frames: Iterable[bytes]) -> None:
        """Send frames as they come."""
        self.send_response(HTTPStatus.OK)
        self._common([("Content-Type", web.CONTENT_TYPE), ("Transfer-Encoding", "chunked")])
        try:
            for part in web.in_text(frames):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            # The page went away.
            self.close_connection = True

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._send(status, f"{text}\n".encode(), [("Content-Type", "text/plain; charset=utf-8")])

    def _send(self, status: HTTPStatus, data: bytes, headers: Iterable[tuple[str, str]]) -> None:
        self.send_response(status)
        self._common([*headers, ("Content-Length", str(len(data)))])
        self.wfile.write(data)

    def _common(self, headers: Iterable[tuple[str, str]]) -> None:
        for name, value in (*headers, ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store")):
            self.send_header(name, value)
        self.end_headers()
