"""Users' applications as pods of a real cluster: the examples, deployed by their config file through the gateway.

Modules run in the order of their names: the scenarios, which want a small node for themselves, before the suite is
installed, and this one before the suite's own tests, which end with its removal.
"""

from __future__ import annotations

import base64
import importlib
import io
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from swath.apps.v1 import apps_pb2
from swath.client import Client, ClientConfig
from swath.serve.bundles import pack

from .conftest import RELEASE, REPOSITORY, Cluster

OURS = f"swath.dev/replicas-of={RELEASE}-app"


class Examples:
    """The examples' code, changed or not, and its deployment.

    Args:
        folder: With the code.
        client: Of the suite.
    """

    def __init__(self, folder: Path, client: Client) -> None:
        self.folder = folder
        self.config = (folder / "config.yaml").read_text()
        self.client = client
        self._first = ""

    def deploy(self, config: str = "") -> dict[str, apps_pb2.ApplicationState]:
        """Deploy the code as it is now; return what became of each application."""
        told = [*self.client.applications.deploy(config or self.config, bundles=self.bundles())]
        return {each.name: each for each in told[-1].applications}

    def bundles(self) -> dict[str, str]:
        """Store the code as it is now for the first application, and as it was at first for the second one."""
        digest = self.client.applications.put_bundle(pack(self.folder)).digest
        self._first = self._first or digest
        return {"app1": digest, "app2": self._first}

    def change(self, file: str, old: str, new: str) -> None:
        """Change the code."""
        text = (self.folder / file).read_text()
        assert old in text
        (self.folder / file).write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def examples(client_config: ClientConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    folder = tmp_path_factory.mktemp("examples") / "applications"
    shutil.copytree(REPOSITORY / "examples" / "applications", folder)
    protoc = ["grpc_tools.protoc", "-I.", "--python_out=.", "--grpc_python_out=.", "user_defined_protos.proto"]
    subprocess.run([sys.executable, "-m", *protoc], cwd=folder, check=True)
    subprocess.run([sys.executable, "make_model.py"], cwd=folder, check=True)
    sys.path.insert(0, str(folder))
    with Client(client_config) as client:
        yield Examples(folder, client)
        client.applications.shutdown()
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def call(client_config: ClientConfig, examples: Examples) -> Iterator[Callable[..., Any]]:
    """Calls a method of the examples' services through the gateway."""
    messages = importlib.import_module("user_defined_protos_pb2")
    stubs = importlib.import_module("user_defined_protos_pb2_grpc")
    assert client_config.tls is not None
    assert client_config.tls.root is not None
    keys = grpc.ssl_channel_credentials(client_config.tls.root.read_bytes())
    options = [("grpc.ssl_target_name_override", RELEASE)]
    token = ("authorization", f"Bearer {client_config.token}")
    with grpc.secure_channel(client_config.target, keys, options) as channel:
        greetings, pictures = (
            stubs.UserDefinedServiceStub(channel),
            stubs.ImageClassificationServiceStub(channel),
        )

        def do(method: str, application: str = "app1", **metadata: str) -> Any:
            told = (token, ("application", application), *metadata.items())
            if method == "Predict":
                return pictures.Predict(messages.ImageData(url=_picture(), filename="a"), metadata=told, timeout=60)
            given = messages.UserDefinedMessage(name="foo", num=30, origin="bar")
            return getattr(greetings, method)(given, metadata=told, timeout=60)

        yield do


def _picture() -> str:
    """Return a red picture as a URL that holds it: pods reach no server of pictures."""
    data = io.BytesIO()
    Image.new("RGB", (32, 32), (217, 26, 26)).save(data, "png")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def _pods(cluster: Cluster, deployment: str) -> set[str]:
    """Return the ready pods of one deployment, by the name that users have given it."""
    found = set()
    for pod in cluster.objects("pods", "-l", OURS):
        about = pod["metadata"]
        ready = any(
            each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ())
        )
        if about["annotations"]["swath.dev/name"] == deployment and "deletionTimestamp" not in about and ready:
            found.add(about["name"])
    return found


def test_the_examples_are_deployments_and_answer_through_the_gateway(
    cluster: Cluster, examples: Examples, call: Callable[..., Any]
) -> None:
    states = examples.deploy()
    assert {name: each.status for name, each in states.items()} == {"app1": "RUNNING", "app2": "RUNNING"}
    assert call("__call__").greeting == "Hello foo from bar"
    assert call("Multiplexing", multiplexed_model_id="m1").greeting == "Method2 called model, loading model: m1"
    assert [each.num for each in call("Streaming")] == [*range(60, 70)]
    assert call("Predict", "app2").classes[0] == "red"
    deployments = cluster.objects("deployments", "-l", OURS)
    names = {each["metadata"]["annotations"]["swath.dev/name"] for each in deployments}
    assert names == {"GrpcDeployment", "grpc-image-classifier", "ImageDownloader", "DataPreprocessor"}
    owners = {each["metadata"]["ownerReferences"][0]["name"] for each in deployments}
    assert owners == {f"{RELEASE}-apps"}
    # Endpoints of the headless Services are the replicas.
    for each in deployments:
        name = each["metadata"]["name"]
        [slice_] = cluster.objects("endpointslices", "-l", f"kubernetes.io/service-name={name}")
        assert len(slice_["endpoints"]) == 1


def test_a_version_goes_over_under_load_without_a_failed_call(examples: Examples, call: Callable[..., Any]) -> None:
    seen: list[str] = []
    failed: list[str] = []
    longest = 0.0
    done = threading.Event()

    def load() -> None:
        nonlocal longest
        while not done.is_set():
            begun = time.monotonic()
            try:
                seen.append(call("__call__").greeting)
            except grpc.RpcError as error:
                failed.append(str(error))
            longest = max(longest, time.monotonic() - begun)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for each in threads:
        each.start()
    try:
        examples.change("greeting.py", 'f"Hello {user_message.name}', 'f"Salut {user_message.name}')
        assert examples.deploy()["app1"].status == "RUNNING"
        # The other host goes over by itself, and pods of before end meanwhile.
        time.sleep(5)
    finally:
        done.set()
        for each in threads:
            each.join()
    print(f"{len(seen)} calls, the longest {longest:.2f} s")
    assert failed == []
    assert {seen[0], seen[-1]} == {"Hello foo from bar", "Salut foo from bar"}
    assert all(call("__call__").greeting.startswith("Salut") for _ in range(20))


def test_a_version_whose_constructor_fails_leaves_the_one_before(examples: Examples, call: Callable[..., Any]) -> None:
    right = (examples.folder / "greeting.py").read_text()
    broken = (
        "@serve.deployment(max_constructor_retry_count=2)\nclass GrpcDeployment:\n"
        '    def __init__(self):\n        raise ValueError("no weights")\n'
    )
    examples.change("greeting.py", "@serve.deployment\nclass GrpcDeployment:\n", broken)
    state = examples.deploy()["app1"]
    assert state.status == "DEPLOY_FAILED"
    assert "ValueError: no weights" in state.message
    assert all(call("__call__").greeting == "Salut foo from bar" for _ in range(10))
    (examples.folder / "greeting.py").write_text(right)
    assert examples.deploy()["app1"].status == "RUNNING"


def test_an_image_that_is_not_there_is_said_in_words(cluster: Cluster, examples: Examples) -> None:
    config = examples.config.replace(
        "import_path: greeting:g\n    runtime_env: {}",
        "import_path: greeting:g\n    runtime_env: {image_uri: 'nowhere.invalid/none:1'}",
    )
    assert [*examples.client.applications.deploy(config, bundles=examples.bundles(), wait=False)]

    def said() -> bool:
        [state] = examples.client.applications.status("app1")
        words = [state.message, *(each.message for each in state.deployments)]
        return any("nowhere.invalid/none:1" in each for each in words)

    cluster.until(said)
    assert examples.deploy()["app1"].status == "RUNNING"


def test_deployments_are_scaled_without_another_pod(
    cluster: Cluster, examples: Examples, call: Callable[..., Any]
) -> None:
    before = cluster.until(lambda: _pods(cluster, "GrpcDeployment"))
    two = "import_path: greeting:g\n    deployments: [{name: GrpcDeployment, num_replicas: 3}]"
    examples.deploy(examples.config.replace("import_path: greeting:g", two))
    pods = cluster.until(lambda: (found := _pods(cluster, "GrpcDeployment")) and len(found) == 3 and found)
    assert before < pods
    scaling = "autoscaling_config: {min_replicas: 2, max_replicas: 4}"
    by_calls = f"import_path: greeting:g\n    deployments: [{{name: GrpcDeployment, {scaling}}}]"
    examples.deploy(examples.config.replace("import_path: greeting:g", by_calls))
    [scaler] = cluster.objects("hpa", "-l", "swath.dev/deployment")
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 4)
    assert call("__call__").greeting == "Salut foo from bar"


def test_a_deletion_leaves_nothing(cluster: Cluster, examples: Examples, client: Client) -> None:
    client.applications.shutdown()
    cluster.until(lambda: not cluster.objects("pods", "-l", OURS))
    for kind in ("deployments", "services", "secrets", "hpa"):
        cluster.until(lambda kind=kind: not cluster.objects(kind, "-l", "swath.dev/deployment"))
