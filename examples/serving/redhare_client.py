"""Call a published model as clients of IBM's elastic distributed inference do.

    python examples/serving/redhare_client.py --server localhost:50051 --model scene --user alice --password ... \\
        examples/data/san_diego.npz

The flow is that of the tutorial for these clients, in Python 3: `auth` gives a URL and a token; a channel to that URL
carries a stream, whose first message is the token and whose others are JSON, {"key": ..., "data": ...}, with the bytes
of an array in base64. `stream_pb2` and `stream_pb2_grpc` are what protoc makes of protos/redhare/stream.proto; those
that a client has already serve as well.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from swath.redhare import stream_pb2, stream_pb2_grpc

UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def open_channel(address: str, certificates: grpc.ChannelCredentials | None, options: Any = None) -> grpc.Channel:
    """Open a channel, in plain text where there are no certificates."""
    if certificates is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, certificates, options=options)


def auth(
    server: str,
    model_name: str,
    user_name: str,
    password: str,
    certificates: grpc.ChannelCredentials | None = None,
) -> tuple[str, str]:
    """Return the URL to open a stream at, and the token to begin it with."""
    with open_channel(server, certificates) as channel:
        stub = stream_pb2_grpc.InferenceStub(channel)
        attributes = {"model_name": model_name, "user_name": user_name, "password": password}
        response = stub.auth(stream_pb2.AuthRequest(attributes=attributes))
    return response.url, response.token


def gen_data(token: str, files: list[Path], array: str) -> Iterator[stream_pb2.Request]:
    """Iterate over what is sent: the token, then the array of each file."""
    yield stream_pb2.Request(token=token)
    for file in files:
        image = np.load(file)[array]
        # Python 2 called it encodestring: a line break follows each 76 characters.
        data = base64.encodebytes(image.tobytes()).decode()
        yield stream_pb2.Request(data=json.dumps({"key": file.name, "data": data}).encode())


def stream_infer(
    url: str, token: str, files: list[Path], array: str, certificates: grpc.ChannelCredentials | None = None
) -> Iterator[dict[str, Any]]:
    """Iterate over what the model makes of each file."""
    with open_channel(url, certificates, UNLIMITED) as channel:
        stub = stream_pb2_grpc.InferenceStub(channel)
        for response in stub.stream_infer(gen_data(token, files, array)):
            yield json.loads(response.data)


def array_of(output: dict[str, Any]) -> NDArray[Any]:
    """Return an output of an answer as an array."""
    return np.frombuffer(base64.b64decode(output["data"]), output["dtype"]).reshape(output["shape"])


def show(answer: dict[str, Any]) -> None:
    """Print an answer."""
    if "error" in answer:
        print(f"{answer['key']}: {answer['error']['code']}: {answer['error']['message']}")
        return
    for name, output in answer["result"].items():
        values = array_of(output)
        print(f"{answer['key']}: {name}: {values.dtype} {list(values.shape)}, largest {values.max():.6g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="npz files")
    parser.add_argument("--server", default="localhost:50051", help="host:port")
    parser.add_argument("--model", required=True, help="published model: NAME or NAME:VERSION")
    parser.add_argument("--user", default="", help="nothing where nobody is asked who calls")
    parser.add_argument("--password", default="", help="likewise")
    parser.add_argument("--array", default="cube", help="which array of the files; the model must be labelled for it")
    parser.add_argument("--tls-root", type=Path, help="certificates to trust (PEM); turns TLS on")
    args = parser.parse_args()
    certificates = grpc.ssl_channel_credentials(args.tls_root.read_bytes()) if args.tls_root else None
    url, token = auth(args.server, args.model, args.user, args.password, certificates)
    print(f"streams go to {url}")
    for answer in stream_infer(url, token, args.files, args.array, certificates):
        show(answer)


if __name__ == "__main__":
    main()
