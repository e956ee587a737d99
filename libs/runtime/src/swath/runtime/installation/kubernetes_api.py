"""As much of the Kubernetes API as an installation needs: Secrets and ConfigMaps of one namespace, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from swath.errors import Unavailable
from swath.retry import Retry
from swath.runtime.kubernetes import ACCOUNT, asking, connect, pod_server

_CALL_S = 10.0
_RETRY_TIMEOUT_S = 30.0

# What methods of the client call them.
_KINDS = {"secrets": "secret", "configmaps": "config_map"}

Document = dict[str, Any]


class KubernetesApi:
    """Objects in the namespace of this pod. It blocks.

    Args:
        server: URL of the API server.
        account: Folder with `token`, `ca.crt` and `namespace`.
        timeout_s: Seconds for which a server that is away or busy is asked again.

    Raises:
        Precondition: The folder has no CA.
    """

    def __init__(self, server: str, account: Path = ACCOUNT, *, timeout_s: float = _RETRY_TIMEOUT_S) -> None:
        opened, self.namespace = connect(server, account)
        self._core = client.CoreV1Api(opened)
        self._plain: Any = opened.sanitize_for_serialization
        self._retry = Retry(on=Unavailable, initial_s=0.5, max_s=2.0, timeout_s=timeout_s)

    @classmethod
    def of_pod(cls, account: Path = ACCOUNT) -> KubernetesApi:
        """Return the API as a pod's service account reaches it.

        Raises:
            Precondition: This process is in no pod, or its pod has no service account's token.
        """
        return cls(pod_server(account), account)

    def get(self, kind: str, name: str) -> Document | None:
        """Return an object of the core group, None if it is not there.

        Args:
            kind: "secrets" or "configmaps".
            name: Its name.

        Raises:
            Denied: The service account may not.
            Unavailable: The API server is away.
        """
        return self._ask("read", kind, name)

    def put(self, kind: str, document: Document) -> bool:
        """Create an object, or merge it into the one that is there; return whether it was created.

        Raises:
            Denied, Unavailable: As for `get`.
            Conflict: Somebody else has just made or changed it.
            Exhausted: A quota leaves no room for it.
            Precondition: The API server refuses the document.
        """
        name = document["metadata"]["name"]
        if self._ask("patch", kind, name, document) is not None:
            return False
        self._ask("create", kind, name, document)
        return True

    def delete(self, kind: str, name: str) -> bool:
        """Remove an object; return whether it was there.

        Raises:
            Denied, Unavailable: As for `get`.
        """
        return self._ask("delete", kind, name) is not None

    def _ask(self, verb: str, kind: str, name: str, document: Document | None = None) -> Document | None:
        """Make a request, again where the server is away; return its answer, None where there is no such object."""
        return self._retry.call(lambda: self._once(verb, kind, name, document))

    def _once(self, verb: str, kind: str, name: str, document: Document | None) -> Document | None:
        call = getattr(self._core, f"{verb}_namespaced_{_KINDS[kind]}")
        place = (self.namespace,) if verb == "create" else (name, self.namespace)
        body = () if document is None else (document,)
        with asking(f"{verb} {kind}/{name}", "the installation"):
            try:
                answer = call(*place, *body, _request_timeout=_CALL_S)
            except ApiException as error:
                # Without its namespace nothing can be created.
                if error.status == 404 and verb != "create":
                    return None
                raise
        return self._plain(answer)
