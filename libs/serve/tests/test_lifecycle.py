"""Applications as they come, change, fail and go: by real processes, on one host."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from swath import serve
from swath.serve.controller.specs import ApplicationSpec, spec_of
from swath.serve.exceptions import DeploymentUnavailableError, RayServeException, ReplicaDied
from swath.serve.exchange import ApplicationStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")


@serve.deployment
class Versioned:
    def __init__(self, version: str, child: Any = None) -> None:
        if version.startswith("bad"):
            raise ValueError(f"constructor of {version}")
        if version == "exits":
            os._exit(9)
        self.version = version
        self.child = child
        self.configs: list[Any] = []
        self.ill = False

    async def __call__(self, seconds: float = 0) -> str:
        await asyncio.sleep(seconds)
        return self.version

    async def both(self, seconds: float = 0) -> tuple[str, str]:
        await asyncio.sleep(seconds)
        return self.version, await self.child.remote()

    def pid(self) -> int:
        return os.getpid()

    def reconfigure(self, config: Any) -> None:
        if config == "refuse":
            raise ValueError("this one not")
        self.configs.append(config)

    def configured(self) -> list[Any]:
        return self.configs

    def fall_ill(self) -> None:
        self.ill = True

    def check_health(self) -> None:
        if self.ill:
            raise RuntimeError("feeling ill")

    @serve.multiplexed(max_num_models_per_replica=1)
    async def model(self, model_id: str) -> str:
        self.configs.append(f"loaded {model_id}")
        return model_id

    async def by_model(self) -> tuple[int, str]:
        return os.getpid(), await self.model()

    def with_more_memory(self) -> None:
        self.held = bytearray(300_000_000)

    async def block(self) -> None:
        time.sleep(600)  # noqa: ASYNC251 - what is tested

    def context(self) -> tuple[int, int]:
        found = serve.get_replica_context()
        return found.rank, found.world_size


@serve.deployment
class Plain:
    def __call__(self) -> str:
        return "plain"


@serve.deployment
class Leaves:
    def __init__(self, file: str) -> None:
        self.file = file

    def __call__(self) -> int:
        return os.getpid()

    def __del__(self) -> None:
        with open(self.file, "a") as file:
            file.write("gone\n")


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex[:8]


@pytest.fixture
def runtime(shared_runtime: Any) -> Any:
    return shared_runtime


async def test_an_update_fails_no_call_and_goes_over_at_once(runtime: Any, name: str) -> None:
    await runtime.run(Versioned.bind("1"), name)
    handle = runtime.handle("Versioned", name)
    answers: list[str] = []
    slowest = 0.0
    done = asyncio.Event()

    async def load() -> None:
        nonlocal slowest
        while not done.is_set():
            start = time.monotonic()
            answers.append(await handle.remote(0.01))
            slowest = max(slowest, time.monotonic() - start)

    loads = [asyncio.create_task(load()) for _ in range(4)]
    await asyncio.sleep(0.2)
    await runtime.run(Versioned.bind("2"), name)
    await asyncio.sleep(0.2)
    done.set()
    await asyncio.gather(*loads)
    assert answers[0] == "1"
    assert answers[-1] == "2"
    # Once the new version answers, the old one does no more, but for calls that had begun.
    assert "1" not in answers[answers.index("2") + 4 :]


async def test_running_calls_end_where_they_began(runtime: Any, name: str) -> None:
    await runtime.run(Versioned.bind("1"), name)
    running = runtime.handle("Versioned", name).remote(0.7)
    await asyncio.sleep(0.1)
    await runtime.run(Versioned.bind("2"), name)
    assert await runtime.handle("Versioned", name).remote() == "2"
    assert await running == "1"


async def test_calls_within_an_application_stay_within_its_version(runtime: Any, name: str) -> None:
    child = Versioned.options(name="Child")
    await runtime.run(Versioned.bind("1", child.bind("child 1")), name)
    running = runtime.handle("Versioned", name).both.remote(0.5)
    await asyncio.sleep(0.1)
    await runtime.run(Versioned.bind("2", child.bind("child 2")), name)
    assert await runtime.handle("Versioned", name).both.remote() == ("2", "child 2")
    assert await running == ("1", "child 1")


async def test_a_failing_constructor_leaves_the_old_version_serving(runtime: Any, name: str) -> None:
    await runtime.run(Versioned.bind("1"), name)
    with pytest.raises(RayServeException, match="ValueError: constructor of bad"):
        await runtime.run(Versioned.options(max_constructor_retry_count=1).bind("bad"), name)
    assert await runtime.handle("Versioned", name).remote() == "1"
    status = runtime.controller.status().applications[name]
    assert status.status is ApplicationStatus.DEPLOY_FAILED
    assert "ValueError: constructor of bad" in status.message
    assert status.message.endswith("the version before goes on")
    assert runtime.controller.state(name).healthy


@pytest.mark.parametrize(
    ("version", "text"), [("bad", "ValueError: constructor of bad"), ("exits", "exited with status 9")]
)
async def test_a_first_deployment_that_fails_is_unavailable(runtime: Any, name: str, version: str, text: str) -> None:
    deployment = Versioned.options(max_constructor_retry_count=2)
    with pytest.raises(RayServeException, match=rf"{text}.*given up after 2 tries"):
        await runtime.run(deployment.bind(version), name)
    with pytest.raises(DeploymentUnavailableError, match="is unavailable because it failed to deploy"):
        await runtime.handle("Versioned", name).remote()
    assert text in runtime.overview("Versioned", name).message
    assert not runtime.controller.state(name).healthy
    # What is right is deployed over it.
    await runtime.run(Versioned.bind("good"), name)
    assert await runtime.handle("Versioned", name).remote() == "good"
    assert runtime.controller.state(name).status is ApplicationStatus.RUNNING


async def test_a_killed_replica_is_replaced_and_only_its_calls_fail(runtime: Any, name: str, until: Any) -> None:
    await runtime.run(Versioned.bind("1"), name)
    handle = runtime.handle("Versioned", name)
    running = handle.remote(30)
    pid = await handle.pid.remote()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ReplicaDied, match="process of the replica ended before the call had finished"):
        await running
    assert await handle.pid.remote() != pid
    await until(lambda: runtime.controller.state(name).status is ApplicationStatus.RUNNING)


async def test_delete_lets_calls_end_and_calls_the_objects_del_once(runtime: Any, name: str, tmp_path: Path) -> None:
    file = tmp_path / "gone"
    await runtime.run(Versioned.bind("1", Leaves.bind(str(file))), name)
    pid = await runtime.handle("Leaves", name).remote()
    running = runtime.handle("Versioned", name).remote(0.5)
    await asyncio.sleep(0.1)
    deletion = asyncio.create_task(runtime.controller.delete(name))
    await asyncio.sleep(0.05)
    assert name not in runtime.controller.names()
    assert runtime.controller.status().applications[name].status is ApplicationStatus.DELETING
    with pytest.raises(RayServeException, match="does not exist"):
        await runtime.handle("Versioned", name).remote()
    assert await running == "1"
    await deletion
    assert file.read_text() == "gone\n"
    assert name not in runtime.controller.status().applications
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await runtime.controller.delete(name)


async def test_calls_that_outlast_the_grace_are_cut(runtime: Any, name: str) -> None:
    await runtime.run(Versioned.options(graceful_shutdown_timeout_s=0.2).bind("1"), name)
    running = runtime.handle("Versioned", name).remote(30)
    await asyncio.sleep(0.1)
    await runtime.controller.delete(name)
    with pytest.raises(ReplicaDied):
        await running


async def test_zero_replicas_answer_the_first_call_and_go_again(runtime: Any, name: str, until: Any) -> None:
    scaling = {"min_replicas": 0, "max_replicas": 2, "downscale_delay_s": 0.3, "look_back_period_s": 0.2}
    await runtime.run(Versioned.options(autoscaling_config=scaling).bind("1"), name)
    assert runtime.controller.state(name).status is ApplicationStatus.RUNNING
    assert runtime.overview("Versioned", name).replica_states == {"SPARE": 1}
    assert await runtime.handle("Versioned", name).remote() == "1"
    assert runtime.overview("Versioned", name).replica_states == {"RUNNING": 1}
    await until(lambda: runtime.overview("Versioned", name).replica_states == {"SPARE": 1})
    assert await runtime.handle("Versioned", name).remote() == "1"


async def test_calls_make_more_replicas(runtime: Any, name: str, until: Any) -> None:
    soon = {"upscale_delay_s": 0, "downscale_delay_s": 0.2, "look_back_period_s": 0.2}
    scaling = {"max_replicas": 3, "target_ongoing_requests": 1, **soon}
    deployment = Versioned.options(autoscaling_config=scaling, max_ongoing_requests=1)
    await runtime.run(deployment.bind("1"), name)
    handle = runtime.handle("Versioned", name)
    calls = [handle.remote(1.5) for _ in range(6)]
    await until(lambda: runtime.overview("Versioned", name).replica_states.get("RUNNING") == 3)
    assert await asyncio.gather(*calls) == ["1"] * 6
    await until(lambda: runtime.overview("Versioned", name).replica_states == {"RUNNING": 1})


async def test_replicas_have_ranks(runtime: Any, name: str) -> None:
    await runtime.run(Versioned.options(num_replicas=2, max_ongoing_requests=1).bind("1"), name)
    handle = runtime.handle("Versioned", name)
    held = [handle.remote(0.3)]
    await asyncio.sleep(0.05)
    first = await handle.context.remote()
    await asyncio.gather(*held)
    pids = {tuple(await handle.context.remote()) for _ in range(20)}
    assert first in {(0, 2), (1, 2)}
    assert pids <= {(0, 2), (1, 2)}


def _spec(application: Any, name: str) -> ApplicationSpec:
    return spec_of(application, name)


async def test_a_changed_user_config_restarts_nothing(runtime: Any, name: str) -> None:
    await runtime.run(Versioned.options(user_config={"a": 1}).bind("1"), name)
    handle = runtime.handle("Versioned", name)
    pid = await handle.pid.remote()
    changed = Versioned.options(user_config={"a": 2}, max_ongoing_requests=9, num_replicas=2)
    await runtime.controller.begin(_spec(changed.bind("1"), name), keep=True)
    found = {await handle.pid.remote(): await handle.configured.remote() for _ in range(1)}
    assert runtime.overview("Versioned", name).replica_states.get("RUNNING", 0) >= 1
    seen = [await handle.configured.remote() for _ in range(10)]
    assert [{"a": 1}, {"a": 2}] in seen
    assert pid in {*found, *[await handle.pid.remote() for _ in range(30)]}


async def test_a_reconfiguration_that_fails_is_told(runtime: Any, name: str) -> None:
    await runtime.run(Versioned.options(user_config="good").bind("1"), name)
    refused = Versioned.options(user_config="refuse")
    await runtime.controller.begin(_spec(refused.bind("1"), name), keep=True)
    status = runtime.controller.status().applications[name]
    assert status.status is ApplicationStatus.UNHEALTHY
    assert "reconfigure failed: ValueError: this one not" in status.message
    assert await runtime.handle("Versioned", name).remote() == "1"


async def test_a_class_without_reconfigure_takes_no_user_config(runtime: Any, name: str) -> None:
    with pytest.raises(RayServeException, match="user_config or rank specified but deployment Plain missing"):
        await runtime.run(Plain.options(user_config=1, max_constructor_retry_count=1).bind(), name)


async def test_an_unchanged_application_is_left_alone_and_others_go(runtime: Any, name: str) -> None:
    kept, gone = f"kept-{name}", f"gone-{name}"
    others = [runtime.controller.spec(each) for each in runtime.controller.names()]
    others = [each for each in others if each is not None]
    specs = [_spec(Versioned.bind("1"), kept), _spec(Versioned.bind("1"), gone)]
    runtime.controller.apply([*others, *specs])
    await runtime.controller.settled()
    pid = await runtime.handle("Versioned", kept).pid.remote()
    runtime.controller.apply([*others, specs[0]])
    await runtime.controller.settled()
    assert await runtime.handle("Versioned", kept).pid.remote() == pid
    assert gone not in runtime.controller.names()
    with pytest.raises(RayServeException, match=f"two have the name '{kept}'"):
        runtime.controller.apply([specs[0], specs[0]])


async def test_an_ill_replica_is_replaced(runtime: Any, name: str, until: Any) -> None:
    await runtime.run(Versioned.options(health_check_period_s=0.1).bind("1"), name)
    handle = runtime.handle("Versioned", name)
    pid = await handle.pid.remote()
    await handle.fall_ill.remote()
    await until(
        lambda: "check_health raised RuntimeError: feeling ill (" in runtime.overview("Versioned", name).message
    )
    async with asyncio.timeout(20):
        while await handle.pid.remote() == pid:  # noqa: ASYNC110 - asked of another process
            await asyncio.sleep(0.05)


async def test_a_replica_whose_code_blocks_is_replaced(runtime: Any, name: str, until: Any) -> None:
    await runtime.run(Versioned.options(health_check_period_s=0.1, health_check_timeout_s=0.5).bind("1"), name)
    handle = runtime.handle("Versioned", name)
    pid = await handle.pid.remote()
    blocked = handle.block.remote()
    await until(lambda: "its code blocks the event loop" in runtime.overview("Versioned", name).message)
    with pytest.raises(ReplicaDied):
        await blocked
    assert await handle.pid.remote() != pid


async def test_a_replica_that_leaks_is_replaced(runtime: Any, name: str, until: Any) -> None:
    options = {"health_check_period_s": 0.1, "ray_actor_options": {"memory": 250_000_000}}
    await runtime.run(Versioned.options(**options).bind("1"), name)
    handle = runtime.handle("Versioned", name)
    pid = await handle.pid.remote()
    await handle.with_more_memory.remote()
    text = "above ray_actor_options.memory=2.5e+08; it is replaced"
    await until(lambda: text in runtime.overview("Versioned", name).message)
    assert await handle.pid.remote() != pid


async def test_calls_of_a_model_go_to_the_replica_that_has_it(runtime: Any, name: str) -> None:
    await runtime.run(Versioned.options(num_replicas=2).bind("1"), name)
    handle = runtime.handle("Versioned", name)
    found: dict[str, set[int]] = {}
    for _ in range(10):
        for model in ("a", "b"):
            pid, answered = await handle.options(multiplexed_model_id=model).by_model.remote()
            assert answered == model
            found.setdefault(model, set()).add(pid)
    assert len(found["a"]) == len(found["b"]) == 1
    assert found["a"] != found["b"]


async def test_calls_of_a_session_go_to_one_replica(runtime: Any, name: str) -> None:
    await runtime.run(Versioned.options(num_replicas=2).bind("1"), name)
    handle = runtime.handle("Versioned", name).options(session_id="s")
    assert len({await handle.pid.remote() for _ in range(12)}) == 1


async def test_an_application_that_starts_is_waited_for_and_may_be_deleted(runtime: Any, name: str) -> None:
    task = runtime.controller.begin(_spec(Slow.bind(), name))
    waiting = runtime.handle("Slow", name).remote()
    await asyncio.sleep(0.3)
    assert runtime.controller.state(name).status is ApplicationStatus.DEPLOYING
    await asyncio.wait_for(runtime.controller.delete(name), 10)
    with pytest.raises(RayServeException, match="has stopped"):
        await waiting
    with pytest.raises(RayServeException, match="was deleted"):
        await task


@serve.deployment
class Slow:
    async def __init__(self) -> None:
        await asyncio.sleep(600)

    def __call__(self) -> None: ...


CODE = """
import os
from swath import serve

@serve.deployment(num_replicas=1)
class Greeter:
    def __init__(self, word): self.word = word
    def __call__(self): return self.word
    def pid(self): return os.getpid()
    def variable(self): return os.environ.get("OF_TEST")

def build(args): return Greeter.bind(args["word"])
"""


async def test_imported_applications_are_described_and_imported_by_their_processes(
    runtime: Any, name: str, tmp_path: Path
) -> None:
    module = f"code_{name}"
    (tmp_path / f"{module}.py").write_text(CODE)
    spec = ApplicationSpec(
        name,
        f"{module}:build",
        {"word": "hello"},
        {"Greeter": {"num_replicas": 2, "ray_actor_options": {"runtime_env": {"env_vars": {"OF_TEST": "yes"}}}}},
        folders=(str(tmp_path),),
    )
    await runtime.controller.begin(spec, keep=True)
    handle = runtime.handle("Greeter", name)
    assert await handle.remote() == "hello"
    assert await handle.variable.remote() == "yes"
    assert runtime.overview("Greeter", name).replica_states == {"RUNNING": 2}


@pytest.mark.parametrize(
    ("path", "overrides", "text"),
    [
        ("no_such_code:app", {}, "no module named 'no_such_code'"),
        ("{module}:build", {"Greter": {}}, r"Deployment 'Greter' does not exist\. Available: \['Greeter'\]"),
        ("{module}:build", {"Greeter": {"num_replica": 1}}, "unknown deployment option 'num_replica'"),
        ("{module}:exits", {}, "the process that imported it exited with status 4"),
    ],
)
async def test_what_cannot_be_imported_is_told(
    runtime: Any, name: str, tmp_path: Path, path: str, overrides: dict[str, Any], text: str
) -> None:
    module = f"code_{name}"
    (tmp_path / f"{module}.py").write_text(f"{CODE}\ndef exits(args): os._exit(4)\n")
    spec = ApplicationSpec(name, path.format(module=module), {"word": "x"}, overrides, folders=(str(tmp_path),))
    with pytest.raises((RayServeException, TypeError), match=text):
        await runtime.controller.begin(spec, keep=True)
    status = runtime.controller.status().applications[name]
    assert status.status is ApplicationStatus.DEPLOY_FAILED
    await runtime.controller.delete(name)


async def test_watchers_are_told(runtime: Any, name: str) -> None:
    states: list[Any] = []
    stop = runtime.controller.watch(lambda: states.append(runtime.controller.state(name)))
    await runtime.run(Plain.bind(), name)
    await asyncio.sleep(0)
    await runtime.controller.delete(name)
    await asyncio.sleep(0)
    stop()
    statuses = [each.status if each else None for each in states]
    assert statuses[0] is ApplicationStatus.DEPLOYING
    assert ApplicationStatus.RUNNING in statuses
    assert statuses[-1] is None


async def test_processes_to_fork_from_go_with_the_last_version_that_needs_them(
    runtime: Any, name: str, tmp_path: Path, until: Any
) -> None:
    module = f"code_{name}"
    (tmp_path / f"{module}.py").write_text(
        f"{CODE}\nimport time\nGreeter.func_or_class.waits = lambda self: time.sleep(1)\n"
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / f"{module}.py").write_text(CODE)

    def spec(folder: Path) -> ApplicationSpec:
        return ApplicationSpec(name, f"{module}:build", {"word": folder.name}, folders=(str(folder),))

    await runtime.controller.begin(spec(tmp_path), keep=True)
    handle = runtime.handle("Greeter", name)
    before = _parent(await handle.pid.remote())
    running = handle.waits.remote()
    await asyncio.sleep(0.1)
    await runtime.controller.begin(spec(tmp_path / "other"), keep=True)
    assert await handle.remote() == "other"
    # What the old version's replica was forked from stays until its calls have ended.
    assert await running is None
    await until(lambda: not Path(f"/proc/{before}").exists())


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
