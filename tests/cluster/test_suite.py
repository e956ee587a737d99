"""The suite on a real cluster, from installation to removal; in the order of the file."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509

from swath.api import SERVICE_NAMES
from swath.client import CallError, Client, ClientConfig, Session, numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_suite.testing.monitoring import expressions, metrics_in
from swath_suite.testing.workload import Workload, fitted, scene

from .conftest import CHART, RELEASE, Cluster, run
from .next_release import NextRelease
from .one_truth import check_one_truth


@pytest.fixture
def workload(client_config: ClientConfig) -> Iterator[Workload]:
    """Work under way. In the end everything that was acknowledged must be there."""
    work = Workload(client_config)
    work.start()
    yield work
    work.stop()
    print(work.report())
    assert work.missing() == []


def test_a_client_outside_trains_and_infers(client: Client) -> None:
    cube, wavelengths = scene()
    scores = fitted(client).infer(cube=cube, wavelengths=wavelengths, outputs=["scores"]).only("scores")
    assert scores.shape[:3] == cube.shape[:3]
    assert np.isfinite(scores).all()


def test_a_published_model_has_the_same_bits_by_every_way(client: Client, client_config: ClientConfig) -> None:
    check_one_truth(client, client_config)


def test_a_pod_does_by_dns(cluster: Cluster) -> None:
    assert cluster.helm("test", RELEASE, "--timeout=5m").count("Phase:          Succeeded") == 3


def test_reflection_lists_everything_and_health_is_told(grpcurl: Callable[..., str]) -> None:
    assert "cuvis_ai.v1.CuvisAIService" in grpcurl("list")
    health = grpcurl("grpc.health.v1.Health/Check", given={"service": "cuvis_ai.v1.CuvisAIService"})
    assert json.loads(health)["status"] == "SERVING"


def test_runs_are_jobs_on_gpus_and_one_too_many_waits_in_words(cluster: Cluster, client: Client) -> None:
    fitted(client)
    sessions = [_configured(client) for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        runs = [threads.submit(_messages, session) for session in sessions]
        jobs = cluster.until(lambda: cluster.objects("jobs", "-l", "swath.dev/run"))
        worker = jobs[0]["spec"]["template"]["spec"]["containers"][0]
        messages = [run.result(240) for run in runs]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert jobs[0]["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    # The node has two of them: one of three runs has to wait for another to end.
    assert any("no place for the worker" in said for said in messages)


def test_a_run_of_two_processes_is_one_job_whose_pods_meet(cluster: Cluster, client: Client) -> None:
    fitted(client)
    session = _configured(client, "training.max_epochs=2", "training.accelerator=cpu", "training.devices=2")
    list(session.train("statistical"))

    told = list(session.train("gradient"))

    job = next(each for each in cluster.objects("jobs", "-l", "swath.dev/run") if each["spec"]["completions"] == 2)
    assert told[-1].message.startswith("Gradient training complete")
    assert not any("Resuming" in each.message for each in told)
    assert cluster.until(lambda: _succeeded(cluster, job["metadata"]["name"]) == 2)
    service = next(each for each in cluster.objects("services", "-l", "swath.dev/run"))
    assert [owner["uid"] for owner in service["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]


def _succeeded(cluster: Cluster, job: str) -> int:
    return json.loads(cluster.kubectl("get", "job", job, "-o", "json"))["status"].get("succeeded", 0)


def _configured(client: Client, *overrides: str) -> Session:
    session = client.open_session()
    overrides = overrides or ("training.max_epochs=30",)
    session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_deep_svdd", list(overrides)))
    return session


def _messages(session: Session) -> str:
    return "\n".join(told.message for told in session.train("statistical"))


@pytest.fixture
def forwarded(cluster: Cluster) -> Iterator[str]:
    """The gateway at a port of this machine, as NOTES says."""
    command = ["kubectl", "--namespace", cluster.namespace, "port-forward", f"service/{RELEASE}", ":50051"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarding:
        assert forwarding.stdout is not None
        # Forwarding from 127.0.0.1:40001 -> 50051
        port = forwarding.stdout.readline().split(" -> ")[0].rpartition(":")[2]
        yield f"localhost:{port}"
        forwarding.terminate()


def test_what_a_worker_said_is_read_when_its_job_is_gone(
    cluster: Cluster, client: Client, client_config: ClientConfig, forwarded: str
) -> None:
    session = fitted(client)
    assert "deleted" in cluster.kubectl("delete", "jobs", "-l", f"swath.dev/run={session.run_id}", "--wait=true")
    assert client_config.tls is not None
    connection = {
        "SWATH_TARGET": forwarded,
        "SWATH_TOKEN": str(client_config.token),
        "SWATH_TLS_ROOT": str(client_config.tls.root),
    }
    command = [str(Path(sys.executable).with_name("swath")), "logs", session.run_id]
    said = subprocess.run(command, env={**os.environ, **connection}, capture_output=True, text=True, check=True).stdout
    assert "attempt begins" in said
    assert "attempt ends" in said


@pytest.fixture
def repaired(cluster: Cluster) -> Iterator[None]:
    """Brings the installation back to what it was."""
    yield
    cluster.apply()


QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: workers}
spec: {hard: {requests.nvidia.com/gpu: "0"}}
"""


def test_a_quota_is_said_and_the_run_begins_once_there_is_room(cluster: Cluster, client: Client) -> None:
    fitted(client)
    cluster.kubectl("apply", "-f", "-", given=QUOTA)
    said = []
    try:
        for told in _configured(client).train("statistical"):
            said.append(told.message)
            if "exceeded quota" in told.message:
                cluster.kubectl("delete", "resourcequota", "workers", "--ignore-not-found")
    finally:
        cluster.kubectl("delete", "resourcequota", "workers", "--ignore-not-found")
    assert any("exceeded quota" in each for each in said)


@pytest.mark.usefixtures("repaired")
def test_an_image_that_is_not_there_is_said_within_seconds(cluster: Cluster, client: Client) -> None:
    cluster.apply("--set", "training.workers.image.repository=swath-nowhere")
    session = _configured(client)
    started = time.monotonic()
    said = next(told.message for told in session.train("statistical") if "swath-nowhere" in told.message)
    assert time.monotonic() - started < 30
    assert "the worker's container does not start" in said
    session.stop()


@pytest.mark.usefixtures("repaired")
def test_rights_that_are_missing_are_said_at_once(cluster: Cluster, client: Client) -> None:
    cluster.kubectl("delete", "rolebinding", f"{RELEASE}-training")
    with pytest.raises(CallError, match="does not let the training service"):
        _messages(_configured(client))


def test_metrics_are_read_by_a_pod_of_another_namespace(cluster: Cluster) -> None:
    pods = [each for each in cluster.objects("pods") if each["status"]["phase"] == "Running"]
    ports = {
        f"{each['status']['podIP']}:{port['containerPort']}": each["metadata"]["name"]
        for each in pods
        for container in each["spec"]["containers"]
        for port in container.get("ports", ())
        if port["name"] in ("metrics", "probe")
    }
    read = (
        "import urllib.request as u\n"
        f"for at in {sorted(ports)}:\n"
        " path = '/stats/prometheus' if at.endswith(':8086') else '/metrics'\n"
        " lines = u.urlopen(f'http://{at}{path}', timeout=10).read().decode().splitlines()\n"
        " print(at, *[line.split()[2] for line in lines if line.startswith('# TYPE')])\n"
    )
    start = ["kubectl", "--namespace", "default", "run", "prometheus", "--image=swath-core:e2e", "--restart=Never"]
    said = run([*start, "--rm", "--attach", "--quiet", "--command", "--", "python", "-c", read])
    told = {at: set(names) for at, *names in (line.split() for line in said.splitlines())}
    assert told.keys() == ports.keys()
    assert {name.split("-")[1] for name in ports.values()} == {*SERVICE_NAMES, "gateway"}
    # What the dashboard and the alerts ask for, but for what the cluster tells.
    asked = {name for each in expressions(CHART / "files") for name in metrics_in(each)}
    ours = {name for name in asked if name.startswith(("swath_", "grpc_", "envoy_"))}
    asked = {re.sub("_(bucket|sum|count)$", "", name) for name in ours}
    assert asked <= {name for names in told.values() for name in names}


def test_a_pod_of_the_node_hands_a_tensor_over_in_memory(cluster: Cluster, client: Client) -> None:
    session = fitted(client)
    _, wavelengths = scene()
    cube = np.arange(16 * wavelengths.size, dtype=np.float32).reshape(1, 4, 4, -1)
    right = session.infer(cube=cube, wavelengths=wavelengths, outputs=["scores"]).only("scores")
    name = f"swath-{session.id}-cube"
    request = pb.InferenceRequest(session_id=session.id, output_specs=["scores"])
    place = pb.ShmRef(name=name, byte_size=cube.nbytes)
    request.inputs.cube.CopyFrom(pb.Tensor(shape=cube.shape, dtype=pb.D_TYPE_FLOAT32, shm_ref=place))
    request.inputs.wavelengths.CopyFrom(numpy_to_proto(wavelengths))
    write = f"import array; open('/dev/shm/{name}', 'wb').write(array.array('f', range({cube.size})).tobytes())"
    _on_the_node(cluster, write)
    try:
        answer = client.stub.Inference(request, metadata=tuple(client.config.call_metadata()))
    finally:
        _on_the_node(cluster, f"import os; os.unlink('/dev/shm/{name}')")
    (scores,) = answer.outputs.values()
    assert np.frombuffer(scores.raw_data, np.float32).tolist() == right.ravel().tolist()


def _on_the_node(cluster: Cluster, python: str) -> None:
    """Run a line of Python in a pod that has the node's memory-backed folder."""
    volume = {"name": "shm", "hostPath": {"path": "/dev/shm", "type": "Directory"}}
    container = {
        "name": "writer",
        "image": "swath-core:e2e",
        "command": ["python", "-c", python],
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
    }
    overrides = {"spec": {"containers": [container], "volumes": [volume]}}
    start = ["run", "writer", "--image=swath-core:e2e", "--restart=Never", f"--overrides={json.dumps(overrides)}"]
    cluster.kubectl(*start, "--rm", "--attach", "--quiet")


def test_calls_go_to_all_replicas_of_inference(cluster: Cluster, client: Client) -> None:
    cluster.apply("--set", "services.inference.replicas=3")
    session = fitted(client)
    cube, wavelengths = scene()
    for _ in range(40):
        session.infer(cube=cube, wavelengths=wavelengths, outputs=["scores"])
    handled = {pod: _inferences(cluster, pod) for pod in cluster.pods("inference")}
    assert len(handled) == 3
    assert all(handled.values()), handled


def _inferences(cluster: Cluster, pod: str) -> float:
    read = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9090/metrics').read().decode())"
    metrics = cluster.kubectl("exec", pod, "--", "python", "-c", read)
    lines = [line for line in metrics.splitlines() if line.startswith("grpc_server_handled_total")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'grpc_method="Inference"' in line)


@pytest.mark.usefixtures("repaired", "workload")
def test_inference_is_scaled_by_its_use_of_the_cpu(cluster: Cluster) -> None:
    scaling = {"mode": "hpa", "minReplicas": 1, "maxReplicas": 2, "cpuPercent": 50}
    given = [f"services.inference.autoscaling.{name}={value}" for name, value in scaling.items()]
    cluster.apply("--set", ",".join(given))

    def scaled() -> list[str]:
        events = cluster.objects("events", "--field-selector=reason=SuccessfulRescale")
        return [each["message"] for each in events]

    started = time.monotonic()
    cluster.until(lambda: any("New size: 2; reason: cpu resource utilization" in each for each in scaled()), 180)
    cluster.until(lambda: len(cluster.pods("inference")) == 2)
    print(f"two replicas after {time.monotonic() - started:.0f} s: {scaled()}")


@pytest.mark.parametrize("component", [*SERVICE_NAMES, "gateway"])
def test_a_pod_dies_under_load(cluster: Cluster, workload: Workload, component: str) -> None:
    cluster.kubectl("delete", "pod", cluster.pods(component)[0], "--grace-period=0", "--force")
    workload.goes_on()
    cluster.ready()
    others = [(kind, error) for kind, error in workload.failures if kind not in ("open", "put")]
    assert others == []


@pytest.fixture
def next_release(cluster: Cluster, tmp_path: Path) -> NextRelease:
    return NextRelease(cluster, tmp_path)


def test_an_upgrade_to_wider_tables_and_the_way_back_fail_no_call(
    cluster: Cluster, workload: Workload, next_release: NextRelease
) -> None:
    cluster.apply("--set", "log.level=debug", "-f", str(next_release.values))
    assert f"tables are of revision {next_release.revision}" in _migrated(cluster)
    workload.goes_on()
    cluster.helm("rollback", RELEASE, "--wait", "--timeout=8m")
    # The release before finds the tables of its successor, leaves them as they are, and works on them.
    assert f"tables are of revision {next_release.revision}, were of {next_release.revision}" in _migrated(cluster)
    workload.goes_on()
    assert workload.failures == []


def _migrated(cluster: Cluster) -> str:
    """Return what a new pod of the session service says about its tables."""
    return cluster.kubectl("logs", cluster.pods("session")[0], "-c", "migrate")


def test_certificates_and_their_ca_are_replaced_under_load(
    cluster: Cluster, workload: Workload, client_config: ClientConfig
) -> None:
    tls = client_config.tls
    assert tls is not None
    assert tls.root is not None
    (first,) = _certificates(tls.root.read_text())
    cluster.apply("--set", "tls.generated.caGeneration=2")
    cluster.taken_up(tls.root)
    for step in ("issue", "retire"):
        cluster.kubectl("create", "job", f"--from=cronjob/{RELEASE}-rotation", step)
        cluster.kubectl("wait", "--for=condition=complete", f"job/{step}", "--timeout=3m")
        cluster.taken_up(tls.root)
        workload.goes_on()
    (last,) = _certificates(tls.root.read_text())
    assert last.subject != first.subject
    cluster.until(lambda: _shown(client_config).issuer == last.subject)
    workload.goes_on(calls=30)
    # Of a CronJob's Jobs the last one is kept.
    cluster.kubectl("delete", "jobs", "issue", "retire", "--ignore-not-found")
    assert workload.failures == []


def _certificates(text: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(text.encode())


def _shown(config: ClientConfig) -> x509.Certificate:
    """Return the certificate that clients see."""
    host, port = config.target.split(":")
    return _certificates(ssl.get_server_certificate((host, int(port))))[0]


def test_strangers_are_kept_out(cluster: Cluster) -> None:
    address = f"{RELEASE}-session-headless"
    connect = f"import socket; socket.create_connection(('{address}', 50051), 5)"
    stranger = [
        "run",
        "stranger",
        "--image=swath-core:e2e",
        "--restart=Never",
        "--rm",
        "--attach",
        "--quiet",
        "--command",
        "--",
    ]
    assert "timed out" in cluster.kubectl(*stranger, "python", "-c", connect, check=False)


def test_who_has_no_certificate_is_refused(cluster: Cluster) -> None:
    call = (
        "import grpc, ssl; c = grpc.secure_channel('{}:50051', grpc.ssl_channel_credentials("
        "open('/etc/swath/tls/ca.crt', 'rb').read()), [('grpc.ssl_target_name_override', 'session.swath')]); "
        "c.unary_unary('/cuvis_ai.v1.CuvisAIService/CreateSession')(b'', timeout=10)"
    ).format(f"{RELEASE}-session-headless")
    said = cluster.kubectl("exec", cluster.pods("config")[0], "--", "python", "-c", call, check=False)
    assert "UNAVAILABLE" in said


def test_nothing_but_volumes_is_left(cluster: Cluster) -> None:
    cluster.helm("uninstall", RELEASE, "--wait", "--timeout=5m")

    def gone() -> bool:
        return not any(
            each["metadata"]["name"].startswith(RELEASE)
            for kind in ("pods", "services", "deployments", "statefulsets", "jobs", "cronjobs", "secrets")
            for each in cluster.objects(kind)
        )

    cluster.until(gone, 120)
    claims = {each["metadata"]["name"] for each in cluster.objects("persistentvolumeclaims")}
    assert claims == {f"data-{RELEASE}-postgres-0", f"data-{RELEASE}-s3-0"}
