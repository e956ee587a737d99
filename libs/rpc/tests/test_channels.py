"""Channels between services: all replicas, and those that are ready."""

import asyncio

import grpc
import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc
from swath.errors import InvalidInput
from swath.rpc.addresses import Address
from swath.rpc.channels import _target, channel
from swath.runtime.settings import ConnectionSettings


class _Named:
    """An inference service that says its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def Inference(self, request, context):
        return pb.InferenceResponse(metrics={self.name: 1.0})

    async def SetProfiling(self, request, context): ...

    async def GetProfilingSummary(self, request, context): ...


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        ("session:50051", "dns:///session:50051"),
        ("10.0.0.7:1", "ipv4:10.0.0.7:1"),
        ("10.0.0.7:1,10.0.0.8:2", "ipv4:10.0.0.7:1,10.0.0.8:2"),
        ("[::1]:1,[fd00::2]:2", "ipv6:[::1]:1,[fd00::2]:2"),
        ((Address("10.0.0.7", 1),), "ipv4:10.0.0.7:1"),
    ],
)
def test_addresses_become_targets(addresses, target):
    assert _target(addresses) == target


@pytest.mark.parametrize("addresses", ["session", "a:1,b:2", "10.0.0.7:1,[::1]:1", (), "10.0.0.7:x"])
def test_what_is_no_address_is_refused(addresses):
    with pytest.raises(InvalidInput):
        _target(addresses)


async def test_calls_go_round_the_replicas_that_are_ready(serve):
    replicas = [await serve({"inference": _Named(name)}) for name in ("a", "b")]
    for replica in replicas:
        await replica.health.set_ready("inference")
    addresses = ",".join(f"127.0.0.1:{replica.server.port}" for replica in replicas)
    async with channel(addresses, "inference", ConnectionSettings()) as to_both:
        stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(to_both)

        async def asked() -> set[str]:
            return {name for _ in range(8) for name in (await stub.Inference(pb.InferenceRequest())).metrics}

        async def come_down_to(names: set[str]) -> None:
            for _ in range(100):
                if await asked() == names:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(await asked())

        await come_down_to({"a", "b"})
        await replicas[0].health.set_ready("inference", False)
        await come_down_to({"b"})


class _Away:
    """Sends every call away twice."""

    def __init__(self) -> None:
        self.tries = 0

    async def _try(self, context, answer):
        self.tries += 1
        if self.tries < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        return answer

    async def CreateSession(self, request, context):
        return await self._try(context, pb.CreateSessionResponse())

    async def SetSessionSearchPaths(self, request, context):
        return await self._try(context, pb.SetSessionSearchPathsResponse())

    async def CloseSession(self, request, context): ...


async def test_idempotent_calls_are_made_again_and_others_are_not(serve):
    away = _Away()
    part = await serve({"session": away})
    address = f"127.0.0.1:{part.server.port}"
    async with channel(address, "session", ConnectionSettings(), check_health=False) as to_it:
        stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(to_it)
        await stub.SetSessionSearchPaths(pb.SetSessionSearchPathsRequest())
        assert away.tries == 3
        away.tries = 0
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.CreateSession(pb.CreateSessionRequest())
        assert away.tries == 1


def test_a_channel_with_a_certificate_asks_for_one():
    with pytest.raises(ValueError, match="tls_ca"):
        ConnectionSettings(tls_cert="a", tls_key="b")  # pyright: ignore[reportArgumentType]
