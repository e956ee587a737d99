"""The Kubernetes client: how a pod opens it, and what becomes of its errors."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swath.errors import Conflict, Denied, Exhausted, Precondition, SwathError, Unavailable
from swath.runtime.auth.certificates import Authority
from swath.runtime.installation.kubernetes_api import KubernetesApi
from swath_suite.testing.json_server import JsonServer

SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "made"}, "data": {"key": "dmFsdWU="}}


class ApiServer(JsonServer):
    """Answers as it is told to."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.answers: deque[tuple[int, Any]] = deque()
        super().__init__(lambda _: self.answers.popleft() if self.answers else (200, SECRET), certificate)

    @property
    def tokens(self) -> list[str]:
        """What each request showed."""
        return [each.headers["Authorization"] for each in self.requests]


@pytest.fixture
def serve() -> Iterator[Callable[..., ApiServer]]:
    started: list[ApiServer] = []

    def start(certificate: Path | None = None) -> ApiServer:
        started.append(ApiServer(certificate))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(serve: Callable[..., ApiServer]) -> ApiServer:
    return serve()


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """A service account as kubelet mounts it, but for its CA."""
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("first")
    (folder / "namespace").write_text("prod\n")
    return folder


@pytest.fixture
def api(server: ApiServer, account: Path) -> KubernetesApi:
    return KubernetesApi(f"http://127.0.0.1:{server.port}", account, timeout_s=0.0)


def test_each_request_shows_the_token_that_is_there_now(api: KubernetesApi, server: ApiServer, account: Path) -> None:
    api.get("secrets", "made")
    (account / "token").write_text("second\n")
    api.get("secrets", "made")
    assert server.tokens == ["Bearer first", "Bearer second"]


def test_objects_are_those_of_the_pod_s_namespace(api: KubernetesApi, server: ApiServer) -> None:
    assert api.get("secrets", "made") == SECRET
    api.put("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"a": "b"}})
    assert server.asked == [
        ("GET", "/api/v1/namespaces/prod/secrets/made"),
        ("PATCH", "/api/v1/namespaces/prod/configmaps/ca"),
    ]


@pytest.fixture
def in_pod(
    serve: Callable[..., ApiServer], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], ApiServer]:
    """Starts an API server with TLS and has the environment name it, as that of a pod does."""

    def start() -> ApiServer:
        server = serve(authority.issue_service("session"))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
        return server

    return start


def test_a_pod_trusts_the_ca_of_its_account(
    in_pod: Callable[[], ApiServer], account: Path, authority: Authority
) -> None:
    server = in_pod()
    (account / "ca.crt").write_bytes(authority.ca.read_bytes())
    assert KubernetesApi.of_pod(account).get("secrets", "made") == SECRET
    assert server.asked == [("GET", "/api/v1/namespaces/prod/secrets/made")]
    assert server.tokens == ["Bearer first"]


def test_a_pod_tells_its_token_to_nobody_else(in_pod: Callable[[], ApiServer], account: Path, tmp_path: Path) -> None:
    server = in_pod()
    other = Authority(tmp_path / "other")
    other.issue_service("session")
    (account / "ca.crt").write_bytes(other.ca.read_bytes())
    api = KubernetesApi(f"https://127.0.0.1:{server.port}", account, timeout_s=0.0)
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        api.get("secrets", "made")
    assert server.asked == []


def test_a_pod_without_a_ca_trusts_nobody(in_pod: Callable[[], ApiServer], account: Path) -> None:
    in_pod()
    with pytest.raises(Precondition, match=r"ca\.crt"):
        KubernetesApi.of_pod(account)


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (400, "no Secret", Precondition),
        (401, "who is that?", Denied),
        (403, "not yours", Denied),
        (403, "exceeded quota: secrets", Exhausted),
        (409, "changed meanwhile", Conflict),
        (422, "no name", Precondition),
        (429, "too many", Unavailable),
        (500, "broken", Unavailable),
        (503, "not now", Unavailable),
    ],
)
def test_each_refusal_has_its_error(
    api: KubernetesApi, server: ApiServer, code: int, said: str, kind: type[SwathError]
) -> None:
    server.answers.append((code, {"kind": "Status", "message": said}))
    with pytest.raises(kind, match=f"{code}: {said}") as caught:
        api.put("secrets", SECRET)
    assert type(caught.value) is kind
    assert [verb for verb, _ in server.asked] == ["PATCH"]


@pytest.mark.parametrize("body", ["<html>Bad gateway</html>", "[]", '{"message": 1'])
def test_a_refusal_that_is_no_status_is_shown(api: KubernetesApi, server: ApiServer, body: str) -> None:
    server.answers.append((502, body))
    with pytest.raises(Unavailable) as caught:
        api.get("secrets", "made")
    assert caught.value.message.endswith(f"502: {body}")


def test_an_object_that_somebody_else_has_just_made_is_a_conflict(api: KubernetesApi, server: ApiServer) -> None:
    server.answers.extend([(404, {"message": "not found"}), (409, {"message": "already exists"})])
    with pytest.raises(Conflict, match="create secrets/made: 409: already exists"):
        api.put("secrets", SECRET)


def test_nothing_is_made_in_a_namespace_that_is_not_there(api: KubernetesApi, server: ApiServer) -> None:
    server.answers.extend([(404, {"message": "not found"}), (404, {"message": "no namespace prod"})])
    with pytest.raises(Precondition, match="no namespace prod"):
        api.put("secrets", SECRET)


def test_a_server_that_is_busy_is_asked_again(server: ApiServer, account: Path) -> None:
    server.answers.extend([(503, {"message": "not now"}), (429, {"message": "not so fast"})])
    api = KubernetesApi(f"http://127.0.0.1:{server.port}", account)
    assert api.get("secrets", "made") == SECRET
    assert len(server.asked) == 3


def test_a_server_that_is_away_is_said_to_be_without_its_address(api: KubernetesApi, server: ApiServer) -> None:
    server.stop()
    with pytest.raises(Unavailable, match="away: ConnectionRefusedError") as caught:
        api.get("secrets", "made")
    assert str(server.port) not in caught.value.message


@pytest.mark.parametrize(
    "command",
    [
        "import swath_session.__main__",
        "import swath_config.__main__",
        "import swath_gateway.__main__",
        "from swath.runtime.installation.command import _parser; _parser()",
    ],
)
def test_only_what_talks_to_a_cluster_imports_the_client(command: str) -> None:
    said = f"{command}; import sys; print('kubernetes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
