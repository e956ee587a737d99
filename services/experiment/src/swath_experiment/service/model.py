"""What of the model can be looked into: nothing yet, and the methods say so."""

from __future__ import annotations

from typing import NoReturn

from swath.errors import Precondition


def no_layers() -> NoReturn:
    """Refuse to tell of layers.

    Raises:
        Precondition: Always.
    """
    raise Precondition(
        "layers, weights and activations are not told here: publish the run's pipeline and ask for the outputs of its "
        "nodes with Inference"
    )


def no_surgery() -> NoReturn:
    """Refuse to change layers.

    Raises:
        Precondition: Always.
    """
    raise Precondition(
        "the layers of a run are those of its pipeline document, and its log says all that has changed its weights: "
        "change the document, and start another run"
    )
