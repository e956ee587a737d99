"""The apps service put together."""

from __future__ import annotations

from swath.api import APPS, PUBLIC
from swath.rpc.server.methods import slice_handler
from swath.rpc.tls import TlsSettings
from swath.runtime.assembly import Assembly, Deps
from swath.storage.sql.engine import open_engine
from swath.storage.sql.notifications import Notifications
from swath_apps.deployed.store import ApplicationStore
from swath_apps.deployed.tables import SCHEMA
from swath_apps.launch.settings import LaunchSettings
from swath_apps.running.bundles import Bundles
from swath_apps.running.hosting import Hosting
from swath_apps.running.placing import elsewhere, placed
from swath_apps.running.published import UsersServices
from swath_apps.running.suite import Suite
from swath_apps.service import AppsService
from swath_apps.servicer import AppsServicer
from swath_apps.settings import AppsSettings


def build(
    deps: Deps,
    *,
    settings: AppsSettings,
    launch: LaunchSettings | None = None,
    tls: TlsSettings | None = None,
    here: bool = False,
) -> Assembly:
    """Put the service together.

    Args:
        deps: What the process gives.
        settings: Of this service.
        launch: Where replicas run; on this machine if None.
        tls: Files by which this process proves to replicas elsewhere who it is.
        here: Whether this process is where clients reach the suite, in plain text: applications call it too.
    """
    stack = deps.stack
    engine = open_engine(deps.database(f"{SCHEMA.name}.db"), schema=SCHEMA.name)
    store = ApplicationStore(engine)
    stack.push_async_callback(store.close)
    notifications = Notifications(engine)
    stack.push_async_callback(notifications.close)
    bundles = Bundles(deps.artifacts, deps.state / "bundles", settings.app_bundle_max_bytes)
    launch = launch or LaunchSettings()
    suite = Suite(settings, here=here)
    hosting = Hosting(
        store, notifications, bundles, settings.app_bundle_grace_s, suite.told, placed(launch, tls), elsewhere(launch)
    )
    stack.push_async_callback(hosting.stop)

    users = UsersServices(hosting)

    async def start() -> None:
        await store.open()
        # What was acknowledged before is deployed again, before the first call comes.
        await hosting.begin()

    async def drain() -> None:
        hosting.controller.drain()

    return Assembly(
        service="apps",
        handlers=(slice_handler(APPS, "apps", AppsServicer(AppsService(store, bundles, hosting, settings))),),
        # Reflection of the whole suite is answered here, where users' services are known.
        names=PUBLIC,
        start=start,
        listening=suite.listening,
        drain=drain,
        metrics=users.tell,
        others=users,
    )
