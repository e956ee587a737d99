"""The load generator: its command line, and the figures of its report."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_LARGEST = str(2**31 - 1)


class CallsFailed(RuntimeError):
    """Calls of a measurement failed; the message says how many and with what."""


@dataclass(frozen=True)
class Figures:
    """One measurement.

    Attributes:
        calls: How many were answered.
        rate: Calls per second.
        p50_ms: Median time of a call.
        p99_ms: Time that 99 % of the calls keep within.
        cpu_ms: CPU time of the server per call, with all processes that it has started; None where nobody counted.
    """

    calls: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return asdict(self)


def program() -> str:
    """Return the load generator.

    Raises:
        FileNotFoundError: There is none; the message says how to install it.
    """
    for place in (None, str(Path.home() / "go" / "bin")):
        if found := shutil.which("ghz", path=place):
            return found
    raise FileNotFoundError("ghz is not installed: go install github.com/bojand/ghz/cmd/ghz@v0.121.0")


def command(
    target: str,
    *,
    method: str,
    protoset: Path,
    request: Path,
    concurrency: int,
    seconds: float,
    security: Sequence[str] = ("--insecure",),
) -> list[str]:
    """Return the command that sends one request over and over for a time."""
    return [
        program(),
        *security,
        f"--protoset={protoset}",
        f"--call={method}",
        f"--binary-file={request}",
        f"--concurrency={concurrency}",
        f"--duration={seconds:g}s",
        "--duration-stop=wait",
        "--timeout=60s",
        "--disable-template-functions",
        "--disable-template-data",
        f"--max-recv-message-size={_LARGEST}",
        f"--max-send-message-size={_LARGEST}",
        "--format=json",
        target,
    ]


def run(arguments: Sequence[str], seconds: float) -> Figures:
    """Run a command and return its figures.

    Raises:
        CallsFailed: A call failed, or the program did.
    """
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds + 90, check=False)
    if done.returncode:
        raise CallsFailed(f"ghz ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return parse(json.loads(done.stdout))


def parse(report: Mapping[str, Any]) -> Figures:
    """Return the figures of a report; times in it are nanoseconds.

    Raises:
        CallsFailed: A call failed, or none was made.
    """
    if errors := report.get("errorDistribution"):
        first, count = next(iter(errors.items()))
        raise CallsFailed(f"{sum(errors.values())} of {report['count']} calls failed; {count} with: {first}")
    spread = {each["percentage"]: each["latency"] / 1e6 for each in report.get("latencyDistribution") or ()}
    if not report["count"] or not {50, 99} <= spread.keys():
        raise CallsFailed(f"{report['count']} calls were answered, too few to say how long they take")
    return Figures(report["count"], report["rps"], spread[50], spread[99])
