"""Both clients against a server that goes away."""

import socket

import pytest

from swath.client import AsyncClient, Client, ClientConfig, NotFoundError, RetryConfig, UnavailableError

QUICK = RetryConfig(initial_s=0.02, max_s=0.1)
ALL = [f"message {seq}" for seq in range(1, 11)]


def test_train_goes_on_after_each_cut_without_gaps_or_repeats(flaky: tuple) -> None:
    servicer, target = flaky
    servicer.cuts = [3, 4, 9]
    with Client(ClientConfig(target=target, retry=QUICK)) as client:
        assert [progress.message for progress in client.attach("s1").train()] == ALL
    assert [asked.get("swath-after-seq") for asked in servicer.asked] == [None, "3", "4", "9"]
    assert servicer.asked[-1]["swath-run-id"] == "run-1"


async def test_async_train_goes_on_too(flaky: tuple) -> None:
    servicer, target = flaky
    servicer.cuts = [1, 10]
    async with AsyncClient(ClientConfig(target=target, retry=QUICK)) as client:
        assert [progress.message async for progress in client.attach("s1").train()] == ALL


def test_leaving_the_loop_early_cancels_the_stream_alone(flaky: tuple) -> None:
    _, target = flaky
    with Client(target) as client:
        for progress in client.attach("s1").train():
            assert progress.message == "message 1"
            break


def test_error_carries_code_reason_metadata_and_delay(flaky: tuple) -> None:
    with Client(flaky[1]) as client, pytest.raises(NotFoundError) as caught:
        client.attach("s1").close()
    error = caught.value
    assert (error.code, error.reason, error.metadata) == ("NOT_FOUND", "SESSION_NOT_FOUND", {"session": "s1"})
    assert error.retry_after_s == 1.5
    assert error.answered
    assert str(error) == "CloseSession: Session s1 not found [SESSION_NOT_FOUND]"


async def test_async_error_is_the_same(flaky: tuple) -> None:
    async with AsyncClient(flaky[1]) as client:
        with pytest.raises(NotFoundError, match="Session s1 not found"):
            await client.attach("s1").close()


def test_idempotent_calls_are_made_again(flaky: tuple) -> None:
    servicer, target = flaky
    servicer.stumbles = 2
    with Client(ClientConfig(target=target, retry=QUICK)) as client:
        client.attach("s1").status()
    assert servicer.stumbles == 0


def test_nobody_there_is_said_in_plain_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{taken.getsockname()[1]}"
        config = ClientConfig(target=target, retry=RetryConfig(attempts=1))
        with (
            Client(config) as client,
            pytest.raises(UnavailableError, match=f"no server answers at {target}") as caught,
        ):
            client.attach("s1").status()
    assert not caught.value.answered
