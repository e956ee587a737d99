"""How applications reach the suite that runs them: as its clients, by an identity of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from swath.errors import InvalidInput
from swath.rpc.addresses import Address
from swath_apps.settings import AppsSettings

_HERE = "127.0.0.1"
_ANY = ("0.0.0.0", "::")


class Suite:
    """What replicas are told of the suite: the variables that every client of Swath reads.

    Args:
        settings: Where it is, and what proves who calls.
        here: Whether it is this very process that clients reach, in plain text.

    Raises:
        InvalidInput: The file of the token cannot be used.
    """

    def __init__(self, settings: AppsSettings, *, here: bool) -> None:
        self._settings = settings
        self._here = here and not settings.app_target
        self._address: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        try:
            self._token()
        except OSError as error:
            raise InvalidInput(str(error)) from error

    def listening(self, address: Address) -> None:
        """Take note of where this process listens."""
        if not self._address.done():
            self._address.set_result(address)

    async def told(self) -> Mapping[str, str]:
        """Return them; waits until this process listens where they say that it does.

        Raises:
            OSError: The file of the token cannot be used.
        """
        target = self._settings.app_target
        if self._here:
            address = await asyncio.shield(self._address)
            target = str(address._replace(host=_HERE) if address.host in _ANY else address)
        said = {
            "SWATH_TARGET": target,
            "SWATH_TOKEN": self._token(),
            "SWATH_TLS_ROOT": str(self._settings.app_tls_root or ""),
        }
        return {name: value for name, value in said.items() if value}

    def _token(self) -> str:
        file = self._settings.app_token_file
        if file is None:
            return ""
        try:
            # Read for each replica: tokens are exchanged while the service runs.
            return file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise OSError(f"app_token_file {file} cannot be used: {error}") from error
