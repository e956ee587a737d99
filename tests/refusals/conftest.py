"""Every call that acknowledges something durable, on stores that take nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from swath.client import CallError, Client, Session

SCENE = Path(__file__).resolve().parents[2] / "examples" / "data" / "san_diego.npz"

METHODS = ("SetTrainRunConfig", "LoadPipeline", "LoadPipelineWeights", "SavePipeline", "SaveTrainRun", "Train", "Put")
"""What `Work.calls` holds."""

_numbers = count(1)


@dataclass
class Work:
    """A fitted session on the San Diego scene, and calls that write.

    Attributes:
        client: Who calls.
        session: The session.
        weights: Its weights, as bytes.
    """

    client: Client
    session: Session
    weights: bytes

    @classmethod
    def begin(cls, client: Client) -> Work:
        client.workspace.put(str(SCENE), "data/san_diego.npz")
        session = client.open_session()
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        list(session.train("statistical"))
        saved = session.save_pipeline("refusals/fitted.yaml")
        return cls(client, session, client.workspace.read(saved.weights))

    @property
    def calls(self) -> Mapping[str, Callable[[], object]]:
        """Calls that put something new into the stores of artifacts and files, by method."""
        config = self.session.resolve("trainrun", "trainrun/san_diego_rx")
        new = f"new-{next(_numbers)}"
        return {
            "SetTrainRunConfig": lambda: self.session.set_run_config({**config, "name": new}),
            "LoadPipeline": lambda: self.session.load_pipeline({**config["pipeline"], "metadata": {"name": new}}),
            "LoadPipelineWeights": lambda: self.session.load_weights(self.weights),
            "SavePipeline": lambda: self.session.save_pipeline(f"refusals/{new}.yaml"),
            "SaveTrainRun": lambda: self.session.save_trainrun(f"refusals/{new}.yaml"),
            "Train": lambda: list(self.session.train("statistical")),
            # Larger than what a run that has failed before may yet give back.
            "Put": lambda: self.client.workspace.put(os.urandom(2_000_000), f"refusals/{new}"),
        }

    def fit(self) -> None:
        """Have the session fitted, whatever was done to it."""
        self.session.load_weights(self.weights)

    def scores(self) -> np.ndarray:
        """Return what the session's pipeline makes of the scene: other scores, other pipeline or weights."""
        with np.load(SCENE) as arrays:
            given = {"cube": arrays["cube"][None].astype(np.float32), "wavelengths": arrays["wavelengths"][None]}
        outputs = self.session.infer(**given)
        return next(np.asarray(outputs[name]) for name in sorted(outputs) if name.endswith("scores"))

    def files(self) -> set[tuple[str, int]]:
        """Return paths and sizes of all files in the workspace."""
        return {(entry.path, entry.size) for entry in self.client.workspace.list(recursive=True) if not entry.folder}


@pytest.fixture
def refusal() -> Callable[[Callable[[], object]], CallError]:
    """Makes a call that must fail, and returns how it did."""

    def refusal(call: Callable[[], object]) -> CallError:
        with pytest.raises(CallError) as raised:
            call()
        return raised.value

    return refusal
