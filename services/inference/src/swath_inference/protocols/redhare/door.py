"""redhare.Inference put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.api import REDHARE
from swath.rpc.addresses import Address
from swath.rpc.server.methods import Methods, slice_handler
from swath_inference.protocols.redhare.addresses import Reachable
from swath_inference.protocols.redhare.identities import Identities
from swath_inference.protocols.redhare.logins import Logins
from swath_inference.protocols.redhare.servicer import RedhareServicer
from swath_inference.protocols.redhare.tokens import Tokens
from swath_inference.settings import InferenceSettings

if TYPE_CHECKING:
    from swath_inference.published.calls import ModelCalls


class RedhareDoor:
    """What a replica has for redhare.Inference.

    Args:
        settings: Limits, and the address that is told.
        identities: Users, and what their tokens are signed with.
        calls: Finds and runs models.

    Attributes:
        methods: To be served.
    """

    def __init__(self, settings: InferenceSettings, identities: Identities, calls: ModelCalls) -> None:
        self._logins = Logins(
            identities.users,
            Tokens(identities.keys, settings.redhare_token_s),
            calls.models,
            required=identities.required,
            user_tries=settings.redhare_user_tries,
            peer_tries=settings.redhare_peer_tries,
        )
        self._reachable = Reachable(settings.redhare_url, behind_gateway=identities.behind_gateway)
        self._servicer = RedhareServicer(
            self._logins,
            calls.infer,
            self._reachable,
            ahead=settings.redhare_ahead,
            record_bytes=settings.redhare_record_bytes,
        )
        self.methods: Methods = slice_handler(REDHARE, "inference", self._servicer)

    def __len__(self) -> int:
        """Return how many streams are open."""
        return len(self._servicer)

    def listening(self, address: Address) -> None:
        """Take note of where the process listens."""
        self._reachable.listening = address

    def drain(self) -> None:
        """End all streams, after the answers that are due, and open no more."""
        self._servicer.drain()

    def close(self) -> None:
        """End what checks passwords."""
        self._logins.close()
