"""ResolveConfig, GetParameterSchema, ValidateConfig."""

import json

import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

KINDS = ["training", "optimizer", "scheduler", "callbacks", "data", "pipeline", "trainrun"]


@pytest.fixture
def resolve(stub, session):
    """Resolves a config; returns it parsed."""

    def call(kind: str, path: str, *overrides: str) -> dict:
        request = pb.ResolveConfigRequest(session_id=session, config_type=kind, path=path, overrides=overrides)
        return json.loads(stub.ResolveConfig(request).config_bytes)

    return call


@pytest.fixture
def validate(stub):
    """Validates content of a kind."""

    def call(kind: str, content: object) -> pb.ValidateConfigResponse:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return stub.ValidateConfig(pb.ValidateConfigRequest(config_type=kind, config_bytes=raw))

    return call


def test_the_answer_is_json_indented_by_two_with_every_default(stub, session):
    request = pb.ResolveConfigRequest(session_id=session, config_type="training", path="training/default")
    content = stub.ResolveConfig(request).config_bytes
    config = json.loads(content)
    assert content.decode() == json.dumps(config, indent=2, ensure_ascii=False)
    assert (config["seed"], config["precision"], config["val_check_interval"]) == (42, "32-true", 1.0)


def test_suffix_or_none_is_the_same_file(resolve):
    assert resolve("training", "training/default") == resolve("training", "training/default.yaml")


def test_a_trainrun_is_composed_by_its_defaults_list(resolve):
    config = resolve("trainrun", "trainrun/channel_selector", "training.max_epochs=3", "training.optimizer.lr=0.01")
    assert (config["training"]["max_epochs"], config["training"]["optimizer"]["lr"]) == (3, 0.01)
    assert config["data"]["data_module"]
    assert config["pipeline"]["nodes"]


@pytest.mark.parametrize(
    "path",
    [
        "anomaly/rx/channel_selector",
        "anomaly/rx/rx_statistical",
        "anomaly/deep_svdd/deep_svdd",
        "spectral_match/spectral_match",
        "spectral_match/spectral_match_validity",
        "medical/blood_perfusion/ndvi",
    ],
)
def test_nested_shipped_pipelines_resolve_from_the_configs_root(resolve, path):
    assert resolve("pipeline", f"pipeline/{path}")["nodes"]


def test_older_spellings_of_overrides(resolve):
    config = resolve("trainrun", "trainrun/channel_selector", "training.trainer.max_epochs=2")
    assert config["training"]["max_epochs"] == 2


@pytest.mark.parametrize(
    ("kind", "path", "code", "words"),
    [
        ("training", "training/none", "NOT_FOUND", "Config file 'training/none' not found in search paths: ["),
        ("nonsense", "training/default", "INVALID_ARGUMENT", "Unknown config type: nonsense. Available types: ["),
        ("trainrun", "training/default", "INVALID_ARGUMENT", "validation error"),
        ("training", "../../etc/passwd", "PERMISSION_DENIED", "etc/passwd"),
    ],
    ids=["not there", "unknown kind", "another kind", "outside"],
)
def test_what_does_not_resolve(stub, session, failure, kind, path, code, words):
    request = pb.ResolveConfigRequest(session_id=session, config_type=kind, path=path)
    got, text = failure(stub.ResolveConfig, request)
    assert got == code
    assert words in text


@pytest.mark.parametrize("override", ["training.max_epochs", "training.max_epochs=many", "hydra.run.dir=x", "a.b.c=1"])
def test_overrides_that_cannot_be(stub, session, failure, override):
    request = pb.ResolveConfigRequest(
        session_id=session, config_type="trainrun", path="trainrun/channel_selector", overrides=[override]
    )
    code, text = failure(stub.ResolveConfig, request)
    assert code == "INVALID_ARGUMENT"
    assert override.split("=")[0].split(".")[0] in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_schema(stub, kind):
    schema = json.loads(stub.GetParameterSchema(pb.GetParameterSchemaRequest(config_type=kind)).json_schema)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False


def test_a_kind_without_a_schema(stub, failure):
    code, text = failure(stub.GetParameterSchema, pb.GetParameterSchemaRequest(config_type="nonsense"))
    assert code == "NOT_FOUND"
    assert "nonsense" in text


def test_valid_content_is_valid(validate):
    answer = validate("training", {"max_epochs": 5, "optimizer": {"name": "adam"}})
    assert (answer.valid, list(answer.errors)) == (True, [])


@pytest.mark.parametrize(
    ("kind", "content", "error"),
    [
        ("training", b"", "config_bytes cannot be empty"),
        ("training", b"{", "Invalid JSON: "),
        ("training", {"max_epochs": 0}, "max_epochs: "),
        ("training", {"optimizer": {"lr": 7}}, "optimizer.lr: "),
        ("training", {"optimizer": {"name": "lion"}}, "lion"),
        ("training", {"scheduler": {"name": "lunar"}}, "lunar"),
        ("training", {"max_epochs": 5, "scheduler": {"name": "cosine", "warmup_epochs": 5}}, "warmup_epochs"),
        ("trainrun", {}, "name: "),
        ("pipeline", {"nodes": [], "more": 1}, "more: "),
        ("data", {"splits": {"train": [{"kind": "files", "ids": [1]}]}}, "splits.train"),
    ],
)
def test_bad_content_is_an_answer_with_its_place(validate, kind, content, error):
    answer = validate(kind, content)
    assert not answer.valid
    assert any(error in each for each in answer.errors), list(answer.errors)


def test_a_plateau_scheduler_without_a_monitor_is_a_warning(validate):
    answer = validate("training", {"scheduler": {"name": "plateau"}})
    assert answer.valid
    assert any("monitor" in each for each in answer.warnings)


@pytest.mark.parametrize(("kind", "content"), [("training", b"\xff"), ("nonsense", b"{}")], ids=["no text", "no kind"])
def test_what_is_no_content_is_an_error(stub, failure, kind, content):
    request = pb.ValidateConfigRequest(config_type=kind, config_bytes=content)
    code, _ = failure(stub.ValidateConfig, request)
    assert code == "INVALID_ARGUMENT"
