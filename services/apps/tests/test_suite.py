"""What applications are told of the suite that runs them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swath.errors import InvalidInput
from swath.rpc.addresses import Address
from swath_apps.running.suite import Suite
from swath_apps.settings import AppsSettings

pytestmark = pytest.mark.asyncio


async def test_a_process_that_clients_reach_tells_its_own_address_once_it_listens() -> None:
    suite = Suite(AppsSettings(), here=True)
    told = asyncio.create_task(suite.told())
    await asyncio.sleep(0)
    assert not told.done()
    suite.listening(Address("0.0.0.0", 50051))
    assert await told == {"SWATH_TARGET": "127.0.0.1:50051"}


async def test_others_tell_what_their_settings_say(tmp_path: Path) -> None:
    assert await Suite(AppsSettings(), here=False).told() == {}
    file = tmp_path / "token"
    file.write_text("first\n")
    settings = AppsSettings(app_target="gateway:50051", app_token_file=file, app_tls_root=Path("/etc/ca.crt"))
    suite = Suite(settings, here=True)
    said = {"SWATH_TARGET": "gateway:50051", "SWATH_TOKEN": "first", "SWATH_TLS_ROOT": "/etc/ca.crt"}
    assert await suite.told() == said
    file.write_text("second")
    assert await suite.told() == {**said, "SWATH_TOKEN": "second"}


async def test_a_token_that_cannot_be_read_fails_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"app_token_file .*none cannot be used: .*No such file"):
        Suite(AppsSettings(app_token_file=tmp_path / "none"), here=False)
