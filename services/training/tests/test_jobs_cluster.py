"""Workers as Kubernetes Jobs: what the cluster is asked, and what becomes of its answers."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swath.errors import Denied, Exhausted, Precondition, SwathError, Unavailable
from swath_suite.testing.json_server import JsonServer
from swath_training.launch.kubernetes.cluster import Cluster

JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "swath-run-1"},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "worker"}]}}},
}
MADE = {**JOB, "metadata": {"name": "swath-run-1", "uid": "0b9d"}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "swath-run-1"}}
JOBS = "/apis/batch/v1/namespaces/imaging/jobs"


class ApiServer(JsonServer):
    """Answers as it is told to."""

    def __init__(self) -> None:
        self.answers: deque[tuple[int, dict[str, Any]]] = deque()
        super().__init__(lambda _: self.answers.popleft())


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as made:
        yield made


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have this process be in no pod; gives where its kubeconfig would be."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    place = tmp_path / "kubeconfig"
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(place))
    return place


@pytest.fixture
def cluster(server: ApiServer, outside: Path) -> Cluster:
    at = {"server": server.url}
    chosen = {"cluster": "here", "user": "me", "namespace": "imaging"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": at}],
        "users": [{"name": "me", "user": {"token": "letmein"}}],
        "contexts": [{"name": "here", "context": chosen}],
    }
    outside.write_text(json.dumps(config))
    return Cluster()


def test_a_job_is_made_in_the_namespace_of_the_kubeconfig(cluster: Cluster, server: ApiServer) -> None:
    server.answers.append((201, MADE))
    assert cluster.create_job(JOB) == "0b9d"
    assert server.asked == [("POST", JOBS)]


def test_a_job_that_is_there_already_is_the_same_attempt_s(cluster: Cluster, server: ApiServer) -> None:
    server.answers.extend([(409, {"message": "already exists"}), (200, MADE)])
    assert cluster.create_job(JOB) == "0b9d"
    assert server.asked == [("POST", JOBS), ("GET", f"{JOBS}/swath-run-1")]


@pytest.mark.parametrize(
    ("code", "said", "kind", "expected"),
    [
        (401, "who is that?", Denied, "does not let the training service create a Job for the worker"),
        (403, "jobs.batch is forbidden", Denied, "does not let the training service create a Job for the worker"),
        (403, "exceeded quota: workers", Exhausted, "has no room"),
        (422, "no image", Precondition, "refused to create a Job for the worker"),
        (404, "no namespace", Precondition, "refused to create a Job for the worker"),
        (500, "broken", Unavailable, "cannot create a Job for the worker now"),
    ],
)
def test_each_refusal_has_its_error(
    cluster: Cluster, server: ApiServer, code: int, said: str, kind: type[SwathError], expected: str
) -> None:
    server.answers.append((code, {"message": said}))
    with pytest.raises(kind, match=expected) as caught:
        cluster.create_job(JOB)
    assert caught.value.message.endswith(said)


def test_a_template_that_is_no_job_is_the_operator_s_mistake(cluster: Cluster, server: ApiServer) -> None:
    with pytest.raises(Precondition, match="template of workers' Jobs"):
        cluster.create_job({**JOB, "spec": {"parallelism": "many"}})
    assert server.asked == []


def test_a_server_that_is_away_is_no_refusal(cluster: Cluster, server: ApiServer) -> None:
    server.stop()
    with pytest.raises(Unavailable, match="is away: ConnectionRefusedError"):
        cluster.create_job(JOB)


def test_what_is_there_or_gone_already_is_fine(cluster: Cluster, server: ApiServer) -> None:
    server.answers.extend([(409, {"message": "already exists"}), (404, {"message": "not found"})])
    cluster.create_service(SERVICE)
    cluster.delete_job("swath-run-1")
    assert server.asked == [
        ("POST", "/api/v1/namespaces/imaging/services"),
        ("DELETE", f"{JOBS}/swath-run-1"),
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda cluster: cluster.create_service(SERVICE),
        lambda cluster: cluster.delete_job("swath-run-1"),
        lambda cluster: cluster.owner("swath-training"),
    ],
    ids=["create a service", "delete a job", "read a deployment"],
)
def test_what_the_account_may_not_do_is_denied(
    cluster: Cluster, server: ApiServer, call: Callable[[Cluster], None]
) -> None:
    server.answers.append((403, {"message": "forbidden"}))
    with pytest.raises(Denied, match="does not let the training service"):
        call(cluster)


def test_logs_that_cannot_be_had_are_empty(cluster: Cluster, server: ApiServer) -> None:
    server.answers.append((403, {"message": "forbidden"}))
    assert cluster.log("swath-run-1", 20) == ""


def test_without_a_cluster_it_says_what_it_expected(outside: Path) -> None:
    with pytest.raises(Precondition, match="in a Kubernetes pod or with a kubeconfig"):
        Cluster()
