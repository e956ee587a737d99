"""JWTs of configured issuers: which are taken, and how keys are found."""

import asyncio
import hashlib
import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from swath.errors import InvalidInput, Unauthenticated, Unavailable
from swath.runtime.auth.authentication import Authenticator
from swath.runtime.auth.jwks import FRESH_S, GOOD_S, PAUSE_S, UrlKeys
from swath.runtime.auth.jwts import JwtChecker
from swath.runtime.settings import JwtIssuer, ServerSettings

ISSUER = "https://login.example.org"
RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Any] = {
    "RS256": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def _jwk(algorithm: str, key: Any, kid: str | None = None) -> dict[str, Any]:
    entry = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)  # type: ignore[attr-defined]
    return entry | ({"kid": kid} if kid else {})


def _jwks(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"keys": entries}).encode()


def _token(algorithm: str = "ES256", *, key: Any = None, kid: str | None = None, **claims: Any) -> str:
    body = {"iss": ISSUER, "aud": "swath", "sub": "alice", "exp": time.time() + 60} | claims
    kid = algorithm if kid is None else kid
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, key or KEYS[algorithm], algorithm, headers={"kid": kid} if kid else None)


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    file = tmp_path / "jwks.json"
    file.write_bytes(_jwks(*(_jwk(algorithm, key, algorithm) for algorithm, key in KEYS.items())))
    return file


@pytest.fixture
def checker(jwks: Path) -> JwtChecker:
    return JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=str(jwks), leeway_s=5)])


async def _refused(checker: JwtChecker, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await checker.find(token)
    assert token not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_jwt_of_the_issuer_is_taken_and_sub_is_the_name(checker: JwtChecker, algorithm: str):
    for _ in range(2):  # the second time from memory
        who = await checker.find(_token(algorithm))
        assert (who.name, who.way) == ("alice", "jwt")


async def test_an_audience_may_be_one_of_many(checker: JwtChecker):
    assert (await checker.find(_token(aud=["another", "swath"]))).name == "alice"


async def test_a_prefix_tells_issuers_apart(jwks: Path):
    checker = JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=str(jwks), prefix="corp:")])
    assert (await checker.find(_token())).name == "corp:alice"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": time.time() - 600}, "expired"),
        ({"exp": None}, "lacks 'exp'"),
        ({"nbf": time.time() + 600}, "not valid yet"),
        ({"aud": "another"}, "expected aud 'swath'"),
        ({"aud": None}, "lacks 'aud'"),
        ({"sub": None}, "lacks 'sub'"),
        ({"sub": ""}, "printable"),
        ({"sub": "a\nb"}, "printable"),
        ({"sub": "x" * 257}, "printable"),
        ({"iss": "https://elsewhere.example.org"}, "believed: https://login.example.org"),
        ({"iss": None}, "believed: https://login.example.org"),
    ],
)
async def test_what_a_jwt_must_say(checker: JwtChecker, claims: dict[str, Any], why: str):
    assert why in await _refused(checker, _token(**claims))


async def test_clocks_may_differ_a_little(checker: JwtChecker):
    assert (await checker.find(_token(exp=time.time() - 2))).name == "alice"


async def test_a_remembered_jwt_expires(jwks: Path):
    checker = JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=str(jwks), leeway_s=0)])
    expires = int(time.time()) + 4
    token = _token(exp=expires)
    await checker.find(token)
    await asyncio.sleep(expires + 0.1 - time.time())
    assert "expired" in await _refused(checker, token)


def _forge(header: dict[str, Any], sign: bytes | None) -> str:
    body = {"iss": ISSUER, "aud": "swath", "sub": "alice", "exp": time.time() + 60}
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, body)]
    signed = b".".join(parts)
    signature = b"" if sign is None else hmac.new(sign, signed, hashlib.sha256).digest()
    return (signed + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
async def test_a_jwt_without_a_signature_is_refused(checker: JwtChecker, name: str):
    assert "expected RS256, ES256, EdDSA" in await _refused(checker, _forge({"alg": name, "kid": "RS256"}, None))


async def test_a_public_key_is_no_shared_secret(checker: JwtChecker):
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (public, public.strip()):
        forged = _forge({"alg": "HS256", "kid": "RS256"}, secret)
        assert "signed by 'HS256'; expected RS256, ES256, EdDSA" in await _refused(checker, forged)


async def test_a_key_is_for_its_own_algorithm(checker: JwtChecker):
    assert "does not publish" in await _refused(checker, _token("RS256", kid="ES256"))


async def test_an_algorithm_that_the_issuer_may_not_use_is_refused(jwks: Path):
    checker = JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=str(jwks), algorithms=("RS256",))])
    assert "expected RS256" in await _refused(checker, _token("ES256"))


async def test_a_signature_by_another_key_is_refused(checker: JwtChecker):
    forged = _token("ES256", key=ec.generate_private_key(ec.SECP256R1()))
    assert "not by its issuer" in await _refused(checker, forged)


@pytest.mark.parametrize(
    "token",
    ["a.b.c", "..", "é.b.c", _token()[:-4] + "AAAA", "[" * 4000 + ".b.c"],
    ids=["no base64", "nothing", "no ASCII", "another signature", "brackets"],
)
async def test_what_is_no_jwt_is_refused(checker: JwtChecker, token: str):
    await _refused(checker, token)


async def test_json_that_is_nested_too_deep_is_refused(checker: JwtChecker):
    deep = urlsafe_b64encode(b'{"a":' + b"[" * 100_000).decode()
    await _refused(checker, f"{deep}.{deep}.AAAA")


async def test_an_issuer_and_a_token_side_by_side(jwks: Path):
    issuer = JwtIssuer(issuer=ISSUER, audience="swath", jwks=str(jwks))
    known: dict[str, Any] = {"bob": hashlib.sha256(b"bobs").hexdigest()}
    authenticator = Authenticator(ServerSettings(jwt_issuers=(issuer,), tokens=known), behind_gateway=False)
    assert (await authenticator.identify([("authorization", f"bearer {_token()}")], None)).name == "alice"
    assert (await authenticator.identify([("authorization", "Bearer bobs")], None)).name == "bob"
    with pytest.raises(Unauthenticated, match=f"JWT of {ISSUER}"):
        await authenticator.identify([], None)


# Keys in a file


async def test_keys_in_a_file_change_and_old_ones_are_forgotten(checker: JwtChecker, jwks: Path):
    old = _token("ES256")
    await checker.find(old)
    fresh = ec.generate_private_key(ec.SECP256R1())
    await asyncio.to_thread(jwks.write_bytes, _jwks(_jwk("ES256", fresh, "fresh")))
    await asyncio.sleep(0.15)
    assert (await checker.find(_token("ES256", key=fresh, kid="fresh"))).name == "alice"
    assert "does not publish" in await _refused(checker, old)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"keys": 1}',
        b'{"keys": ' + b"[" * 100_000,
        _jwks(),
        _jwks({"kty": "oct", "k": "c2VjcmV0", "kid": "HS256"}),
    ],
    ids=["nothing", "list", "number", "brackets", "no keys", "shared secret"],
)
def test_a_file_without_public_keys_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / "jwks.json"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"jwks\.json"):
        JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=str(file))])


async def _taken_by(file: Path, document: bytes) -> dict[str, bool]:
    """Whether a checker that has this document takes a token of each algorithm."""
    await asyncio.to_thread(file.write_bytes, document)
    checker = JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=str(file))])
    taken = {}
    for algorithm in KEYS:
        try:
            await checker.find(_token(algorithm))
            taken[algorithm] = True
        except Unauthenticated:
            taken[algorithm] = False
    return taken


ALL = {algorithm: _jwk(algorithm, key, algorithm) for algorithm, key in KEYS.items()}
X448 = {"kty": "OKP", "crv": "X448", "x": "AAAA", "kid": "X448"}


@pytest.mark.parametrize(
    ("algorithm", "change"),
    [
        ("RS256", {"use": "enc"}),
        ("RS256", {"alg": "RSA-OAEP"}),
        ("RS256", {"alg": "RS512"}),
        ("RS256", {"kty": "oct", "k": "c2VjcmV0"}),
        ("RS256", {"n": "AQAB"}),
        ("ES256", {"alg": "RS256"}),
        ("ES256", {"crv": "P-384"}),
        ("ES256", {"x": 7}),
        ("EdDSA", {"crv": "Ed448"}),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
async def test_a_key_that_is_not_for_checking_is_left_out_and_the_others_are_not(
    tmp_path: Path, algorithm: str, change: dict[str, Any]
):
    entries = [entry | change if name == algorithm else entry for name, entry in ALL.items()]
    document = json.dumps({"keys": [None, "key", X448, *entries]}).encode()
    expected = {name: name != algorithm for name in KEYS}
    assert await _taken_by(tmp_path / "jwks.json", document) == expected


@pytest.mark.parametrize("names", [{"use": "sig", "alg": "EdDSA"}, {"alg": "Ed25519"}])
async def test_both_names_of_ed25519_are_known(tmp_path: Path, names: dict[str, str]):
    taken = await _taken_by(tmp_path / "jwks.json", _jwks(ALL["EdDSA"] | names))
    assert taken == {"RS256": False, "ES256": False, "EdDSA": True}


async def test_an_rsa_key_that_is_too_short_is_left_out(tmp_path: Path):
    short = rsa.generate_private_key(65537, 1024)
    file = tmp_path / "jwks.json"
    await asyncio.to_thread(file.write_bytes, _jwks(_jwk("RS256", short, "short"), ALL["ES256"]))
    checker = JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=str(file))])
    assert (await checker.find(_token("ES256"))).name == "alice"
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = _token("RS256", key=short, kid="short")
    assert "does not publish" in await _refused(checker, token)


def test_keys_come_by_https_unless_told_otherwise():
    with pytest.raises(ValueError, match="allow_http"):
        JwtIssuer(issuer=ISSUER, audience="swath", jwks="http://login.example.org/keys")


# Keys behind a URL


class _Issuer:
    """What is behind a URL, with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.there = _jwks(_jwk("ES256", KEYS["ES256"], "ES256"))
        self.away = False
        self.source = UrlKeys("https://login.example.org/keys", self._fetch, lambda: self.now)
        terms = JwtIssuer(issuer=ISSUER, audience="swath", jwks="https://login.example.org/keys")
        self.checker = JwtChecker([terms], lambda _: self.source)

    def _fetch(self, url: str) -> bytes:
        self.asked += 1
        if self.away:
            raise OSError("no route")
        return self.there


async def test_keys_are_fetched_once_for_all():
    issuer = _Issuer()
    await asyncio.gather(*(issuer.checker.find(_token(sub=str(number))) for number in range(20)))
    assert issuer.asked == 1


async def test_an_unknown_key_is_looked_for_at_most_every_few_seconds():
    issuer = _Issuer()
    await issuer.checker.find(_token())
    fresh = ec.generate_private_key(ec.SECP256R1())
    for _ in range(50):
        assert "does not publish" in await _refused(issuer.checker, _token(key=fresh, kid="fresh"))
    assert issuer.asked == 1
    issuer.there = _jwks(_jwk("ES256", fresh, "fresh"))
    issuer.now += PAUSE_S
    assert (await issuer.checker.find(_token(key=fresh, kid="fresh"))).name == "alice"
    assert issuer.asked == 2


async def test_keys_are_fetched_again_behind_the_calls():
    issuer = _Issuer()
    await issuer.checker.find(_token())
    issuer.now += FRESH_S + 1
    issuer.there = _jwks(_jwk("RS256", RSA, "RS256"))
    assert (await issuer.checker.find(_token(sub="bob"))).name == "bob"
    await asyncio.sleep(0.05)
    assert issuer.asked == 2
    await _refused(issuer.checker, _token())


async def test_keys_stay_good_for_a_while_when_the_issuer_is_away():
    issuer = _Issuer()
    await issuer.checker.find(_token())
    issuer.away = True
    issuer.now += GOOD_S - 1
    assert (await issuer.checker.find(_token(sub="bob"))).name == "bob"
    issuer.now += 10
    with pytest.raises(Unavailable, match=r"cannot be fetched from https://login\.example\.org/keys"):
        await issuer.checker.find(_token())


async def test_what_is_no_keys_costs_none_that_are_there():
    issuer = _Issuer()
    await issuer.checker.find(_token())
    issuer.there = b"<html>Back soon</html>"
    issuer.now += FRESH_S + 1
    fresh = ec.generate_private_key(ec.SECP256R1())
    assert "does not publish" in await _refused(issuer.checker, _token(key=fresh, kid="fresh"))
    assert issuer.asked == 2
    assert (await issuer.checker.find(_token(sub="bob"))).name == "bob"


async def test_unknown_keys_ask_no_oftener_while_the_issuer_is_away():
    issuer = _Issuer()
    await issuer.checker.find(_token())
    issuer.away = True
    issuer.now += PAUSE_S
    fresh = ec.generate_private_key(ec.SECP256R1())
    for _ in range(50):
        assert "does not publish" in await _refused(issuer.checker, _token(key=fresh, kid="fresh"))
    assert issuer.asked == 2


async def test_keys_that_have_not_changed_are_the_same_ones():
    issuer = _Issuer()
    known = await issuer.source.keys()
    issuer.now += PAUSE_S
    assert await issuer.source.newer() is known
    assert issuer.asked == 2
    issuer.there += b" "
    issuer.now += PAUSE_S
    assert await issuer.source.newer() is not known


async def test_an_issuer_that_never_answered_is_our_trouble_and_not_the_callers():
    issuer = _Issuer()
    issuer.away = True
    for _ in range(10):
        with pytest.raises(Unavailable):
            await issuer.checker.find(_token())
    assert issuer.asked == 1


@pytest.fixture
def web() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A web server: its address, and what it answers by path. An empty answer is a redirect to /keys."""
    pages: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            self.send_response(404 if page is None else 200 if page else 302)
            self.send_header("location", "/keys")
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *_: Any, **__: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()
    thread.join()
    server.server_close()


async def test_keys_come_by_http(web):
    url, pages = web
    pages["/keys"] = _jwks(_jwk("EdDSA", KEYS["EdDSA"], "EdDSA"))
    checker = JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=f"{url}/keys", allow_http=True)])
    assert (await checker.find(_token("EdDSA"))).name == "alice"


@pytest.fixture
def slow() -> Iterator[tuple[str, threading.Event]]:
    """A web server that has keys: their address, and what it waits for before it answers."""
    may = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            may.wait(60)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(_jwks(ALL["EdDSA"]))

        def log_message(self, *_: Any, **__: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/keys", may
    may.set()
    server.shutdown()
    thread.join()
    server.server_close()


async def test_the_event_loop_goes_on_while_keys_are_fetched(slow):
    url, may = slow
    checker = JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=url, allow_http=True)])
    asking = asyncio.create_task(checker.find(_token("EdDSA")))
    await asyncio.sleep(0.1)
    # Only who runs meanwhile can say this: a loop that waited would get no answer.
    assert not asking.done()
    may.set()
    assert (await asking).name == "alice"


async def test_a_server_that_is_silent_is_not_waited_for(slow, monkeypatch: pytest.MonkeyPatch):
    url, _ = slow
    monkeypatch.setattr("swath.runtime.auth.jwks._FETCH_S", 0.2)
    checker = JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=url, allow_http=True)])
    with pytest.raises(Unavailable, match="cannot be fetched"):
        await checker.find(_token("EdDSA"))


@pytest.mark.parametrize("path", ["/moved", "/nothing", "/large", "/html"])
async def test_what_is_no_keys_behind_a_url_gives_none(web, path: str):
    url, pages = web
    good = _jwks(_jwk("EdDSA", KEYS["EdDSA"], "EdDSA"))
    pages.update({"/keys": good, "/moved": b"", "/large": good + b" " * (1 << 20), "/html": b"<html>"})
    checker = JwtChecker([JwtIssuer(issuer=ISSUER, audience="swath", jwks=url + path, allow_http=True)])
    with pytest.raises(Unavailable):
        await checker.find(_token("EdDSA"))
