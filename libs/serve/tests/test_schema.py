"""The config file: the guide's is taken as it is; all that is wrong with one is said, each with its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swath.errors import ConfigInvalid, FileMissing
from swath.serve.config import DeploymentOptions
from swath.serve.schema import ApplicationConfig, CodeInvalid, Found, build, local_folders, probe, read, read_file, spec
from swath.serve.schema.places import Places, dotted
from swath.serve.schema.probe import probe_here

GUIDE = """\
proxy_location: EveryNode
http_options:
  host: 0.0.0.0
  port: 8000
grpc_options:
  port: 9000
  grpc_servicer_functions:
    - user_defined_protos_pb2_grpc.add_UserDefinedServiceServicer_to_server
    - user_defined_protos_pb2_grpc.add_ImageClassificationServiceServicer_to_server
applications:
  - name: app1
    route_prefix: /app1
    import_path: test_deployment:g
    runtime_env: {}
  - name: app2
    route_prefix: /app2
    import_path: test_deployment:g2
    runtime_env: {}
    deployments:
      - name: ImageClassifier
        num_replicas: 2
        ray_actor_options:
          num_cpus: 0.5
        user_config: {threshold: 0.5}
"""


def test_a_file_of_ray_serve_is_taken_as_it_is() -> None:
    found = read(GUIDE, "config.yaml")
    one, two = found.config.applications
    assert (one.name, one.import_path, one.deployments, one.access) == (
        "app1",
        "test_deployment:g",
        [],
        "authenticated",
    )
    assert found.config.grpc_options.port == 9000
    assert len(found.config.grpc_options.grpc_servicer_functions) == 2
    # What the file does not name stays as the code has it.
    assert two.deployments[0].given == {
        "num_replicas": 2,
        "ray_actor_options": {"num_cpus": 0.5},
        "user_config": {"threshold": 0.5},
    }
    assert [each.partition(" is unused")[0] for each in found.notes] == [
        "http_options",
        "proxy_location",
        "route_prefix",
    ]


def test_the_body_of_a_request_has_the_same_form() -> None:
    body = json.dumps({"applications": [{"import_path": "a:b"}]})
    (application,) = read(body).config.applications
    assert (application.name, application.route_prefix) == ("default", "/")


REFUSED = {
    "unknown key at the top": (
        "unknown_top: 1\napplications: []",
        ["config.yaml, line 1, unknown_top: unknown key 'unknown_top'"],
    ),
    "unknown keys further down": (
        "grpc_options: {prt: 1}\n"
        "applications:\n"
        "- import_path: a:b\n"
        "  runtim_env: {}\n"
        "  deployments:\n"
        "  - name: D\n"
        "    num_replica: 2\n"
        "    autoscaling_config: {min_replica: 1}\n",
        [
            "config.yaml, line 1, grpc_options.prt: unknown key 'prt', did you mean 'port'?",
            "config.yaml, line 4, applications[0].runtim_env: unknown key 'runtim_env', did you mean 'runtime_env'?",
            "line 7, applications[0].deployments[0].num_replica: unknown key 'num_replica', did you mean "
            "'num_replicas'?",
            "line 8, applications[0].deployments[0].autoscaling_config.min_replica: unknown key 'min_replica', did you "
            "mean 'min_replicas'?",
        ],
    ),
    "two of one name": (
        "applications:\n- {name: x, import_path: a:b}\n- {name: x, route_prefix: /x, import_path: a:b}",
        ["line 3, applications[1].name: name 'x' is that of applications[0] too"],
    ),
    "two of one route": (
        "applications:\n- {name: x, import_path: a:b}\n- {name: y, route_prefix: /, import_path: a:b}",
        ["line 3, applications[1].route_prefix: route_prefix '/' is that of applications[0] too"],
    ),
    "a route without a slash": (
        "applications:\n- {route_prefix: r, import_path: a:b}",
        ["expected a forward slash ('/') at the beginning, or null; got 'r'"],
    ),
    "options that contradict one another": (
        "applications:\n- import_path: a:b\n  deployments:\n"
        "  - {name: D, num_replicas: 2, autoscaling_config: {max_replicas: 3}}",
        ["line 4, applications[0].deployments[0]: deployment options num_replicas and autoscaling_config contradict"],
    ),
    "a deployment that is named twice": (
        "applications:\n- import_path: a:b\n  deployments: [{name: D}, {name: D}]",
        ["line 2, applications[0]: deployments: 'D' is named twice"],
    ),
    "no replicas": (
        "applications:\n- import_path: a:b\n  deployments: [{name: D, num_replicas: 0}]",
        ["line 3, applications[0].deployments[0].num_replicas: must be a positive number, got 0"],
    ),
    "code from elsewhere": (
        "applications:\n- import_path: a:b\n  runtime_env: {working_dir: 'https://host/code.zip'}",
        ["runtime_env.working_dir: 'https://host/code.zip' is elsewhere: expected a folder of this machine"],
    ),
    "nobody knows who": (
        "applications:\n- {import_path: a:b, access: all}",
        ["applications[0].access: Input should be 'private', 'authenticated' or 'public', got 'all'"],
    ),
    "nothing to import": ("applications:\n- name: x", ["line 2, applications[0].import_path: this key is required"]),
    "no applications": ("grpc_options: {}", ["config.yaml, line 1, applications: this key is required"]),
    "a list": ("[]", ["expected a mapping with the key 'applications', got a list"]),
    "a key that is given twice": ("applications: []\napplications: []", ["found duplicate key 'applications'"]),
    "no YAML": ("applications: [", ["config.yaml is not valid YAML: line 2, column 1"]),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_all_that_is_wrong_is_said_with_its_place(text: str, said: list[str]) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        read(text, "config.yaml")
    message = refused.value.message
    assert [each for each in said if each not in message] == []
    # Nothing is said twice.
    assert len(message.splitlines()) == (len(said) + 1 if len(said) > 1 else 1)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="there is no config file"):
        read_file(tmp_path / "config.yaml")


def test_places_are_lines_of_the_nearest_thing_above() -> None:
    places = Places("a:\n  - b: 1\n    c: 2\n", "f.yaml")
    assert places.of(("a", 0, "c")) == "f.yaml, line 3, a[0].c"
    assert places.of(("a", 0, "d", "e")) == "f.yaml, line 2, a[0].d.e"
    assert Places().of(("a",)) == "a"
    assert dotted(("a", 1, "b")) == "a[1].b"


CODE = """\
import os

from pydantic import BaseModel

from swath.serve.deployment import deployment

@deployment(num_replicas=3, max_ongoing_requests=7, user_config={"a": 1})
class Model:
    pass

@deployment
class Ingress:
    def __init__(self, model, name=""):
        pass

class Args(BaseModel):
    size: int

app = Ingress.bind(Model.bind())
def build(args): return Ingress.bind(Model.bind(), name=args["name"])
def typed(args: Args): return Ingress.bind(Model.bind(), name=str(args.size + 1))
def nothing(args): return 3
def leaves(args): os._exit(3)
def late(args):
    import time
    time.sleep(60)
def speaks(args):
    print("some words")
    return app
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with the code of an application."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "user_app.py").write_text(CODE)
    return folder


def _config(import_path: str, **more: object) -> ApplicationConfig:
    return ApplicationConfig.model_validate({"import_path": import_path, **more})


@pytest.fixture
def here(code: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has this process find the code, and forget it afterwards."""
    monkeypatch.syspath_prepend(str(code))
    yield
    sys.modules.pop("user_app", None)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("import_path", "args"),
    [("user_app:app", {}), ("user_app.app", {}), ("user_app:build", {"name": "x"}), ("user_app:typed", {"size": 2})],
)
def test_what_is_found_in_code(import_path: str, args: dict[str, object]) -> None:
    assert probe_here(_config(import_path, args=args), []) == Found(("Model", "Ingress"))


async def test_code_is_checked_in_a_process_of_its_own(code: Path) -> None:
    # What it prints is no part of the answer.
    assert await probe(_config("user_app:speaks"), [], folders=[code]) == Found(("Model", "Ingress"))
    assert "user_app" not in sys.modules


CODE_REFUSED = {
    "no such module": ({"import_path": "user_apps:app"}, "no module named 'user_apps', did you mean 'user_app'?"),
    "no such attribute": ({"import_path": "user_app:ap"}, "has no attribute 'ap', did you mean 'app'?"),
    "no application": ({"import_path": "user_app:Model"}, "a deployment that is not bound: export Model.bind"),
    "nothing is built": ({"import_path": "user_app:nothing"}, "must return an Application, got int"),
    "args of a bound one": ({"import_path": "user_app:app", "args": {"a": 1}}, "args are given, but it is a bound"),
    "args are missing": ({"import_path": "user_app:build"}, "building it failed: KeyError: 'name'"),
    "args do not fit": (
        {"import_path": "user_app:typed", "args": {"size": "x"}},
        "args: size: Input should be a valid",
    ),
    "no such deployment": (
        {"import_path": "user_app:app", "deployments": [{"name": "Modell"}]},
        "Deployment 'Modell' does not exist, did you mean 'Model'?. Available: ['Model', 'Ingress']",
    ),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("given", "said"), CODE_REFUSED.values(), ids=CODE_REFUSED)
def test_code_that_does_not_fit_is_refused_in_words(given: dict[str, object], said: str) -> None:
    with pytest.raises(CodeInvalid) as refused:
        probe_here(ApplicationConfig.model_validate(given), [])
    assert said in refused.value.message


async def test_code_that_ends_its_process_or_takes_too_long_is_refused(code: Path) -> None:
    with pytest.raises(CodeInvalid, match=r"importing it ended the process \(exit status 3\)"):
        await probe(_config("user_app:leaves"), [], folders=[code])
    with pytest.raises(CodeInvalid, match=r"was not imported within 2 s"):
        await probe(_config("user_app:late"), [], folders=[code], timeout_s=2)


@pytest.mark.usefixtures("here")
def test_servicer_functions_and_all_else_are_checked_at_once() -> None:
    given = _config("user_app:app", deployments=[{"name": "Other"}])
    functions = ["grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_serve"]
    with pytest.raises(CodeInvalid) as refused:
        probe_here(given, functions)
    (first, said), (second, _) = refused.value.below(4)
    assert first == ("grpc_options", "grpc_servicer_functions")
    assert "it has add_HealthServicer_to_server" in said
    assert second == ("applications", 4, "deployments", 0, "name")


async def test_services_travel_as_data(code: Path) -> None:
    functions = ["grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_server"]
    found = await probe(_config("user_app:app"), functions, folders=[code])
    (service,) = found.services
    assert service.name == "grpc.health.v1.Health"
    assert {(each.name, each.response_streaming) for each in service.methods} >= {("Check", False), ("Watch", True)}
    assert Found.of_json(json.loads(json.dumps(found.as_json()))) == found


def test_the_file_counts_more_than_the_code_and_leaves_the_rest() -> None:
    (override,) = _config("a:b", deployments=[{"name": "Model", "num_replicas": 2}]).deployments
    merged = DeploymentOptions(num_replicas=3, max_ongoing_requests=7).changed(override.given)
    assert (merged.num_replicas, merged.max_ongoing_requests) == (2, 7)


def test_what_is_deployed_of_an_application(code: Path) -> None:
    given = _config("user_app:build", args={"name": "x"}, runtime_env={"env_vars": {"A": "1"}}, name="one")
    made = spec(given, servicer_functions=["f.g"], folders=[code], code_version="sha256:1")
    assert (made.name, made.import_path, made.args, made.variables) == (
        "one",
        "user_app:build",
        {"name": "x"},
        {"A": "1"},
    )
    assert (made.folders, made.servicer_functions) == ((str(code),), ("f.g",))
    # Replicas are replaced where their code, what builds them or what surrounds them is another.
    for other in (_config("user_app:app"), _config("user_app:build", args={"name": "y"}, name="one")):
        assert spec(other, code_version="sha256:1").code_version != made.code_version
    assert spec(given, code_version="sha256:2").code_version != made.code_version
    # Not where numbers alone are.
    again = given.model_copy(update={"deployments": _config("a:b", deployments=[{"name": "D"}]).deployments})
    assert spec(again, code_version="sha256:1").code_version == made.code_version


def test_folders_of_a_runtime_env(tmp_path: Path) -> None:
    given = _config("a:b", runtime_env={"working_dir": "local:///srv/code", "py_modules": ["lib"]})
    assert local_folders(given, tmp_path) == [Path("/srv/code"), tmp_path / "lib"]


@pytest.mark.usefixtures("here")
def test_a_file_of_code_deploys_it_again() -> None:
    text = build(["user_app:app", "user_app:app"], ["grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_server"])
    config = read(text).config
    assert [(each.name, each.route_prefix) for each in config.applications] == [("app1", "/app1"), ("app2", "/app2")]
    model, ingress = config.applications[0].deployments
    assert (model.name, model.given) == (
        "Model",
        {"num_replicas": 3, "max_ongoing_requests": 7, "user_config": {"a": 1}},
    )
    assert (ingress.name, ingress.given) == ("Ingress", {})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: build(["user_ap:app"]), "no module named 'user_ap'"),
        (lambda: build([], ["grpc_health.v1.health_pb2_grpc.nothing"]), "has no function nothing"),
    ],
)
def test_code_that_there_is_not_makes_no_file(make: Callable[[], str], said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        make()
