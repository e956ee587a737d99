"""Settings of traces and logs."""

import logging

import pytest

from swath.inference import open_inference_pb2 as pb

from .conftest import refusal


@pytest.fixture(autouse=True)
def level():
    """The level of the root logger is what it was after each test."""
    before = logging.getLogger().level
    logging.getLogger().setLevel(logging.INFO)
    yield
    logging.getLogger().setLevel(before)


def _log(**settings):
    request = pb.LogSettingsRequest()
    for name, value in settings.items():
        kind = {bool: "bool_param", int: "uint32_param", str: "string_param"}[type(value)]
        setattr(request.settings[name], kind, value)
    return request


def _said(answer):
    return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in answer.settings.items()}


async def test_what_is_logged_is_told(door):
    assert _said(await door.stub.LogSettings(pb.LogSettingsRequest())) == {
        "log_error": True,
        "log_warning": True,
        "log_info": True,
        "log_verbose_level": 0,
        "log_file": "",
        "log_format": "default",
    }


async def test_what_is_changed_holds(door):
    found = _said(await door.stub.LogSettings(_log(log_verbose_level=1)))
    assert (found["log_verbose_level"], logging.getLogger().level) == (1, logging.DEBUG)
    found = _said(await door.stub.LogSettings(_log(log_verbose_level=0, log_info=False)))
    assert (found["log_info"], found["log_warning"], logging.getLogger().level) == (False, True, logging.WARNING)


async def test_asking_for_what_is_and_for_what_nobody_knows_is_no_change(opened):
    door = await opened(free=False)
    await door.stub.LogSettings(_log(log_info=True, log_file="", zork=3))


@pytest.mark.parametrize(
    ("settings", "code", "text"),
    [
        ({"log_info": "yes"}, "INVALID_ARGUMENT", "expect boolean for 'log_info'"),
        ({"log_verbose_level": True}, "INVALID_ARGUMENT", "expect unsigned int for 'log_verbose_level'"),
        ({"log_file": "/tmp/log"}, "FAILED_PRECONDITION", "log_file"),
    ],
)
async def test_what_cannot_be(door, settings, code, text):
    found, said = await refusal(door.stub.LogSettings(_log(**settings)))
    assert (found, text in said) == (code, True)


async def test_where_callers_are_asked_who_they_are_none_of_them_changes_it(opened):
    door = await opened(free=False)
    code, text = await refusal(door.stub.LogSettings(_log(log_info=False)))
    assert (code, "SWATH_LOG_LEVEL" in text) == ("PERMISSION_DENIED", True)


def _trace(name, *values, model=""):
    request = pb.TraceSettingRequest(model_name=model)
    request.settings[name].value.extend(values)
    return request


async def test_traces_are_told(door):
    found = await door.stub.TraceSetting(pb.TraceSettingRequest())
    assert {name: list(value.value) for name, value in found.settings.items()} == {
        "trace_level": ["OFF"],
        "trace_mode": ["opentelemetry"],
        "trace_rate": ["1"],
        "trace_count": ["-1"],
        "log_frequency": ["0"],
        "trace_file": [""],
    }
    await door.stub.TraceSetting(_trace("trace_level", "OFF", model="scale"))
    await door.stub.TraceSetting(_trace("trace_rate", "01"))
    await door.stub.TraceSetting(_trace("trace_level"))
    await door.stub.TraceSetting(_trace("zork", "1"))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (_trace("trace_level", "TIMESTAMPS"), "FAILED_PRECONDITION"),
        (_trace("trace_level", "OFF", "TENSORS"), "FAILED_PRECONDITION"),
        (_trace("trace_rate", "often"), "INVALID_ARGUMENT"),
        (_trace("trace_level", "OFF", model="nope"), "NOT_FOUND"),
    ],
)
async def test_traces_are_the_operators(door, request_, code):
    assert (await refusal(door.stub.TraceSetting(request_)))[0] == code
