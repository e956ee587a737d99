"""Deployed applications as rows: names have owners, what is the same goes on, others' stay; bundles are collected."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from swath.errors import ApplicationNotFound, ApplicationQuota, ArtifactMissing, Denied
from swath.serve.bundles import pack
from swath.serve.controller.orders import no_suite
from swath.storage import ArtifactStore, FolderObjects
from swath.storage.sql.engine import open_engine
from swath.storage.sql.notifications import Notifications
from swath_apps import AppsSettings
from swath_apps.deployed.planning import deployed, without, without_all
from swath_apps.deployed.rows import Application
from swath_apps.deployed.store import ApplicationStore
from swath_apps.deployed.tables import SCHEMA
from swath_apps.running.bundles import Bundles
from swath_apps.running.hosting import Hosting


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ApplicationStore]:
    made = ApplicationStore(open_engine(tmp_path / "apps.db", schema=SCHEMA.name))
    await made.open()
    yield made
    await made.close()


def _row(name: str, owner: str = "alice", *, bundle: str = "sha256:1", access: str = "authenticated") -> Application:
    return Application(
        name=name,
        owner=owner,
        config={"name": name, "import_path": "a:b", "access": access},
        grpc_options={},
        found={"deployments": ["D"], "services": []},
        bundle=bundle,
        deployed_at=12.5,
        deployed_by=owner,
        text="applications: []\n",
    )


async def _deploy(store: ApplicationStore, who: str | None, *rows: Application, most: int = 0) -> dict[str, int]:
    after = await store.change(deployed(rows, who, most))
    return {name: each.revision for name, each in after.items()}


async def test_a_row_is_read_as_it_was_written(store: ApplicationStore) -> None:
    await _deploy(store, "alice", _row("one"))
    assert await store.all() == {"one": dataclasses.replace(_row("one"), revision=1, position=1)}
    assert await store.bundles() == {"sha256:1"}


async def test_a_deployment_is_the_complete_set_of_its_callers_applications(store: ApplicationStore) -> None:
    await _deploy(store, "alice", _row("one"), _row("two"))
    await _deploy(store, "bob", _row("three", "bob"))
    # What is the same keeps its revision, what is left out goes, others' stay; new ones come last.
    after = await _deploy(store, "alice", _row("four"), _row("two"), _row("one", bundle="sha256:2"))
    assert list(after.items()) == [("one", 2), ("two", 1), ("three", 1), ("four", 1)]
    assert list(await _deploy(store, "alice", _row("two"))) == ["two", "three"]


async def test_names_have_owners(store: ApplicationStore) -> None:
    await _deploy(store, "alice", _row("one"))
    with pytest.raises(Denied, match="'one' is taken by an application of somebody else"):
        await _deploy(store, "bob", _row("two", "bob"), _row("one", "bob"))
    assert list(await store.all()) == ["one"]
    # Where nobody is asked who calls, all are everybody's.
    assert list(await _deploy(store, None, _row("one", ""), _row("two", ""))) == ["one", "two"]
    assert (await store.all())["one"].owner == "alice"


async def test_what_is_deleted(store: ApplicationStore) -> None:
    await _deploy(store, "alice", _row("one"), _row("two", access="private"))
    with pytest.raises(Denied, match="'one' is another's"):
        await store.change(without("one", "bob"))
    with pytest.raises(ApplicationNotFound, match=r"no application 'two' \(there are one\)"):
        await store.change(without("two", "bob"))
    with pytest.raises(ApplicationNotFound, match="no application 'onne', did you mean 'one'"):
        await store.change(without("onne", "alice"))
    assert list(await store.change(without("one", "alice"))) == ["two"]
    assert list(await store.change(without_all("bob"))) == ["two"]
    assert list(await store.change(without_all("alice"))) == []


async def test_a_quota(store: ApplicationStore) -> None:
    await _deploy(store, "alice", _row("one"), most=1)
    with pytest.raises(ApplicationQuota, match="alice has 1 of 1 applications"):
        await _deploy(store, "alice", _row("one"), _row("two"), most=1)


@pytest.mark.parametrize(
    ("deployers", "who", "may"),
    [
        ("*", "alice", True),
        ("bob, alice", "alice", True),
        ("bob", "alice", False),
        ("", "alice", False),
        ("", None, True),
    ],
)
def test_who_may_deploy(deployers: str, who: str | None, may: bool) -> None:
    settings = AppsSettings.model_validate({"app_deployers": deployers})
    assert settings.may_deploy(who) is may


async def test_bundles_that_nothing_refers_to_are_collected(tmp_path: Path) -> None:
    artifacts = ArtifactStore(FolderObjects(tmp_path / "artifacts"))
    bundles = Bundles(artifacts, tmp_path / "bundles", 1 << 20)
    digests = []
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(f"{name} = 1\n")

        async def pieces(file: Path = tmp_path / f"{name}.py") -> AsyncIterator[bytes]:
            yield pack(file)

        digests.append((await bundles.put(pieces())).digest)
    one, two = digests
    await bundles.collect({one}, 3600)
    assert (await bundles.folder(two) / "two.py").is_file()
    await bundles.collect({one}, 0)
    assert (await bundles.folder(one) / "one.py").is_file()
    with pytest.raises(ArtifactMissing, match="PutBundle"):
        await bundles.folder(two)
    # Other artifacts are not its own.
    digest = await artifacts.put(b"weights")
    await bundles.collect(set(), 0)
    assert await artifacts.exists(digest)


async def _stored(bundles: Bundles, folder: Path, *names: str) -> list[str]:
    digests = []
    for name in names:
        (folder / f"{name}.py").write_text(f"{name} = 1\n")

        async def pieces(file: Path = folder / f"{name}.py") -> AsyncIterator[bytes]:
            yield pack(file)

        digests.append((await bundles.put(pieces())).digest)
    return digests


async def test_a_replica_that_knows_less_collects_nothing_that_another_one_has_deployed(
    store: ApplicationStore, tmp_path: Path
) -> None:
    artifacts = ArtifactStore(FolderObjects(tmp_path / "artifacts"))
    bundles = Bundles(artifacts, tmp_path / "bundles", 1 << 20)
    one, two = await _stored(bundles, tmp_path, "one", "two")
    hosting = Hosting(store, Notifications(store.engine), bundles, 0, no_suite)
    await _deploy(store, "alice", _row("app", bundle=one))
    # As it was read before that.
    await hosting.collect({})
    assert await artifacts.part("bundles").exists(one)
    assert not await artifacts.part("bundles").exists(two)
    assert [each.name for each in (tmp_path / "bundles").iterdir()] == [one.removeprefix("sha256:")]
    await hosting.stop()


async def test_replicas_collect_in_turn_and_not_while_an_application_is_written(
    store: ApplicationStore, tmp_path: Path
) -> None:
    other = ApplicationStore(open_engine(tmp_path / "apps.db", schema=SCHEMA.name))
    at_work: list[str] = []
    told: list[list[str]] = []

    def work(name: str) -> Callable[[Mapping[str, Application]], None]:
        def collecting(rows: Mapping[str, Application]) -> None:
            at_work.append(name)
            time.sleep(0.1)
            told.append([*at_work, *rows])
            at_work.remove(name)

        return collecting

    def decide(before: Mapping[str, Application]) -> Mapping[str, Application]:
        assert not at_work
        return {**before, "app": _row("app")}

    await asyncio.gather(
        store.while_nobody_writes(work("first")), other.while_nobody_writes(work("second")), other.change(decide)
    )
    await other.close()
    # Each was alone, whatever the order.
    assert sorted(each[0] for each in told) == ["first", "second"]
    assert all(set(each[1:]) <= {"app"} for each in told)
