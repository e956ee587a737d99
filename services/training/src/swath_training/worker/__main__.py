"""A worker in a Job: `python -m swath_training.worker`. What it is to run is in its environment.

Of one over several processes each has the variables that `torchrun` sets as well.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

from pydantic_settings import SettingsConfigDict

from swath.engine.training import Rank
from swath.rpc.channels import channel
from swath.runtime.logs import Telemetry
from swath.runtime.process import settings_or_exit
from swath.runtime.settings import ServerSettings
from swath_training.link.endpoint import Endpoint
from swath_training.worker import attempt, rank_worker


class WorkerSettings(ServerSettings):
    """Settings of a worker. The training service sets `SWATH_WORKER_...` in its Job; the template sets the others."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    worker_address: str
    """Where the training service listens for it, IP:PORT."""
    worker_run: str
    """The run."""
    worker_attempt: int
    """Its attempt."""
    worker_token: str
    """By which it proves that it is that attempt's worker."""


def main() -> int:
    """Run an attempt; return the process's exit status."""
    settings = settings_or_exit(WorkerSettings, "swath_training.worker")
    # The first process of a container does not exit on SIGTERM by itself. The next attempt computes again what this one
    # has computed since its last checkpoint.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    arguments = (
        Endpoint(
            partial(channel, settings.worker_address, "training", settings, check_health=False),
            settings.max_message_bytes,
        ),
        settings.worker_run,
        settings.worker_attempt,
        settings.worker_token,
        Telemetry.of(settings),
        sys.stderr,
    )
    rank_info = Rank.from_environment(os.environ)
    if rank_info is not None and rank_info.rank:
        return rank_worker.main(*arguments, rank_info)
    return attempt.main(*arguments, rank_info)


if __name__ == "__main__":
    sys.exit(main())
