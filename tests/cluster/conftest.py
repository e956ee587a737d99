"""The chart on a real cluster: whatever the current kubeconfig points at. `make e2e` runs this."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swath.client import Client, ClientConfig, TlsConfig

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "swath"
VALUES = Path(__file__).with_name("values.yaml")
IMAGES = Path(__file__).with_name("images.yaml")
RELEASE = "swath"

_ASKED = "SWATH_E2E"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave all this out unless it is asked for: it installs things into somebody's cluster."""
    return None if os.environ.get(_ASKED) else True


class Cluster:
    """kubectl and helm, in one namespace.

    Args:
        namespace: Made if it is not there.
        values: What is installed, beside which images.
    """

    def __init__(self, namespace: str, values: Path) -> None:
        self.namespace = namespace
        self._values = values
        self.kubectl("create", "namespace", namespace, check=False)

    def kubectl(self, *arguments: str, given: str = "", check: bool = True) -> str:
        """Run kubectl and return what it prints."""
        return run(["kubectl", "--namespace", self.namespace, *arguments], given, check)

    def helm(self, *arguments: str, check: bool = True) -> str:
        """Run helm and return what it prints."""
        return run([program("helm"), "--namespace", self.namespace, *arguments], "", check)

    def apply(self, *arguments: str) -> None:
        """Install the chart, or upgrade to other values, and wait until all of it is ready."""
        files = ["-f", str(self._values), "-f", str(IMAGES)]
        self.helm("upgrade", "--install", RELEASE, str(CHART), *files, "--wait", "--timeout=8m", *arguments)

    def remove(self) -> None:
        """Leave nothing behind."""
        self.helm("uninstall", RELEASE, "--wait", "--timeout=5m", check=False)
        self.kubectl("delete", "namespace", self.namespace, "--timeout=5m", check=False)

    def objects(self, kind: str, *selector: str) -> list[dict[str, Any]]:
        """Return objects of a kind."""
        return json.loads(self.kubectl("get", kind, "-o", "json", *selector))["items"]

    def pods(self, component: str) -> list[str]:
        """Return the names of a component's pods that are not about to go."""
        chosen = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
        pods = self.objects("pods", "-l", chosen)
        return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def secret(self, name: str, key: str) -> bytes:
        """Return a value of a Secret."""
        return base64.b64decode(json.loads(self.kubectl("get", "secret", name, "-o", "json"))["data"][key])

    def ready(self) -> None:
        """Wait until every Deployment is complete."""
        for each in self.objects("deployments"):
            self.kubectl("rollout", "status", f"deployment/{each['metadata']['name']}", "--timeout=5m")

    def taken_up(self, ca: Path) -> None:
        """Have every pod take changed Secrets up now, and a client outside what is to be trusted.

        Kubelets look at Secrets once a minute, and whenever something about a pod changes.
        """
        ca.write_text(self.trusted())
        self.kubectl("annotate", "pods", "--all", "--overwrite", f"swath.dev/looked-at={time.time():.0f}")

    def trusted(self) -> str:
        """Return the CAs that clients outside are to trust."""
        return self.kubectl("get", "configmap", f"{RELEASE}-ca", "-o", r"jsonpath={.data.ca\.crt}")

    def until(self, seen: Callable[[], Any], timeout_s: float = 60.0) -> Any:
        """Return what a look at the cluster finds, as soon as it finds something."""
        deadline = time.monotonic() + timeout_s
        while not (found := seen()):
            assert time.monotonic() < deadline, f"nothing within {timeout_s:g} s"
            time.sleep(0.5)
        return found


def program(name: str) -> str:
    places = os.pathsep.join([os.environ.get("PATH", ""), str(Path.home() / "go" / "bin")])
    found = shutil.which(name, path=places)
    assert found is not None, f"{name} is not on this machine"
    return found


def run(command: list[str], given: str = "", check: bool = True) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=600)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + ("" if check else done.stderr)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The chart installed; removed in the end."""
    made = Cluster("swath-e2e", VALUES)
    started = time.monotonic()
    made.apply()
    print(f"installed and ready after {time.monotonic() - started:.0f} s")
    yield made
    made.remove()


@pytest.fixture(scope="session")
def grpcurl(client_config: ClientConfig) -> Callable[..., str]:
    """Runs grpcurl against the gateway, with the administrator's token."""
    assert client_config.tls is not None
    options = [
        "-cacert",
        str(client_config.tls.root),
        "-servername",
        RELEASE,
        "-H",
        f"authorization: Bearer {client_config.token}",
    ]

    def call(method: str, given: Any = None) -> str:
        message = [] if given is None else ["-d", json.dumps(given)]
        return run([program("grpcurl"), *options, *message, client_config.target, method])

    return call


@pytest.fixture(scope="session")
def client_config(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ClientConfig:
    """How a client outside of the cluster reaches the gateway: at a port of a node, whichever pods come and go."""
    ca = tmp_path_factory.mktemp("ca") / "ca.crt"
    ca.write_text(cluster.trusted())
    token = cluster.secret(f"{RELEASE}-admin", "token").decode()
    addresses = cluster.objects("nodes")[0]["status"]["addresses"]
    address = next(each["address"] for each in addresses if each["type"] == "InternalIP")
    [port] = (each for each in cluster.objects("services") if each["metadata"]["name"] == RELEASE)
    tls = TlsConfig(root=ca, server_name=RELEASE)
    return ClientConfig(target=f"{address}:{port['spec']['ports'][0]['nodePort']}", tls=tls, token=token)


@pytest.fixture
def client(client_config: ClientConfig) -> Iterator[Client]:
    with Client(client_config) as made:
        yield made
