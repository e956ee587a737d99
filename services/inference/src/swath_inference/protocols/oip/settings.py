"""Settings of traces and logs, as far as they are a client's to read and to change."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from swath.errors import Denied, InputInvalid, Precondition
from swath.inference import open_inference_pb2 as pb

_LEVELS = (("log_error", logging.ERROR), ("log_warning", logging.WARNING), ("log_info", logging.INFO))
_VERBOSE = "log_verbose_level"
_TEXTS = {"log_file": "", "log_format": "default"}
_KINDS = {
    **{name: ("bool_param", "boolean") for name, _ in _LEVELS},
    _VERBOSE: ("uint32_param", "unsigned int"),
    **dict.fromkeys(_TEXTS, ("string_param", "string")),
}


class LogSwitches:
    """Which log lines this process writes.

    Args:
        changeable: Whether clients of this machine may change it, as where nobody is asked who calls.
    """

    def __init__(self, *, changeable: bool = False) -> None:
        self._changeable = changeable

    def read(self) -> pb.LogSettingsResponse:
        """Return the settings as they are."""
        level = logging.getLogger().getEffectiveLevel()
        answer = pb.LogSettingsResponse()
        for name, least in _LEVELS:
            answer.settings[name].bool_param = level <= least
        answer.settings[_VERBOSE].uint32_param = int(level <= logging.DEBUG)
        for name, text in _TEXTS.items():
            answer.settings[name].string_param = text
        return answer

    def change(self, wanted: Mapping[str, pb.LogSettingsRequest.SettingValue], *, local: bool) -> None:
        """Change settings; those that nobody knows ask for nothing.

        Each level holds those above it: lines of warnings are not written without those of errors.

        Args:
            wanted: By name.
            local: Whether the client is on this machine.

        Raises:
            InputInvalid: A value of another type than its setting has.
            Precondition: A setting that a server has from its start.
            Denied: Such a change is not this client's.
        """
        now = self.read().settings
        changes: dict[str, bool | int] = {}
        for name, value in wanted.items():
            if name not in _KINDS:
                continue
            kind, word = _KINDS[name]
            if value.WhichOneof("parameter_choice") != kind:
                raise InputInvalid(f"expect {word} for {name!r}")
            if (new := getattr(value, kind)) != getattr(now[name], kind):
                if name in _TEXTS:
                    raise Precondition(f"{name}: where log lines go, and in what form, a server has from its start")
                changes[name] = new
        if not changes:
            return
        if not (self._changeable and local):
            raise Denied(
                f"{', '.join(sorted(changes))}: which log lines there are SWATH_LOG_LEVEL says; clients change it only "
                "on the server's own machine, where nobody is asked who calls"
            )
        logging.getLogger().setLevel(self._level(changes, now))

    def _level(self, changes: Mapping[str, bool | int], now: Mapping[str, pb.LogSettingsResponse.SettingValue]) -> int:
        if changes.get(_VERBOSE, now[_VERBOSE].uint32_param):
            return logging.DEBUG
        switched = {name: changes.get(name, now[name].bool_param) for name, _ in _LEVELS}
        level = logging.CRITICAL
        for name, least in _LEVELS:
            if switched[name]:
                level = least
        return level


def trace_settings(*, exported: bool) -> dict[str, str]:
    """Return the settings of traces.

    Args:
        exported: Whether spans are sent to a collector.
    """
    return {
        "trace_level": "TIMESTAMPS" if exported else "OFF",
        "trace_mode": "opentelemetry",
        "trace_rate": "1",
        "trace_count": "-1",
        "log_frequency": "0",
        "trace_file": "",
    }


def check_trace_settings(
    wanted: Mapping[str, pb.TraceSettingRequest.SettingValue], settings: Mapping[str, str]
) -> None:
    """Refuse to change the settings of traces; to ask for what they are is no change, nor is what nobody knows.

    Raises:
        InputInvalid: A number that is none.
        Precondition: It would be a change.
    """
    for name, value in wanted.items():
        if name not in settings or not value.value:
            continue
        given = value.value[0]
        if settings[name].lstrip("-").isdecimal():
            try:
                given = str(int(given))
            except ValueError:
                raise InputInvalid(f"expect an integer for {name!r}, got {given[:80]!r}") from None
        if given != settings[name] or len(value.value) > 1:
            raise Precondition(
                f"{name} is {settings[name]!r}: spans go to the collector that SWATH_OTLP_ADDRESS names, from the "
                "server's start to its end, and to no file"
            )
