"""Generated code is what the protos give, and agrees with what others register."""

import hashlib
import subprocess
import sys
from pathlib import Path

from google.protobuf import descriptor_pool

from swath.cuvis_ai.v1 import cuvis_ai_pb2

GENERATE = Path(__file__).resolve().parents[1] / "generate.py"

# SHA-256 of the serialized file descriptor that cuvis-ai-schemas 0.14.2 registers.
THEIR_DESCRIPTOR = "c3587475be20cce779aa470c11b21ef5039e814046ac57cd60673181f07cb6fd"


def test_generated_code_is_up_to_date():
    result = subprocess.run([sys.executable, GENERATE, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_descriptor_is_identical_to_the_one_that_clients_register():
    assert hashlib.sha256(cuvis_ai_pb2.DESCRIPTOR.serialized_pb).hexdigest() == THEIR_DESCRIPTOR


def test_both_can_be_imported_in_one_interpreter():
    # What the import of another package's generated module does: it adds its serialized file to the same pool.
    again = descriptor_pool.Default().AddSerializedFile(cuvis_ai_pb2.DESCRIPTOR.serialized_pb)
    assert again.message_types_by_name["Tensor"] is cuvis_ai_pb2.Tensor.DESCRIPTOR
