"""Methods that change runs: commands, evaluations, checkpoints, names and notes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator
from typing import Any

from swath.errors import InvalidInput, SwathError, Unsupported
from swath.experiment_service import experiment_service_pb2 as pb
from swath_experiment.service.commands import Described
from swath_experiment.service.model import no_layers
from swath_experiment.service.scope import Experiment
from swath_experiment.servicer.calls import Methods, refused

_CHANGED = {
    "learning_rate": "learning_rate",
    "batch_size": "batch_size",
    "train_batch_size": "batch_size",
    "val_batch_size": "val_batch_size",
    "test_batch_size": "test_batch_size",
    "full_eval_frequency": "evaluation_frequency",
    "checkpont_frequency": "checkpoint_frequency",
    "training_steps_to_do": "total_steps",
}
"""Fields of HyperParameters, and what runs call them."""
_DENIALS = (
    "deny_samples_operation",
    "deny_eval_samples_operation",
    "remove_from_denylist_operation",
    "remove_eval_from_denylist_operation",
)


class ControlMethods(Methods):
    """Methods that change runs."""

    async def ExperimentCommand(self, request: pb.TrainerCommand, context: Any) -> pb.CommandResponse:
        """Change the current run, then read what is asked for."""
        experiment = await self.experiment(context)
        answer = pb.CommandResponse(success=True)
        try:
            for text in [text async for text in self._changes(experiment, request)]:
                answer.message = text
            if request.get_hyper_parameters:
                answer.hyper_parameters_descs.extend(map(_described, await self.services.commands.describe(experiment)))
            if request.get_interactive_layers or request.HasField("get_single_layer_info_id"):
                no_layers()
            if request.HasField("get_data_records"):
                answer.sample_statistics.CopyFrom(await self._records(experiment, request.get_data_records))
        except SwathError as error:
            return refused(error, pb.CommandResponse)
        return answer

    async def _changes(self, experiment: Experiment, request: pb.TrainerCommand) -> AsyncIterator[str]:
        commands = self.services.commands
        if request.HasField("restart_operation"):
            raise Unsupported("a client does not restart the server: its operator does")
        denied = next((name for name in _DENIALS if request.HasField(name)), None)
        if denied is not None:
            raise Unsupported(f"{denied}: samples are left out with EditDataSample and stat_name 'discarded'")
        if request.HasField("save_checkpoint_operation"):
            yield await commands.save(experiment)
        if request.HasField("plot_note_operation"):
            note = request.plot_note_operation
            await commands.note(experiment, note.metric_name, note.experiment_hash, note.model_age, note.note)
            yield "note saved" if note.note else "note removed"
        if request.HasField("hyper_parameter_change"):
            await self._change(experiment, request.hyper_parameter_change.hyper_parameters)
            yield "hyper-parameters changed"
        if request.HasField("load_checkpoint_operation"):
            raise Unsupported("checkpoints have no numbers: RestoreCheckpoint takes their hash")

    async def _change(self, experiment: Experiment, given: pb.HyperParameters) -> None:
        if given.HasField("auditor_mode") and given.auditor_mode:
            raise Unsupported("auditor_mode: a run has none; TriggerEvaluation measures it without training")
        if given.HasField("evaluation_config"):
            await self._evaluate(experiment, given.evaluation_config)
        values: dict[str, float] = {}
        for field, name in _CHANGED.items():
            if given.HasField(field):
                values[name] = getattr(given, field)
        if values:
            await self.services.commands.change(experiment, values)
        if given.HasField("experiment_name") and given.experiment_name:
            hash_ = experiment.hash_of(experiment.current)
            await self.services.commands.rename(experiment, hash_, given.experiment_name)
        if given.HasField("is_training"):
            await self.services.commands.set_training(
                experiment, on=given.is_training, steps=given.nb_steps if given.is_training else 0
            )

    async def _evaluate(self, experiment: Experiment, config: str) -> None:
        try:
            given = json.loads(config)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise InvalidInput(f"evaluation_config: expected a JSON object, got {config[:64]!r}")
        if given.get("cancel"):
            await self.services.evaluation.cancel(experiment, str(given.get("reason", "")))
            return
        split = str(given.get("split", ""))
        tags = [] if given.get("use_full_set") else [str(each) for each in given.get("tags") or ()]
        samples = await self.services.samples.with_tags(experiment, tags, split) if tags else []
        await self.services.evaluation.trigger(experiment, split, samples, tags)

    async def _records(self, experiment: Experiment, split: str) -> pb.SampleStatistics:
        rows = await self.services.samples.of_split(experiment, split)
        return pb.SampleStatistics(
            origin=split,
            sample_count=len(rows),
            records=[
                pb.RecordMetadata(sample_id=row["sample_id"], sample_discarded=bool(row.get("discarded")))
                for row in rows
            ],
            task_type="segmentation",
        )

    async def TriggerEvaluation(
        self, request: pb.TriggerEvaluationRequest, context: Any
    ) -> pb.TriggerEvaluationResponse:
        """Evaluate a split now."""
        try:
            experiment = await self.experiment(context)
            tags = [] if request.use_full_set else list(request.tags)
            samples = await self.services.samples.with_tags(experiment, tags, request.split_name) if tags else []
            text = await self.services.evaluation.trigger(experiment, request.split_name, samples, tags)
        except SwathError as error:
            return refused(error, pb.TriggerEvaluationResponse)
        return pb.TriggerEvaluationResponse(success=True, message=text)

    async def GetEvaluationStatus(
        self, request: pb.GetEvaluationStatusRequest, context: Any
    ) -> pb.GetEvaluationStatusResponse:
        """Return how far the last evaluation is."""
        status = await self.services.evaluation.status(await self.experiment(context))
        return pb.GetEvaluationStatusResponse(
            status=status.status,
            current=status.done,
            total=status.total,
            message=status.message,
            error=status.error,
            split_name=status.split,
        )

    async def CancelEvaluation(self, request: pb.CancelEvaluationRequest, context: Any) -> pb.CancelEvaluationResponse:
        """Give up the evaluation that is under way."""
        try:
            text = await self.services.evaluation.cancel(await self.experiment(context), request.reason)
        except SwathError as error:
            return refused(error, pb.CancelEvaluationResponse)
        return pb.CancelEvaluationResponse(success=True, message=text)

    async def RestoreCheckpoint(
        self, request: pb.RestoreCheckpointRequest, context: Any
    ) -> pb.RestoreCheckpointResponse:
        """Go back to a checkpoint."""
        try:
            text = await self.services.commands.restore(await self.experiment(context), request.experiment_hash)
        except SwathError as error:
            return refused(error, pb.RestoreCheckpointResponse)
        return pb.RestoreCheckpointResponse(success=True, message=text)

    async def ListExperimentRuns(
        self, request: pb.ListExperimentRunsRequest, context: Any
    ) -> pb.ListExperimentRunsResponse:
        """Return the experiment's runs, newest first."""
        listed = await self.services.listed(await self.experiment(context))
        return pb.ListExperimentRunsResponse(
            runs=[
                pb.ExperimentRunInfo(
                    experiment_hash=each.hash,
                    experiment_name=each.name,
                    notes=each.notes,
                    created=_iso(each.created_at),
                    last_used=_iso(each.used_at),
                    latest_weight_step=each.weight_step,
                    is_current=each.is_current,
                )
                for each in listed
            ]
        )

    async def RenameExperimentRun(
        self, request: pb.RenameExperimentRunRequest, context: Any
    ) -> pb.RenameExperimentRunResponse:
        """Give a run a name."""
        try:
            experiment = await self.experiment(context)
            await self.services.commands.rename(experiment, request.experiment_hash, request.new_name)
        except SwathError as error:
            return refused(error, pb.RenameExperimentRunResponse)
        return pb.RenameExperimentRunResponse(success=True, message="renamed")

    async def SetExperimentRunNotes(
        self, request: pb.SetExperimentRunNotesRequest, context: Any
    ) -> pb.SetExperimentRunNotesResponse:
        """Keep notes about a run."""
        try:
            experiment = await self.experiment(context)
            await self.services.commands.set_notes(experiment, request.experiment_hash, request.notes)
        except SwathError as error:
            return refused(error, pb.SetExperimentRunNotesResponse)
        return pb.SetExperimentRunNotesResponse(success=True, message="notes saved")


def _described(each: Described) -> pb.HyperParameterDesc:
    shown = pb.HyperParameterDesc(label=each.label, name=each.name)
    if isinstance(each.value, str):
        shown.type, shown.string_value = "string", each.value
    else:
        shown.type, shown.numerical_value = "number", each.value
    return shown


def _iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds") if seconds else ""
