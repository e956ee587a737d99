"""The official Kubernetes client: how a pod's service account opens it, and its errors as Swath's.

Importing this imports the client, which takes half a second: only what talks to a cluster does.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from swath.errors import Conflict, Denied, Exhausted, Precondition, SwathError, Unavailable

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its service account's token, the CA of the API server and its namespace."""

_log = structlog.get_logger("swath.kubernetes")

_RETRY_S = 1.0
_CALL_S = 10.0
_WATCH_S = 240
_PAUSE_S = 1.0
_QUIET = frozenset({"", "ContainerCreating", "PodInitializing", "Completed"})

Document = dict[str, Any]


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


def reach(namespace: str = "") -> tuple[client.ApiClient, str]:
    """Return a client of the cluster that this pod, or the current kubeconfig, belongs to, and a namespace of it.

    Args:
        namespace: The namespace; the pod's own, or the kubeconfig's, if not given.

    Raises:
        Precondition: No cluster is configured here.
    """
    try:
        api, own = connect(pod_server())
    except Precondition:
        try:
            config.load_kube_config()
            _, current = config.list_kube_config_contexts()
        except config.ConfigException as error:
            raise Precondition(
                f"expected to run in a Kubernetes pod or with a kubeconfig, and found neither: {error}"
            ) from error
        api, own = client.ApiClient(), current["context"].get("namespace", "default")
    return api, namespace or own


def owner_of(api: client.ApiClient, namespace: str, deployment: str) -> Document:
    """Return what makes a Deployment the owner of an object.

    Raises:
        ApiException: It cannot be read.
    """
    apps: Any = client.AppsV1Api(api)
    found = apps.read_namespaced_deployment(deployment, namespace, _request_timeout=_CALL_S)
    facts = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment, "uid": found.metadata.uid}
    return {**facts, "blockOwnerDeletion": False}


def follow(
    listing: Callable[..., Any],
    namespace: str,
    chosen: Mapping[str, str],
    seen: Callable[[Mapping[str, Any]], None],
    ended: threading.Event,
) -> None:
    """Call back with what there is of a kind, and then with each change, until `ended` is set. It blocks.

    Args:
        listing: Method of the client that lists the kind in a namespace.
        namespace: The namespace.
        chosen: More arguments of it, such as `label_selector`.
        seen: Is given each event: `type` and `object`.
        ended: Ends it, within the time of a watch at the latest.
    """
    while not ended.is_set():
        stream = watch.Watch()
        try:
            # Begins with what there is, then goes on with what changes.
            events: Any = stream.stream(listing, namespace, timeout_seconds=_WATCH_S, **chosen)
            for event in events:
                if ended.is_set():
                    return
                seen(event)
        except ApiException as error:
            # 410: what was seen last is too old for the server to go on from. It is looked at anew.
            if error.status != 410:
                _log.warning("the cluster cannot be watched", error=words(error))
                ended.wait(_PAUSE_S)
        except HTTPError as error:
            _log.warning("the cluster cannot be watched", error=str(error))
            ended.wait(_PAUSE_S)
        finally:
            stream.stop()


def trouble(pod: Mapping[str, Any], what: str) -> str:
    """Return why a pod does not run yet, empty if it does or is about to.

    Args:
        pod: As the API server has it.
        what: What it is for, such as "the worker".
    """
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"the cluster has no place for {what} yet: {condition.get('message') or condition.get('reason')}"
    for container in containers(status):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason") or ""
        if reason not in _QUIET:
            message = waiting.get("message") or ""
            return f"{what}'s container does not start: {reason}{f' ({message})' if message else ''}"
    return ""


def containers(status: Mapping[str, Any], *, init: bool = True) -> Iterator[Mapping[str, Any]]:
    """Yield what a pod's status says of its containers, those that run first (`init`) before the others."""
    if init:
        yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


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
