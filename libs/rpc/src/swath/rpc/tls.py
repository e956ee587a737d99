"""TLS of servers and channels, from files that may change while they run."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc

from swath.errors import InvalidInput
from swath.retry import Retry
from swath.rpc.watched_files import Watched

_MISMATCH = Retry(on=ValueError, initial_s=0.05, max_s=0.05, jitter=0.0, timeout_s=0.5)
"""How long the first reading waits for files that do not belong together: two cannot be replaced at once."""


class TlsSettings(Protocol):
    """The TLS files of a process, all PEM."""

    @property
    def tls_cert(self) -> Path | None:
        """Own certificate chain; without it, all is plain text."""
        ...

    @property
    def tls_key(self) -> Path | None:
        """Its private key."""
        ...

    @property
    def tls_ca(self) -> Path | None:
        """CAs that the certificate of the other side must lead to."""
        ...


@dataclass(frozen=True, slots=True)
class Material:
    """What one side of a connection needs, PEM.

    Attributes:
        cert: Its certificate chain; None where it shows none.
        key: The private key of that.
        ca: CAs that the other side's certificate must lead to. None asks a client for no certificate, and has a channel
            trust the CAs of the system.
    """

    cert: bytes | None
    key: bytes | None = field(repr=False)
    ca: bytes | None


def watch_tls(cert: Path | None, key: Path | None, ca: Path | None) -> Watched[Material]:
    """Return what TLS files hold now, and from now on.

    Args:
        cert: Certificate chain.
        key: Its private key; given with `cert`, or not at all.
        ca: CAs to trust.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is no PEM, or key and certificate do not belong together.
    """
    files = [each for each in (cert, key, ca) if each is not None]
    return _MISMATCH.call(lambda: Watched(files, lambda: _read(cert, key, ca)))


def tls_files(settings: TlsSettings) -> Watched[Material] | None:
    """Return what the TLS files of a process hold now, and from now on; None where it speaks plain text.

    Raises:
        InvalidInput: A file is missing or no PEM, or key and certificate do not belong together.
    """
    cert, key, ca = settings.tls_cert, settings.tls_key, settings.tls_ca
    if cert is None or key is None:
        return None
    try:
        return watch_tls(cert, key, ca)
    except (OSError, ValueError) as error:
        files = ", ".join(str(each) for each in (cert, key, ca) if each is not None)
        raise InvalidInput(f"TLS cannot be set up from {files}: {error}") from error


def server_credentials(files: Watched[Material], *, require: bool) -> grpc.ServerCredentials:
    """Return credentials by which each new connection is shown the present certificate.

    Args:
        files: The server's: certificate and key are among them.
        require: Whether clients must show a certificate that leads to the CAs.
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

    fetch: Any = changed  # The stub file does not have None, which means no change.
    return grpc.dynamic_ssl_server_credentials(_configuration(last), fetch, require)


def channel_credentials(material: Material) -> grpc.ChannelCredentials:
    """Return credentials of a channel. They never change: gRPC for Python has no others for channels."""
    return grpc.ssl_channel_credentials(material.ca, material.key, material.cert)


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    if material.cert is None or material.key is None:
        raise ValueError("a server has a certificate and its private key")
    return grpc.ssl_server_certificate_configuration([(material.key, material.cert)], root_certificates=material.ca)


def _read(cert: Path | None, key: Path | None, ca: Path | None) -> Material:
    # Python's ssl knows whether they belong together; gRPC would report nothing and refuse each handshake.
    check = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for path in (ca, cert, key):
        if path is not None:
            path.open("rb").close()  # ssl does not name the file that is missing
    try:
        if cert is not None:
            # The password: otherwise OpenSSL asks for it on the terminal.
            check.load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError as error:
        raise ValueError(f"{cert} and {key} are no PEM certificate and its private key ({error.reason})") from error
    try:
        if ca is not None:
            check.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ValueError(f"{ca} holds no PEM certificates ({error.reason})") from error
    return Material(*(None if path is None else path.read_bytes() for path in (cert, key, ca)))
