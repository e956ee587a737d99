"""A call as it is on the wire: frames and headers that no gRPC library has read."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

Pairs = list[tuple[bytes, bytes]]


@dataclass
class Answer:
    """What came back.

    Attributes:
        headers: Before the messages; empty where there are trailers alone.
        data: All frames of messages.
        trailers: After them.
        reset: Error code of a stream that was reset.
    """

    headers: dict[bytes, bytes] = field(default_factory=dict)
    data: bytes = b""
    trailers: Pairs = field(default_factory=list)
    reset: int | None = None

    def trailer(self, key: bytes) -> bytes | None:
        """The last value of a trailer."""
        return dict(self.trailers).get(key)


def call(target: str, path: str, body: bytes = b"", metadata: Pairs | None = None) -> Answer:
    """Make a call with one message.

    Args:
        target: HOST:PORT.
        path: Of the method.
        body: The message.
        metadata: As bytes, whatever they are.
    """
    host, _, port = target.rpartition(":")
    answer = Answer()
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        # Headers of any bytes are what is to be sent.
        config = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        client = h2.connection.H2Connection(config)
        client.initiate_connection()
        headers: Pairs = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", target.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            *(metadata or []),
        ]
        client.send_headers(1, headers)
        client.send_data(1, b"\0" + len(body).to_bytes(4, "big") + body, end_stream=True)
        connection.sendall(client.data_to_send())
        while data := connection.recv(1 << 16):
            for event in client.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    answer.headers = dict(event.headers)
                elif isinstance(event, h2.events.TrailersReceived):
                    answer.trailers = list(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    answer.data += event.data
                    client.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, h2.events.StreamReset):
                    answer.reset = event.error_code
                    return answer
                elif isinstance(event, h2.events.StreamEnded):
                    if not answer.trailers:
                        answer.trailers, answer.headers = list(answer.headers.items()), {}
                    return answer
            connection.sendall(client.data_to_send())
    return answer
