"""The development CA."""

import stat

import pytest
from cryptography import x509

from swath.errors import InvalidInput, Precondition
from swath.runtime.auth.certificates import Authority


def _leaf(folder) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())


def _cas(folder) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((folder / "ca.crt").read_bytes())


def test_a_service_has_dns_names_and_a_uri_name(authority: Authority):
    folder = authority.issue_service("session", ["swath.example.org", "10.0.0.7"])
    names = _leaf(folder).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["session.swath", "localhost", "swath.example.org"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "10.0.0.7"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://swath/session"]


def test_a_user_has_a_uri_name_alone(authority: Authority):
    names = _leaf(authority.issue_user("alice")).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [each.value for each in names.value] == ["spiffe://swath/user/alice"]


@pytest.mark.parametrize("name", ["../alice", "", "a/b", "..", "a b"])
def test_names_that_lead_elsewhere_are_refused(authority: Authority, name):
    with pytest.raises(InvalidInput):
        authority.issue_user(name)


def test_private_keys_are_for_their_owner_alone(authority: Authority):
    folder = authority.issue_service("session")
    for key in (folder / "tls.key", authority.ca.with_name("ca.key")):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_rotation_keeps_names_and_ca_and_takes_new_keys(authority: Authority):
    folder = authority.issue_service("session", ["swath.example.org"])
    user = authority.issue_user("alice")
    before, key = _leaf(folder), (folder / "tls.key").read_bytes()
    assert authority.rotate() == [folder, user]
    after = _leaf(folder)
    kind = x509.SubjectAlternativeName
    assert after.extensions.get_extension_for_class(kind) == before.extensions.get_extension_for_class(kind)
    assert after.issuer == before.issuer
    assert after.serial_number != before.serial_number
    assert (folder / "tls.key").read_bytes() != key


def test_the_files_of_a_leaf_change_together_and_old_ones_are_removed(authority: Authority):
    folder = authority.issue_service("session")
    for _ in range(5):
        authority.rotate()
    assert (folder / "tls.crt").resolve().parent == (folder / "tls.key").resolve().parent
    assert len([each for each in folder.iterdir() if each.is_dir() and not each.is_symlink()]) == 2


def test_a_ca_roll_over_trusts_both_until_the_old_one_retires(authority: Authority):
    folder = authority.issue_service("session")
    [old] = _cas(folder)
    authority.roll()
    new = _cas(folder)[0]
    assert _cas(folder) == [new, old]
    assert _leaf(folder).issuer == old.subject
    authority.rotate()
    assert _leaf(folder).issuer == new.subject
    authority.retire()
    assert _cas(folder) == [new]


def test_a_ca_whose_certificates_are_in_use_does_not_retire(authority: Authority):
    authority.issue_service("session")
    authority.roll()
    with pytest.raises(Precondition, match="rotate first"):
        authority.retire()
