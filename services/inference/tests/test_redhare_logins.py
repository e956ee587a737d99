"""Who may open a stream of redhare.Inference: passwords, tokens, limits; and where."""

import asyncio
import json
from typing import Any

import jwt
import pytest

from swath.errors import Exhausted, InvalidInput, ModelNotFound, Precondition, Unauthenticated
from swath.published.model import Change, Model, ModelVersion
from swath.rpc.addresses import Address
from swath.runtime.auth.passwords import PasswordTable
from swath.runtime.auth.scrypt import Cost, PasswordHash
from swath.runtime.auth.signing import SigningKeys, new_keys, rotated, write_keys
from swath_inference.protocols.redhare.addresses import Reachable, host_of
from swath_inference.protocols.redhare.attempts import Attempts
from swath_inference.protocols.redhare.logins import Logins
from swath_inference.protocols.redhare.tokens import Grant, Tokens
from swath_inference.published.models import PublishedModels

PEER = "192.0.2.7"
CHEAP = Cost(4, 8, 1)


def _hash(password):
    return str(PasswordHash.of(password, CHEAP))


@pytest.fixture
def models():
    """Everybody may call "open", alice alone "hers"."""
    models = PublishedModels()
    version = ModelVersion(1, "sha256:0")
    hers = Model("hers", owner="alice", callers=("alice",), versions=(version,))
    models.apply(Change((Model("open", versions=(version,)), hers), complete=True))
    return models


@pytest.fixture
def users_file(tmp_path):
    file = tmp_path / "users.json"
    file.write_text(json.dumps({"alice": _hash("correct horse"), "bob": _hash("battery staple")}))
    return file


@pytest.fixture
def keys_file(tmp_path):
    file = tmp_path / "keys.json"
    write_keys(file, new_keys())
    return file


@pytest.fixture
def clock():
    """A list of the time, to be changed."""
    return [1_000_000.0]


@pytest.fixture
def logins(models, users_file, keys_file, clock):
    """Makes logins; what is given replaces their arguments."""
    made = []

    def make(users=None, keys=keys_file, required=True, user_tries=5, peer_tries=9):
        users = PasswordTable({}, users_file) if users is None else users
        tokens = Tokens(None if keys is None else SigningKeys(keys), 60.0, lambda: clock[0])
        made.append(Logins(users, tokens, models, required=required, user_tries=user_tries, peer_tries=peer_tries))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _alice(model="open", **more):
    return {"model_name": model, "user_name": "alice", "password": "correct horse", **more}


class TestPasswords:
    async def test_a_right_one_gives_a_token_for_the_model_and_the_user(self, logins):
        mine = logins()
        grant = mine.grant(await mine.login(_alice("hers:1"), PEER))
        assert (grant.model, grant.user, grant.until) == ("hers:1", "alice", 1_000_060.0)

    @pytest.mark.parametrize(
        "wrong",
        [{"password": "wrong horse"}, {"user_name": "mallory"}, {"user_name": "a" * 5000}, {"password": "x" * 100_000}],
    )
    async def test_a_wrong_user_and_a_wrong_password_are_told_the_same(self, logins, wrong):
        with pytest.raises(Unauthenticated) as caught:
            await logins().login(_alice(**wrong), PEER)
        assert caught.value.message == "the user name or the password is wrong"

    async def test_a_user_alone_learns_what_models_there_are(self, logins):
        mine = logins()
        with pytest.raises(Unauthenticated):
            await mine.login(_alice("nothing", password="wrong"), PEER)
        with pytest.raises(ModelNotFound):
            await mine.login(_alice("nothing"), PEER)
        with pytest.raises(ModelNotFound):
            await mine.login(_alice("open:7"), PEER)

    async def test_who_may_call_a_model_follows_the_model(self, logins):
        mine = logins()
        await mine.login(_alice("hers"), PEER)
        with pytest.raises(ModelNotFound):
            await mine.login({"model_name": "hers", "user_name": "bob", "password": "battery staple"}, PEER)

    @pytest.mark.parametrize("attributes", [{"model_name": "open"}, {"model_name": "open", "user_name": "alice"}])
    async def test_nobody_is_told_what_is_expected(self, logins, attributes):
        with pytest.raises(Unauthenticated, match="expected 'user_name' and 'password', or 'token'"):
            await logins().login(attributes, PEER)

    async def test_a_model_must_be_named(self, logins):
        with pytest.raises(InvalidInput, match="expected 'model_name'"):
            await logins().login({"user_name": "alice", "password": "correct horse"}, PEER)

    async def test_where_nobody_is_asked_everybody_is_nobody(self, logins):
        mine = logins(users=PasswordTable({}), required=False)
        assert mine.grant(await mine.login({"model_name": "open", "user_name": "x", "password": "y"}, PEER)).user == ""

    async def test_users_are_asked_as_soon_as_there_are_some(self, logins):
        mine = logins(required=False)
        with pytest.raises(Unauthenticated):
            await mine.login({"model_name": "open"}, PEER)

    async def test_a_token_of_nobody_is_none_once_there_are_users(self, logins):
        token = await logins(users=PasswordTable({}), required=False).login({"model_name": "open"}, PEER)
        with pytest.raises(Unauthenticated):
            logins(required=False).grant(token)

    async def test_keys_must_be_shared(self, logins):
        with pytest.raises(Precondition, match="SWATH_SIGNING_KEYS_FILE"):
            await logins(keys=None).login(_alice(), PEER)


class TestLimits:
    async def test_a_user_may_be_tried_so_often(self, logins):
        mine = logins(user_tries=3)
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                await mine.login(_alice(password="wrong"), PEER)
        with pytest.raises(Exhausted) as caught:
            await mine.login(_alice(), PEER)
        assert caught.value.message == "too many passwords tried for this user: try again in 20 s"
        assert caught.value.retry_after == 20
        # Others are not held up by that.
        await mine.login({"model_name": "open", "user_name": "bob", "password": "battery staple"}, PEER)

    async def test_a_name_that_is_no_user_is_limited_as_well(self, logins):
        mine = logins(user_tries=1)
        for error in (Unauthenticated, Exhausted):
            with pytest.raises(error):
                await mine.login(_alice(user_name="mallory"), PEER)

    async def test_an_address_may_try_so_often(self, logins):
        mine = logins(peer_tries=2)
        for name in ("a", "b"):
            with pytest.raises(Unauthenticated):
                await mine.login(_alice(user_name=name), PEER)
        with pytest.raises(Exhausted, match="too many passwords tried from this address: try again in 30 s"):
            await mine.login(_alice(), PEER)
        await mine.login(_alice(), "192.0.2.8")

    async def test_a_right_password_gives_all_tries_again(self, logins):
        mine = logins(user_tries=2)
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                await mine.login(_alice(password="wrong"), PEER)
            await mine.login(_alice(), PEER)

    async def test_renewing_takes_no_try(self, logins):
        mine = logins(user_tries=1, peer_tries=1)
        token = await mine.login(_alice(), PEER)
        for _ in range(5):
            token = await mine.login({"token": token}, PEER)

    def test_tries_come_back_with_time(self):
        now = [0.0]
        tries = Attempts(2, lambda: now[0])
        assert [tries.take("a"), tries.take("a"), tries.take("a")] == [0.0, 0.0, 30.0]
        now[0] = 29.0
        assert tries.take("a") == pytest.approx(1.0)
        now[0] = 30.0
        assert tries.take("a") == 0.0
        now[0] = 1000.0
        assert [tries.take("a"), tries.take("a")] == [0.0, 0.0]
        assert tries.take("a") > 0

    def test_names_are_not_remembered_without_end(self):
        tries = Attempts(1)
        for number in range(20_000):
            tries.take(str(number))
        assert len(tries._left) == 10_000


class TestTokens:
    async def test_one_is_renewed_before_it_expires_and_not_after(self, logins, clock):
        mine = logins()
        token = await mine.login(_alice("hers"), PEER)
        clock[0] += 59
        newer = await mine.login({"token": token, "model_name": "hers"}, PEER)
        clock[0] += 59
        assert mine.grant(newer).user == "alice"
        with pytest.raises(Unauthenticated, match="the token expired 58 s ago, 60 s after it was issued"):
            await mine.login({"token": token}, PEER)

    @pytest.mark.parametrize("other", [{"model_name": "hers"}, {"user_name": "bob"}])
    async def test_one_is_for_its_model_and_its_user(self, logins, other):
        mine = logins()
        token = await mine.login(_alice(), PEER)
        with pytest.raises(Unauthenticated, match="another user's, or for another model"):
            await mine.login({"token": token, **other}, PEER)

    async def test_one_holds_at_every_replica_that_has_the_keys(self, logins, tmp_path):
        token = await logins().login(_alice(), PEER)
        assert logins().grant(token).user == "alice"
        other = tmp_path / "other.json"
        write_keys(other, new_keys())
        with pytest.raises(Unauthenticated, match="not one of this service"):
            logins(keys=other).grant(token)

    async def test_one_outlives_a_rotation_of_the_keys_and_no_second_one(self, logins, keys_file):
        mine = logins()
        token = await mine.login(_alice(), PEER)
        for _ in range(2):
            assert mine.grant(token).user == "alice"
            write_keys(keys_file, rotated(json.loads(keys_file.read_text())))
            await asyncio.sleep(0.15)
        with pytest.raises(Unauthenticated):
            mine.grant(token)

    @pytest.mark.parametrize("users", [{}, {"alice": "another horse"}])
    async def test_one_ends_with_the_password_that_it_was_given_for(self, logins, users_file, users):
        mine = logins()
        token = await mine.login(_alice(), PEER)
        users_file.write_text(json.dumps({name: _hash(password) for name, password in users.items()}))
        await asyncio.sleep(0.15)
        with pytest.raises(Unauthenticated, match="has another password now"):
            mine.grant(token)

    async def test_what_was_made_elsewhere_is_none(self, logins, keys_file):
        mine = logins()
        good = await mine.login(_alice(), PEER)
        key = SigningKeys(keys_file).current
        claims = jwt.decode(good, options={"verify_signature": False})
        header, _, signature = good.split(".")

        def signed(claims, secret: Any = key.secret, algorithm="HS256", kid=key.id):
            return jwt.encode(claims, secret, algorithm, headers={"kid": kid})

        forged = [
            signed(claims, bytes(32)),
            signed(claims, kid="another"),
            signed({**claims, "aud": "another"}),
            signed({**claims, "iss": "another"}),
            signed({**claims, "sub": 7}),
            signed({**claims, "exp": "soon"}),
            signed({name: value for name, value in claims.items() if name != "model"}),
            signed(claims, None, "none"),
            signed(claims, key.secret * 2, "HS512"),
            f"{header}..{signature}",
            "",
            "a.b.c",
            "x" * 10_000,
            "ü.ü.ü",
        ]
        assert mine.grant(signed(claims)).user == "alice"
        for token in forged:
            with pytest.raises(Unauthenticated) as caught:
                mine.grant(token)
            assert len(token) < 20 or token not in caught.value.message

    def test_a_grant_is_what_was_granted(self, keys_file, clock):
        tokens = Tokens(SigningKeys(keys_file), 60.0, lambda: clock[0])
        assert tokens.read(tokens.issue("open:2", "alice", "ab12")) == Grant("open:2", "alice", "ab12", 1_000_060.0)


class TestAddresses:
    GATEWAY = (("x-forwarded-host", "swath.example:443"), ("x-forwarded-for", "10.0.0.1,192.0.2.7"))

    @pytest.mark.parametrize(
        ("listening", "peer", "told"),
        [
            (Address("127.0.0.1", 7), "ipv4:127.0.0.1:9", "127.0.0.1:7"),
            (Address("0.0.0.0", 7), "ipv4:127.0.0.1:9", "127.0.0.1:7"),
            (Address("::", 7), "ipv6:%5B::1%5D:9", "[::1]:7"),
            (Address("::", 7), "ipv6:[::ffff:127.0.0.1]:9", "127.0.0.1:7"),
            (Address("unix:/run/swath", 0), "unix:", "unix:/run/swath"),
        ],
    )
    def test_a_server_tells_an_address_on_the_way_to_the_client(self, listening, peer, told):
        here = Reachable("", behind_gateway=False)
        here.listening = listening
        assert here.told(self.GATEWAY, peer) == told

    def test_behind_a_gateway_it_is_the_name_by_which_that_was_called(self):
        here = Reachable("", behind_gateway=True)
        here.listening = Address("10.0.0.2", 50051)
        assert here.told(self.GATEWAY, "ipv4:10.0.0.3:1") == "swath.example:443"
        assert here.told((("x-forwarded-host", "[::1]:80"),), "") == "[::1]:80"
        plain, safe = (("x-forwarded-proto", each) for each in ("http", "https"))
        assert here.told((("x-forwarded-host", "swath.example"), plain), "") == "swath.example:80"
        assert here.told((("x-forwarded-host", "[::1]"), safe), "") == "[::1]:443"

    def test_what_is_set_is_told(self):
        assert Reachable("swath.example:7", behind_gateway=True).told(self.GATEWAY, "") == "swath.example:7"

    def test_a_client_is_who_the_gateway_has_seen(self):
        assert Reachable("", behind_gateway=True).client(self.GATEWAY, "ipv4:10.0.0.3:1") == "192.0.2.7"
        assert Reachable("", behind_gateway=False).client(self.GATEWAY, "ipv4:10.0.0.3:1") == "10.0.0.3"

    @pytest.mark.parametrize(
        ("peer", "host"), [("ipv4:10.0.0.3:1", "10.0.0.3"), ("ipv6:[::1]:1", "::1"), ("unix:", "unix:"), ("", "")]
    )
    def test_a_peer_has_a_host(self, peer, host):
        assert host_of(peer) == host
