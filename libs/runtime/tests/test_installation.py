"""The Secrets of an installation are made once, and certificates anew when they must be."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from swath.errors import Denied, Precondition, Unavailable
from swath.runtime.auth.signing import check_keys
from swath.runtime.auth.tokens import TokenTable
from swath.runtime.installation.command import main
from swath.runtime.installation.kubernetes_api import KubernetesApi
from swath_suite.testing.json_server import JsonServer, Request

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


class ApiServer(JsonServer):
    """Objects by kind and name, over HTTP as Kubernetes does it: create, read, merge, remove."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.refuse = 0
        super().__init__(self.handle)

    def handle(self, request: Request) -> tuple[int, dict[str, Any]]:
        assert request.headers["Authorization"] == "Bearer letmein"
        if self.refuse:
            return self.refuse, {"message": "not now"}
        kind, _, name = request.path.removeprefix("/api/v1/namespaces/prod/").partition("/")
        if request.method == "POST":
            return 201, self.objects.setdefault((kind, request.body["metadata"]["name"]), request.body)
        found = self.objects.get((kind, name))
        if found is None:
            return 404, {"message": "not found"}
        if request.method == "PATCH":
            found["data"] = {**found["data"], **request.body["data"]}
        if request.method == "DELETE":
            del self.objects[(kind, name)]
        return 200, found

    def data(self, name: str) -> dict[str, bytes]:
        """Return what a Secret holds."""
        return {key: base64.b64decode(value) for key, value in self.objects[("secrets", name)]["data"].items()}

    def certificate(self, service: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.data(f"swath-{service}-tls")["tls.crt"])


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as made:
        yield made


@pytest.fixture
def api(server: ApiServer, tmp_path: Path) -> KubernetesApi:
    (tmp_path / "token").write_text("letmein\n")
    (tmp_path / "namespace").write_text("prod")
    return KubernetesApi(server.url, tmp_path, timeout_s=0.0)


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


@pytest.mark.parametrize("command", [WHOLE, ["rotate", *WHOLE[1:]]], ids=["ensure", "rotate"])
def test_a_lost_ca_gets_a_successor_that_all_are_by(api: KubernetesApi, server: ApiServer, command: list[str]) -> None:
    main(WHOLE, api)
    del server.objects[("secrets", "swath-ca")]
    main(command, api)
    assert server.objects[("configmaps", "swath-ca")]["data"]["ca.crt"].encode() == server.data("swath-ca")["ca.crt"]
    assert server.certificate("session").issuer == server.certificate("gateway").issuer
    assert server.data("swath-session-tls")["ca.crt"] == server.data("swath-ca")["ca.crt"]


ROTATE = ["rotate", "--prefix=swath", *WHOLE[3:5], "--settle-seconds=0"]
NEXT_CA = "--ca-generation=2"


def trusted(server: ApiServer, service: str) -> list[x509.Certificate]:
    """The CAs that a service trusts."""
    return x509.load_pem_x509_certificates(server.data(f"swath-{service}-tls")["ca.crt"])


def assert_they_trust_one_another(server: ApiServer) -> None:
    published = server.objects[("configmaps", "swath-ca")]["data"]["ca.crt"]
    for one in ("session", "gateway"):
        assert server.data(f"swath-{one}-tls")["ca.crt"].decode() == published
        for other in ("session", "gateway"):
            issuer = server.certificate(other).issuer
            (ca,) = (each for each in trusted(server, one) if each.subject == issuer)
            server.certificate(other).verify_directly_issued_by(ca)


def test_a_ca_is_replaced_in_three_steps_and_all_trust_all_at_any_time(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    first = server.certificate("session")
    steps = []
    for _ in range(4):
        assert main([*ROTATE, NEXT_CA], api) == 0
        assert_they_trust_one_another(server)
        steps.append((len(trusted(server, "session")), server.certificate("session").issuer == first.issuer))
    # Trusted beside the old one, which still signed; then the one that signs; then the only one, which stays.
    assert steps == [(2, True), (2, False), (1, False), (1, False)]


def test_an_upgrade_begins_with_a_new_ca_and_issues_nothing(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    before = server.certificate("session")
    for _ in range(2):
        assert main([*WHOLE, NEXT_CA], api) == 0
    assert server.certificate("session") == before
    assert len(trusted(server, "session")) == 2


def test_a_rollback_keeps_the_ca(api: KubernetesApi, server: ApiServer) -> None:
    main([*WHOLE, NEXT_CA], api)
    before = server.data("swath-ca")
    main(WHOLE, api)
    assert server.data("swath-ca") == before


def test_a_ca_is_replaced_in_the_last_third_of_its_life(api: KubernetesApi, server: ApiServer) -> None:
    # Certificates begin five minutes before they are made: two minutes to go of seven.
    main([*WHOLE, f"--ca-days={2 / 1440}"], api)
    first = server.certificate("session").issuer
    for _ in range(3):
        main([*ROTATE, "--ca-days=3650"], api)
    assert server.certificate("session").issuer != first
    assert [ca.subject for ca in trusted(server, "gateway")] == [server.certificate("gateway").issuer]


def test_a_change_that_was_cut_off_is_gone_on_with(api: KubernetesApi, server: ApiServer) -> None:
    main(WHOLE, api)
    old = dict(server.objects[("secrets", "swath-gateway-tls")]["data"])
    main([*ROTATE, NEXT_CA], api)
    # As if the first step had not come to the gateway.
    server.objects[("secrets", "swath-gateway-tls")]["data"] = old
    main([*ROTATE, NEXT_CA], api)
    assert_they_trust_one_another(server)
    # And the second one not to the session service.
    server.objects[("secrets", "swath-session-tls")]["data"]["tls.crt"] = old["tls.crt"]
    main([*ROTATE, NEXT_CA], api)
    assert len(trusted(server, "gateway")) == 2
    assert server.certificate("session").issuer == server.certificate("gateway").issuer


def test_a_step_waits_until_pods_have_taken_up_the_one_before(
    api: KubernetesApi, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("swath.runtime.installation.issuing.time.sleep", waits.append)
    main(WHOLE, api)
    for _ in range(4):
        main([*ROTATE[:-1], NEXT_CA, "--settle-seconds=100"], api)
    # Before certificates by the new CA, and before the old one goes; a rotation of every week waits for nobody.
    assert len(waits) == 2
    assert all(90 < each <= 100 for each in waits)


def test_signing_keys_are_made_once_and_rotated_with_certificates(api: KubernetesApi, server: ApiServer) -> None:
    ensure = ["ensure", "--prefix=swath", "--signing"]
    assert main(ensure, api) == main(ensure, api) == 0
    first = json.loads(server.data("swath-signing")["keys.json"])
    rotate = ["rotate", *ensure[1:]]
    # Two steps of a CA may follow one another within minutes; a token is good for an hour.
    assert main(rotate, api) == 0
    assert json.loads(server.data("swath-signing")["keys.json"]) == first
    held = server.objects["secrets", "swath-signing"]["data"]
    held["since"] = base64.b64encode((dt.datetime.now(dt.UTC) - dt.timedelta(days=2)).isoformat().encode()).decode()
    assert main(rotate, api) == main(rotate, api) == 0
    second = json.loads(server.data("swath-signing")["keys.json"])
    assert len(check_keys(first)) == 2
    # What signed stays good, and what every pod knew already signs now.
    assert (second[0], second[2]) == (first[1], first[0])
    assert main(["remove", "--prefix=swath"], api) == 0
    assert not server.objects


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
