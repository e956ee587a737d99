"""`python -m swath.runtime.installation`: the Secrets of an installation on Kubernetes.

What `swath certs`, `swath token` and `swath signing-keys` make on one machine, kept as Secrets and made once:
certificates, the administrator's token, signing keys, passwords of the quick-start storage. Run before pods start and
before each upgrade, it makes what is missing and leaves alone what is there; `rotate` issues all certificates anew,
replaces their CA where that is due, step by step, and has the next signing key sign.

    PREFIX-ca              Secret with the CA and its key; a ConfigMap of that name with the CAs to trust
    PREFIX-<service>-tls   tls.crt, tls.key, ca.crt
    PREFIX-admin           token, and tokens.json with its hash for the servers
    PREFIX-signing         keys.json, and since when they are so
    PREFIX-postgres        password, url
    PREFIX-s3              access-key-id, secret-access-key
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import secrets
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swath.api import REGISTRY
from swath.errors import SwathError
from swath.runtime.auth.certificates import CA_DAYS, LEAF_DAYS
from swath.runtime.auth.signing import new_keys, rotated
from swath.runtime.auth.tokens import new_token
from swath.runtime.installation.issuing import CA, Issuing
from swath.runtime.installation.kubernetes_secrets import Secrets

if TYPE_CHECKING:
    from swath.runtime.installation.kubernetes_api import KubernetesApi

ADMIN = "admin"
_KEYS = "keys.json"
_SINCE = "since"
_LEAST = dt.timedelta(days=1)


class Installation:
    """What an installation has beside certificates: a token, and what its quick-start storage asks for.

    Args:
        kept: Its Secrets.
    """

    def __init__(self, kept: Secrets) -> None:
        self._kept = kept

    def admin(self) -> None:
        """Have the administrator's token."""
        if "token" not in self._kept.read("admin"):
            token, known = new_token()
            tokens = json.dumps({ADMIN: known})
            self._kept.write("admin", {"token": token.encode(), "tokens.json": tokens.encode()}, "made")

    def signing(self, *, rotate: bool = False) -> None:
        """Have the keys that replicas sign tokens with.

        Args:
            rotate: Have the next one sign, which every replica knows. Not within a day of the time before: what a key
                has signed must be good as long as it says.
        """
        kept, now = self._kept.read("signing"), dt.datetime.now(dt.UTC)
        if _KEYS not in kept:
            keys, why = new_keys(), "made"
        elif rotate and now - dt.datetime.fromisoformat(kept[_SINCE].decode()) >= _LEAST:
            keys, why = rotated(json.loads(kept[_KEYS])), "rotated"
        else:
            return
        self._kept.write("signing", {_KEYS: json.dumps(keys).encode(), _SINCE: now.isoformat().encode()}, why)

    def postgres(self, host: str, user: str = "swath", database: str = "swath") -> None:
        """Have the password of the quick-start database, and its URL.

        Args:
            host: HOST:PORT.
            user: Who connects.
            database: What to.
        """
        kept = self._kept.read("postgres")
        password = kept.get("password", secrets.token_hex(24).encode())
        url = f"postgresql://{user}:{password.decode()}@{host}/{database}".encode()
        if kept.get("url") != url:
            self._kept.write("postgres", {"password": password, "url": url}, "changed" if kept else "made")

    def s3(self) -> None:
        """Have the credentials of the quick-start object store."""
        if "secret-access-key" not in self._kept.read("s3"):
            key = secrets.token_urlsafe(32).encode()
            self._kept.write("s3", {"access-key-id": b"swath", "secret-access-key": key}, "made")

    def remove(self) -> None:
        """Take everything away, certificates too."""
        for name in (CA, *(f"{service}-tls" for service in REGISTRY.identities), "admin", "signing", "postgres", "s3"):
            self._kept.remove(name)
        self._kept.withdraw(CA)


def main(arguments: Sequence[str] | None = None, api: KubernetesApi | None = None) -> int:
    """Be the command; return its exit status."""
    given = _parser().parse_args(arguments)
    try:
        kept = Secrets(api or _api_of_pod(), given.prefix, json.loads(given.labels))
        installation = Installation(kept)
        if given.command == "remove":
            installation.remove()
            return 0
        if given.certificate:
            issuing = Issuing(
                kept,
                dict(given.certificate),
                days=given.days,
                renew_days=given.renew_days,
                ca_days=given.ca_days,
                generation=given.ca_generation,
                settle_s=given.settle_seconds,
            )
            issuing.rotate() if given.command == "rotate" else issuing.ensure()
        if given.admin:
            installation.admin()
        if given.signing:
            installation.signing(rotate=given.command == "rotate")
        if given.postgres:
            installation.postgres(given.postgres)
        if given.s3:
            installation.s3()
    except SwathError as error:
        print(f"swath.runtime.installation: {error.message}", file=sys.stderr)
        return 1
    return 0


def _api_of_pod() -> KubernetesApi:
    # Imports the Kubernetes client, which takes half a second: not for who only asks what this does.
    from swath.runtime.installation.kubernetes_api import KubernetesApi

    return KubernetesApi.of_pod()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m swath.runtime.installation", description="Keep Secrets.")
    parser.add_argument(
        "command",
        choices=("ensure", "rotate", "remove"),
        help="rotate: all certificates anew, or the next step to a new CA",
    )
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
    parser.add_argument("--ca-days", type=float, default=CA_DAYS, help="days for which a CA is good")
    parser.add_argument("--ca-generation", type=int, default=1, help="number of the CA; a lower one is replaced")
    parser.add_argument("--settle-seconds", type=float, default=120.0, help="within which pods take up changed Secrets")
    parser.add_argument("--admin", action="store_true", help="have an administrator's token")
    parser.add_argument("--signing", action="store_true", help="have keys that replicas sign tokens with")
    parser.add_argument("--postgres", metavar="HOST:PORT", default="", help="have a password of this database server")
    parser.add_argument("--s3", action="store_true", help="have credentials of an S3 server")
    return parser


def _service(text: str) -> tuple[str, list[str]]:
    service, _, names = text.partition("=")
    return service, [name for name in names.split(",") if name]
