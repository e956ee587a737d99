"""Clients that are not ours, each of which calls the model once."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from connection import Connection
from google.protobuf import json_format
from numpy.typing import NDArray
from redhare_client import array_of, auth, stream_infer

from swath.inference import open_inference_pb2 as pb

HERE = Path(__file__).parent
OUTPUT = "rx.scores"
DATATYPES = {"float32": "FP32", "int32": "INT32"}
Arrays = dict[str, Any]


class NotInstalledError(Exception):
    """A client is not there; the message says how to get it."""


class ClientFailedError(Exception):
    """A client could not call; the message holds the end of what it wrote."""


@dataclass
class Answer:
    """What a client was told.

    Attributes:
        version: Which version of the model it says has answered.
        scores: The output, [1, H, W, 1].
    """

    version: int
    scores: NDArray[np.float32]


def request_of(model: str, arrays: Arrays) -> pb.ModelInferRequest:
    """Return a request of the Open Inference Protocol that names a model and no version."""
    request = pb.ModelInferRequest(model_name=model)
    for name, array in arrays.items():
        request.inputs.add(name=name, datatype=DATATYPES[str(array.dtype)], shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    request.outputs.add(name=OUTPUT)
    return request


def grpcurl(server: Connection, model: str, arrays: Arrays) -> Answer:
    """Call with grpcurl: the server describes its methods, and JSON holds the bytes in base64."""
    program = shutil.which("grpcurl")
    if program is None:
        raise NotInstalledError("go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest")
    method = "inference.GRPCInferenceService/ModelInfer"
    given = json_format.MessageToJson(request_of(model, arrays))
    command = [program, *server.grpcurl_options(), "-d", "@", server.target, method]
    answer = json_format.Parse(_run(command, server, given), pb.ModelInferResponse())
    scores = np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(answer.outputs[0].shape)
    return Answer(int(answer.model_version), scores)


def redhare(server: Connection, model: str, arrays: Arrays) -> Answer:
    """Call as clients of IBM's elastic distributed inference do; labels of the model say what the bytes are."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "crop.npz")
        np.savez(file, cube=arrays["cube"][0])
        certificates = server.credentials
        url, token = auth(server.target, model, server.user, server.password, certificates)
        [answer] = stream_infer(url, token, [file], "cube", certificates)
    if "error" in answer:
        raise ClientFailedError(answer["error"]["message"])
    return Answer(answer["version"], array_of(answer["result"][OUTPUT]))


def in_its_own_python(script: str, package: str, requirement: str, python: str) -> Callable[..., Answer]:
    """Return how to call with a client in a process of its own: two of them register the same protobuf symbols.

    Args:
        script: Beside this file.
        package: What it imports.
        requirement: What to install for it.
        python: The Python of an environment that has it; "" is this one, if it does.
    """

    def call(server: Connection, model: str, arrays: Arrays) -> Answer:
        if not python and importlib.util.find_spec(package) is None:
            name = script.partition("_")[0]
            environment = f"python -m venv .venv-{name} && .venv-{name}/bin/pip install '{requirement}'"
            raise NotInstalledError(f"{environment}, then --{name}-python .venv-{name}/bin/python")
        with tempfile.TemporaryDirectory() as folder:
            given, found = Path(folder, "crop.npz"), Path(folder, "answer.npz")
            np.savez(given, **arrays)
            options = [*server.script_options(), "--model", model, "--output", OUTPUT, "--save", str(found)]
            _run([python or sys.executable, str(HERE / script), *options, str(given)], server)
            with np.load(found) as answer:
                return Answer(int(answer["version"]), answer["scores"])

    return call


def _run(command: list[str], server: Connection, given: str = "") -> str:
    environment = os.environ | server.variables()
    try:
        done = subprocess.run(
            command, input=given, env=environment, capture_output=True, text=True, timeout=100, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClientFailedError(str(error)) from None
    if done.returncode:
        raise ClientFailedError((done.stderr.strip() or f"{command[0]} ended with status {done.returncode}")[-400:])
    return done.stdout
