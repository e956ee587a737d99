"""Who may open a stream on which model: passwords for tokens, and tokens for newer ones."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from swath.errors import Exhausted, InvalidInput, Unauthenticated
from swath.runtime.auth.passwords import PasswordTable
from swath_inference.protocols.redhare.attempts import Attempts
from swath_inference.protocols.redhare.tokens import Grant, Tokens

if TYPE_CHECKING:
    from swath_inference.published.model import Published
    from swath_inference.published.models import PublishedModels

_WRONG = "the user name or the password is wrong"
_WAITING = 32


class Logins:
    """Checks users, and finds the models that they name.

    Args:
        users: Their passwords.
        tokens: Of streams.
        models: What is published.
        required: Whether callers must say who they are. Otherwise they must as soon as there are users, and with none
            everybody is everybody.
        user_tries: Passwords that may be tried for a user in a minute.
        peer_tries: Passwords that may be tried from an address in a minute.
    """

    def __init__(
        self,
        users: PasswordTable,
        tokens: Tokens,
        models: PublishedModels,
        *,
        required: bool,
        user_tries: int,
        peer_tries: int,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._models = models
        self._required = required
        self._by_user, self._by_peer = Attempts(user_tries), Attempts(peer_tries)
        # One at a time: each takes 32 MiB and a quarter of a second of a core.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="password")
        self._waiting = 0

    async def login(self, attributes: Mapping[str, str], peer: str) -> str:
        """Return a token.

        Args:
            attributes: Of an AuthRequest.
            peer: Address of who calls, without the port.

        Raises:
            InvalidInput: No model is named.
            Unauthenticated: The user, the password or the token is wrong; the text does not say which of the first two.
            Exhausted: Too many tries; the text says when to come back.
            ModelNotFound: There is no such model, or not for this user.
            Precondition: There are no keys to sign with.
        """
        token, model = attributes.get("token", ""), attributes.get("model_name", "")
        if token and not attributes.get("password"):
            grant = self.grant(token)
            if attributes.get("user_name", grant.user) != grant.user or (model or grant.model) != grant.model:
                raise Unauthenticated("the token is another user's, or for another model: call auth with a password")
            user, password, model = grant.user, grant.password, grant.model
        else:
            if not model:
                raise InvalidInput("attributes: expected 'model_name', the model to call: NAME or NAME:VERSION")
            user, password = await self._checked(attributes, peer)
        self.find(model, user)
        return self._tokens.issue(model, user, password)

    def grant(self, token: str) -> Grant:
        """Return what a token permits.

        Raises:
            Unauthenticated: It has expired, or is not one of this service, or its user has another password now.
        """
        grant = self._tokens.read(token)
        self._check_user(grant)
        return grant

    def check(self, grant: Grant) -> None:
        """Refuse a token that has been good and is no more.

        Raises:
            Unauthenticated: As of `grant`.
        """
        self._tokens.check_time(grant)
        self._check_user(grant)

    def find(self, model: str, user: str) -> Published:
        """Return the version that a call is to run on.

        Args:
            model: NAME or NAME:VERSION.
            user: Who calls; empty where nobody is asked.

        Raises:
            InvalidInput: The version is neither a number from 1 on nor a name.
            ModelNotFound: There is no such model or version, or not for this user.
        """
        name, _, version = model.partition(":")
        return self._models.find(name, version, user or None)

    def close(self) -> None:
        """End the thread; who waits for it gets no answer."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def _asks(self) -> bool:
        return self._required or bool(self._users)

    async def _checked(self, attributes: Mapping[str, str], peer: str) -> tuple[str, str]:
        if not self._asks:
            return "", ""
        user, password = attributes.get("user_name", ""), attributes.get("password", "")
        if not user or not password:
            raise Unauthenticated("attributes: expected 'user_name' and 'password', or 'token'")
        for tries, name, what in ((self._by_peer, peer, "from this address"), (self._by_user, user, "for this user")):
            if wait := tries.take(name):
                seconds = math.ceil(wait)
                raise Exhausted(f"too many passwords tried {what}: try again in {seconds} s", retry_after=seconds)
        if not await self._fits(user, password):
            raise Unauthenticated(_WRONG)
        known = self._users.find(user)
        if known is None:
            # Removed in this very moment.
            raise Unauthenticated(_WRONG)
        self._by_user.forget(user)
        return user, known.fingerprint

    async def _fits(self, user: str, password: str) -> bool:
        if self._waiting >= _WAITING:
            raise Exhausted("too many passwords are tried at the moment: try again in 1 s", retry_after=1.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._users.check, user, password)
        finally:
            self._waiting -= 1

    def _check_user(self, grant: Grant) -> None:
        if not self._asks:
            return
        known = self._users.find(grant.user)
        if known is None or known.fingerprint != grant.password:
            raise Unauthenticated("the token's user has another password now, or is none any more: call auth again")
