"""Applications on a server: deployed, called, found, kept, deleted; nothing changes where something is wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from swath.apps.v1 import apps_pb2 as pb
from swath.rpc.status import read_details
from swath.serve.generated import serve_pb2
from swath.serve.generated.serve_pb2_grpc import RayServeAPIServiceStub
from swath_apps.running import hosting
from swath_apps.service import AppsService
from swath_suite.testing.greeting import hello


def _reason(error: grpc.aio.AioRpcError) -> str:
    serialized: Any = error.trailing_metadata()["grpc-status-details-bin"]
    return read_details(serialized)[0].reason


async def _refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


async def test_an_application_from_its_deployment_to_its_end(served: Any, code: Path, config: str) -> None:
    bundle = await served.put(code)
    answers = await served.deploy(config.replace("applications:", "http_options: {port: 8000}\napplications:"), bundle)
    first, last = answers[0].applications[0], answers[-1].applications[0]
    assert list(answers[0].notes) == ["http_options is unused: HTTP is not served"]
    assert (first.status, last.status) == ("DEPLOYING", "RUNNING")
    assert [(each.name, each.status, dict(each.replica_states)) for each in last.deployments] == [
        ("Prefix", "HEALTHY", {"RUNNING": 1}),
        ("Greeter", "HEALTHY", {"RUNNING": 1}),
    ]
    # The file counts more than the code; no secrets of the server are where users' code is.
    assert await served.greet() == "Bonjour Ada from nobody None []"
    counts: Any = served.channel.unary_stream("/user.v1.GreetService/Count")
    counted = [each async for each in counts(b"", metadata=(("application", "greet"),))]
    assert counted == [b"\n\x010", b"\n\x011", b"\n\x012"]

    # It is found, and told healthy, at the same address.
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="user.v1.GreetService")
    listed = reflection_pb2.ServerReflectionRequest(list_services="")
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    file, services = [each async for each in reflection.ServerReflectionInfo(iter([asked, listed]))]
    assert b"GreetService" in file.file_descriptor_response.file_descriptor_proto[0]
    names = {each.name for each in services.list_services_response.service}
    assert {"user.v1.GreetService", "swath.apps.v1.ApplicationService"} <= names
    # Answered, and not listed, as with Ray Serve.
    assert "ray.serve.RayServeAPIService" not in names
    listing: Any = RayServeAPIServiceStub(served.channel)
    assert list((await listing.ListApplications(serve_pb2.ListApplicationsRequest())).application_names) == ["greet"]
    health: Any = health_pb2_grpc.HealthStub(served.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service="greet"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING

    # What it was deployed with deploys it again: the same goes on.
    (kept,) = (await served.stub.GetConfig(pb.GetConfigRequest())).applications
    assert (kept.bundle, kept.revision) == (bundle, 1)
    again = await served.deploy(kept.config, kept.bundle)
    assert [each.applications[0].status for each in again] == ["RUNNING"]
    (kept,) = (await served.stub.GetConfig(pb.GetConfigRequest(name="greet"))).applications
    assert kept.revision == 1

    await served.stub.Delete(pb.DeleteRequest(name="greet"))
    assert await served.states() == {}
    # With the last application its services are gone.
    assert (await _refused(served.greet())).code() is grpc.StatusCode.UNIMPLEMENTED
    assert (await _refused(health.Check(health_pb2.HealthCheckRequest(service="greet")))).code() is (
        grpc.StatusCode.NOT_FOUND
    )
    error = await _refused(served.stub.Delete(pb.DeleteRequest(name="greet")))
    assert (error.code(), _reason(error)) == (grpc.StatusCode.NOT_FOUND, "APPLICATION_NOT_FOUND")


async def test_a_call_ends_after_the_time_that_the_file_gives_it(served: Any, code: Path, config: str) -> None:
    limited = config.replace("grpc_options:\n", "grpc_options:\n  port: 9001\n  request_timeout_s: 0.5\n")
    first, *_ = await served.deploy(limited, await served.put(code))
    assert list(first.notes) == [
        "grpc_options.port is unused here: the server's own settings say where it listens, and how"
    ]
    counts: Any = served.channel.unary_stream("/user.v1.GreetService/Count", hello)
    answers = []

    async def read() -> None:
        async for each in counts("for ever", metadata=(("application", "greet"),)):
            answers.append(each)

    error = await _refused(read())
    assert (error.code(), error.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "Request timed out after 0.5s.")
    # What had been sent stays.
    assert len(answers) == 3
    assert await served.greet() == "Bonjour Ada from nobody None []"


async def test_what_is_wrong_changes_nothing(served: Any, code: Path, config: str) -> None:
    bundle = await served.put(code)
    await served.deploy(config, bundle)
    before = await served.stub.GetConfig(pb.GetConfigRequest())
    for changed, given, said in (
        (
            config.replace("name: Prefix", "name: Prefx"),
            bundle,
            "config.yaml, line 7, applications[0].deployments[0].name",
        ),
        (config.replace("greeter:app", "greter:app"), bundle, "no module named 'greter', did you mean 'greeter'?"),
        (config.replace("to_server", "to_serve"), bundle, "it has add_GreetServiceServicer_to_server"),
        (config.replace("user_config", "user_confg"), bundle, "unknown key 'user_confg', did you mean 'user_config'?"),
        (config.replace("greet_pb2_grpc.add_Greet", "swath.apps.v1.apps_pb2_grpc.add_Application"), bundle, "suite"),
        (config, "sha256:" + "0" * 64, "there is no bundle sha256:000"),
        (config, "../bundle", "is no digest of a bundle"),
        (config.replace("import_path", "runtime_env: {working_dir: .}\n  import_path"), "", "come as a bundle"),
    ):
        error = await _refused(served.deploy(changed, given))
        assert error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
        assert said in (error.details() or "")
    assert await served.stub.GetConfig(pb.GetConfigRequest()) == before
    assert await served.greet() == "Bonjour Ada from nobody None []"
    error = await _refused(served.stub.PutBundle(iter([pb.PutBundleRequest(data=b"no archive")])))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_was_acknowledged_is_deployed_again_and_what_fails_says_why(
    serve_from: Any, tmp_path: Path, code: Path, config: str
) -> None:
    config += "- {name: broken, route_prefix: null, import_path: greeter:broken}\n"
    async with serve_from(tmp_path) as served:
        bundle = await served.put(code)
        # Nobody waits for it to come up.
        (answer,) = await served.deploy(config, bundle, wait=False)
        assert [each.status for each in answer.applications] == ["DEPLOYING", "DEPLOYING"]
    # The folder of unpacked code is a copy.
    for folder in (tmp_path / "bundles").iterdir():
        folder.rename(tmp_path / "gone")
    async with serve_from(tmp_path) as served:
        assert await served.greet() == "Bonjour Ada from nobody None []"
        async with asyncio.timeout(20):
            while (await served.states())["broken"] != "DEPLOY_FAILED":  # noqa: ASYNC110 - the server is asked
                await asyncio.sleep(0.05)
        (told,) = (await served.stub.Status(pb.StatusRequest(name="broken"))).applications
        assert "ValueError: no weights" in told.message
        assert list((await served.stub.Shutdown(pb.ShutdownRequest())).applications) == ["greet", "broken"]
        assert await served.states() == {}


async def test_code_that_cannot_be_had_for_a_while_is_waited_for(
    serve_from: Any, tmp_path: Path, code: Path, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "_RETRY_S", 0.2)
    async with serve_from(tmp_path) as served:
        await served.deploy(config, await served.put(code))
    (tmp_path / "artifacts").rename(tmp_path / "away")
    for folder in (tmp_path / "bundles").iterdir():
        folder.rename(tmp_path / "gone")
    async with serve_from(tmp_path) as served:
        (told,) = (await served.stub.Status(pb.StatusRequest())).applications
        assert told.status == "DEPLOY_FAILED"
        assert "there is no bundle sha256:" in told.message
        for place in (tmp_path / "away").rglob("*"):
            if place.is_file():
                there = tmp_path / "artifacts" / place.relative_to(tmp_path / "away")
                there.parent.mkdir(parents=True, exist_ok=True)
                there.write_bytes(place.read_bytes())
        async with asyncio.timeout(30):
            while (await served.states())["greet"] != "RUNNING":  # noqa: ASYNC110 - the server is asked
                await asyncio.sleep(0.05)
        assert await served.greet() == "Bonjour Ada from nobody None []"


async def test_who_may_deploy_call_and_see(serve_from: Any, tmp_path: Path, code: Path, config: str) -> None:
    async with serve_from(tmp_path, auth=True, app_deployers=("alice",)) as served:
        assert (await _refused(served.put(code))).code() is grpc.StatusCode.UNAUTHENTICATED
        assert (await _refused(served.put(code, "bob"))).code() is grpc.StatusCode.PERMISSION_DENIED
        bundle = await served.put(code, "alice")
        await served.deploy(config, bundle, "alice")

        # Whoever proves who they are may call it; users' code is told who, and not by which token.
        assert await served.greet(who="bob") == "Bonjour Ada from bob None []"
        assert (await _refused(served.greet())).code() is grpc.StatusCode.UNAUTHENTICATED
        error = await _refused(served.stub.Delete(pb.DeleteRequest(name="greet"), metadata=_bob()))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        assert list((await served.stub.Shutdown(pb.ShutdownRequest(), metadata=_bob())).applications) == []

        await served.deploy(config.replace("- name: greet", "- name: greet\n  access: private"), bundle, "alice")
        assert await served.greet(who="alice") == "Bonjour Ada from alice None []"
        assert (await _refused(served.greet(who="bob"))).code() is grpc.StatusCode.NOT_FOUND
        assert (await served.states("alice"), await served.states("bob")) == ({"greet": "RUNNING"}, {})

        await served.deploy(config.replace("- name: greet", "- name: greet\n  access: public"), bundle, "alice")
        assert await served.greet() == "Bonjour Ada from nobody None []"


def _bob() -> tuple[tuple[str, str], ...]:
    return (("authorization", "Bearer token-of-bob"),)


async def test_a_bundle_that_another_replica_collects_while_its_code_is_checked_is_told(
    served: Any, code: Path, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = AppsService._check  # pyright: ignore[reportPrivateUsage]

    async def checked(self: Any, given: Any, bundles: Any) -> Any:
        found = await check(self, given, bundles)
        await self._bundles.collect(set(), 0)
        return found

    bundle = await served.put(code)
    with monkeypatch.context() as patch:
        patch.setattr(AppsService, "_check", checked)
        refused = await _refused(served.deploy(config, bundle))
    assert _reason(refused) == "ARTIFACT_NOT_FOUND"
    assert f"the bundle {bundle} was collected while its code was checked: store it again" in str(refused.details())
    # Nothing was acknowledged, and nothing written. Stored again it is deployed.
    assert await served.states() == {}
    *_, last = await served.deploy(config, await served.put(code))
    assert [each.status for each in last.applications] == ["RUNNING"]
