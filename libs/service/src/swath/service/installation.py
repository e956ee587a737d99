"""`python -m swath.service.installation`: the Secrets of an installation on Kubernetes.

What `swath certs` and `swath token` make on one machine, kept as Secrets and made once: certificates, the
administrator's token, passwords of the quick-start storage. Run before pods start and before each upgrade, it makes
what is missing and leaves alone what is there.

    PREFIX-ca              Secret with the CA's key, and a ConfigMap of that name with the CAs to trust
    PREFIX-<service>-tls   tls.crt, tls.key, ca.crt
    PREFIX-admin           token, and tokens.json with its hash for the servers
    PREFIX-postgres        password, url
    PREFIX-s3              access-key-id, secret-access-key
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509

from swath.errors import SwathError
from swath.service.certificates import LEAF_DAYS, Authority
from swath.service.identity import SERVICES
from swath.service.kubernetes_api import KubernetesApi
from swath.service.tokens import new_token

ADMIN = "admin"
_CA = ("ca.crt", "ca.key")
_LEAF = ("tls.crt", "tls.key", "ca.crt")


class Installation:
    """The Secrets of one installation.

    Args:
        api: Where they are kept.
        prefix: What their names begin with.
        labels: Put on each of them.
        say: Told about each change.
    """

    def __init__(
        self, api: KubernetesApi, prefix: str, labels: Mapping[str, str], say: Callable[[str], None] = print
    ) -> None:
        self._api = api
        self._prefix = prefix
        self._labels = dict(labels)
        self._say = say

    def certificates(
        self,
        services: Mapping[str, Sequence[str]],
        *,
        days: float = LEAF_DAYS,
        renew_days: float = 0.0,
        rotate: bool = False,
    ) -> None:
        """Have a certificate for each service by a CA of the installation's own, which is made if it is not there.

        Args:
            services: Names of services, and the further DNS names and IP addresses of each.
            days: Days for which a new one is good.
            renew_days: One that is good for less gets a successor.
            rotate: Whether all get one.

        Raises:
            Denied, Unavailable, Conflict: See `KubernetesApi`.
        """
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            authority = Authority(folder, days)
            kept = self._read(f"{self._prefix}-ca")
            for name in _CA:
                if name in kept:
                    (folder / name).write_bytes(kept[name])
            for service, names in services.items():
                secret = f"{self._prefix}-{service}-tls"
                why = "rotated" if rotate else _wanted(self._read(secret), kept.get("ca.crt"), names, renew_days)
                if why:
                    leaf = authority.issue_service(service, names)
                    if not kept:
                        # The CA first: a run that is cut off here goes on with the same one.
                        kept = {name: (folder / name).read_bytes() for name in _CA}
                        self._write(f"{self._prefix}-ca", kept, "made")
                    content = {name: (leaf / name).read_bytes() for name in _LEAF}
                    self._write(secret, content, why, "kubernetes.io/tls")
            if kept:
                self._publish(kept["ca.crt"])

    def admin(self) -> None:
        """Have the administrator's token."""
        name = f"{self._prefix}-admin"
        if "token" not in self._read(name):
            token, known = new_token()
            tokens = json.dumps({ADMIN: known})
            self._write(name, {"token": token.encode(), "tokens.json": tokens.encode()}, "made")

    def postgres(self, host: str, user: str = "swath", database: str = "swath") -> None:
        """Have the password of the quick-start database, and its URL.

        Args:
            host: HOST:PORT.
            user: Who connects.
            database: What to.
        """
        name = f"{self._prefix}-postgres"
        kept = self._read(name)
        password = kept.get("password", secrets.token_hex(24).encode())
        url = f"postgresql://{user}:{password.decode()}@{host}/{database}".encode()
        if kept.get("url") != url:
            self._write(name, {"password": password, "url": url}, "changed" if kept else "made")

    def s3(self) -> None:
        """Have the credentials of the quick-start object store."""
        name = f"{self._prefix}-s3"
        if "secret-access-key" not in self._read(name):
            key = secrets.token_urlsafe(32).encode()
            self._write(name, {"access-key-id": b"swath", "secret-access-key": key}, "made")

    def remove(self) -> None:
        """Take everything away."""
        for name in ("ca", *(f"{service}-tls" for service in SERVICES), "admin", "postgres", "s3"):
            if self._api.delete("secrets", f"{self._prefix}-{name}"):
                self._say(f"secret {self._prefix}-{name}: removed")
        self._api.delete("configmaps", f"{self._prefix}-ca")

    def _read(self, name: str) -> dict[str, bytes]:
        found = self._api.get("secrets", name) or {}
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    def _write(self, name: str, content: Mapping[str, bytes], why: str, kind: str = "Opaque") -> None:
        data = {key: base64.b64encode(value).decode() for key, value in content.items()}
        self._api.put("secrets", self._document("Secret", name) | {"type": kind, "data": data})
        self._say(f"secret {name}: {why}")

    def _publish(self, ca: bytes) -> None:
        name, data = f"{self._prefix}-ca", {"ca.crt": ca.decode()}
        if (self._api.get("configmaps", name) or {}).get("data") != data:
            self._api.put("configmaps", self._document("ConfigMap", name) | {"data": data})
            self._say(f"configmap {name}: written")

    def _document(self, kind: str, name: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": self._labels}}


def _wanted(leaf: Mapping[str, bytes], ca: bytes | None, names: Sequence[str], renew_days: float) -> str:
    """Return why a certificate must be issued, nothing if it need not be."""
    if "tls.crt" not in leaf or "tls.key" not in leaf:
        return "made"
    if leaf.get("ca.crt") != ca:
        return "issued anew: it is by another CA"
    certificate = x509.load_pem_x509_certificate(leaf["tls.crt"])
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    held = {str(name.value) for name in alternatives}
    if not held.issuperset(names):
        return "issued anew: it has other names"
    left = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)
    return "issued anew: it ends soon" if left < dt.timedelta(days=renew_days) else ""


def main(arguments: Sequence[str] | None = None, api: KubernetesApi | None = None) -> int:
    """Be the command; return its exit status."""
    given = _parser().parse_args(arguments)
    try:
        installation = Installation(api or KubernetesApi.of_pod(), given.prefix, json.loads(given.labels))
        if given.command == "remove":
            installation.remove()
            return 0
        rotate = given.command == "rotate"
        services = dict(given.certificate)
        if services:
            installation.certificates(services, days=given.days, renew_days=given.renew_days, rotate=rotate)
        if given.admin:
            installation.admin()
        if given.postgres:
            installation.postgres(given.postgres)
        if given.s3:
            installation.s3()
    except SwathError as error:
        print(f"swath.service.installation: {error.message}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m swath.service.installation", description="Keep Secrets.")
    parser.add_argument("command", choices=("ensure", "rotate", "remove"), help="rotate: all certificates anew")
    parser.add_argument("--prefix", required=True, help="what the names of all Secrets begin with")
    parser.add_argument("--labels", default="{}", help="put on them, JSON")
    parser.add_argument(
        "--certificate",
        action="append",
        default=[],
        type=_service,
        metavar="SERVICE[=NAME,...]",
        help="a service that gets a certificate, and its further DNS names and IP addresses; may be repeated",
    )
    parser.add_argument("--days", type=float, default=LEAF_DAYS, help="days for which certificates are good")
    parser.add_argument("--renew-days", type=float, default=0.0, help="issue anew what is good for fewer days")
    parser.add_argument("--admin", action="store_true", help="have an administrator's token")
    parser.add_argument("--postgres", metavar="HOST:PORT", default="", help="have a password of this database server")
    parser.add_argument("--s3", action="store_true", help="have credentials of an S3 server")
    return parser


def _service(text: str) -> tuple[str, list[str]]:
    service, _, names = text.partition("=")
    return service, [name for name in names.split(",") if name]


if __name__ == "__main__":
    sys.exit(main())
