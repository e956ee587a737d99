"""What is around every method of ExperimentService."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from swath.errors import Exhausted, SwathError, Unauthenticated, Unavailable
from swath_experiment.adapters.identity import keep
from swath_experiment.service.scope import Experiment, Who
from swath_experiment.service.services import Services

EXPERIMENT_KEY = "swath-experiment"
"""Metadata: the experiment, or a run of it, that a client means."""
READER_KEY = "swath-reader"
"""Metadata: tells apart the readers of one user."""

Answer = TypeVar("Answer")


class Methods:
    """Methods of ExperimentService.

    Args:
        services: Decide.
    """

    def __init__(self, services: Services) -> None:
        self.services = services

    def who(self, context: Any) -> Who:
        """Return what a call says of itself, and keep what says who makes it."""
        metadata = () if context is None else context.invocation_metadata() or ()
        keep(metadata)
        given = {key: str(value) for key, value in metadata if key in (EXPERIMENT_KEY, READER_KEY)}
        return Who(given.get(EXPERIMENT_KEY, ""), given.get(READER_KEY, ""))

    async def experiment(self, context: Any) -> Experiment:
        """Return the experiment that a call is about.

        Raises:
            NotFound: It names one that there is not.
        """
        return await self.services.experiment(self.who(context))


def refused(error: SwathError, answer: Callable[..., Answer], **fields: Any) -> Answer:
    """Return an answer that says why the call is refused: the page shows its `message`, and of a status only a notice.

    What has nothing to do with what was asked stays a status: who calls is not known, or the server cannot.

    Raises:
        SwathError: It is of these.
    """
    # What may succeed a moment later has a time to wait; a limit that stays reached is told like any refusal.
    later = isinstance(error, Exhausted) and error.retry_after is not None
    if later or isinstance(error, (Unauthenticated, Unavailable)) or type(error) is SwathError:
        raise error
    return answer(success=False, message=error.message, **fields)
