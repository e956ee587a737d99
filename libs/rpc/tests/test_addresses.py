"""Addresses as people write them, and as gRPC and clients take them."""

from __future__ import annotations

import pytest

from swath.client.channel import target_of
from swath.rpc.addresses import Address, parse_address, parse_addresses


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("127.0.0.1", "127.0.0.1:50051"),
        ("localhost", "localhost:50051"),
        ("::1", "[::1]:50051"),
        ("[::1]", "[::1]:50051"),
        ("::", "[::]:50051"),
        ("unix:/run/swath.sock", "unix:/run/swath.sock"),
        ("unix-abstract:swath", "unix-abstract:swath"),
    ],
)
def test_a_host_is_written_as_clients_take_it(host: str, written: str) -> None:
    address = Address.of(host, 50051)
    assert str(address) == written
    assert parse_address(written) == address
    assert target_of(written).endswith(written)


@pytest.mark.parametrize("host", ["", "127.0.0.1:50051", "[::1]:50051", "unix:", "http://there", "::1::2"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Address.of(host)


def test_an_ipv6_address_without_brackets_is_ambiguous() -> None:
    for read in (parse_address, target_of):
        with pytest.raises(ValueError, match=r"expected \[HOST\]:PORT, got '::1:50777'"):
            read("::1:50777")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("::1", True), ("127.0.0.2", True), ("localhost", True), ("unix:/a", True), ("::", False), ("10.0.0.1", False)],
)
def test_who_reaches_an_address(host: str, loopback: bool) -> None:
    assert Address.of(host, 1).loopback is loopback


def test_lists_hold_ip_addresses() -> None:
    assert parse_addresses("[::1]:1, [::2]:2") == (Address("::1", 1), Address("::2", 2))
    with pytest.raises(ValueError, match="IP:PORT only"):
        parse_addresses("a:1,b:2")
