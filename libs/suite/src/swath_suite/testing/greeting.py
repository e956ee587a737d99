"""A user's application for tests: its proto, its code, its config file."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from grpc_tools import protoc

PROTO = """\
syntax = "proto3";
package user.v1;
message Hello { string name = 1; }
message Said { string text = 1; }
service GreetService {
  rpc Greet(Hello) returns (Said);
  rpc Count(Hello) returns (stream Said);
}
"""

CODE = """\
import asyncio
import os

import greet_pb2
from swath import serve


@serve.deployment
class Prefix:
    def __init__(self):
        self.text = "Hello"

    def reconfigure(self, config):
        self.text = config["text"]

    def __call__(self):
        return self.text


@serve.deployment
class Greeter:
    def __init__(self, prefix):
        self.prefix = prefix

    async def Greet(self, request, grpc_context):
        told = dict(grpc_context.invocation_metadata())
        secrets = [name for name in os.environ if name.startswith("SWATH_")]
        who = told.get("swath-caller", "nobody")
        text = f"{await self.prefix.remote()} {request.name} from {who}"
        return greet_pb2.Said(text=f"{text} {told.get('authorization')} {secrets}")

    async def Count(self, request):
        for number in range(3):
            yield greet_pb2.Said(text=str(number))
        if request.name == "for ever":
            await asyncio.sleep(600)


@serve.deployment(max_constructor_retry_count=1)
class Broken:
    def __init__(self):
        raise ValueError("no weights")


app = Greeter.bind(Prefix.bind())
broken = Broken.bind()
"""

CONFIG = """\
grpc_options:
  grpc_servicer_functions: [greet_pb2_grpc.add_GreetServiceServicer_to_server]
applications:
- name: greet
  import_path: greeter:app
  deployments:
  - name: Prefix
    user_config: {text: Bonjour}
"""

GREET = "/user.v1.GreetService/Greet"


def write_greeting(folder: Path) -> Path:
    """Write the code of the application, and what grpcio-tools make of its proto, into a folder; return that."""
    (folder / "greet.proto").write_text(PROTO)
    (folder / "greeter.py").write_text(CODE)
    include = importlib.resources.files("grpc_tools") / "_proto"
    made = [f"--python_out={folder}", f"--grpc_python_out={folder}", "greet.proto"]
    if protoc.main(["protoc", f"-I{folder}", f"-I{include}", *made]) != 0:
        raise AssertionError("protoc refuses greet.proto")
    return folder


def hello(name: str) -> bytes:
    """Return the message Hello: one short text."""
    return b"\x0a" + bytes([len(name)]) + name.encode()


def said(message: bytes) -> str:
    """Return what a message Said has: one short text."""
    return message[2:].decode()
