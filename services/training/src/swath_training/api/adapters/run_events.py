"""Events as workers send them and as the log keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from google.protobuf.message import DecodeError

from swath.errors import InvalidInput
from swath.training.v1 import events_pb2 as pb
from swath_training.api.adapters.train_responses import response
from swath_training.link.commands import command_of_message
from swath_training.runs.items import Event
from swath_training.runs.model import Metric

_SPLITS = {pb.SPLIT_TRAIN: "train", pb.SPLIT_VAL: "val", pb.SPLIT_TEST: "test", pb.SPLIT_INFERENCE: "inference"}
_OF_TRAINING = ("train_", "train/")
_RATE = "lr-"

_Values = Iterator[tuple[str, float]]


class RunEventCodec:
    """The `EventCodec` of the service."""

    def note(self, status: str, message: str) -> Event:
        event = pb.RunEvent(status=f"STATUS_{status}", split=pb.SPLIT_TRAIN, message=message)
        return Event(0, event.SerializeToString(), response(event).SerializeToString())

    def complete(self, event: Event) -> Event:
        if not event.payload:
            return event
        try:
            message = pb.RunEvent.FromString(event.payload)
        except DecodeError as error:
            raise InvalidInput(f"event {event.position} is none: {error}") from error
        return Event(
            event.position,
            event.payload,
            response(message).SerializeToString(),
            metrics_of(message),
            command_of_message(message.command) if message.HasField("command") else None,
            message.step,
            message.epoch,
        )


def metrics_of(event: pb.RunEvent) -> tuple[Metric, ...]:
    """Return what an event has measured, in the order of names, each value under the split that it was measured on.

    An event repeats values that an earlier one has measured, for clients that see it alone. A curve has each value
    once: losses of batches with the batch, those of a validation and its metrics at its end, losses of an epoch and
    learning rates at the epoch's end, metrics of an evaluation or a calibration at its end.
    """
    moment = event.moment
    split = event.split
    match moment.hook:
        case pb.RunMoment.HOOK_TRAIN_PROGRESS:
            values = (*event.losses.items(), *_of_batch(event))
        case pb.RunMoment.HOOK_VALIDATION_PROGRESS:
            values = tuple(event.losses.items())
        case pb.RunMoment.HOOK_VALIDATION_END:
            values = (*_losses(event, of_training=False), *_of_validation(event))
        case pb.RunMoment.HOOK_EPOCH_END:
            values = (*_losses(event, of_training=True), *_of_batch(event))
        case pb.RunMoment.HOOK_EVALUATION_END:
            split, values = moment.evaluation.split, tuple(moment.evaluation.metrics.items())
        case pb.RunMoment.HOOK_CALIBRATION_END:
            split, values = moment.calibration.split, tuple(_of_deciders(moment.calibration))
        case _:
            values = ()
    name_of_split = _SPLITS.get(split, "")
    return tuple(
        # No database keeps a NUL in a text.
        Metric(name.replace("\0", "\N{REPLACEMENT CHARACTER}"), value, name_of_split, event.step, event.epoch)
        for name, value in sorted(values, key=itemgetter(0))
    )


def _losses(event: pb.RunEvent, *, of_training: bool) -> _Values:
    for name, value in event.losses.items():
        if name.startswith(_OF_TRAINING) is of_training:
            yield name, value


def _of_batch(event: pb.RunEvent) -> _Values:
    """Yield learning rates and loss nodes; what a metric node has measured ("node/metric") is of a validation."""
    for name, value in event.metrics.items():
        if "/" not in name:
            yield name, value


def _of_validation(event: pb.RunEvent) -> _Values:
    for name, value in event.metrics.items():
        if not name.startswith(_RATE):
            yield name, value


def _of_deciders(calibration: pb.Calibration) -> _Values:
    for decider in calibration.deciders:
        for name, value in decider.metrics.items():
            yield f"{decider.name}/{name}", value
