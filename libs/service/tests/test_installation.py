"""The Secrets of an installation are made once, and certificates anew when they must be."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from swath.errors import Denied, Precondition, Unavailable
from swath.service.installation import main
from swath.service.kubernetes_api import KubernetesApi
from swath.service.tokens import TokenTable

LABELS = json.dumps({"app.kubernetes.io/instance": "test"})
WHOLE = [
    "ensure",
    "--prefix=swath",
    f"--labels={LABELS}",
    "--certificate=session",
    "--certificate=gateway=swath.example,192.0.2.7",
    "--admin",
    "--postgres=db:5432",
    "--s3",
]


class ApiServer:
    """Objects by kind and name, over HTTP as Kubernetes does it: create, read, merge, remove."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.refuse = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                assert self.headers["Authorization"] == "Bearer letmein"
                code, document = outer.handle(self.command, self.path, body)
                content = json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self._thread.start()

    def handle(self, verb: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.refuse:
            return self.refuse, {"message": "not now"}
        kind, _, name = path.removeprefix("/api/v1/namespaces/prod/").partition("/")
        if verb == "POST":
            return 201, self.objects.setdefault((kind, body["metadata"]["name"]), body)
        found = self.objects.get((kind, name))
        if found is None:
            return 404, {"message": "not found"}
        if verb == "PATCH":
            found["data"] = {**found["data"], **body["data"]}
        if verb == "DELETE":
            del self.objects[(kind, name)]
        return 200, found

    def data(self, name: str) -> dict[str, bytes]:
        """Return what a Secret holds."""
        return {key: base64.b64decode(value) for key, value in self.objects[("secrets", name)]["data"].items()}

    def certificate(self, service: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.data(f"swath-{service}-tls")["tls.crt"])

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    yield made
    made.stop()


@pytest.fixture
def api(server: ApiServer, tmp_path: Path) -> KubernetesApi:
    (tmp_path / "token").write_text("letmein\n")
    (tmp_path / "namespace").write_text("prod")
    return KubernetesApi(server.url, tmp_path, patience_s=0.0)


def names(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def test_everything_is_made(api: KubernetesApi, server: ApiServer) -> None:
    assert main(WHOLE, api) == 0
    made = {name for kind, name in server.objects if kind == "secrets"}
    assert made == {"swath-ca", "swath-session-tls", "swath-gateway-tls", "swath-admin", "swath-postgres", "swath-s3"}
    assert {each["metadata"]["labels"]["app.kubernetes.io/instance"] for each in server.objects.values()} == {"test"}
    assert names(server.certificate("session")) >= {"session.swath", "spiffe://swath/session"}
    assert names(server.certificate("gateway")) >= {"gateway.swath", "swath.example", "192.0.2.7"}


def test_leaves_are_by_the_ca_that_everybody_can_read(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    text = server.objects[("configmaps", "swath-ca")]["data"]["ca.crt"]
    ca = x509.load_pem_x509_certificate(text.encode())
    for service in ("session", "gateway"):
        server.certificate(service).verify_directly_issued_by(ca)
        assert server.data(f"swath-{service}-tls")["ca.crt"].decode() == text


def test_the_servers_know_the_token_by_its_hash(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    held = server.data("swath-admin")
    assert TokenTable(json.loads(held["tokens.json"])).find(held["token"].decode()) == "admin"
    assert held["token"] not in held["tokens.json"]


def test_a_second_run_changes_nothing(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    before = json.dumps(list(server.objects.values()))
    assert main([*WHOLE, "--renew-days=30"], api) == 0
    assert json.dumps(list(server.objects.values())) == before


def test_certificates_that_end_soon_are_issued_anew(api: KubernetesApi, server: ApiServer) -> None:
    main([*WHOLE, "--days=20"], api)
    before, token = server.certificate("session"), server.data("swath-admin")
    main([*WHOLE, "--days=90", "--renew-days=30"], api)
    after = server.certificate("session")
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert after.issuer == before.issuer
    assert server.data("swath-admin") == token


def test_other_names_give_another_certificate(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    session = server.certificate("session")
    main([*WHOLE, "--certificate=gateway=other.example"], api)
    assert "other.example" in names(server.certificate("gateway"))
    assert server.certificate("session") == session


def test_rotation_issues_all_by_the_same_ca(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    before = {service: server.certificate(service) for service in ("session", "gateway")}
    assert main(["rotate", "--prefix=swath", *WHOLE[3:5]], api) == 0
    for service, old in before.items():
        assert server.certificate(service).serial_number != old.serial_number
        assert server.certificate(service).issuer == old.issuer


def test_a_lost_ca_gets_a_successor_that_all_are_by(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    del server.objects[("secrets", "swath-ca")]
    main(WHOLE, api)
    assert server.certificate("session").issuer == server.certificate("gateway").issuer
    assert server.data("swath-session-tls")["ca.crt"] == server.data("swath-ca")["ca.crt"]


def test_the_database_s_url_follows_its_host_and_keeps_its_password(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    before = server.data("swath-postgres")
    main([*WHOLE, "--postgres=other:5432"], api)
    after = server.data("swath-postgres")
    assert after["password"] == before["password"]
    assert after["url"].decode() == f"postgresql://swath:{after['password'].decode()}@other:5432/swath"


def test_removal_leaves_nothing(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    assert main(["remove", "--prefix=swath"], api) == 0
    assert server.objects == {}


@pytest.mark.parametrize(("code", "kind"), [(403, Denied), (503, Unavailable)])
def test_refusals_are_told_apart(api: KubernetesApi, server: ApiServer, code: int, kind: type[Exception]) -> None:
    server.refuse = code
    with pytest.raises(kind, match="not now"):
        api.get("secrets", "swath-ca")


def test_the_command_says_why_it_failed(
    api: KubernetesApi, server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refuse = 403
    assert main(WHOLE, api) == 1
    assert "403: not now" in capsys.readouterr().err


def test_outside_of_a_pod_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Precondition, match="service account"):
        KubernetesApi.of_pod()
