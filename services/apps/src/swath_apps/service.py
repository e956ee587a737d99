"""What callers do with applications: all of it is checked first, and what is acknowledged is written before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from typing import NamedTuple

from swath.serve.schema import ApplicationConfig, CodeInvalid, Found, Read, probe, read
from swath.serve.schema.places import Path as Place
from swath.serve.schema.reading import refusal
from swath_apps.deployed.access import identity, require_deployer, seen
from swath_apps.deployed.planning import deployed, reserved, wanted, without, without_all
from swath_apps.deployed.rows import Application
from swath_apps.deployed.store import Applications, ApplicationStore
from swath_apps.running.bundles import Bundles, Stored
from swath_apps.running.hosting import Hosting, State
from swath_apps.settings import AppsSettings

_CHECKS_AT_ONCE = 2
_OPTIONS = {"grpc_servicer_functions", "request_timeout_s"}


class Deployment(NamedTuple):
    """What is said of a deployment: the caller's applications, and what of the config file has no effect."""

    applications: list[tuple[Application, State]]
    notes: tuple[str, ...] = ()


class AppsService:
    """Decides who deploys, sees and deletes which applications.

    Args:
        store: The table.
        bundles: Code by digest.
        hosting: What runs.
        settings: Who may deploy, and how much.
    """

    def __init__(self, store: ApplicationStore, bundles: Bundles, hosting: Hosting, settings: AppsSettings) -> None:
        self._store = store
        self._bundles = bundles
        self._hosting = hosting
        self._settings = settings
        self._checks = asyncio.Semaphore(_CHECKS_AT_ONCE)

    async def put_bundle(self, pieces: AsyncIterable[bytes]) -> Stored:
        """Store a bundle of code.

        Raises:
            Denied: The caller may not deploy.
            InvalidInput, PathDenied: It is no bundle.
            TooLarge: It is larger than the server takes.
        """
        require_deployer(self._settings, identity())
        return await self._bundles.put(pieces)

    async def deploy(
        self, text: str, file: str, bundles: Mapping[str, str], *, wait: bool
    ) -> AsyncGenerator[Deployment, None]:
        """Deploy the applications of a config file in place of all those that the caller had.

        Args:
            text: The file.
            file: Its name, for people.
            bundles: Digests of the code by the applications' names; "" is that of all others.
            wait: Whether to go on until each of them runs, or has failed.

        Yields:
            The caller's applications: once when they are written down, then with each change of a state.

        Raises:
            Denied: The caller may not deploy, or a name is another's.
            ConfigInvalid: Something is wrong with the file, or with the code. Nothing was changed.
            ArtifactMissing: A bundle is not there. Nothing was changed.
            ApplicationQuota: There are too many.
        """
        who = identity()
        require_deployer(self._settings, who)
        file = file or "config"
        given = read(text, file)
        found = await self._check(given, bundles)
        now = time.time()
        rows = [
            wanted(given.config, each, found[each.name], _bundle_of(each.name, bundles), who=who, at=now)
            for each in given.config.applications
        ]
        decide = deployed(rows, who, self._settings.quota_apps)

        def written(before: Applications) -> Applications:
            # Now that nobody else writes: another replica may have collected a bundle while its code was checked.
            self._bundles.require_sync({each.bundle for each in rows if each.bundle is not None})
            return decide(before)

        await self._store.change(written)
        await self._hosting.reconcile(again=True)
        told = await self._mine(who)
        yield Deployment(told, (*given.notes, *_unused_options(given)))
        while wait and not self._hosting.settled([each.name for each, _ in told]):
            await self._hosting.changed()
            now_told = await self._mine(who)
            if now_told != told:
                told = now_told
                yield Deployment(told)
        # It may have come up between two looks.
        if wait and (now_told := await self._mine(who)) != told:
            yield Deployment(now_told)

    async def status(self, name: str = "") -> list[tuple[Application, State]]:
        """Return the applications that the caller may call or owns, in order of deployment.

        Args:
            name: One of them; all if empty.

        Raises:
            ApplicationNotFound: There is none of that name, or not for the caller.
        """
        who, applications = identity(), await self._store.all()
        if name:
            found = [seen(applications, name, who)]
        else:
            found = [each for each in applications.values() if each.seen_by(who)]
        return [(each, self._hosting.state(each.name)) for each in found]

    async def configs(self, name: str = "") -> list[Application]:
        """Return the caller's own applications, in order of deployment.

        Args:
            name: One of them; all if empty.

        Raises:
            ApplicationNotFound: There is none of that name, or it is another's.
        """
        who, applications = identity(), await self._store.all()
        own = {key: each for key, each in applications.items() if each.owned_by(who)}
        return [seen(own, name, who)] if name else list(own.values())

    async def delete(self, name: str) -> None:
        """Delete an application of the caller; returns when nothing of it runs here any more.

        Raises:
            ApplicationNotFound: There is none, or not for the caller.
            Denied: It is another's.
        """
        await self._store.change(without(name, identity()))
        await self._hosting.reconcile()
        await self._hosting.gone([name])

    async def shutdown(self) -> list[str]:
        """Delete all applications of the caller; return their names."""
        who = identity()
        names = [each.name for each in (await self._store.all()).values() if each.owned_by(who)]
        await self._store.change(without_all(who))
        await self._hosting.reconcile()
        await self._hosting.gone(names)
        return names

    async def _mine(self, who: str | None) -> list[tuple[Application, State]]:
        applications = (await self._store.all()).values()
        return [(each, self._hosting.state(each.name)) for each in applications if each.owned_by(who)]

    async def _check(self, given: Read, bundles: Mapping[str, str]) -> dict[str, Found]:
        """Check the code of all applications; return what it holds.

        Raises:
            ConfigInvalid: One or several do not fit.
            ArtifactMissing: A bundle is not there.
        """
        applications = given.config.applications
        if problems := list(_misplaced(given, bundles)):
            raise refusal(given.places, problems)
        folders = {digest: await self._bundles.renewed(digest) for digest in {*bundles.values()} - {""}}

        async def one(application: ApplicationConfig) -> Found | CodeInvalid:
            digest = _bundle_of(application.name, bundles)
            async with self._checks:
                try:
                    return await probe(
                        application,
                        given.config.grpc_options.grpc_servicer_functions,
                        folders=[folders[digest]] if digest else [],
                        environment=self._hosting.environment,
                        timeout_s=self._settings.app_check_s,
                    )
                except CodeInvalid as error:
                    return error

        answers = await asyncio.gather(*map(one, applications))
        found: dict[str, Found] = {}
        problems: list[tuple[Place, str]] = []
        for index, (application, answer) in enumerate(zip(applications, answers, strict=True)):
            if isinstance(answer, CodeInvalid):
                problems += answer.below(index)
            elif (service := reserved(answer)) is not None:
                problems.append((("grpc_options", "grpc_servicer_functions"), f"{service} is a service of the suite"))
            else:
                found[application.name] = answer
        if problems:
            # What is wrong with all is said once.
            raise refusal(given.places, list(dict.fromkeys(problems)))
        return found


def _unused_options(given: Read) -> list[str]:
    names = given.config.grpc_options.model_fields_set - _OPTIONS
    why = "the server's own settings say where it listens, and how"
    return [f"grpc_options.{name} is unused here: {why}" for name in sorted(names)]


def _bundle_of(name: str, bundles: Mapping[str, str]) -> str | None:
    return bundles.get(name) or bundles.get("") or None


def _misplaced(given: Read, bundles: Mapping[str, str]) -> list[tuple[Place, str]]:
    """Return what is said of bundles and folders that cannot be."""
    names = {each.name for each in given.config.applications}
    problems: list[tuple[Place, str]] = [
        (("applications",), f"a bundle is given for an application {name!r}, which is not among these")
        for name in bundles
        if name and name not in names
    ]
    for index, application in enumerate(given.config.applications):
        environment = application.runtime_env
        if (environment.working_dir or environment.py_modules) and _bundle_of(application.name, bundles) is None:
            key = "working_dir" if environment.working_dir else "py_modules"
            problems.append(
                (
                    ("applications", index, "runtime_env", key),
                    "it names folders of the machine that deploys: their files come as a bundle, which "
                    "`swath app deploy` makes",
                )
            )
    return problems
