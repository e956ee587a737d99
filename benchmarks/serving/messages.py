"""Protos as the load generator and Python take them: sets of descriptors, and message classes made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
CUVIS = ROOT / "protos" / "cuvis_ai" / "v1" / "cuvis_ai.proto"
OIP = Path(__file__).with_name("oip.proto")
OWN = Path(__file__).with_name("own.proto")


class Messages:
    """The messages of one proto, in a pool of their own: other packages may register the same names.

    Args:
        proto: The file.
        folder: Where its set of descriptors goes.

    Attributes:
        protoset: The set of descriptors.
    """

    def __init__(self, proto: Path, folder: Path) -> None:
        self.protoset = folder / f"{proto.stem}.protoset"
        compile_proto(proto, f"--descriptor_set_out={self.protoset}", "--include_imports")
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(self.protoset.read_bytes()).file:
            pool.Add(file)
        self._pool = pool

    def __getitem__(self, name: str) -> Any:
        """Return a message class by its full name."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(name))


def compile_proto(proto: Path, *outputs: str) -> None:
    """Run the compiler of protos.

    Raises:
        RuntimeError: It refused the file; it has printed why.
    """
    if status := protoc.main(["protoc", f"-I{proto.parent}", *outputs, str(proto)]):
        raise RuntimeError(f"protoc ended with {status} for {proto}")
