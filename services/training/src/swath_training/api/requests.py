"""What Train is asked for, and what of it can be refused before anything is started."""

from __future__ import annotations

from dataclasses import dataclass

from swath.documents import DataDocument, PipelineDocument, TrainingDocument, TrainRunDocument, canonical, digest, parse
from swath.errors import InvalidInput, NotFitted
from swath_training.runs.model import Trainer


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What Train is called with.

    Attributes:
        session_id: The session.
        trainer: Number of the kind of run.
        data: Data configuration as JSON, None to take the session's.
        training: Training configuration as JSON, None to take the session's.
        run_id: Run to attach to, whatever the other arguments; for clients that know it.
        after_seq: Last event of that run which the client has.
        experiment: What the run belongs to; empty for the session.
        name: A name for people.
    """

    session_id: str
    trainer: int
    data: bytes | None = None
    training: bytes | None = None
    run_id: str | None = None
    after_seq: int = 0
    experiment: str = ""
    name: str = ""


def trainer_of(number: int) -> Trainer:
    """Return the kind of run of a number.

    Raises:
        InvalidInput: There is none.
    """
    try:
        return Trainer(number)
    except ValueError:
        raise InvalidInput(f"Unknown trainer type: {number}") from None


def effective(config: TrainRunDocument | None, request: TrainRequest, trainer: Trainer) -> TrainRunDocument:
    """Return the session's configuration with what the request replaces.

    Raises:
        InvalidInput: There is no data, or no training configuration for gradient training.
        DocumentInvalid: What the request brings does not fit.
    """
    data: DataDocument | None = config.data if config else None
    if request.data is not None:
        data = parse("data", request.data)
    if data is None:
        raise InvalidInput(
            "Training requires data config to be provided either in request or loaded via RestoreTrainRun"
        )
    training: TrainingDocument | None = config.training if config else None
    if request.training is not None:
        training = parse("training", request.training)
    if trainer is Trainer.GRADIENT and training is None:
        raise InvalidInput("Gradient training requires training config either in request or loaded via RestoreTrainRun")
    if config is None:
        return TrainRunDocument(name="trainrun", data=data, training=training)
    return config.model_copy(update={"data": data, "training": training})


def arguments_of(trainer: Trainer, document: TrainRunDocument) -> str:
    """Return a digest that is equal for equal arguments of Train."""
    return digest(canonical({"trainer": int(trainer), "trainrun": document.model_dump(mode="json")}))


def check(trainer: Trainer, document: TrainRunDocument, pipeline: PipelineDocument, *, has_weights: bool) -> None:
    """Refuse what the documents alone show to be wrong; a worker finds the rest.

    Raises:
        NotFitted: A calibration without weights.
        InvalidInput: No loss, or names of nodes that the pipeline does not have.
    """
    if trainer is Trainer.CALIBRATION and not has_weights:
        raise NotFitted(
            "The session holds no trained weights: restore a saved run with its weights, load weights, or train "
            "before a calibration"
        )
    if trainer is Trainer.GRADIENT and not document.loss_nodes:
        raise InvalidInput(
            "trainrun_config.loss_nodes must specify at least one loss node for gradient training. "
            "Add loss node names to your trainrun config YAML."
        )
    names = {node.name for node in pipeline.nodes}
    for field in ("loss_nodes", "metric_nodes", "freeze_nodes", "unfreeze_nodes"):
        if unknown := [name for name in getattr(document, field) if name not in names]:
            raise InvalidInput(
                f"{field}: no node {', '.join(unknown)} in the pipeline; it has {', '.join(sorted(names))}",
                metadata={"field": field},
            )
