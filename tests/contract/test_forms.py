"""What the server tells of nodes and documents is enough to make a form of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError, create_model

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

_NAMES = {kind.__name__: kind for kind in (bool, int, float, str, list, dict, tuple, Iterable, Mapping, Sequence)}
_PARAMETERS = {"string": str, "int": int, "float": float, "bool": bool, "tuple": tuple}


@pytest.fixture(scope="module")
def catalogue(deployment):
    """Every node class, as it is listed and as it is described."""
    with deployment.client.session([]) as session:
        listed = {node.full_path: node for node in session.nodes()}
        return [(listed[each.full_path], each) for each in session.describe_nodes()]


def _type(text: str) -> Any:
    return eval(text, {"__builtins__": {}}, {**_NAMES, "Any": Any, "None": NoneType})  # names of types and nothing else


def test_all_classes_are_described(catalogue):
    assert len(catalogue) > 30
    for listed, described in catalogue:
        assert described.summary, listed.full_path
        assert listed.category != pb.NODE_CATEGORY_UNSPECIFIED, listed.full_path
        assert listed.icon_svg.startswith(b"<svg"), listed.full_path
        assert listed.tags, listed.full_path


def test_every_port_says_what_it_carries(catalogue):
    for listed, _ in catalogue:
        for name, port in (*listed.input_specs.items(), *listed.output_specs.items()):
            assert port.description, f"{listed.full_path}.{name}"


def test_a_form_model_is_made_of_each_class_and_takes_its_defaults(catalogue):
    for listed, described in catalogue:
        fields: dict[str, Any] = {}
        for hparam in described.hparams:
            assert hparam.description, f"{listed.full_path}.{hparam.name}"
            default = ... if hparam.required else json.loads(hparam.default_json)
            fields[f"{hparam.name}_"] = (_type(hparam.type), Field(default, alias=hparam.name, validate_default=True))
        form = create_model(listed.class_name, **fields)
        if any(hparam.required for hparam in described.hparams):
            with pytest.raises(ValidationError, match="Field required"):
                form()
        else:
            form()


def test_training_parameters_have_types_that_take_their_defaults(stub):
    answer = stub.GetTrainingCapabilities(pb.GetTrainingCapabilitiesRequest())
    groups = [answer.optimizer_params.parameters, answer.scheduler_params.parameters]
    groups += [callback.parameters for callback in answer.supported_callbacks]
    for parameter in (parameter for group in groups for parameter in group):
        assert parameter.description, parameter.name
        kind = _PARAMETERS.get(parameter.type)
        if kind is not None and parameter.default_value:
            TypeAdapter(kind).validate_python(parameter.default_value)


@pytest.mark.parametrize("kind", ["training", "optimizer", "scheduler", "callbacks", "data", "pipeline", "trainrun"])
def test_schemas_describe_every_property(stub, kind):
    schema = json.loads(stub.GetParameterSchema(pb.GetParameterSchemaRequest(config_type=kind)).json_schema)
    for definition in (schema, *schema.get("$defs", {}).values()):
        for name, field in definition.get("properties", {}).items():
            assert field.get("description"), f"{definition.get('title')}.{name}"
            required = name in definition.get("required", ())
            filled = field.get("type") in ("array", "object") or "$ref" in field  # nothing, or what the part has
            assert required or filled or "default" in field, f"{definition.get('title')}.{name}"
