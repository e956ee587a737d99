"""TLS of servers and channels, from files that may change while they run."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from swath.errors import InvalidInput
from swath.rpc.watched_files import Watched
from swath.runtime.settings import ConnectionSettings


@dataclass(frozen=True, slots=True)
class Material:
    """What one side of a connection needs, PEM.

    Attributes:
        cert: Its certificate chain.
        key: The private key of it.
        ca: CAs that the other side's certificate must lead to; None asks for no certificate.
    """

    cert: bytes
    key: bytes = field(repr=False)
    ca: bytes | None


def tls_files(settings: ConnectionSettings) -> Watched[Material] | None:
    """Return what the TLS files of a process say, and go on to say; None where it speaks plain text.

    Raises:
        InvalidInput: A file is missing or no PEM, or key and certificate do not belong together.
    """
    cert, key, ca = settings.tls_cert, settings.tls_key, settings.tls_ca
    if cert is None or key is None:
        return None
    files = [each for each in (cert, key, ca) if each is not None]
    try:
        return Watched(files, lambda: _read(cert, key, ca))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"TLS cannot be set up from {', '.join(map(str, files))}: {error}") from error


def server_credentials(files: Watched[Material], *, require: bool) -> grpc.ServerCredentials:
    """Return credentials by which each new connection is shown the present certificate.

    Args:
        files: The server's.
        require: Whether clients must show one that leads to the CAs.
    """
    last = files.get()

    # Called from gRPC's own threads, before each handshake.
    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal last
        now = files.get()
        if now is last:
            return None
        last = now
        return _configuration(now)

    fetch: Any = changed  # The stub knows nothing of None, which means no change.
    return grpc.dynamic_ssl_server_credentials(_configuration(last), fetch, require)


def channel_credentials(material: Material) -> grpc.ChannelCredentials:
    """Return credentials of a channel, for as long as these files are good."""
    return grpc.ssl_channel_credentials(material.ca, material.key, material.cert)


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(material.key, material.cert)], root_certificates=material.ca)


def _read(cert: Path, key: Path, ca: Path | None) -> Material:
    # Python's ssl knows whether they belong together; gRPC would say nothing and refuse each handshake.
    check = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for path in (cert, key, ca):
        if path is not None:
            path.open("rb").close()  # ssl does not say which file is missing
    try:
        # The password: otherwise OpenSSL asks for it on the terminal.
        check.load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError as error:
        raise ValueError(f"{cert} and {key} are no PEM certificate and its private key ({error.reason})") from error
    try:
        if ca is not None:
            check.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ValueError(f"{ca} holds no PEM certificates ({error.reason})") from error
    return Material(cert.read_bytes(), key.read_bytes(), None if ca is None else ca.read_bytes())
