"""What the server says of itself: Ray Serve's own service, health, reflection, metrics, log lines."""

import asyncio
import urllib.request

import grpc
import pytest
import structlog
from grpc_reflection.v1alpha import reflection_pb2 as alpha_pb2
from grpc_reflection.v1alpha import reflection_pb2_grpc as alpha_grpc

from swath.health.v1 import health_pb2, health_pb2_grpc
from swath.reflection.v1 import reflection_pb2, reflection_pb2_grpc
from swath.serve import front
from swath.serve.generated import serve_pb2, serve_pb2_grpc

from .conftest import until

CODE = grpc.StatusCode
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class App:
    def __init__(self, probe) -> None:
        self.answer = probe.pb.Answer

    async def Unary(self, request):
        return self.answer(number=request.number)

    async def Server(self, request):
        yield self.answer()


async def both(server, ended):
    stub = serve_pb2_grpc.RayServeAPIServiceStub(server.channel)
    metadata = (("application", "nobody"), ("request_id", "1"))
    return [
        await ended(stub.ListApplications(serve_pb2.ListApplicationsRequest(), metadata=metadata)),
        await ended(stub.Healthz(serve_pb2.HealthzRequest(), metadata=metadata)),
    ]


async def test_ray_serves_own_service(served, probe, ended):
    server = await served()
    for end in await both(server, ended):
        assert (end.code, end.details) == (CODE.UNAVAILABLE, "Route table is not populated yet.")
    for name in ("b", "a"):
        server.applications.deploy(name, App(probe))
    listed, health = await both(server, ended)
    assert (listed.code, list(listed.messages[0].application_names), listed.trailers) == (CODE.OK, ["b", "a"], ())
    assert health.messages[0].SerializeToString() == b"\x0a\x07success"
    server.applications.goes = True
    for end in await both(server, ended):
        assert (end.code, end.details) == (CODE.UNAVAILABLE, "This node is being drained.")
    metadata = (("application", "a"),)
    assert (await server.stub.Unary(server.ask(number=1), metadata=metadata)).number == 1
    server.applications.goes = False
    for name in ("b", "a"):
        server.applications.delete(name)
    listed, health = await both(server, ended)
    assert (listed.code, list(listed.messages[0].application_names)) == (CODE.OK, [])
    assert health.code is CODE.OK


async def test_health_by_application(served, probe):
    server = await served()
    stub = health_pb2_grpc.HealthStub(server.channel)

    async def status(name):
        return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status

    assert await status("") == NOT_SERVING
    server.applications.deploy("a", App(probe))
    server.applications.deploy("b", App(probe))
    server.applications.sick.add("b")
    assert [await status(name) for name in ("a", "b", "")] == [SERVING, NOT_SERVING, NOT_SERVING]
    server.applications.sick.clear()
    assert await status("") == SERVING
    listed = await stub.List(health_pb2.HealthListRequest())
    assert set(listed.statuses) == {"", "a", "b"}
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await status("c")
    assert unknown.value.code() is CODE.NOT_FOUND
    server.applications.goes = True
    assert await status("a") == NOT_SERVING


async def test_watches_of_health_follow(served, probe):
    server = await served()
    watch = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest(service="a"))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    server.applications.deploy("a", App(probe))
    assert (await watch.read()).status == SERVING
    server.applications.delete("a")
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


VERSIONS = {
    "v1": (reflection_pb2.ServerReflectionRequest, reflection_pb2_grpc.ServerReflectionStub),
    "v1alpha": (alpha_pb2.ServerReflectionRequest, alpha_grpc.ServerReflectionStub),
}


async def reflected(server, version, **question):
    request, stub = VERSIONS[version]
    return await stub(server.channel).ServerReflectionInfo(iter([request(**question)])).read()


@pytest.mark.parametrize("version", VERSIONS)
async def test_reflection_follows_what_is_served(served, probe, version, ended):
    server = await served()
    other = front.read_services(["wire_probe_pb2_grpc.add_OtherServicer_to_server"])

    async def names():
        answer = await reflected(server, version, list_services="*")
        return {each.name for each in answer.list_services_response.service}

    own = {
        "ray.serve.RayServeAPIService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert await names() == own | {"wire.probe.Probe", "wire.probe.Other"}
    for symbol in ("wire.probe.Probe", "wire.probe.Ask", *own):
        answer = await reflected(server, version, file_containing_symbol=symbol)
        assert answer.file_descriptor_response.file_descriptor_proto, symbol
    server.front.publish(other)
    assert await names() == own | {"wire.probe.Other"}
    end = await ended(server.stub.Unary(server.ask()))
    assert end.code is CODE.UNIMPLEMENTED
    unknown = await reflected(server, version, file_containing_symbol="nothing.Here")
    assert unknown.error_response.error_code == 5


async def test_reflection_can_be_off(served, ended):
    server = await served(enable_reflection=False)
    request, stub = VERSIONS["v1"]
    end = await ended(stub(server.channel).ServerReflectionInfo(iter([request(list_services="*")])))
    assert end.code is CODE.UNIMPLEMENTED


async def test_figures_and_log_lines_by_application(served, probe, free_port, ended):
    server = await served(metrics_port=free_port)
    server.applications.deploy("a", App(probe))
    await server.stub.Unary(server.ask())
    await ended(server.stub.Missing(server.ask()))
    await ended(server.stub.Server(server.ask()))
    await ended(server.stub.Unary(server.ask(), metadata=(("application", "attack"),)))
    url = f"http://127.0.0.1:{free_port}/metrics"
    text = (await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())).decode()
    labels = 'application="a",grpc_method="{}",grpc_service="wire.probe.Probe"'
    unary, missing = labels.format("Unary"), labels.format("Missing")
    lines = set(text.splitlines())
    counted = {line for line in lines if line.startswith("swath_application_calls_total")}
    assert any('grpc_code="OK"' in line and 'grpc_method="Unary"' in line for line in counted)
    assert any('grpc_code="Unimplemented"' in line and 'grpc_method="Missing"' in line for line in counted)
    assert any(line.startswith(f"swath_application_first_answer_seconds_count{{{unary}}} 1.0") for line in lines)
    assert any(line.startswith(f"swath_application_call_seconds_count{{{missing}}} 1.0") for line in lines)
    assert any(line.startswith(f"swath_application_calls_in_flight{{{unary}}} 0.0") for line in lines)
    assert "attack" not in text
    for name, value in (("queue_length", 1), ("calls_ongoing", 2), ("replicas", 3), ("models", 4)):
        assert f'swath_deployment_{name}{{application="a",deployment="Ingress"}} {value}.0' in lines


async def test_a_stop_ends_no_call(served, probe, ended):
    server = await served()
    go = asyncio.Event()

    class Slow(App):
        async def Unary(self, request):
            await go.wait()
            return self.answer(number=7)

    server.applications.deploy("a", Slow(probe))
    running = asyncio.create_task(_answer(server))
    await until(lambda: server.applications.exchanges)
    stopping = asyncio.create_task(server.front.stop(30.0))
    await asyncio.sleep(0.1)
    refused = await ended(server.stub.Unary(server.ask(), metadata=(("request_id", "1"),)))
    assert (refused.code, refused.trailers[0]) == (CODE.UNAVAILABLE, ("request_id", "1"))
    go.set()
    assert (await running).number == 7
    await stopping


async def _answer(server):
    return await server.stub.Unary(server.ask())


async def test_each_call_leaves_a_line_with_its_id(served, probe):
    server = await served(access_log=True)
    server.applications.deploy("a", App(probe))
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await server.stub.Unary(server.ask(), metadata=(("request_id", "1"),))
    (line,) = [each for each in lines if each["event"] == "call"]
    assert (line["method"], line["code"], line["request"], line["application"]) == (
        "/wire.probe.Probe/Unary",
        "OK",
        "1",
        "a",
    )
