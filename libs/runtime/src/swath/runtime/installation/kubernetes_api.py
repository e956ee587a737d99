"""As much of the Kubernetes API as an installation needs: objects of one namespace, read and written by name."""

from __future__ import annotations

import json
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from swath.errors import Conflict, Denied, Precondition, Unavailable

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its service account's token, the CA of the API server and its namespace."""

_TIMEOUT_S = 10.0
_CALL_TIMEOUT_S = 30.0
_MERGE = "application/merge-patch+json"


class KubernetesApi:
    """Objects in the namespace of this pod.

    Args:
        server: URL of the API server.
        account: Folder with `token`, `ca.crt` and `namespace`.
        patience_s: Seconds for which a server that is away or busy is asked again.
    """

    def __init__(self, server: str, account: Path = ACCOUNT, *, patience_s: float = _CALL_TIMEOUT_S) -> None:
        self._server = server
        self._account = account
        self._patience_s = patience_s
        self._tls = ssl.create_default_context(cafile=str(account / "ca.crt")) if server.startswith("https:") else None
        self.namespace = (account / "namespace").read_text().strip()

    @classmethod
    def of_pod(cls) -> KubernetesApi:
        """Return the API as a pod's service account reaches it.

        Raises:
            Precondition: This process is in no pod, or its pod has no service account's token.
        """
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not (ACCOUNT / "token").is_file():
            raise Precondition(
                f"expected to run in a pod with a service account's token in {ACCOUNT}, and found none; "
                "see automountServiceAccountToken"
            )
        return cls(f"https://{f'[{host}]' if ':' in host else host}:{port}")

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return an object of the core group, None if it is not there.

        Args:
            kind: In the plural, such as "secrets".
            name: Its name.

        Raises:
            Denied: The service account may not.
            Unavailable: The API server is away.
        """
        return self._ask("GET", f"{kind}/{name}")

    def put(self, kind: str, document: dict[str, Any]) -> bool:
        """Create an object, or merge it into the one that is there; return whether it was created.

        Raises:
            Denied, Unavailable: As for `get`.
            Conflict: The API server refuses the document.
        """
        name = document["metadata"]["name"]
        if self._ask("PATCH", f"{kind}/{name}", document) is not None:
            return False
        self._ask("POST", kind, document)
        return True

    def delete(self, kind: str, name: str) -> bool:
        """Remove an object; return whether it was there.

        Raises:
            Denied, Unavailable: As for `get`.
        """
        return self._ask("DELETE", f"{kind}/{name}") is not None

    def _ask(self, verb: str, place: str, document: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Make a request, again where the server is away; return its answer, None for 404."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return self._once(verb, place, document)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def _once(self, verb: str, place: str, document: dict[str, Any] | None) -> dict[str, Any] | None:
        headers = {
            # Read at each request: kubelet puts a new token there before the old one ends.
            "Authorization": f"Bearer {(self._account / 'token').read_text().strip()}",
            "Content-Type": _MERGE if verb == "PATCH" else "application/json",
        }
        url = f"{self._server}/api/v1/namespaces/{self.namespace}/{place}"
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(url, body, headers, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self._tls) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                said = _words(error.read())
            if error.code == 404 and verb != "POST":
                return None
            what = f"{verb} {place}: the API server answers {error.code}: {said}"
            if error.code in (401, 403):
                raise Denied(what) from None
            if error.code == 429 or error.code >= 500:
                raise Unavailable(what, retry_after=1.0) from None
            raise Conflict(what) from None
        except OSError as error:
            raise Unavailable(f"{verb} {place}: the API server cannot be reached: {error}", retry_after=1.0) from error


def _words(body: bytes) -> str:
    """Return what a Status object says."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]
