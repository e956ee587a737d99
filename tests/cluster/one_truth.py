"""One batch by every way to call a published model, through the gateway of a cluster."""

from __future__ import annotations

import base64
import time

import grpc
import numpy as np

from swath.client import Client, ClientConfig
from swath.inference import open_inference_pb2 as pb
from swath.inference import open_inference_pb2_grpc
from swath_suite.testing.workload import fitted, scene
from tests.oip.ways import OPTIONS, by_protocol, by_redhare, by_stream

MODEL = "one-truth"
USER = ("ways", "the password of ways")
"""As values.yaml has it."""
READY_IN_TURN = 10
"""Answers after which both replicas have the model: calls go to them in turn, more or less."""


class Door:
    """The cluster's gateway, as clients of others reach it.

    Args:
        config: As our own client does.
    """

    def __init__(self, config: ClientConfig) -> None:
        assert config.tls is not None
        assert config.tls.root is not None
        self._credentials = grpc.ssl_channel_credentials(config.tls.root.read_bytes())
        self._options = [*OPTIONS, ("grpc.ssl_target_name_override", config.tls.server_name)]
        self.target = config.target
        self.metadata = tuple(config.call_metadata(MODEL))

    def channel(self, target: str) -> grpc.Channel:
        """Open a channel by TLS to the gateway.

        Args:
            target: An address of it. What redhare tells is the name by which it was called, which is the certificate's;
                of that this machine's resolver knows nothing.
        """
        return grpc.secure_channel(self.target, self._credentials, self._options)


def check_one_truth(client: Client, config: ClientConfig) -> None:
    """Publish RX, fitted to the scene, and assert that every way answers with the bits that a session has.

    Args:
        client: Of the cluster.
        config: By which it reaches the gateway.
    """
    door = Door(config)
    cube, wavelengths = scene()
    batch = {"cube": np.ascontiguousarray(cube[:, 10:42, 20:60]), "wavelengths": wavelengths.astype(np.int32)}
    session = fitted(client)
    version = client.models.publish(MODEL, session, aliases=["stable"]).version
    with door.channel(door.target) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        known, deadline = 0, time.monotonic() + 120
        while known < READY_IN_TURN:
            ready = stub.ModelReady(pb.ModelReadyRequest(name=MODEL), timeout=20, metadata=door.metadata).ready
            known = known + 1 if ready else 0
            assert time.monotonic() < deadline, "the model does not become ready"
        expected = session.infer(**batch)
        raw, typed, streamed = by_protocol(stub, MODEL, batch, metadata=door.metadata)
    frame, answered_by = by_stream(client, MODEL, batch)
    recorded = by_redhare(door.target, MODEL, batch, door.channel, USER)
    client.models.unpublish(MODEL)
    session.close()
    assert typed == raw
    assert streamed == [raw] * 3
    assert (answered_by, frame.metrics) == (version, expected.metrics)
    assert frame.keys() == expected.keys()
    assert "rx.scores" in expected
    for key, array in expected.items():
        bits = (array.shape, array.tobytes())
        assert raw[key][1:] == bits, key
        assert (frame[key].shape, frame[key].tobytes()) == bits, key
        assert (tuple(recorded[key]["shape"]), base64.b64decode(recorded[key]["data"])) == bits, key
