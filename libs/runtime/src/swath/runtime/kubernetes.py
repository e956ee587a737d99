"""The official Kubernetes client: how a pod's service account opens it, and its errors as Swath's.

Importing this imports the client, which takes half a second: only what talks to a cluster does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from swath.errors import Conflict, Denied, Exhausted, Precondition, SwathError, Unavailable

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its service account's token, the CA of the API server and its namespace."""

_RETRY_S = 1.0


def pod_server(account: Path = ACCOUNT) -> str:
    """Return the URL of the API server, as the environment of a pod names it.

    Raises:
        Precondition: This process is in no pod, or its pod has no service account's token.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (account / "token").is_file():
        raise Precondition(
            f"expected to run in a pod with a service account's token in {account}, and found none; "
            "see automountServiceAccountToken"
        )
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"


def connect(server: str, account: Path = ACCOUNT) -> tuple[client.ApiClient, str]:
    """Return a client of an API server, and the namespace of this pod.

    Args:
        server: URL of the API server.
        account: Folder with `token`, `namespace` and, for https, `ca.crt`.

    Raises:
        Precondition: The folder has no CA.
    """
    configuration: Any = client.Configuration(host=server)
    if server.startswith("https:"):
        ca = account / "ca.crt"
        if not ca.is_file():
            raise Precondition(f"expected the CA of the API server in {ca}, and found none")
        configuration.ssl_ca_cert = str(ca)

    def refresh(configuration: client.Configuration) -> None:
        configuration.api_key["BearerToken"] = f"Bearer {(account / 'token').read_text().strip()}"

    refresh(configuration)
    # Called at each request: kubelet puts a new token there before the old one ends.
    configuration.refresh_api_key_hook = refresh
    return client.ApiClient(configuration), (account / "namespace").read_text().strip()


@contextmanager
def asking(what: str, who: str) -> Iterator[None]:
    """Raise errors of the client as Swath's.

    Args:
        what: What the cluster is asked to do, such as "create a Job".
        who: Who asks.

    Raises:
        Conflict: Somebody else has just made or changed the object.
        Denied: The service account may not.
        Exhausted: A quota leaves no room for it.
        Precondition: The cluster refuses it as it is.
        Unavailable: The API server is away or busy.
    """
    try:
        yield
    except ApiException as error:
        raise _refusal(error, what, who) from error
    except HTTPError as error:
        cause = _first(error)
        raise Unavailable(
            f"the cluster's API server is away: {type(cause).__name__}: {cause}", retry_after=_RETRY_S
        ) from error


def words(error: ApiException) -> str:
    """Return what the API server says of an error, after its status."""
    try:
        said = str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        said = (error.body or "")[:200] or str(error.reason)
    return f"{error.status}: {said}" if error.status else said


def _first(error: BaseException) -> BaseException:
    """Return what led to an error. Unlike those that it led to, it does not repeat the server's address."""
    deeper = getattr(error, "reason", None) or error.__cause__
    return _first(deeper) if isinstance(deeper, BaseException) else error


def _refusal(error: ApiException, what: str, who: str) -> SwathError:
    said = words(error)
    match error.status:
        case 403 if "exceeded quota" in said:
            return Exhausted(f"the cluster has no room: {said}", retry_after=_RETRY_S)
        case 401 | 403:
            return Denied(f"the cluster does not let {who} {what}: {said}")
        case 409:
            return Conflict(f"the cluster refused to {what}: {said}")
        case 400 | 404 | 422:
            return Precondition(f"the cluster refused to {what}: {said}")
        case _:
            return Unavailable(f"the cluster's API server cannot {what} now: {said}", retry_after=_RETRY_S)
