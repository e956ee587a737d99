"""A suite that others can reach: TLS to clients, who say who they are, and see what is theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.api import CUVIS, ROUTES
from swath.api.descriptors import find_service
from swath.client import Client, ClientConfig, RetryConfig, TlsConfig, UnauthenticatedError, UnavailableError
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.runtime.auth.certificates import Authority
from swath_suite.suite import Suite
from swath_suite.testing.identities import BY_FILE, BY_URL, Identities

FORGED = ("x-forwarded-client-cert", "By=spiffe://swath/session;Hash=00;URI=spiffe://swath/user/alice")
CUBE = pb.InputBatch(cube=pb.Tensor(shape=[1], dtype=pb.D_TYPE_FLOAT32, raw_data=bytes(4)))

# The least by which a method does what it is for, in a session with a configuration and a pipeline; {} where that
# takes no more than the session.
REQUESTS: dict[str, dict[str, Any]] = {
    "SetSessionSearchPaths": {"search_paths": ["."]},
    "ResolveConfig": {"config_type": "trainrun", "path": "trainrun/san_diego_rx"},
    "LoadPipelineWeights": {"weights_bytes": b"no weights"},
    "SetTrainRunConfig": {"config": pb.TrainRunConfig(config_bytes=b"{}")},
    "Train": {"trainer_type": pb.TRAINER_TYPE_STATISTICAL},
    "StopTrain": {},
    "GetTrainStatus": {},
    "SavePipeline": {"pipeline_path": "stranger/pipeline.yaml"},
    "LoadPipeline": {"pipeline": pb.PipelineConfig(config_bytes=b'{"nodes": []}')},
    "SaveTrainRun": {"trainrun_path": "stranger/trainrun.yaml"},
    "RestoreTrainRun": {"trainrun_path": "trainrun/san_diego_rx"},
    "GetPipelineInputs": {},
    "GetPipelineOutputs": {},
    "GetPipelineVisualization": {"format": "mermaid"},
    "Inference": {"inputs": CUBE},
    "Acquire": {"byte_size": 4096},
    "LoadPlugin": {},
    "ListLoadedPlugins": {},
    "GetPluginInfo": {"plugin_name": "builtin"},
    "ListAvailableNodes": {},
    "DescribeNodes": {},
    "Publish": {"name": "hers"},
    "SetProfiling": {"enabled": True},
    "GetProfilingSummary": {},
    "StreamInfer": {},
    "InferCube": {"shape": [1, 1, 1, 1], "dtype": pb.D_TYPE_FLOAT32},
    "CloseSession": {},
}


def _place_of_session(path: str) -> str | None:
    """Return the field of a request that has the session's id, "" for the request itself, None where none has."""
    service, name = path[1:].split("/")
    kind = find_service(service).methods_by_name[name].input_type
    if "session_id" in kind.fields_by_name:
        return ""
    # The first message of a stream.
    inner = [(each.name, each.message_type) for each in kind.fields if each.message_type is not None]
    return next((field for field, held in inner if "session_id" in held.fields_by_name), None)


BOUND = sorted(path for path in ROUTES if _place_of_session(path) is not None)
"""Methods that name a session."""


@pytest.fixture
def alice(public_suite: Suite, identities: Identities) -> Iterator[Client]:
    with Client(public_suite.config(identities.tokens["alice"])) as client:
        yield client


@pytest.fixture
def bob(public_suite: Suite, identities: Identities) -> Iterator[Client]:
    with Client(public_suite.config(identities.tokens["bob"])) as client:
        yield client


@pytest.fixture
def hers(alice: Client) -> str:
    """Id of a session of alice's with a configuration and its pipeline."""
    session = alice.open_session()
    session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
    return session.id


def _call(channel: grpc.Channel, path: str, request: Any, *metadata: tuple[str, str]) -> tuple[grpc.StatusCode, str]:
    """Return the status of a call and its text; of a stream, once a message has come or it has ended."""
    service, name = path[1:].split("/")
    method = find_service(service).methods_by_name[name]
    answer_type = message_factory.GetMessageClass(method.output_type)
    makers: dict[tuple[bool, bool], Any] = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    make = makers[method.client_streaming, method.server_streaming]
    call = make(path, request_serializer=type(request).SerializeToString, response_deserializer=answer_type.FromString)
    try:
        answer: Any = call(iter([request]) if method.client_streaming else request, timeout=60, metadata=metadata)
        if method.server_streaming:
            next(answer)
            answer.cancel()
    except grpc.RpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def _asked(path: str, session_id: str) -> Any:
    request = message_factory.GetMessageClass(
        find_service(path[1:].split("/")[0]).methods_by_name[path.rpartition("/")[2]].input_type
    )
    named = {"session_id": session_id, **REQUESTS[path.rpartition("/")[2]]}
    place = _place_of_session(path)
    return request(**({place: named} if place else named))


def _status(config: ClientConfig, session_id: str, *metadata: tuple[str, str]) -> str:
    """Return "OK" if a session is the caller's, and the code of the refusal otherwise."""
    with Client(config.with_(retry=RetryConfig(attempts=1), metadata=dict(metadata))) as client:
        try:
            client.attach(session_id).search(None)
        except Exception as error:
            return getattr(error, "code", repr(error))
    return "OK"


# Who may call


def test_where_others_can_call_they_are_asked_who_they_are_unless_said_otherwise(public_suite: Suite) -> None:
    assert "SWATH_AUTH" not in public_suite.layout.settings
    with Client(public_suite.config()) as client, pytest.raises(UnauthenticatedError) as refused:
        client.open_session()
    for way in ("authorization: Bearer", BY_FILE, BY_URL, "client certificate with the URI name spiffe://swath/user/"):
        assert way in refused.value.message


def test_plain_text_is_not_spoken(public_suite: Suite, identities: Identities) -> None:
    config = public_suite.config(identities.tokens["alice"]).with_(tls=None, retry=RetryConfig(attempts=1))
    with Client(config.with_(health_service=None)) as client, pytest.raises(UnavailableError):
        client.open_session()


def test_every_proof_of_a_name_is_the_same_user(public_suite: Suite, identities: Identities, hers: str) -> None:
    proofs = {
        "token": public_suite.config(identities.tokens["alice"]),
        "certificate": public_suite.config(user="alice"),
        "JWT, keys by file": public_suite.config(identities.jwt(BY_FILE)),
        "JWT, keys by URL": public_suite.config(identities.jwt(BY_URL)),
        "token of another": public_suite.config(identities.tokens["bob"]),
        "certificate of another": public_suite.config(user="bob"),
        "JWT of another": public_suite.config(identities.jwt(BY_FILE, sub="bob")),
    }
    found = {way: _status(config, hers) for way, config in proofs.items()}
    assert found == {way: "NOT_FOUND" if "another" in way else "OK" for way in proofs}


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        (lambda known: "swath_" + "x" * 43, "not known"),
        (lambda known: known.jwt(BY_FILE, exp=time.time() - 60), "expired"),
        (lambda known: known.jwt(BY_URL, aud="somebody else"), "not for this server"),
        (lambda known: known.jwt(BY_FILE, key_of=BY_URL), "signature"),
        (lambda known: known.jwt(BY_FILE, iss="https://mallory.example.org"), "is of issuer"),
    ],
    ids=["unknown token", "expired", "other audience", "other key", "other issuer"],
)
def test_a_wrong_proof_is_refused_in_words(public_suite: Suite, identities: Identities, proof: Any, words: str) -> None:
    with Client(public_suite.config(proof(identities))) as client, pytest.raises(UnauthenticatedError, match=words):
        client.open_session()


def test_a_certificate_of_another_ca_opens_nothing(public_suite: Suite, tmp_path: Path) -> None:
    stranger = Authority(tmp_path).issue_user("alice")
    tls = TlsConfig(root=public_suite.certificates.ca, cert=stranger / "tls.crt", key=stranger / "tls.key")
    config = public_suite.config().with_(tls=tls, retry=RetryConfig(attempts=1), health_service=None)
    with Client(config) as client, pytest.raises(UnavailableError):
        client.open_session()


def test_what_a_client_claims_about_its_certificate_is_not_believed(public_suite: Suite, hers: str) -> None:
    assert _status(public_suite.config(), hers, FORGED) == "UNAUTHENTICATED"
    assert _status(public_suite.config(user="bob"), hers, FORGED) == "NOT_FOUND"
    assert _status(public_suite.config(user="alice"), hers, FORGED) == "OK"


def test_a_certificate_of_a_service_is_nobodys(public_suite: Suite) -> None:
    inside = public_suite.layout.folder / "certs" / "training"
    tls = TlsConfig(root=public_suite.certificates.ca, cert=inside / "tls.crt", key=inside / "tls.key")
    with Client(public_suite.config().with_(tls=tls)) as client, pytest.raises(UnauthenticatedError):
        client.open_session()


# What is whose


def test_the_methods_that_name_a_session_are_all_tried() -> None:
    assert {path.rpartition("/")[2] for path in BOUND} == set(REQUESTS)


@pytest.mark.parametrize("path", BOUND, ids=lambda path: path.rpartition("/")[2])
def test_a_session_of_another_is_not_there(
    path: str, public_suite: Suite, identities: Identities, alice: Client, hers: str
) -> None:
    bearer = {name: ("authorization", f"Bearer {token}") for name, token in identities.tokens.items()}
    nobodys = hers[:-4] + "0000"
    with public_suite.channel() as channel:
        refused = _call(channel, path, _asked(path, hers), bearer["bob"])
        never = _call(channel, path, _asked(path, nobodys), bearer["bob"])
        own = _call(channel, path, _asked(path, hers), bearer["alice"])
    # Neither code nor words tell it from a session that never was.
    assert refused[0] is grpc.StatusCode.NOT_FOUND
    assert refused[1].replace(hers, nobodys) == never[1]
    assert own != refused


def test_a_run_of_another_is_not_there(public_suite: Suite, alice: Client, bob: Client, hers: str) -> None:
    alice.workspace.put(str(_scene()), "data/san_diego.npz")
    request = pb.TrainRequest(session_id=hers, trainer_type=pb.TRAINER_TYPE_STATISTICAL)
    with public_suite.channel() as channel:
        train = channel.unary_stream(
            f"/{CUVIS}/Train",
            request_serializer=pb.TrainRequest.SerializeToString,
            response_deserializer=pb.TrainResponse.FromString,
        )
        run: Any = train(request, metadata=tuple(alice.config.call_metadata()))
        run_id = dict(run.initial_metadata())["swath-run-id"]
        assert list(run)[-1].status == pb.TRAIN_STATUS_COMPLETE
        his = bob.open_session()
        for session_id in (his.id, hers):
            attach = pb.TrainRequest(session_id=session_id, trainer_type=pb.TRAINER_TYPE_STATISTICAL)
            metadata = [*bob.config.call_metadata(), ("swath-run-id", run_id), ("swath-after-seq", "0")]
            assert _call(channel, f"/{CUVIS}/Train", attach, *metadata)[0] is grpc.StatusCode.NOT_FOUND
        again = [*alice.config.call_metadata(), ("swath-run-id", run_id), ("swath-after-seq", "0")]
        assert _call(channel, f"/{CUVIS}/Train", request, *again)[0] is grpc.StatusCode.OK


# Tools


@pytest.mark.parametrize("name", ["", CUVIS, "swath.training"])
def test_health_asks_nobody(public_suite: Suite, name: str) -> None:
    with public_suite.channel() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_grpcurl_lists_without_a_token_and_calls_with_one(
    public_suite: Suite, identities: Identities, grpcurl: str
) -> None:
    start = [grpcurl, "-cacert", str(public_suite.certificates.ca)]
    target = public_suite.target
    listed = subprocess.run([*start, target, "list"], capture_output=True, text=True, check=True)
    assert {CUVIS, "swath.workspace.v1.WorkspaceService", "grpc.health.v1.Health"} <= set(listed.stdout.split())
    call = [target, f"{CUVIS}/CreateSession"]
    refused = subprocess.run([*start, *call], capture_output=True, text=True, check=False)
    assert "Unauthenticated" in refused.stderr
    header = f"authorization: Bearer {identities.tokens['alice']}"
    made = subprocess.run([*start, "-H", header, *call], capture_output=True, text=True, check=True)
    assert len(json.loads(made.stdout)["sessionId"]) == 36


def test_the_command_line_takes_a_token_and_certificates(public_suite: Suite, identities: Identities) -> None:
    swath = [str(Path(sys.executable).with_name("swath")), "ls"]
    known = public_suite.config(user="alice").tls
    assert known is not None
    reach = {"SWATH_TARGET": public_suite.target, "SWATH_TLS_ROOT": str(known.root)}
    ways = {
        "nothing": {},
        "a token": {"SWATH_TOKEN": identities.tokens["alice"]},
        "a certificate": {"SWATH_TLS_CERT": str(known.cert), "SWATH_TLS_KEY": str(known.key)},
    }
    done = {
        way: subprocess.run(swath, env=os.environ | reach | more, capture_output=True, text=True, check=False)
        for way, more in ways.items()
    }
    assert {way: each.returncode for way, each in done.items()} == {"nothing": 1, "a token": 0, "a certificate": 0}
    assert "does not say who makes it" in done["nothing"].stderr


# Health and large messages


def test_a_service_that_is_gone_is_not_called_healthy(public_suite: Suite) -> None:
    only = public_suite.replicas("config")[0]
    with public_suite.channel() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="swath.config"), timeout=60)
        told = [next(watch).status]
        only.kill()
        began = time.monotonic()
        told.append(next(watch).status)
        noticed_s = time.monotonic() - began
        whole = stub.Check(health_pb2.HealthCheckRequest(service=CUVIS)).status
        others = stub.Check(health_pb2.HealthCheckRequest(service="swath.training")).status
        only.start()
        told.append(next(watch).status)
        watch.cancel()
    public_suite.wait()
    is_ = health_pb2.HealthCheckResponse
    assert told == [is_.SERVING, is_.NOT_SERVING, is_.SERVING]
    assert (whole, others) == (is_.NOT_SERVING, is_.SERVING)
    assert noticed_s < 3.5


def test_a_message_of_300_megabytes_streams_through(public_suite: Suite, alice: Client) -> None:
    session_id = alice.open_session().id
    cube = np.zeros((1, 512, 512, 286), np.float32)
    tensor = pb.Tensor(shape=cube.shape, dtype=pb.D_TYPE_FLOAT32, raw_data=cube.tobytes())
    request = pb.InferenceRequest(session_id=session_id, inputs=pb.InputBatch(cube=tensor)).SerializeToString()
    envoy = _envoy(public_suite)
    tls = grpc.ssl_channel_credentials(public_suite.certificates.ca.read_bytes())
    with grpc.secure_channel(public_suite.target, tls, [("grpc.max_send_message_length", -1)]) as channel:
        before = _memory_mb(envoy, "VmRSS")
        (envoy / "clear_refs").write_text("5")  # the peak counts from here
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(f"/{CUVIS}/Inference")(request, metadata=tuple(alice.config.call_metadata()))
        grown = _memory_mb(envoy, "VmHWM") - before
    # It arrived: the session has no pipeline.
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert len(request) > 299e6
    print(f"the gateway grew by {grown:.0f} MB")
    assert grown < 100


def _scene() -> Path:
    return Path(__file__).resolve().parents[2] / "examples" / "data" / "san_diego.npz"


def _envoy(suite: Suite) -> Path:
    """Return the folder of /proc of the Envoy that the gateway's process runs."""
    [envoy] = suite.processes["gateway"].descendants()
    return Path(f"/proc/{envoy}")


def _memory_mb(process: Path, field: str) -> float:
    [line] = [line for line in (process / "status").read_text().splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) * 1024 / 1e6
