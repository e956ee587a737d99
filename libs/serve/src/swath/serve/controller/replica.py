"""A replica as the host sees it: one task from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any

from swath.serve.config import DeploymentOptions
from swath.serve.controller.orders import Orders, Owner, Refused, State, SuiteOf
from swath.serve.exceptions import RayServeException
from swath.serve.launch.port import Launcher, Process
from swath.serve.router.calls import Relays
from swath.serve.router.router import Place
from swath.serve.transport.call import Call
from swath.serve.transport.channel import Channel
from swath.serve.transport.frames import Buffer

_LOG = logging.getLogger("swath.serve")

_CHECKS = 3
"""Failed health checks in a row after which a replica is replaced."""

_FINALIZE_S = 5.0
_EXIT_S = 2.0


class Replica:
    """One process of a deployment.

    Args:
        tag: Its name.
        rank: Its number in the deployment.
        world_size: Replicas that the deployment is to have.
        orders: What it runs.
        owner: Is told what becomes of it.
        launcher: Starts its process.
        relays: Carry calls that its code makes.
        suite: Gives what it is told of the suite.
        spare: Whether to wait with the constructor until `go`.
    """

    def __init__(
        self,
        tag: str,
        rank: int,
        world_size: int,
        orders: Orders,
        owner: Owner,
        launcher: Launcher,
        relays: Relays,
        suite: SuiteOf,
        spare: bool = False,
    ) -> None:
        self.tag = tag
        self.rank = rank
        self.state = State.SPARE if spare else State.STARTING
        self.place: Place | None = None
        self.pid = 0
        self.leaving = False
        self.since = time.monotonic()
        self._world_size = world_size
        self._orders = orders
        self._owner = owner
        self._launcher = launcher
        self._relays = relays
        self._suite = suite
        self._process: Process | None = None
        self._channel: Channel | None = None
        self._go = asyncio.Event()
        self._lost = asyncio.Event()
        self._stop = asyncio.Event()
        self._grace_s = 0.0
        self._failed_checks = 0
        if not spare:
            self._go.set()
        # In a context of its own: it outlives the call that it may be started for. And in the loop's own thread, which
        # a process that is to die with its parent must be started by: Linux means the thread.
        self.task = asyncio.get_running_loop().create_task(self._live(), context=Context())

    def go(self) -> None:
        """Have a spare call the constructor."""
        self.state = State.STARTING
        self._go.set()

    def stop(self, grace_s: float) -> None:
        """Stop it: no calls from now on, those that run have some time. One that does not run yet ends at once."""
        if self.state is State.STOPPING:
            return
        started = self.state is State.RUNNING
        self.state = State.STOPPING
        self._grace_s = grace_s
        self._stop.set()
        if not started:
            self.task.cancel()

    def kill(self) -> None:
        """End its process at once."""
        self.state = State.STOPPING
        self._stop.set()
        if self._process is not None:
            self._process.kill()

    def limit(self, ongoing: int) -> None:
        """Tell it how many calls it is to run at a time, of all hosts together where it has several."""
        if self._channel is not None:
            self._channel.tell(("limit", ongoing))

    async def reconfigure(self, user_config: bytes) -> None:
        """Give its object another `user_config`.

        Raises:
            RayServeException: The object has raised, or the process has ended.
        """
        await self._ask(("reconfigure",), (user_config,))

    async def _live(self) -> None:
        try:
            await self._start()
        except asyncio.CancelledError:
            await self._end()
            return
        except (RayServeException, OSError) as error:
            if self.state is not State.STOPPING:
                why = str(error)
                if self._lost.is_set() and self._process is not None:
                    why = f"the process {await self._process.ended()} before the constructor had returned"
                self._owner.did_not_start(self, why)
            await self._end()
            return
        self.state = State.RUNNING
        self._owner.runs(self)
        try:
            await self._run()
        except asyncio.CancelledError:
            pass
        except Exception:
            _LOG.exception("watching over replica %s failed", self.tag)
        await self._end()

    async def _start(self) -> None:
        orders = self._orders
        self._process = await self._launcher.start(orders.environment)
        self.pid = self._process.pid
        self._channel = await self._process.channel(self._relay, self._event, self._was_lost)
        self.limit(self._owner.options.max_ongoing_requests)
        settings = {
            "application": orders.definition.application,
            "deployment": orders.definition.deployment,
            "environment": self._owner.options.environment,
            "path": list(orders.environment.path),
            "send_tracebacks": orders.send_tracebacks,
            "suite": dict(await self._suite()),
            "servicer_functions": list(orders.servicer_functions),
        }
        model_limit = await self._ask(("load", orders.definition.encoded(), settings))
        if not self._go.is_set():
            await self._either(self._go, self._lost)
        config = self._owner.user_config
        await self._ask(("construct", self.tag, self.rank, self._world_size), (config,) if config else ())
        self.place = Place(self.tag, self._channel, model_limit)

    def _relay(self, call: Call) -> None:
        self._relays.start(call, self._owner)

    async def _run(self) -> None:
        options = self._owner.options
        while not self._stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(options.health_check_period_s):
                    await self._either(self._stop, self._lost)
            if self._stop.is_set():
                break
            if self._lost.is_set():
                assert self._process is not None
                self._owner.died(self, await self._process.ended())
                return
            options = self._owner.options
            await self._check(options)
        if not self._lost.is_set():
            await self._drain()
            with suppress(RayServeException, TimeoutError):
                async with asyncio.timeout(_FINALIZE_S):
                    await self._ask(("stop",))

    async def _check(self, options: DeploymentOptions) -> None:
        try:
            async with asyncio.timeout(options.health_check_timeout_s):
                abandoned, memory = await self._ask(("check",))
        except TimeoutError:
            self._owner.ill(
                self,
                f"has not answered a health check for {options.health_check_timeout_s:g} s: its code blocks the event "
                "loop",
                replace=True,
            )
            self.kill()
            return
        except RayServeException as error:
            if self._lost.is_set():
                return
            self._failed_checks += 1
            self._owner.ill(
                self,
                f"check_health raised {error.message} ({self._failed_checks} of {_CHECKS})",
                replace=self._failed_checks >= _CHECKS,
            )
            return
        self._failed_checks = 0
        limit = options.ray_actor_options.get("memory")
        if abandoned > max(16, 4 * options.max_ongoing_requests):
            self._owner.ill(self, f"still runs {abandoned} plain `def` calls that were taken back", replace=True)
        elif limit and memory > limit:
            self._owner.ill(
                self, f"has {memory} bytes in memory, above ray_actor_options.memory={limit:g}", replace=True
            )

    async def _drain(self) -> None:
        place = self.place
        if place is None or place.ongoing == 0:
            return
        idle = asyncio.Event()
        place.on_idle = idle.set
        with suppress(TimeoutError):
            async with asyncio.timeout(self._grace_s):
                await self._either(idle, self._lost)

    async def _end(self) -> None:
        self.state = State.STOPPING
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            if self._channel is None:
                self._process.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_S if self.place else 0):
                    await self._process.ended()
            self._process.kill()
            await self._process.ended()
        self._owner.gone(self)

    def _was_lost(self) -> None:
        self._lost.set()
        # Before its calls end, so that none that waits is handed to it.
        self._owner.lost(self)

    def _event(self, event: Any) -> None:
        if event[0] == "leaving":
            # It goes on with what it runs; whoever started it lets it go.
            self.leaving = True
            self._owner.lost(self)
        elif event[0] == "models" and self.place is not None:
            self.place.models = set(event[1])

    async def _ask(self, about: tuple[Any, ...], payload: Sequence[Buffer] = ()) -> Any:
        assert self._channel is not None
        call = self._channel.open(about, payload)
        try:
            await call.receive()
        finally:
            if call.end is None:
                call.cancel()
        if call.end is None:
            raise Refused("the process has ended")
        good, text, trace, more = call.end[0]
        if not good:
            if trace:
                _LOG.debug("replica %s: %s", self.tag, trace)
            raise Refused(text)
        return more

    @staticmethod
    async def _either(*events: asyncio.Event) -> None:
        """Wait for one of some events."""
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
