"""Users with passwords, and the keys that tokens of theirs are signed with."""

import base64
import hashlib
import json
import os
import stat
import time
from pathlib import Path

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from swath.errors import InvalidInput
from swath.runtime.auth.commands import signing_keys, user
from swath.runtime.auth.passwords import PasswordTable
from swath.runtime.auth.scrypt import Cost, PasswordHash
from swath.runtime.auth.signing import SigningKeys, new_keys, rotated, write_keys
from swath.runtime.settings import ServerSettings, problems

CHEAP = Cost(4, 8, 1)
# RFC 7914, section 12: scrypt("pleaseletmein", "SodiumChloride", N=16384, r=8, p=1), its first 32 bytes.
RFC_DIGEST = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")


def _run(command, *arguments: object, given: str | None = None) -> list[str]:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(each) for each in arguments], input=given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


class TestHashes:
    def test_a_hash_is_that_of_the_standard(self):
        salt, digest = (base64.b64encode(each).rstrip(b"=").decode() for each in (b"SodiumChloride" * 2, RFC_DIGEST))
        assert Cost(14, 8, 1).hash("pleaseletmein", b"SodiumChloride") == RFC_DIGEST
        read = PasswordHash.parse(f"$scrypt$ln=14,r=8,p=1${salt}${digest}")
        assert (read.cost, read.salt, read.digest) == (Cost(14, 8, 1), b"SodiumChloride" * 2, RFC_DIGEST)

    def test_a_hash_fits_its_password_alone_and_is_read_as_it_is_written(self):
        known = PasswordHash.of("correct horse", CHEAP)
        again = PasswordHash.parse(str(known))
        assert again == known
        assert again.fits("correct horse")
        assert not again.fits("correct horse ")
        assert PasswordHash.of("correct horse", CHEAP).salt != known.salt

    def test_trying_a_password_costs_32_mib(self):
        assert Cost().memory == 32 * 1024**2
        assert (Cost().log_n, Cost().r, Cost().p) == (15, 8, 3)

    @pytest.mark.parametrize("password", ["seven77", "", "x" * 1025])
    def test_a_password_has_a_length(self, password):
        with pytest.raises(ValueError, match="8 characters or more, and 1024 bytes at most"):
            PasswordHash.of(password, CHEAP)

    @pytest.mark.parametrize(
        "text", ["", "secret-password", "$scrypt$ln=15,r=8,p=3$short$short", "$2b$12$abc", 7, None, ["a"]]
    )
    def test_what_is_no_hash_is_not_repeated(self, text):
        with pytest.raises(ValueError, match="expected the scrypt hash") as caught:
            PasswordHash.parse(text)
        assert "secret" not in str(caught.value)

    def test_a_hash_that_would_take_all_memory_is_refused(self):
        with pytest.raises(ValueError, match="bytes, more than"):
            PasswordHash.parse(str(PasswordHash.of("correct horse", CHEAP)).replace("ln=4", "ln=30"))


class TestTable:
    def test_a_user_is_known_by_the_right_password(self):
        table = PasswordTable({"alice": str(PasswordHash.of("correct horse", CHEAP))})
        assert table.check("alice", "correct horse")
        assert not table.check("alice", "wrong")
        assert not table.check("mallory", "correct horse")

    def test_a_wrong_name_costs_what_a_wrong_password_costs(self, monkeypatch):
        users = {
            "alice": str(PasswordHash.of("correct horse", CHEAP)),
            "bob": str(PasswordHash.of("battery staple", Cost(5))),
        }
        table, done = PasswordTable(users), []
        real = hashlib.scrypt

        def counted(password, **given):
            done.append((given["n"], given["r"], given["p"]))
            return real(password, **given)

        monkeypatch.setattr(hashlib, "scrypt", counted)
        costs = []
        for name in ("alice", "bob", "mallory"):
            done.clear()
            assert not table.check(name, "wrong")
            costs.append(tuple(done))
        assert costs == [((16, 8, 1), (32, 8, 3))] * 3

    def test_a_file_that_changes_is_taken_up(self, tmp_path: Path):
        file = tmp_path / "users.json"
        file.write_text("{}")
        table = PasswordTable({}, file)
        assert table
        assert not table.check("alice", "correct horse")
        file.write_text(json.dumps({"alice": str(PasswordHash.of("correct horse", CHEAP))}))
        time.sleep(0.15)
        assert table.check("alice", "correct horse")
        before = table.find("alice")
        file.write_text(json.dumps({"alice": str(PasswordHash.of("another horse", CHEAP))}))
        time.sleep(0.15)
        after = table.find("alice")
        assert before is not None
        assert after is not None
        assert after.fingerprint != before.fingerprint

    @pytest.mark.parametrize("content", ["{", "[]", '{"alice": "my password"}', '{"": "x"}'])
    def test_a_file_of_another_form_is_refused(self, tmp_path: Path, content):
        file = tmp_path / "users.json"
        file.write_text(content)
        with pytest.raises(InvalidInput, match=f"users_file {file} cannot be used") as caught:
            PasswordTable({}, file)
        assert "my password" not in caught.value.message

    def test_settings_refuse_a_password_in_place_of_its_hash_and_do_not_repeat_it(self):
        with pytest.raises(ValidationError) as caught:
            ServerSettings(users={"alice": "my password"})
        assert problems(caught.value) == [
            "setting users: alice: expected the scrypt hash of a password, as `swath user` makes it"
        ]


class TestUserCommand:
    def test_a_password_is_asked_for_and_goes_to_the_file_as_a_hash(self, tmp_path: Path):
        file = tmp_path / "users.json"
        said = _run(user, "alice", "--file", file, given="correct horse\ncorrect horse\n")
        assert said[-1] == f"server: SWATH_USERS_FILE={file}"
        assert PasswordTable({}, file).check("alice", "correct horse")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "correct" not in file.read_text()

    def test_a_password_is_replaced_and_others_stay(self, tmp_path: Path):
        file = tmp_path / "users.json"
        for name, password in (("alice", "first one"), ("bob", "of bob's"), ("alice", "second one")):
            _run(user, name, "--file", file, "--password-stdin", given=f"{password}\n")
        table = PasswordTable({}, file)
        tried = (("alice", "first one"), ("alice", "second one"), ("bob", "of bob's"))
        assert [table.check(*each) for each in tried] == [False, True, True]

    def test_a_password_is_made_and_shown_once(self):
        said = dict(line.split(": ", 1) for line in _run(user, "alice", "--generate"))
        assert PasswordHash.parse(said["scrypt"]).fits(said["password"])
        assert said["server"] == f"SWATH_USERS='{json.dumps({'alice': said['scrypt']})}'"

    def test_a_user_is_removed(self, tmp_path: Path):
        file = tmp_path / "users.json"
        _run(user, "alice", "--file", file, "--generate")
        _run(user, "alice", "--file", file, "--remove")
        assert json.loads(file.read_text()) == {}
        with pytest.raises(InvalidInput, match="there is no user 'alice'"):
            _run(user, "alice", "--file", file, "--remove")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [(("a/b", "--generate"), "a name is"), (("a", "--generate", "--password-stdin"), "one of"), (("a",), "8 char")],
    )
    def test_what_is_wrong_is_said(self, arguments, words):
        with pytest.raises(InvalidInput, match=words):
            _run(user, *arguments, given="short\nshort\n")


class TestSigningKeys:
    def test_what_was_signed_before_a_rotation_is_good_after_it_and_no_longer(self, tmp_path: Path):
        file = tmp_path / "keys.json"
        _run(signing_keys, file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        keys = SigningKeys(file)
        first, foretold = keys.current, SigningKeys(file)._file.get()[1]
        found = []
        for _ in range(2):
            _run(signing_keys, file, "--rotate")
            time.sleep(0.15)
            found.append((keys.current, keys.find(first.id)))
        # The one that every replica knew before signs now; then one that was made by the rotation before.
        assert found[0] == (foretold, first)
        assert found[1][0] not in (first, foretold)
        assert found[1][1] is None

    def test_a_single_key_gets_a_follower_before_it_goes(self):
        only = new_keys()[:1]
        assert rotated(only)[0] == only[0]
        assert len(set(rotated(only))) == 2

    def test_a_process_of_its_own_makes_its_keys_once(self, tmp_path: Path):
        file = tmp_path / "keys.json"
        assert SigningKeys.kept_in(file).current == SigningKeys.kept_in(file).current

    @pytest.mark.parametrize("content", ["", "[]", "{}", '["c2hvcnQ="]', '["no base64 at all"]', "[7]"])
    def test_a_file_of_another_form_is_refused(self, tmp_path: Path, content):
        file = tmp_path / "keys.json"
        file.write_text(content)
        with pytest.raises(InvalidInput, match="cannot be used"):
            SigningKeys(file)

    def test_keys_are_made_once_and_rotated_where_they_are(self, tmp_path: Path):
        file = tmp_path / "keys.json"
        with pytest.raises(InvalidInput, match="to rotate"):
            _run(signing_keys, file, "--rotate")
        write_keys(file, new_keys())
        with pytest.raises(InvalidInput, match="is there"):
            _run(signing_keys, file)
        os.truncate(file, 3)
        with pytest.raises(InvalidInput, match="no file of signing keys"):
            _run(signing_keys, file, "--rotate")
