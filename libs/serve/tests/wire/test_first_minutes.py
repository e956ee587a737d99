"""A server from its first minute to its last application: what clients see of it, in this order."""

import asyncio

import grpc
import pytest

from swath import serve
from swath.serve.config import gRPCOptions
from swath.serve.exceptions import RayServeException
from swath.serve.generated import serve_pb2, serve_pb2_grpc

CODE = grpc.StatusCode
NOT_SET = (
    "Application metadata not set. Ping /ray.serve.RayServeAPIService/ListApplications for available applications."
)
pytestmark = pytest.mark.xdist_group("serve-wire")


async def test_a_server_is_empty_has_an_application_and_is_empty_again(wire, channel, stub, ask, ended):
    about = serve_pb2_grpc.RayServeAPIServiceStub(channel)
    empty = await ended(about.Healthz(serve_pb2.HealthzRequest()))
    assert (empty.code, empty.details) == (CODE.UNAVAILABLE, "Route table is not populated yet.")
    nobody = await ended(stub.Unary(ask()))
    assert (nobody.code, nobody.details, nobody.trailers[0][0]) == (CODE.NOT_FOUND, NOT_SET, "request_id")

    await asyncio.to_thread(serve.run, wire.app, name="app")
    assert (await stub.Unary(ask(what="hello"))).text == "hello"
    assert (await ended(stub.Unary(ask(), metadata=(("application", "other"),)))).code is CODE.NOT_FOUND

    running = asyncio.create_task(ended(stub.Unary(ask(what="sleep", number=1000))))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(serve.delete, "app")
    assert (await running).code is CODE.OK
    gone = await ended(stub.Unary(ask(), metadata=(("application", "app"),)))
    assert gone.code is CODE.NOT_FOUND
    assert gone.details.startswith("Application 'app' not found.")
    listed = await about.ListApplications(serve_pb2.ListApplicationsRequest())
    assert list(listed.application_names) == []
    assert (await about.Healthz(serve_pb2.HealthzRequest())).message == "success"


@pytest.mark.parametrize("path", ["wire_probe_pb2_grpc.add_Prob_to_server", "nowhere_pb2_grpc.add_X_to_server"])
def test_a_bad_servicer_path_fails_the_start_by_name(probe, path):
    serve.shutdown()
    with pytest.raises(RayServeException, match=path):
        serve.start(grpc_options=gRPCOptions(port=0, grpc_servicer_functions=(path,)))
    assert serve.address() is None
