"""Certificates of an installation on Kubernetes: made, renewed, and their CA replaced, while pods use them.

A CA is replaced in three steps, so that at no time somebody is shown a certificate that they do not trust:

1. A new CA is trusted beside the old one; certificates stay as they are.
2. All certificates are issued anew, by the new CA.
3. The old CA is trusted no more.

Between two steps every pod must have taken the Secrets up, which kubelets do within a minute or two.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509

from swath.runtime.auth.certificates import CA_DAYS, LEAF_DAYS, Authority
from swath.runtime.installation.kubernetes_secrets import Secrets

CA = "ca"
_CA = ("ca.crt", "ca.key")
_LEAF = ("tls.crt", "tls.key", "ca.crt")
_GENERATION = "generation"
_CHANGED = "changed"
_TLS = "kubernetes.io/tls"


class Issuing:
    """The CA of an installation, and a certificate for each of its services.

    Args:
        secrets: Where they are kept.
        services: Names of services, and the further DNS names and IP addresses of each.
        days: Days for which new certificates are good.
        renew_days: `ensure` issues anew what is good for less.
        ca_days: Days for which a new CA is good.
        generation: Number of the CA that is wanted: one that is lower is replaced, as one is that has less than a third
            of its time left.
        settle_s: Seconds within which every pod has taken a change up.
    """

    def __init__(
        self,
        secrets: Secrets,
        services: Mapping[str, Sequence[str]],
        *,
        days: float = LEAF_DAYS,
        renew_days: float = 0.0,
        ca_days: float = CA_DAYS,
        generation: int = 1,
        settle_s: float = 0.0,
    ) -> None:
        self._secrets = secrets
        self._services = services
        self._days = days
        self._renew_days = renew_days
        self._ca_days = ca_days
        self._generation = generation
        self._settle_s = settle_s

    def ensure(self) -> None:
        """Have a certificate for each service that is good for a while; begin to replace a CA that is to go."""
        self._begin()
        for service in self._services:
            if why := self._wanted(service):
                self._settle()
                self._issue(service, why)
        self._spread()

    def rotate(self) -> None:
        """Issue all certificates anew. Where the CA is being replaced, or is to be, take the next step of that."""
        if self._begin():
            return
        self._spread()
        self._settle()
        changing = len(self._trusted()) > 1
        if changing and all(self._is_by_present_ca(service) for service in self._services):
            self._retire()
            changing = False
        for service in self._services:
            self._issue(service, "rotated")
        if changing:
            self._note("all certificates are by the new one")
        self._spread()

    def _begin(self) -> bool:
        """Take the first step, if the CA is to be replaced and is not yet; return whether it was."""
        trusted = self._trusted()
        if len(trusted) != 1 or not (self._is_old(trusted[0]) or self._kept_generation() < self._generation):
            return False
        with self._authority() as (authority, folder):
            authority.roll()
            self._keep(folder, "a new one is trusted beside it")
        self._spread()
        return True

    def _retire(self) -> None:
        with self._authority() as (authority, folder):
            authority.retire()
            self._keep(folder, "the one before is trusted no more")
        self._spread()

    def _spread(self) -> None:
        """Have every pod, and whoever reads the ConfigMap, trust what is to be trusted."""
        kept = self._secrets.read(CA).get("ca.crt")
        if kept is None:
            return
        behind = [each for each in self._services if self._leaf(each).get("ca.crt") not in (None, kept)]
        for service in behind:
            self._secrets.write(f"{service}-tls", {"ca.crt": kept}, "other CAs are trusted", _TLS)
        if behind:
            self._note("what is trusted has changed")
        self._secrets.publish(CA, {"ca.crt": kept})

    def _issue(self, service: str, why: str) -> None:
        first = not self._trusted()
        with self._authority() as (authority, folder):
            leaf = authority.issue_service(service, self._services[service])
            if first:
                # The CA first: a run that is cut off here goes on with the same one.
                self._keep(folder, "made")
            self._secrets.write(f"{service}-tls", {name: (leaf / name).read_bytes() for name in _LEAF}, why, _TLS)

    @contextmanager
    def _authority(self) -> Iterator[tuple[Authority, Path]]:
        """The CA, and the folder that it is in for the moment."""
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            kept = self._secrets.read(CA)
            for name in _CA:
                if name in kept:
                    (folder / name).write_bytes(kept[name])
            yield Authority(folder, self._days, self._ca_days), folder

    def _keep(self, folder: Path, why: str) -> None:
        content = {name: (folder / name).read_bytes() for name in _CA}
        content |= {_GENERATION: str(self._generation).encode(), _CHANGED: _now().isoformat().encode()}
        self._secrets.write(CA, content, why)

    def _note(self, why: str) -> None:
        """Keep when pods have begun to take a change up."""
        self._secrets.write(CA, {_CHANGED: _now().isoformat().encode()}, why)

    def _settle(self) -> None:
        """While a CA is being replaced, wait until every pod has taken up the step before."""
        kept = self._secrets.read(CA)
        if _CHANGED in kept and len(self._trusted()) > 1:
            since = _now() - dt.datetime.fromisoformat(kept[_CHANGED].decode())
            time.sleep(min(max(self._settle_s - since.total_seconds(), 0.0), self._settle_s))

    def _trusted(self) -> list[x509.Certificate]:
        """Return the CAs to trust, the one that signs before the one it replaces."""
        return x509.load_pem_x509_certificates(kept) if (kept := self._secrets.read(CA).get("ca.crt")) else []

    def _kept_generation(self) -> int:
        return int(self._secrets.read(CA).get(_GENERATION, b"1"))

    def _leaf(self, service: str) -> dict[str, bytes]:
        return self._secrets.read(f"{service}-tls")

    def _is_by_present_ca(self, service: str) -> bool:
        leaf = self._leaf(service)
        return "tls.crt" in leaf and _loaded(leaf).issuer == self._trusted()[0].subject

    def _is_old(self, ca: x509.Certificate) -> bool:
        life = ca.not_valid_after_utc - ca.not_valid_before_utc
        return ca.not_valid_after_utc - _now() < life / 3

    def _wanted(self, service: str) -> str:
        """Return why a certificate must be issued, nothing if it need not be."""
        leaf = self._leaf(service)
        if "tls.crt" not in leaf or "tls.key" not in leaf:
            return "made"
        certificate = _loaded(leaf)
        if certificate.issuer not in [ca.subject for ca in self._trusted()]:
            return "issued anew: it is by another CA"
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        held = {str(name.value) for name in alternatives}
        if not held.issuperset(self._services[service]):
            return "issued anew: it has other names"
        left = certificate.not_valid_after_utc - _now()
        return "issued anew: it ends soon" if left < dt.timedelta(days=self._renew_days) else ""


def _loaded(leaf: Mapping[str, bytes]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(leaf["tls.crt"])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
