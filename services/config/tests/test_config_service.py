"""The service: resolving in processes of its own, describing, checking."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from swath.errors import ConfigInvalid, ConfigNotFound, InvalidInput, PathDenied, TimedOut, TooLarge
from swath.storage.workspace.folder import Workspace
from swath_config import ConfigService, ConfigSettings

from .conftest import Write


async def test_the_answer_is_json_indented_by_two(service: ConfigService) -> None:
    answer = await service.compose([], "training", "training/default", ["max_epochs=2"])

    assert answer.startswith(b'{\n  "seed": 42,\n  "optimizer": {\n    "name": "adamw"')
    assert json.loads(answer)["max_epochs"] == 2


async def test_eight_clients_get_two_hundred_right_answers(service: ConfigService) -> None:
    async def client(number: int) -> list[dict[str, Any]]:
        calls = (
            service.compose(
                [],
                "trainrun",
                "trainrun/deep_svdd",
                [
                    f"name=run_{number}_{call}",
                    f"training.trainer.max_epochs={call + 1}",
                    f"data.batch_size={number + 1}",
                ],
            )
            for call in range(25)
        )
        return [json.loads(answer) for answer in await asyncio.gather(*calls)]

    answers = await asyncio.gather(*(client(number) for number in range(8)))

    told = [
        (
            answer["name"],
            answer["training"]["max_epochs"],
            answer["data"]["batch_size"],
            len(answer["pipeline"]["nodes"]),
        )
        for client_answers in answers
        for answer in client_answers
    ]
    assert told == [(f"run_{n}_{c}", c + 1, n + 1, 13) for n in range(8) for c in range(25)]


async def test_errors_are_those_of_the_composition(service: ConfigService) -> None:
    with pytest.raises(ConfigNotFound, match=r"^Config file 'nope' not found in search paths: \["):
        await service.compose([], "training", "nope")
    with pytest.raises(ConfigInvalid, match=r"^Config resolution failed: "):
        await service.compose([], "training", "training/default", ["hydra.run.dir=x"])
    with pytest.raises(PathDenied):
        await service.compose(["/etc"], "training", "passwd")


async def test_the_environment_is_not_seen(service: ConfigService, write: Write) -> None:
    write("configs/data/mine.yaml", "params: {home: '${oc.env:HOME}'}")

    with pytest.raises(ConfigInvalid, match=r"Unsupported interpolation type oc\.env"):
        await service.compose([], "data", "data/mine")


async def test_a_composition_that_takes_too_long(workspace: Workspace, write: Write, sessions: Any) -> None:
    values = "\n".join(f"  a{number}: [1, 2, 3, 4, 5, 6, 7, 8, 9]" for number in range(8_000))
    write("configs/data/mine.yaml", f"params:\n{values}")
    service = ConfigService(sessions, workspace, ConfigSettings(workers=1, time_limit_s=0.05))

    with pytest.raises(TimedOut, match=r"^Config resolution failed: the call took longer than 0\.05 s"):
        await service.compose([], "data", "data/mine")
    await service.close()


async def test_a_composition_that_is_too_large(workspace: Workspace, write: Write, sessions: Any) -> None:
    write("configs/data/mine.yaml", f"params: {{text: {'x' * 2_000}}}")
    service = ConfigService(sessions, workspace, ConfigSettings(workers=1, result_limit_bytes=1_024))

    with pytest.raises(TooLarge, match=r"^Config resolution failed: the result has"):
        await service.compose([], "data", "data/mine")
    await service.close()


def test_schemas_by_kind(workspace: Workspace, sessions: Any) -> None:
    service = ConfigService(sessions, workspace)

    assert json.loads(service.schema("data"))["title"] == "DataConfig"
    with pytest.raises(ConfigNotFound, match=r"^Unknown config type: nope\. Available types: \["):
        service.schema("nope")


@pytest.mark.parametrize(
    ("kind", "data", "errors", "warnings"),
    [
        ("training", b"{}", [], []),
        ("training", b"", ["config_bytes cannot be empty"], []),
        ("training", b"{", ["Invalid JSON: Expecting property name enclosed in double quotes"], []),
        ("training", b'{"seed": -1}', ["seed: Input should be greater than or equal to 0"], []),
        ("training", b'{"nope": 1}', ["nope: Extra inputs are not permitted"], []),
        ("training", b'{"trainer": {"max_epochs": 2}}', [], []),
        (
            "training",
            b'{"optimizer": {"name": "lion"}}',
            ["Unsupported optimizer 'lion'. Supported: adam, adamw, sgd"],
            [],
        ),
        (
            "training",
            b'{"scheduler": {"name": "plateau"}}',
            [],
            ["Plateau scheduler configured without 'monitor'; defaulting to val_loss"],
        ),
        ("data", b'{"batch_size": 0}', ["batch_size: Input should be greater than or equal to 1"], []),
        ("data", b"[" * 100_000, ["Invalid JSON: nested too deeply"], []),
        (
            "training",
            b'{"seed": %s}' % (b"1" * 5000),
            [
                "Invalid JSON: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits; "
                "use sys.set_int_max_str_digits() to increase the limit"
            ],
            [],
        ),
    ],
)
async def test_bad_content_is_an_answer(
    workspace: Workspace, kind: str, data: bytes, errors: list[str], warnings: list[str], sessions: Any
) -> None:
    validity = await ConfigService(sessions, workspace).validate(kind, data)

    assert validity.valid == (not errors)
    assert (list(validity.errors), list(validity.warnings)) == (errors, warnings)


async def test_what_is_no_content_is_an_error(workspace: Workspace, sessions: Any) -> None:
    service = ConfigService(sessions, workspace)

    with pytest.raises(InvalidInput, match="config_bytes is not UTF-8"):
        await service.validate("training", b"\xff")
    with pytest.raises(ConfigInvalid, match="Unknown config type: nope"):
        await service.validate("nope", b"{}")
    assert not (await service.validate("data", b"[1]")).valid


async def test_content_beyond_the_limit_is_not_read(workspace: Workspace, sessions: Any) -> None:
    service = ConfigService(sessions, workspace, ConfigSettings(result_limit_bytes=1024))

    with pytest.raises(TooLarge, match="config_bytes has 1025 bytes, more than 1024"):
        await service.validate("training", b" " * 1025)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWATH_CONFIG_WORKERS", "7")

    assert ConfigSettings().workers == 7
