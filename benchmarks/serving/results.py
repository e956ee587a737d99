"""What a run has found so far: a journal of measurements, and their medians."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.serving.ghz import Figures


class Journal:
    """One line of JSON for each measurement, so that a run that was cut off can be gone on with.

    Args:
        file: Where it is; what is there already counts.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._entries: dict[tuple[str, ...], Any] = {}
        whole, _, cut_off = (file.read_text() if file.exists() else "").rpartition("\n")
        if cut_off:
            file.write_text(f"{whole}\n" if whole else "")
        for line in whole.splitlines():
            entry = json.loads(line)
            self._entries[tuple(entry["key"])] = entry["value"]

    def __contains__(self, key: tuple[str, ...]) -> bool:
        return key in self._entries

    def __getitem__(self, key: tuple[str, ...]) -> Any:
        return self._entries[key]

    def add(self, key: tuple[str, ...], value: Any) -> None:
        """Keep a measurement."""
        self._entries[key] = value
        with self._file.open("a") as file:
            file.write(json.dumps({"key": key, "value": value}) + "\n")

    def of(self, kind: str) -> dict[tuple[str, ...], Any]:
        """Return the measurements of a kind by the rest of their keys."""
        return {key[1:]: value for key, value in self._entries.items() if key[0] == kind}


def median(rounds: Iterable[Figures]) -> Figures:
    """Return the median of each figure; of calls, how many there were in all."""
    rounds = list(rounds)

    def of(name: str) -> float:
        return statistics.median(getattr(each, name) for each in rounds)

    cpu = None if any(each.cpu_ms is None for each in rounds) else of("cpu_ms")
    return Figures(sum(each.calls for each in rounds), of("rate"), of("p50_ms"), of("p99_ms"), cpu)


class Results:
    """Medians by work and server.

    Attributes:
        figures: By work and server.
        errors: Why there are none, by work and server.
        forwards: Median seconds of the bare forward by work.
        servers: What else is known of a server, by its name.
        absent: Why a server was not measured, by its name.
        extras: Other figures by name; text where there is none, and why.
    """

    def __init__(self, journal: Journal) -> None:
        rounds: dict[tuple[str, str], list[Figures]] = defaultdict(list)
        self.errors: dict[tuple[str, str], str] = {}
        for (_, work, side), value in journal.of("calls").items():
            if "error" in value:
                self.errors[work, side] = value["error"]
            else:
                rounds[work, side].append(Figures(**value))
        # One wrong answer or failed call is enough to say so.
        self.figures = {key: median(found) for key, found in rounds.items() if key not in self.errors}
        times: dict[str, list[float]] = defaultdict(list)
        for value in journal.of("forward").values():
            for work, seconds in value.items():
                times[work].append(seconds)
        self.forwards = {work: statistics.median(found) for work, found in times.items()}
        self.servers: dict[str, Mapping[str, Any]] = {key[0]: value for key, value in journal.of("server").items()}
        self.absent: dict[str, str] = {
            key[0]: value for key, value in journal.of("absent").items() if key[0] not in self.servers
        }
        self.extras: dict[str, float | str] = {key[0]: value for key, value in journal.of("extra").items()}

    def get(self, work: str, side: str, name: str) -> float | None:
        """Return a figure, None where it was not measured."""
        found = self.figures.get((work, side))
        return None if found is None else getattr(found, name)

    def to_json(self) -> dict[str, Any]:
        """Return what a file keeps."""
        works: dict[str, dict[str, Any]] = defaultdict(dict)
        for (work, side), figures in self.figures.items():
            works[work][side] = figures.to_json()
        for (work, side), error in self.errors.items():
            works[work][side] = {"error": error}
        return {
            "works": works,
            "forward_ms": {work: seconds * 1e3 for work, seconds in self.forwards.items()},
            "servers": self.servers,
            "absent": self.absent,
            "extras": self.extras,
        }
