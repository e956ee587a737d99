"""Artifacts that nothing refers to: the session service asks training and pipeline, over the suite's own TLS."""

from __future__ import annotations

import time

from swath_suite.suite import Suite


def _total(suite: Suite, part: str, *words: str) -> float:
    """Return the sum of what the replicas of a service tell Prometheus in lines that hold some words."""
    told = "\n".join(suite.metrics(process.name) for process in suite.replicas(part))
    lines = [line for line in told.splitlines() if all(word in line for word in words) and not line.startswith("#")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_one_replica_of_the_session_service_has_looked_for_them(suite: Suite) -> None:
    deadline = time.monotonic() + 120
    answered = ("grpc_server_handled_total{", '"ReadReferences"', '"OK"')
    # A call is counted once its answer has gone, and so may be after who asked has counted the round.
    while not (
        _total(suite, "session", "swath_artifact_rounds_total")
        and _total(suite, "training", *answered)
        and _total(suite, "pipeline", *answered)
    ):
        assert time.monotonic() < deadline
        time.sleep(1.0)
    assert _total(suite, "training", *answered) >= 1
    assert _total(suite, "pipeline", *answered) >= 1
