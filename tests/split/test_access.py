"""Between services everybody proves who he is, and may do what he needs to."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import pytest

from swath.client import Client
from swath_suite.suite import Suite

CLOSE = "/cuvis_ai.v1.CuvisAIService/CloseSession"
REMOVE = "/swath.session.v1.SessionAuthority/RemoveSession"


def _call(suite: Suite, method: str, certificate: Path | None) -> grpc.RpcError:
    """Call the session service itself, past the gateway."""
    ca = suite.certificates.ca.read_bytes()
    files = () if certificate is None else (certificate / "tls.key", certificate / "tls.crt")
    credentials = grpc.ssl_channel_credentials(ca, *(each.read_bytes() for each in files))
    target = f"127.0.0.1:{suite.layout.ports['session-0'].grpc}"
    options = [("grpc.ssl_target_name_override", "session.swath")]
    with grpc.secure_channel(target, credentials, options) as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(method)(b"", timeout=5)
    return raised.value


def test_without_a_certificate_nobody_gets_in(suite: Suite) -> None:
    assert _call(suite, CLOSE, None).code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(("who", "method"), [("training", CLOSE), ("training", REMOVE), ("config", REMOVE)])
def test_a_service_may_call_what_it_needs_and_nothing_else(suite: Suite, who: str, method: str) -> None:
    refused = _call(suite, method, suite.layout.folder / "certs" / who)
    assert refused.code() is grpc.StatusCode.PERMISSION_DENIED
    assert f"spiffe://swath/{who}" in (refused.details() or "")


def test_users_go_through_the_gateway(suite: Suite) -> None:
    user = suite.certificates.issue_user("somebody")
    assert _call(suite, CLOSE, user).code() is grpc.StatusCode.PERMISSION_DENIED


def test_every_call_that_changes_something_leaves_an_audit_line(suite: Suite) -> None:
    with Client(suite.target) as client, client.session() as session:
        closed = session.id
    # Lines are written a moment after the answer, which does not wait for them.
    deadline = time.monotonic() + 60
    audits: list[str] = []
    while not any(CLOSE in line and '"code": "OK"' in line and '"trace"' in line for line in audits):
        assert time.monotonic() < deadline, audits
        time.sleep(0.05)
        lines = "".join(each.log.read_text() for each in suite.replicas("session"))
        audits = [line for line in lines.splitlines() if '"audit"' in line and closed in line]
