"""What `helm test` checks of an installation: health, reflection, and one real training with inference after it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from swath.api import CUVIS, PUBLIC, SERVICES, WORKSPACE
from swath.client import Client, ClientConfig, TlsConfig, roc_auc

CHANNELS = 16


def main() -> None:
    ca = os.environ.get("CA", "")
    tls = (
        TlsConfig(root=None if ca == "system" else Path(ca), server_name=os.environ.get("SERVER_NAME")) if ca else None
    )
    token = os.environ.get("TOKEN")
    config = ClientConfig(target=os.environ["TARGET"], tls=tls, token=token)
    {"health": health, "reflection": reflection, "train": train}[sys.argv[1]](config, float(os.environ["TIMEOUT_S"]))


def health(config: ClientConfig, timeout_s: float) -> None:
    """Every service is SERVING, soon."""
    deadline = time.monotonic() + timeout_s
    with channel(config) as open_channel:
        stub: Any = health_pb2_grpc.HealthStub(open_channel)
        for name in ("", *PUBLIC, *(service.health_name for service in SERVICES)):
            while (found := status(stub, name)) != "SERVING":
                if time.monotonic() > deadline:
                    sys.exit(f"health of {name or 'the suite'!r} is {found}, expected SERVING")
                time.sleep(1.0)
            print(f"{name or 'the suite'}: SERVING", flush=True)


def status(stub: Any, name: str) -> str:
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5.0)
    except grpc.RpcError as error:
        failed: Any = error
        return f"{failed.code().name}: {failed.details()}"
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def reflection(config: ClientConfig, timeout_s: float) -> None:
    """The address lists its services to every caller, without a token."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with channel(config) as open_channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(open_channel)
        answers: Iterator[Any] = stub.ServerReflectionInfo(iter([request]), timeout=timeout_s, wait_for_ready=True)
        names = {each.name for each in next(answers).list_services_response.service}
    if not names >= {CUVIS, WORKSPACE, "grpc.health.v1.Health"}:
        sys.exit(f"reflection lists {sorted(names)}")
    print("\n".join(sorted(names)))


def channel(config: ClientConfig) -> grpc.Channel:
    if config.tls is None:
        return grpc.insecure_channel(config.target)
    root = config.tls.root.read_bytes() if config.tls.root else None
    name = config.tls.server_name
    options = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.secure_channel(config.target, grpc.ssl_channel_credentials(root), options=options)


def train(config: ClientConfig, timeout_s: float) -> None:
    """An RX detector is fitted to a scene, and finds what is odd in it."""
    random = np.random.default_rng(7)
    cube = (100 + random.standard_normal((48, 48, CHANNELS))).astype(np.float32)
    mask = np.zeros((48, 48), dtype=np.int32)
    cube[20:24, 30:34] += np.linspace(-9, 9, CHANNELS, dtype=np.float32)
    mask[20:24, 30:34] = 1
    wavelengths = np.linspace(400, 900, CHANNELS, dtype=np.float32)
    path = f"helm-test/{uuid.uuid4().hex}.npz"
    with Client(config) as client, tempfile.TemporaryDirectory() as folder:
        client.ready(timeout_s, connect_s=timeout_s)
        scene = Path(folder) / "scene.npz"
        np.savez(scene, cube=cube, mask=mask, wavelengths=wavelengths)
        client.workspace.put(scene, path)
        print(f"scene uploaded as {path}", flush=True)
        try:
            with client.session() as session:
                overrides = [f"data.params.path={path}", f"pipeline.nodes.rx.hparams.num_channels={CHANNELS}"]
                session.set_run_config(session.resolve("trainrun", "san_diego_rx", overrides))
                progress = None
                for progress in session.train("statistical"):
                    print(f"train: {progress.message or 'under way'}", flush=True)
                if progress is None:
                    sys.exit("the training said nothing")
                found = session.infer(outputs=["rx.scores"], cube=cube[None], wavelengths=wavelengths[None])
                scores = np.asarray(found.only("rx.scores")).reshape(mask.shape)
        finally:
            with suppress(Exception):
                client.workspace.delete(path)
    area = roc_auc(scores, mask != 0)
    if area < 0.99:
        sys.exit(f"the detector does not find what is odd: ROC AUC {area:.3f}, expected 0.99 and more")
    print(f"trained and inferred: ROC AUC {area:.3f}")


if __name__ == "__main__":
    main()
