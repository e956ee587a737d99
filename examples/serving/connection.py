"""How the clients of the walk reach the server, and who they say they are. Options are those of `swath`."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from swath.client import ClientConfig, TlsConfig
from swath.rpc.proxies import NO_PROXY

TOKEN = "SWATH_TOKEN"
"""Variable that hands the token to programs: their arguments anybody on the machine can read."""


@dataclass(frozen=True)
class Connection:
    """A server, and the means to call it.

    Attributes:
        config: As our own client takes it.
        user: Of redhare.Inference; where nobody is asked who calls, any name will do.
        password: Likewise.
    """

    config: ClientConfig
    user: str = "anybody"
    password: str = "anything"

    @property
    def target(self) -> str:
        """HOST:PORT of the server."""
        return self.config.target

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """What goes with each call: the token, if there is one."""
        return self.config.call_metadata()

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """Certificates for a channel; None where calls go in plain text."""
        tls = self.config.tls
        if tls is None:
            return None
        root, key, cert = (None if each is None else each.read_bytes() for each in (tls.root, tls.key, tls.cert))
        return grpc.ssl_channel_credentials(root, key, cert)

    def channel(self) -> grpc.aio.Channel:
        """Open a channel that makes each call once."""
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.target, options=[NO_PROXY])
        return grpc.aio.secure_channel(self.target, self.credentials, options=[NO_PROXY])

    def script_options(self) -> list[str]:
        """Return the options of the scripts in this folder."""
        return ["--server", self.target, *self._files("--tls-root", "--tls-cert", "--tls-key")]

    def grpcurl_options(self) -> list[str]:
        """Return the options of grpcurl, which replaces variables in headers itself."""
        files = self._files("-cacert", "-cert", "-key")
        options = files if self.config.tls is not None else ["-plaintext"]
        if self.metadata:
            options += ["-expand-headers", "-H", f"authorization: Bearer ${{{TOKEN}}}"]
        return options

    def variables(self) -> dict[str, str]:
        """Return the variables of a program's environment that calls the server."""
        token: Any = self.config.token
        return {TOKEN: token} if token else {}

    def _files(self, *names: str) -> list[str]:
        tls = self.config.tls or TlsConfig()
        given = zip(names, (tls.root, tls.cert, tls.key), strict=True)
        return [text for name, path in given if path is not None for text in (name, str(path))]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a connection to those of a program."""
    parser.add_argument("--tls-root", type=Path, help="certificates to trust (PEM); turns TLS on")
    parser.add_argument("--tls-cert", type=Path, help="own certificate, for mutual TLS")
    parser.add_argument("--tls-key", type=Path, help="key of that certificate")
    parser.add_argument("--token", default=os.environ.get(TOKEN, ""), help=f"bearer token; better in {TOKEN}")
    parser.add_argument("--user", default="anybody", help="for the client of redhare.Inference")
    parser.add_argument(
        "--password", default=os.environ.get("SWATH_PASSWORD", "anything"), help="likewise; better in SWATH_PASSWORD"
    )


def connection_of(args: argparse.Namespace, target: str) -> Connection:
    """Return what the options say.

    Raises:
        ValueError: A certificate without its key, or a key without its certificate.
    """
    given = args.tls_root or args.tls_cert or args.tls_key
    tls = TlsConfig(root=args.tls_root, cert=args.tls_cert, key=args.tls_key) if given else None
    return Connection(ClientConfig(target=target, tls=tls, token=args.token or None), args.user, args.password)
