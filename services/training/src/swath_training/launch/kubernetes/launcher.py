"""Starts workers as Jobs of a cluster, and reports what keeps them from starting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable
from importlib import import_module
from typing import Any

import structlog
import yaml

from swath.documents import TrainingDocument
from swath.errors import Denied, InvalidInput, Precondition, SwathError
from swath.retry import Retry
from swath.runtime.kubernetes import Document
from swath_training.launch.kubernetes.cluster import Cluster
from swath_training.launch.kubernetes.manifest import JobTask, Ports, check, job, name_of, service
from swath_training.launch.kubernetes.pod_status import begun, complaint, index_of, outcome, trouble
from swath_training.launch.kubernetes.settings import JobSettings
from swath_training.runs.devices import devices_in, devices_text
from swath_training.runs.model import Run, Trainer

_log = structlog.get_logger("swath.training")

_DELETION = Retry(on=SwathError, initial_s=1.0)
_LOG_LINES = 20
_PREFIX = "job/"
_GPUS = "gpu:"


class JobWorker:
    """The worker of an attempt.

    Attributes:
        name: Name of its Job.
        begun: Whether it runs, or has run: before that it cannot be expected to connect.
        alive: Whether it may still run.
        reason: Why it is gone, as far as the cluster knows.
    """

    def __init__(self, name: str, launcher: JobLauncher, notify: Callable[[str], None], *, begun: bool) -> None:
        self.name = name
        self.begun = begun
        self.reason = ""
        self._exit: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._launcher = launcher
        self._notify = notify
        self._notified = ""

    @property
    def record(self) -> tuple[int, str]:
        """What a run's row keeps of it."""
        return 0, _PREFIX + self.name

    @property
    def alive(self) -> bool:
        return not self._exit.done()

    def kill(self) -> None:
        """Have its Job deleted."""
        self._launcher.delete(self)

    async def exited(self) -> int | None:
        code = await asyncio.shield(self._exit)
        if code == 0:
            self._launcher.forget_worker(self)
        return code

    def report(self, text: str) -> None:
        """Report what keeps it from starting, once."""
        if text and text != self._notified:
            self._notified = text
            self._notify(text)

    def end(self, code: int | None, reason: str = "") -> None:
        """Note that it is gone. Idempotent."""
        if not self._exit.done():
            self.reason = reason
            self._exit.set_result(code)


class JobLauncher:
    """A `Launcher` of Jobs.

    Args:
        settings: Where Jobs come from.

    Raises:
        Precondition: The template is none, or no cluster is configured.
    """

    def __init__(self, settings: JobSettings) -> None:
        assert settings.template is not None
        self._settings = settings
        try:
            read = yaml.safe_load(settings.template.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise Precondition(f"SWATH_JOBS_TEMPLATE: {settings.template} cannot be read: {error}") from error
        self._template = check(read, str(settings.template))
        self._cluster = Cluster()
        self._owner: Document | None = None
        self._workers: dict[str, JobWorker] = {}
        self._deletions: set[asyncio.Task[None]] = set()

    def prepare(self) -> None:
        """Nothing has to be there before gRPC is."""

    async def warm_up(self) -> None:
        # The first configuration of a run is not to wait for torch.
        await asyncio.to_thread(import_module, "swath.engine.graph.pipeline")
        if self._settings.owner:
            self._owner = await asyncio.to_thread(self._cluster.owner, self._settings.owner)
        loop = asyncio.get_running_loop()

        def pods() -> None:
            self._cluster.follow_pods(
                self._template["metadata"]["name"],
                lambda pod, gone: _call(loop, self._seen, pod, gone),
            )

        def complaints() -> None:
            self._cluster.follow_complaints(lambda event: _call(loop, self._complained, event))

        for target in (pods, complaints):
            threading.Thread(target=target, name=f"swath-{target.__name__}", daemon=True).start()

    def device_of(self, trainer: Trainer, training: TrainingDocument | None) -> str:
        """Return what each process of a run asks of the cluster: "cpu", "gpu:1", or "auto" for what the template has.

        Raises:
            InvalidInput: It asks for no number of devices, or for more than there may be.
        """
        from swath.engine.training.distributed.device import (
            processes_of,  # imports torch, which takes seconds: not at import
        )

        count = processes_of(training) or 1 if trainer is Trainer.GRADIENT else 1
        if count > self._settings.max_processes:
            raise InvalidInput(
                f"training.devices asks for {count} processes; here a run may have {self._settings.max_processes}"
            )
        accelerator = training.accelerator.lower() if training is not None else "auto"
        return devices_text([accelerator if accelerator in ("auto", "cpu") else f"{_GPUS}1"] * count)

    def devices(self) -> None:
        """Any replica can start any run."""

    def queue_keys(self, run: Run) -> Collection[str]:
        """Each run has its own: the cluster does the queueing."""
        return {run.id}

    def recall(self, record: tuple[int, str]) -> JobWorker | None:
        started = record[1]
        if not started.startswith(_PREFIX):
            return None
        name = started.removeprefix(_PREFIX)
        return self._workers.setdefault(name, JobWorker(name, self, lambda _: None, begun=True))

    async def start(self, run: Run, address: str, token: str, notify: Callable[[str], None]) -> JobWorker:
        devices, ports = devices_in(run.device), Ports(self._settings.port, self._settings.last_port)
        task = JobTask(run.id, run.session_id, run.attempt, address, token, _gpus(devices[0]), len(devices))
        made = job(self._template, task, gpu_resource=self._settings.gpu_resource, owner=self._owner, ports=ports)
        worker = JobWorker(made["metadata"]["name"], self, notify, begun=False)
        # Known before it is there, so that no event about it is missed.
        self._workers[worker.name] = worker
        try:
            uid = await asyncio.to_thread(self._cluster.create_job, made)
            if task.processes > 1:
                await self._name_pods(service(made, uid, ports.meeting), worker)
        except BaseException:
            self._workers.pop(worker.name, None)
            raise
        return worker

    async def _name_pods(self, named: Document, worker: JobWorker) -> None:
        try:
            await asyncio.to_thread(self._cluster.create_service, named)
        except BaseException:
            worker.kill()  # its processes would look for one another forever
            raise

    async def last_output(self, run: Run) -> str:
        name = name_of(self._template, run.id, run.attempt)
        worker = self._workers.pop(name, None)
        output = await asyncio.to_thread(self._cluster.log, name, _LOG_LINES)
        return "\n".join(filter(None, (worker.reason if worker is not None else "", output.strip())))

    def forget(self, run_ids: Iterable[str]) -> None:
        """Jobs go by themselves, some time after their end."""

    async def close(self) -> None:
        self._cluster.close()
        for deletion in self._deletions:
            deletion.cancel()
        await asyncio.gather(*self._deletions, return_exceptions=True)

    def forget_worker(self, worker: JobWorker) -> None:
        """Drop a worker that has ended well."""
        self._workers.pop(worker.name, None)

    def delete(self, worker: JobWorker) -> None:
        """Delete a worker's Job, however long that takes; it counts as gone then."""
        task = asyncio.get_running_loop().create_task(self._delete(worker))
        self._deletions.add(task)
        task.add_done_callback(self._deletions.discard)

    async def _delete(self, worker: JobWorker) -> None:
        def delete() -> None:
            try:
                self._cluster.delete_job(worker.name)
            except Denied as error:
                _log.error("a worker's Job cannot be deleted", job=worker.name, error=error.message)

        await _DELETION.call_async(lambda: asyncio.to_thread(delete))
        worker.end(None)

    def _seen(self, pod: Document, gone: bool) -> None:
        labels = pod["metadata"].get("labels") or {}
        worker = self._workers.get(labels.get("job-name", ""))
        if worker is None:
            return
        # Only the first process keeps a link.
        worker.begun = worker.begun or (begun(pod) and not index_of(pod))
        over, code, reason = outcome(pod, gone=gone)
        if over:
            worker.end(code, reason)
        else:
            worker.report(trouble(pod))

    def _complained(self, event: Document) -> None:
        worker = self._workers.get(event["involvedObject"].get("name", ""))
        if worker is not None and not worker.begun:
            worker.report(complaint(event))


def _gpus(device: str) -> int | None:
    """Return how many GPUs a device of `JobLauncher.device_of` means, None for what the template has."""
    if device.startswith(_GPUS):
        return int(device.removeprefix(_GPUS))
    return 0 if device == "cpu" else None


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *args: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, *args)
