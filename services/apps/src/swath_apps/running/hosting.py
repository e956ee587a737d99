"""What runs of the applications that are written down: on every replica of the service the same."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

import structlog

from swath.errors import SwathError
from swath.serve.controller.controller import Controller
from swath.serve.controller.orders import SuiteOf
from swath.serve.controller.specs import ApplicationSpec
from swath.serve.exchange import ApplicationStatus
from swath.serve.launch.local import LocalLauncher
from swath.serve.schema import spec
from swath.storage.sql.notifications import Notifications
from swath_apps.deployed.planning import config_of
from swath_apps.deployed.rows import Application
from swath_apps.deployed.store import CHANGED, Applications, ApplicationStore
from swath_apps.running.bundles import Bundles
from swath_apps.running.placing import Elsewhere, Place

_log = structlog.get_logger("swath.apps")

_OWN = "SWATH_"
_UNDER_WAY = {ApplicationStatus.NOT_STARTED, ApplicationStatus.DEPLOYING, ApplicationStatus.DELETING}
_RETRY_S = 5.0
_SWEEP_S = 30.0
_ASK_S = 2.0


@dataclass(frozen=True)
class DeploymentState:
    """State of a deployment here; see `swath.serve.controller.status.DeploymentStatusOverview`."""

    name: str
    status: str
    status_trigger: str
    replica_states: Mapping[str, int]
    message: str


@dataclass(frozen=True)
class State:
    """State of an application here."""

    status: str
    message: str = ""
    deployments: tuple[DeploymentState, ...] = ()


class Hosting:
    """Keeps the applications that are written down running in this process and its children.

    Args:
        store: The table.
        notifications: Say that it has changed, at whichever replica.
        bundles: Code by digest.
        grace_s: Seconds for which a bundle stays that no application refers to.
        suite: Gives what replicas are told of the suite.
        place: Where replicas run; on this machine if None.
        elsewhere: Where whole applications run, if it is not here.
    """

    def __init__(
        self,
        store: ApplicationStore,
        notifications: Notifications,
        bundles: Bundles,
        grace_s: float,
        suite: SuiteOf,
        place: Place | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._store = store
        self._notifications = notifications
        self._bundles = bundles
        self._grace_s = grace_s
        # Settings hold secrets, which are not for users' code.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
        self._place = place
        self._elsewhere = elsewhere
        self._states: dict[str, State] = {}
        pool = place.begin(self._token) if place is not None else None
        # Users' code is imported here to see what it deploys, wherever it runs then.
        self.controller = Controller(LocalLauncher(self.environment), suite=suite, pool=pool)
        self.controller.watch(self._wake)
        self.rows: Applications = {}
        self._applied: list[ApplicationSpec] = []
        self._broken: dict[str, str] = {}
        self._told: list[Callable[[], None]] = []
        self._one = asyncio.Lock()
        self._changed = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None

    def told(self, function: Callable[[], None]) -> None:
        """Have a function called when there are other applications than before."""
        self._told.append(function)

    async def begin(self) -> None:
        """Deploy what is written down, in the background, and go on with what is changed.

        Raises:
            Unavailable: The database does not answer.
        """
        await self.reconcile()
        self._following = asyncio.create_task(self._follow())
        if self._elsewhere is not None:
            self._sweeping = asyncio.create_task(self._ask(self._elsewhere))
        if self._place is not None:
            self._sweeping = asyncio.create_task(self._sweep(self._place))

    async def stop(self) -> None:
        """End all that runs, within the time that calls have."""
        if tasks := [each for each in (self._following, self._retrying, self._sweeping) if each is not None]:
            for each in tasks:
                each.cancel()
            await asyncio.wait(tasks)
        if self._place is not None:
            self._place.leave()
        await self.controller.stop()

    async def reconcile(self, *, again: bool = False) -> None:
        """Deploy what is written down now; returns when it is under way.

        Args:
            again: Whether to try once more what has failed, although nothing has changed.

        Raises:
            Unavailable: The database does not answer.
        """
        # One at a time: an older reading must not follow a newer one.
        async with self._one:
            rows = await self._store.all()
            broken: dict[str, str] = {}
            specs: list[ApplicationSpec] = []
            for name, application in rows.items():
                try:
                    specs.append(await self._spec(application))
                except SwathError as error:
                    if self._broken.get(name) != error.message:
                        _log.error("an application cannot be deployed", application=name, error=error.message)
                    broken[name] = error.message
                    # What serves goes on.
                    if (running := self.controller.spec(name)) is not None:
                        specs.append(running)
            self.rows, self._broken = rows, broken
            if self._elsewhere is not None:
                specs = []
                await self._elsewhere.apply(rows)
            if again or specs != self._applied:
                self.controller.apply(specs)
                self._applied = specs
            for function in self._told:
                function()
            self._wake()
        if broken and self._retrying is None:
            self._retrying = asyncio.create_task(self._retry())
        await self.collect(rows)

    async def collect(self, rows: Applications) -> None:
        """Remove bundles that no application refers to: one replica at a time, and while no application is written.

        Args:
            rows: The applications as they were last read.
        """
        if not await self._bundles.unreferenced(_bundles_of(rows), self._grace_s):
            return
        await self._store.while_nobody_writes(lambda now: self._bundles.collect_sync(_bundles_of(now), self._grace_s))

    def state(self, name: str) -> State:
        """Return the state of an application here."""
        if name in self._broken:
            return State(ApplicationStatus.DEPLOY_FAILED, self._broken[name])
        found = self.controller.status().applications.get(name)
        if self._elsewhere is not None:
            return self._states.get(name, State(ApplicationStatus.DEPLOYING))
        if found is None:
            return State(ApplicationStatus.NOT_STARTED)
        return State(
            found.status,
            found.message,
            tuple(
                DeploymentState(each.name, each.status, each.status_trigger, dict(each.replica_states), each.message)
                for each in found.deployments.values()
            ),
        )

    def settled(self, names: Sequence[str]) -> bool:
        """Whether none of some applications is about to come up."""
        return not any(
            self.controller.coming_up(name) or (name not in self._broken and self.state(name).status in _UNDER_WAY)
            for name in names
        )

    async def changed(self) -> None:
        """Wait until the state of an application may have changed."""
        await self._changed.wait()

    async def gone(self, names: Sequence[str]) -> None:
        """Wait until nothing runs of applications that are not written down any more."""
        while any(name not in self.rows and name in self.controller.status().applications for name in names):
            await self.changed()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _spec(self, application: Application) -> ApplicationSpec:
        folder = await self._bundles.folder(application.bundle) if application.bundle is not None else None
        return spec(
            config_of(application),
            servicer_functions=application.grpc_options.get("grpc_servicer_functions", ()),
            folders=[folder] if folder is not None else [],
            code_version=application.bundle or "",
        )

    async def _retry(self) -> None:
        """Try again what could not be deployed for want of its code, such as while the object store was away."""
        while self._broken:
            await asyncio.sleep(_RETRY_S)
            with suppress(SwathError):
                await self.reconcile()
        self._retrying = None

    def _token(self, name: str) -> str:
        return self.rows[name].token

    async def _sweep(self, place: Place) -> None:
        """Remove now and then what an apps service has left in the cluster that was killed."""
        while True:
            with suppress(SwathError):
                made = await asyncio.to_thread(place.made)
                # Read after that: whatever is made was written down before.
                rows = await self._store.all()
                settled = {spec.name for spec in self._applied if self._runs(spec)}
                await asyncio.to_thread(place.sweep, made, rows.keys(), settled)
            await asyncio.sleep(_SWEEP_S)

    def called_at(self, name: str) -> str:
        """Return where an application is called that does not run here; empty where it does."""
        return self._elsewhere.address(name) if self._elsewhere is not None else ""

    async def _ask(self, elsewhere: Elsewhere) -> None:
        """Ask now and then what becomes of applications elsewhere."""
        while True:
            with suppress(SwathError):
                told = {name: State(*each) for name, each in (await elsewhere.states()).items()}
                if told != self._states:
                    self._states = told
                    self._wake()
            await asyncio.sleep(_ASK_S)

    def _runs(self, spec: ApplicationSpec) -> bool:
        name = spec.name
        state = self.controller.state(name)
        running = state is not None and state.status is ApplicationStatus.RUNNING
        return running and not self.controller.coming_up(name) and self.controller.spec(name) == spec

    async def _follow(self) -> None:
        async with aclosing(self._notifications.subscribe(CHANGED)) as changes:
            async for _ in changes:
                while True:
                    try:
                        await self.reconcile()
                        break
                    except SwathError as error:
                        _log.warning("applications are not known for a while", error=error.message)
                        await asyncio.sleep(_RETRY_S)


def _bundles_of(rows: Applications) -> set[str]:
    return {each.bundle for each in rows.values() if each.bundle is not None}
