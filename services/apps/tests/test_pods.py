"""Replicas as pods: a cluster that runs them as processes of this machine, each at a loopback address of its own."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from swath.runtime.auth.certificates import Authority
from swath.serve.controller.controller import Controller
from swath.serve.controller.specs import ApplicationSpec
from swath.serve.exceptions import RayServeException
from swath.serve.exchange import Method, RequestFacts
from swath.serve.launch.local import LocalLauncher
from swath_apps.launch.kubernetes.launcher import KubernetesLauncher
from swath_apps.launch.kubernetes.manifest import DEPLOYMENT
from swath_apps.launch.kubernetes.pool import PodPool
from swath_apps.launch.settings import LaunchSettings
from swath_suite.testing.greeting import hello, said

GREET = Method("Greet", "/user.v1.GreetService/Greet", False, False, "user.v1.Hello", "user.v1.Said")
FUNCTION = "greet_pb2_grpc.add_GreetServiceServicer_to_server"
PORT = 17081
_NUMBERS = itertools.count(2)


@dataclass
class Tls:
    """Files of a process."""

    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None


class Processes:
    """What `KubernetesLauncher` asks of a cluster, with processes of this machine as its pods."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.parts: list[dict[str, Any]] = []
        self.pods: dict[str, tuple[subprocess.Popen[bytes], str]] = {}
        self.image_is_there = True
        self._environments: dict[str, dict[str, str]] = {}
        self._told: list[Callable[[str, dict[str, Any], bool], None]] = []

    def create_deployment(self, made: dict[str, Any]) -> tuple[str, bool]:
        self.made.setdefault(made["metadata"]["name"], made)
        return "uid", False

    def add(self, made: dict[str, Any]) -> None:
        self.parts.append(made)
        if made["kind"] == "Secret":
            self._start(made["metadata"]["name"], self.made[made["metadata"]["name"]]["spec"]["replicas"])

    def scale(self, name: str, replicas: int) -> None:
        self._start(name, replicas)
        for pod in self._of(name)[replicas:]:
            self._end(pod)

    def remove_scaler(self, kind: str, name: str) -> None:
        self.parts = [each for each in self.parts if (each["kind"], each["metadata"]["name"]) != (kind, name)]

    def delete_deployment(self, name: str) -> None:
        self.made.pop(name, None)
        for pod in self._of(name):
            self._end(pod)

    def delete_pod(self, name: str) -> None:
        self._end(name)

    def deployments(self) -> list[dict[str, Any]]:
        return list(self.made.values())

    def follow_pods(self, seen: Callable[[str, dict[str, Any], bool], None]) -> None:
        self._told.append(seen)
        for name, (_, address) in self.pods.items():
            seen(name.rpartition("-")[0], _pod(name, address), False)

    def close(self) -> None:
        pass

    def restart(self, name: str) -> None:
        """Have a pod's container begin anew, as a kubelet does."""
        old, address = self.pods[name]
        self.pods[name] = (subprocess.Popen(old.args, env=self._environments[name]), address)

    def _of(self, deployment: str) -> list[str]:
        return [name for name in self.pods if name.startswith(f"{deployment}-")]

    def _start(self, deployment: str, replicas: int) -> None:
        container = self.made[deployment]["spec"]["template"]["spec"]["containers"][0]
        [secret] = [e for e in self.parts if e["kind"] == "Secret" and e["metadata"]["name"] == deployment][-1:]
        given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        for number in range(len(self._of(deployment)), replicas):
            address = f"127.{10 + os.getpid() % 240}.1.{next(_NUMBERS)}"
            name = f"{deployment}-{number}x{address.rpartition('.')[2]}"
            environment = {
                **{key: value for key, value in os.environ.items() if not key.startswith("SWATH_")},
                **given,
                "SWATH_REPLICA_TOKEN": secret["stringData"]["token"],
                "SWATH_REPLICA_HOST": address,
            }
            self._environments[name] = environment
            command = [sys.executable, "-m", "swath.serve.replica.pod"]
            command = command if self.image_is_there else ["sleep", "60"]
            self.pods[name] = (subprocess.Popen(command, env=environment), address)
            self._tell(name, _pod(name, address, "" if self.image_is_there else "ErrImagePull"))

    def _end(self, name: str) -> None:
        process, address = self.pods[name]
        self._tell(name, _pod(name, address, going=True))
        process.send_signal(signal.SIGTERM)

        def wait() -> None:
            process.wait(30)
            self.pods.pop(name, None)
            self._tell(name, _pod(name, address, going=True), gone=True)

        threading.Thread(target=wait, daemon=True).start()

    def _tell(self, name: str, pod: dict[str, Any], gone: bool = False) -> None:
        for told in self._told:
            told(name.rpartition("-")[0], pod, gone)

    def stop(self) -> None:
        for process, _ in self.pods.values():
            process.kill()
            process.wait()


def _pod(name: str, address: str, waiting: str = "", *, going: bool = False) -> dict[str, Any]:
    state = {"waiting": {"reason": waiting, "message": "swath-torch:none is not there"}} if waiting else {"running": {}}
    metadata: dict[str, Any] = {"name": name, "labels": {DEPLOYMENT: name.rpartition("-")[0]}}
    if going:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = {"podIP": "" if waiting else address, "containerStatuses": [{"name": "replica", "state": state}]}
    return {"metadata": metadata, "status": status}


@dataclass
class Suite:
    """Hosts of one cluster."""

    cluster: Processes
    launch: Callable[[], KubernetesLauncher]
    folder: Path
    launchers: list[KubernetesLauncher] = field(default_factory=list)
    controllers: list[Controller] = field(default_factory=list)

    def host(self) -> Controller:
        """Start one."""
        launcher = self.launch()
        launcher.begin()
        self.launchers.append(launcher)
        made = Controller(LocalLauncher(), pool=functools.partial(PodPool, launcher=launcher))
        self.controllers.append(made)
        return made

    def spec(self, version: str = "1", text: str = "Bonjour", **options: Any) -> ApplicationSpec:
        """The greeting."""
        return ApplicationSpec(
            name="greet",
            import_path="greeter:app",
            overrides={
                "Prefix": {"name": "Prefix", "user_config": {"text": text}},
                "Greeter": {"name": "Greeter", **options},
            },
            folders=(str(self.folder),),
            servicer_functions=(FUNCTION,),
            code_version=version,
            bundle="sha256:abc",
        )


async def greet(host: Controller, name: str = "Ada") -> str:
    """Call the application."""
    facts = RequestFacts(request_id="1", application="greet", sent_request_id=None, sent_application=None)
    call = await host.open("greet", GREET, facts, hello(name))
    answers = [each async for each in call]
    assert call.outcome.code == 0, call.outcome
    return said(answers[0])


async def until(seen: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    end = time.monotonic() + timeout_s
    while not (found := seen()):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Tls]:
    """Certificates of one CA, by name."""
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority(folder)
    for name in ("apps", "replica"):
        authority.issue_service(name)

    def files(name: str) -> Tls:
        return Tls(folder / name / "tls.crt", folder / name / "tls.key", folder / name / "ca.crt")

    return files


@pytest.fixture
async def suite(tmp_path: Path, code: Path, keys: Callable[[str], Tls]) -> AsyncIterator[Suite]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "abc").symlink_to(code)
    own = keys("replica")
    env = [
        {"name": "SWATH_REPLICA_PORT", "value": str(PORT)},
        {"name": "SWATH_REPLICA_READY_PORT", "value": str(PORT + 1)},
        {"name": "SWATH_REPLICA_TLS_CERT", "value": str(own.tls_cert)},
        {"name": "SWATH_REPLICA_TLS_KEY", "value": str(own.tls_key)},
        {"name": "SWATH_REPLICA_TLS_CA", "value": str(own.tls_ca)},
    ]
    container = {
        "name": "replica",
        "image": "swath-torch:1",
        "env": env,
        "ports": [{"containerPort": PORT}],
        "volumeMounts": [{"name": "code", "mountPath": str(tmp_path / "code")}],
    }
    template = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "swath-app"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    file = tmp_path / "template.yaml"
    file.write_text(yaml.safe_dump(template))
    cluster = Processes()
    settings = LaunchSettings(launcher="kubernetes", template=file, stuck_s=0.5)

    def launch() -> KubernetesLauncher:
        given: Any = cluster
        return KubernetesLauncher(settings, keys("apps"), lambda name: "t" * 64, given)

    made = Suite(cluster, launch, code)
    yield made
    for launcher in made.launchers:
        launcher.leaving = True
    await asyncio.gather(*(each.stop() for each in made.controllers))
    cluster.stop()


async def test_two_hosts_have_the_same_pods_and_delete_leaves_nothing(suite: Suite) -> None:
    first, second = suite.host(), suite.host()
    for host in (first, second):
        host.apply([suite.spec()])
        await host.settled()
        assert host.status().applications["greet"].status == "RUNNING"
        # Users' code finds no settings.
        assert await greet(host) == "Bonjour Ada from nobody None []"
    assert len(suite.cluster.pods) == 2
    # A change of `user_config` alone, at one host and then at the other, restarts nothing.
    before = set(suite.cluster.pods)
    for host in (first, second):
        host.apply([suite.spec(text="Salut")])
        await host.settled()
        assert (await greet(host)).startswith("Salut")
    first.apply([suite.spec(text="Salut", num_replicas=2)])
    await first.settled()
    await until(lambda: first.status().applications["greet"].deployments["Greeter"].replica_states == {"RUNNING": 2})
    assert before < set(suite.cluster.pods)
    # A host that stops leaves all as it is; one that deletes leaves nothing.
    suite.launchers[1].leaving = True
    await second.stop()
    assert (await greet(first)).startswith("Salut")
    first.apply([])
    await until(lambda: not suite.cluster.pods)
    assert suite.cluster.made == {}


async def test_a_version_goes_over_under_load_and_one_that_fails_does_not(suite: Suite) -> None:
    host = suite.host()
    host.apply([suite.spec()])
    await host.settled()
    answers: list[str] = []
    done = asyncio.Event()

    async def load() -> None:
        while not done.is_set():
            answers.append(await greet(host))
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(load()) for _ in range(3)]
    host.apply([suite.spec("2", "Hej")])
    await host.settled()
    await until(lambda: answers[-1].startswith("Hej"))
    await until(lambda: len(suite.cluster.made) == 2)
    # A constructor that raises: `user_config` without what it reads.
    bad = suite.spec("3")
    host.apply([ApplicationSpec(**{**_fields(bad), "import_path": "greeter:broken", "overrides": {}})])
    await host.settled()
    done.set()
    await asyncio.gather(*tasks)
    assert (await greet(host)).startswith("Hej")
    state = host.status().applications["greet"]
    assert state.status == "DEPLOY_FAILED"
    assert "ValueError: no weights" in state.message
    assert state.message.endswith("the version before goes on")


def _fields(spec: ApplicationSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


async def test_an_image_that_is_not_there_is_said_and_fails_the_version(suite: Suite) -> None:
    suite.cluster.image_is_there = False
    host = suite.host()
    with pytest.raises(RayServeException, match="ErrImagePull"):
        await host.begin(suite.spec())
    state = host.status().applications["greet"]
    assert state.status == "DEPLOY_FAILED"
    assert "swath-torch:none is not there" in state.message
    # Another version takes the place of one that still comes up, and it is no failure of that.
    coming = host.begin(suite.spec("2"))
    await until(lambda: len(suite.cluster.made) == 2)
    suite.cluster.image_is_there = True
    await host.begin(suite.spec("3"))
    with pytest.raises(RayServeException, match="another version was deployed"):
        await coming
    assert host.status().applications["greet"].status == "RUNNING"
    assert (await greet(host)).startswith("Bonjour")


async def test_a_killed_pod_is_connected_to_again_when_it_is_back(suite: Suite) -> None:
    host = suite.host()
    host.apply([suite.spec()])
    await host.settled()
    name = next(each for each in suite.cluster.pods if "greeter" in each)
    process, _ = suite.cluster.pods[name]
    process.kill()
    process.wait()
    suite.cluster.restart(name)
    await until(lambda: "its process" in host.status().applications["greet"].deployments["Greeter"].message)
    assert (await greet(host)).startswith("Bonjour")
