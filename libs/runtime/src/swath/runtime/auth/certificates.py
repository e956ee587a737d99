"""A certificate authority for development and tests, and the certificates of services and users.

    DIR/ca.crt                     CAs to trust: the present one, in a roll-over also the one before
    DIR/ca.key                     private key of the present one
    DIR/<service>/tls.crt tls.key ca.crt
    DIR/users/<name>/tls.crt tls.key ca.crt

Each leaf folder looks as Kubernetes mounts a secret: the three files are links through `..data` into a folder that is
replaced as a whole, so whoever reads sees either all of the old files or all of the new ones.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swath.api import REGISTRY, TRUST, USER
from swath.errors import InvalidInput, Precondition
from swath.runtime.settings import NAME

CA_DAYS = 3650.0
LEAF_DAYS = 90.0
_LOCAL = ("localhost", "127.0.0.1", "::1")
_DATA = "..data"
_EARLIER = dt.timedelta(minutes=5)
"""Clocks of other machines may be behind."""


class _Signer(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Authority:
    """A CA in a folder, which is made when it is first needed.

    Args:
        folder: Where everything is.
        days: Days for which leaf certificates are good; part of a day is taken as such.
        ca_days: Days for which a CA is good.
    """

    def __init__(self, folder: Path, days: float = LEAF_DAYS, ca_days: float = CA_DAYS) -> None:
        self._folder = folder
        self._days = days
        self._ca_days = ca_days

    @property
    def ca(self) -> Path:
        """File with the CAs to trust."""
        return self._folder / "ca.crt"

    def service(self, name: str) -> Path:
        """Return the folder of a service's certificate."""
        return self._folder / name

    def user(self, name: str) -> Path:
        """Return the folder of a user's certificate."""
        return self._folder / "users" / name

    def issue_service(self, name: str, names: Iterable[str] = ()) -> Path:
        """Issue a certificate for a service and return its folder.

        Args:
            name: One of `swath.api.REGISTRY.identities`.
            names: More DNS names and IP addresses than `<service>.swath` and those of this machine for itself.

        Raises:
            InvalidInput: No such service, or no such name can be.
        """
        if name not in REGISTRY.identities:
            raise InvalidInput(f"no service is called {name!r}; expected one of {', '.join(REGISTRY.identities)}")
        hosts = list(dict.fromkeys((f"{name}.swath", *_LOCAL, *names)))
        alternatives = [*map(_host, hosts), x509.UniformResourceIdentifier(f"{TRUST}{name}")]
        return self._issue(self.service(name), name, alternatives)

    def issue_user(self, name: str) -> Path:
        """Issue a certificate for a user and return its folder.

        Raises:
            InvalidInput: No user can be called so.
        """
        if not NAME.fullmatch(name):
            raise InvalidInput(f"a user's name is {NAME.pattern}, got {name!r}")
        return self._issue(self.user(name), name, [x509.UniformResourceIdentifier(f"{USER}{name}")])

    def rotate(self) -> list[Path]:
        """Issue each certificate that there is anew, with a new key, by the present CA; return the folders."""
        rotated = []
        for folder in self._leaves():
            old = _certificates(folder / "tls.crt")[0]
            alternatives = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            name = old.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
            rotated.append(self._issue(folder, str(name), list(alternatives)))
        return rotated

    def roll(self) -> None:
        """Make a new CA that signs from now on, and have it trusted beside the one before.

        Leaves keep their certificates: everybody must have taken up the new bundle before the first one is issued by
        the new CA (`rotate`). Then `retire` ends the trust in the old one.
        """
        old = self._signer()
        self._make([old.certificate])
        self._spread()

    def retire(self) -> None:
        """End the trust in every CA but the present one.

        Raises:
            Precondition: A leaf is still by another one.
        """
        signer = self._signer()
        for folder in self._leaves():
            leaf = _certificates(folder / "tls.crt")[0]
            if leaf.issuer != signer.certificate.subject:
                raise Precondition(f"{folder} still holds a certificate by the CA before: rotate first")
        _write(self.ca, _pem(signer.certificate))
        self._spread()

    def _spread(self) -> None:
        for folder in self._leaves():
            self._publish(folder, (folder / "tls.crt").read_bytes(), (folder / "tls.key").read_bytes())

    def _leaves(self) -> Iterator[Path]:
        users = sorted((self._folder / "users").glob("*")) if (self._folder / "users").is_dir() else []
        for folder in (*map(self.service, REGISTRY.identities), *users):
            if (folder / "tls.crt").is_file():
                yield folder

    def _issue(self, folder: Path, name: str, alternatives: Sequence[x509.GeneralName]) -> Path:
        signer = self._signer()
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if folder.parent == self._folder:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
        certificate = (
            _builder(name, key, self._days)
            .issuer_name(signer.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(authority, critical=False)
            .sign(signer.key, hashes.SHA256())
        )
        self._publish(folder, _pem(certificate), _private_pem(key))
        return folder

    def _publish(self, folder: Path, cert: bytes, key: bytes) -> None:
        """Put a leaf's three files in place at once."""
        folder.mkdir(parents=True, exist_ok=True)
        before = os.readlink(folder / _DATA) if (folder / _DATA).is_symlink() else None
        fresh = folder / f"..{secrets.token_hex(8)}"
        fresh.mkdir()
        _write(fresh / "tls.crt", cert)
        _write(fresh / "tls.key", key, mode=0o600)
        _write(fresh / "ca.crt", self.ca.read_bytes())
        _link(folder / _DATA, fresh.name)
        for name in ("tls.crt", "tls.key", "ca.crt"):
            if not (folder / name).is_symlink():
                _link(folder / name, f"{_DATA}/{name}")
        for each in folder.glob("..*"):
            # The one before stays: somebody may be between two of its files.
            if not each.is_symlink() and each.name not in (fresh.name, before):
                shutil.rmtree(each)

    def _signer(self) -> _Signer:
        """Return what signs, made if there is none."""
        if not self.ca.is_file():
            return self._make([])
        key = serialization.load_pem_private_key((self._folder / "ca.key").read_bytes(), None)
        for certificate in _certificates(self.ca):
            if certificate.public_key() == key.public_key() and isinstance(key, ec.EllipticCurvePrivateKey):
                return _Signer(certificate, key)
        raise Precondition(f"{self.ca} holds no certificate for the key in {self._folder / 'ca.key'}")

    def _make(self, others: Sequence[x509.Certificate]) -> _Signer:
        """Make the CA, or a new one that is trusted beside others."""
        key = ec.generate_private_key(ec.SECP256R1())
        # Each CA has a name of its own, so that it is clear whose a leaf is.
        name = f"Swath development CA {secrets.token_hex(4)}"
        certificate = (
            _builder(name, key, self._ca_days)
            .issuer_name(_subject(name))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(ca=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        bundle = b"".join(map(_pem, (certificate, *others)))
        # In this order, and a first one in the other: wherever it is cut off, the key in place has its certificate.
        if others:
            _write(self.ca, bundle)
        _write(self._folder / "ca.key", _private_pem(key), mode=0o600)
        if not others:
            _write(self.ca, bundle)
        return _Signer(certificate, key)


def _builder(name: str, key: ec.EllipticCurvePrivateKey, days: float) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise InvalidInput(f"{name!r} is neither an IP address nor a DNS name") from error


def _certificates(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file as a whole; nobody can read a private one at any time."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(fresh, path)


def _link(path: Path, target: str) -> None:
    fresh = path.with_name(f"..link.{secrets.token_hex(4)}")
    os.symlink(target, fresh)
    os.replace(fresh, path)
