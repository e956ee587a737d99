"""Metadata by its names."""

import grpc.aio

from swath.rpc.metadata import by_name


def test_values_by_their_names_whatever_gives_them():
    pairs = (("a", "1"), ("b-bin", b"2"), ("a", "3"))
    for metadata in (pairs, list(pairs), grpc.aio.Metadata(*pairs)):
        assert by_name(metadata) == {"a": "3", "b-bin": b"2"}
    assert by_name(None) == {}
    assert by_name(()) == {}
