"""What the methods of ExperimentService answer, and what is on disk then."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swath.errors import Exhausted, NotFound
from swath.experiment_service import experiment_service_pb2 as pb
from swath_experiment.runs.model import Run
from swath_experiment.service.services import Services
from swath_experiment.servicer import ExperimentServicer
from swath_experiment.settings import ExperimentSettings
from swath_experiment.store import ExperimentStore, Place

from .conftest import HASH, HERE, Context, FakeFiles, FakeRuns

MOSS = Place("", "moss")
SERVICE = pb.DESCRIPTOR.services_by_name["ExperimentService"]


def change(**fields: Any) -> pb.TrainerCommand:
    wanted = pb.HyperParameters(**fields)
    return pb.TrainerCommand(hyper_parameter_change=pb.HyperParameterCommand(hyper_parameters=wanted))


def edit(name: str, kind: pb.SampleEditType = pb.EDIT_ACCUMULATE, **fields: Any) -> pb.DataEditsRequest:
    return pb.DataEditsRequest(stat_name=name, type=kind, **fields)


async def actions(store: ExperimentStore, place: Place = MOSS) -> list[str]:
    return [each["action"] for each in reversed(await store.audit(place))]


# Runs


async def test_every_method_answers(servicer: ExperimentServicer):
    from google.protobuf import message_factory

    assert len(SERVICE.methods) == 38
    for method in SERVICE.methods:
        request = message_factory.GetMessageClass(method.input_type)()
        if method.name == "GetActivations":
            continue
        answer = getattr(servicer, method.name)(request, HERE)
        kind = message_factory.GetMessageClass(method.output_type)
        if method.server_streaming:
            assert all([isinstance(each, kind) async for each in answer])
        else:
            assert isinstance(await answer, kind), method.name


async def test_hyper_parameters_as_the_page_finds_them(servicer: ExperimentServicer):
    answer = await servicer.ExperimentCommand(pb.TrainerCommand(get_hyper_parameters=True), HERE)
    shown = {each.name: each.string_value or each.numerical_value for each in answer.hyper_parameters_descs}
    assert shown["experiment_name"] == "moss"
    assert (shown["last_hash"], shown["model_age"], shown["is_training"]) == (HASH, 40, 1)
    assert (shown["learning_rate"], shown["batch_size"]) == (pytest.approx(0.05), 2)


async def test_a_change_goes_to_the_run_once_and_into_the_audit(
    servicer: ExperimentServicer, runs: FakeRuns, store: ExperimentStore
):
    assert (await servicer.ExperimentCommand(change(batch_size=4), HERE)).success
    # What is so already is no change, and a message without one pauses nothing.
    assert (await servicer.ExperimentCommand(change(batch_size=2), HERE)).success
    assert runs.asked == [("change", {"batch_size": 4})]
    (line,) = await store.audit(MOSS)
    assert (line["action"], line["status"], line["details"]) == (
        "hp_change",
        "success",
        {"batch_size": 4, "command": 1},
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"batch_size": -4}, "batch_size: expected a whole number from 1 to 64, got -4"),
        ({"learning_rate": 0.0}, "learning_rate: expected a number above 0 to 1, got 0"),
        ({"val_batch_size": 2}, "val_batch_size of run run-1 cannot be changed: did you mean 'batch_size'?"),
        ({"evaluation_config": "[]"}, "evaluation_config: expected a JSON object, got '[]'"),
        ({"auditor_mode": True}, "auditor_mode: a run has none; TriggerEvaluation measures it without training"),
    ],
)
async def test_changes_that_are_refused(
    servicer: ExperimentServicer, runs: FakeRuns, fields: dict[str, Any], said: str
):
    answer = await servicer.ExperimentCommand(change(**fields), HERE)
    assert (answer.success, answer.message) == (False, said)
    assert runs.asked == []


async def test_pause_and_resume_for_some_steps(servicer: ExperimentServicer, runs: FakeRuns, store: ExperimentStore):
    await servicer.ExperimentCommand(change(is_training=False), HERE)
    await servicer.ExperimentCommand(change(is_training=True, nb_steps=5), HERE)
    assert runs.asked == [("pause", None), ("resume", 5)]
    assert await actions(store) == ["pause", "resume"]


async def test_operations_that_there_are_not_say_what_there_is(servicer: ExperimentServicer):
    for request in (
        pb.TrainerCommand(restart_operation=pb.RestartInstanceOperation()),
        pb.TrainerCommand(load_checkpoint_operation=pb.LoadCheckpointOperation(checkpoint_id=1)),
        pb.TrainerCommand(deny_samples_operation=pb.DenySamplesOperation(sample_ids=["s1"])),
    ):
        answer = await servicer.ExperimentCommand(request, HERE)
        assert not answer.success
        assert answer.message


async def test_an_evaluation_from_request_to_marker(
    servicer: ExperimentServicer, runs: FakeRuns, store: ExperimentStore
):
    async def status() -> str:
        return (await servicer.GetEvaluationStatus(pb.GetEvaluationStatusRequest(), HERE)).status

    assert await status() == "idle"
    wanted = pb.TriggerEvaluationRequest(split_name="val_loader", use_full_set=True)
    assert (await servicer.TriggerEvaluation(wanted, HERE)).success
    assert runs.asked == [("evaluate", ("val", []))]
    assert await status() == "requested"
    again = await servicer.TriggerEvaluation(wanted, HERE)
    assert (again.success, again.message) == (False, "Evaluation already in progress")
    resumed = await servicer.ExperimentCommand(change(is_training=True), HERE)
    assert not resumed.success
    runs.finish(metrics={"val/bce": 0.25})
    assert await status() == "done"
    full = pb.GetLatestLoggerDataRequest(request_full_history=True)
    points = (await servicer.GetLatestLoggerData(full, HERE)).points
    (marker,) = [each for each in points if each.is_evaluation_marker]
    assert (marker.experiment_hash, marker.metric_name, marker.metric_value) == (f"{HASH}_1", "val/bce", 0.25)
    assert (marker.model_age, marker.split_name) == (40, "val")
    assert await actions(store) == ["evaluation_start", "evaluation_start"]


async def test_an_evaluation_that_is_refused_or_cancelled(servicer: ExperimentServicer):
    unknown = await servicer.TriggerEvaluation(pb.TriggerEvaluationRequest(split_name="vall"), HERE)
    assert (unknown.success, unknown.message) == (
        False,
        "split_name: run run-1 has no split 'vall': did you mean 'val'?",
    )
    assert not (await servicer.CancelEvaluation(pb.CancelEvaluationRequest(), HERE)).success
    await servicer.TriggerEvaluation(pb.TriggerEvaluationRequest(split_name="val"), HERE)
    assert (await servicer.CancelEvaluation(pb.CancelEvaluationRequest(reason="enough"), HERE)).success
    status = await servicer.GetEvaluationStatus(pb.GetEvaluationStatusRequest(), HERE)
    assert (status.status, status.message) == ("canceled", "enough")


@pytest.mark.parametrize(
    ("asked", "success", "said"),
    [
        (HASH, True, f"Restored checkpoint {HASH} at step 30"),
        (f"{HASH}@@weights_step=26", True, f"Restored checkpoint {HASH} at step 10"),
        (f"{HASH}@@weights_step=-5", False, "weights_step: expected a whole number from 0, got '-5'"),
        (f"{HASH}@@weights_step=abc", False, "weights_step: expected a whole number from 0, got 'abc'"),
        (f"{HASH}@@weights_step=9", False, f"Failed to restore checkpoint {HASH}: none is at or before step 9"),
        ("", False, f"Failed to restore checkpoint : there is none; there are '{HASH}'"),
    ],
)
async def test_restores(
    servicer: ExperimentServicer, runs: FakeRuns, store: ExperimentStore, asked: str, success: bool, said: str
):
    answer = await servicer.RestoreCheckpoint(pb.RestoreCheckpointRequest(experiment_hash=asked), HERE)
    assert (answer.success, answer.message) == (success, said)
    assert runs.asked == ([("restore", asked)] if success else [])
    (line,) = await store.audit(MOSS)
    assert (line["action"], line["status"]) == ("checkpoint_restore", "success" if success else "failed")


async def test_names_and_notes_of_runs(servicer: ExperimentServicer):
    assert (
        await servicer.RenameExperimentRun(pb.RenameExperimentRunRequest(experiment_hash=HASH, new_name="first"), HERE)
    ).success
    await servicer.SetExperimentRunNotes(pb.SetExperimentRunNotesRequest(experiment_hash=HASH, notes="dry moss"), HERE)
    (run,) = (await servicer.ListExperimentRuns(pb.ListExperimentRunsRequest(), HERE)).runs
    assert (run.experiment_name, run.notes, run.latest_weight_step, run.is_current) == ("first", "dry moss", 30, True)
    assert run.created == "1970-01-01T00:00:01+00:00"
    empty = await servicer.RenameExperimentRun(pb.RenameExperimentRunRequest(experiment_hash=HASH), HERE)
    assert (empty.success, empty.message) == (False, "new_name: expected a name, got nothing")
    unknown = await servicer.RenameExperimentRun(
        pb.RenameExperimentRunRequest(experiment_hash=f"{HASH[:-1]}d", new_name="x"), HERE
    )
    assert f"did you mean '{HASH}'?" in unknown.message


# Curves


async def test_readers_do_not_take_points_from_each_other(servicer: ExperimentServicer, runs: FakeRuns):
    async def new(reader: str) -> list[int]:
        answer = await servicer.GetLatestLoggerData(pb.GetLatestLoggerDataRequest(), Context(swath_reader=reader))
        return [each.model_age for each in answer.points]

    first, second = await new("one"), await new("two")
    assert first == second == list(range(1, 41))
    assert await new("one") == []
    runs.steps = 42
    assert await new("one") == await new("two") == [41, 42]


async def test_curves_as_wholes_and_a_range_of_steps(servicer: ExperimentServicer):
    index = await servicer.GetLatestLoggerData(
        pb.GetLatestLoggerDataRequest(request_full_history=True, index_only=True), HERE
    )
    (curve,) = index.curves
    assert (curve.metric_name, curve.experiment_hash, curve.point_count, curve.value_max) == ("val/bce", HASH, 40, 40.0)
    assert (len(index.points), index.applied_max_points) == (0, 1000)
    part = await servicer.GetLatestLoggerData(
        pb.GetLatestLoggerDataRequest(request_full_history=True, has_x_range=True, x_min=5, x_max=7), HERE
    )
    assert [each.model_age for each in part.points] == [5, 6, 7]
    none = pb.GetLatestLoggerDataRequest(request_full_history=True, experiment_hashes=["dddddddd"])
    assert not (await servicer.GetLatestLoggerData(none, HERE)).points


async def test_a_note_at_a_point(servicer: ExperimentServicer):
    note = pb.PlotNoteOperation(metric_name="val/bce", experiment_hash=HASH, model_age=3, note="here")
    assert (await servicer.ExperimentCommand(pb.TrainerCommand(plot_note_operation=note), HERE)).success
    full = pb.GetLatestLoggerDataRequest(request_full_history=True)
    points = (await servicer.GetLatestLoggerData(full, HERE)).points
    assert {each.model_age: each.point_note for each in points if each.point_note} == {3: "here"}
    note.metric_name = "val/bec"
    wrong = await servicer.ExperimentCommand(pb.TrainerCommand(plot_note_operation=note), HERE)
    assert not wrong.success


async def test_histories_are_read_a_few_at_a_time(runs: FakeRuns, store: ExperimentStore):
    settings = ExperimentSettings(experiment_histories=1, experiment_history_wait_s=0)
    servicer = ExperimentServicer(Services(runs, FakeFiles(), store, settings))
    async with servicer.services.metrics._turn():
        with pytest.raises(Exhausted, match="1 histories are being read") as refused:
            await servicer.GetLatestLoggerData(pb.GetLatestLoggerDataRequest(request_full_history=True), HERE)
    assert refused.value.retry_after == 1.0


# Samples


async def counts(servicer: ExperimentServicer, query: str = "") -> pb.DataQueryResponse:
    return await servicer.ApplyDataQuery(pb.DataQueryRequest(query=query), HERE)


async def page(servicer: ExperimentServicer, start: int = 0, count: int = 10) -> list[str]:
    request = pb.DataSamplesRequest(start_index=start, records_cnt=count)
    return [each.sample_id for each in (await servicer.GetDataSamples(request, HERE)).data_records]


async def test_queries_narrow_a_view_and_reset_shows_all(servicer: ExperimentServicer, store: ExperimentStore):
    narrowed = await counts(servicer, "origin == val")
    assert (narrowed.success, narrowed.number_of_all_samples) == (True, 4)
    assert narrowed.agent_intent_type == pb.INTENT_FILTER
    await counts(servicer, "sortby loss")
    assert await page(servicer) == ["s4", "s3"]
    failed = await counts(servicer, "los == 1")
    assert (failed.success, await page(servicer)) == (False, ["s4", "s3"])
    answer = await servicer.GetDataSamples(pb.DataSamplesRequest(records_cnt=1), HERE)
    assert (answer.is_subview, answer.view_count, answer.total_count) == (True, 2, 4)
    await counts(servicer, "@reset")
    assert await page(servicer) == ["s1", "s2", "s3", "s4"]
    assert await actions(store) == ["query_execute"] * 3


async def test_two_users_have_views_of_their_own(servicer: ExperimentServicer, runs: FakeRuns, as_user: Any):
    for name in ("alice", "bob"):
        runs.runs[name] = [Run(id=f"run-{name}", experiment="moss", hash=HASH)]
    with as_user("alice"):
        await counts(servicer, "origin == val")
        assert await page(servicer) == ["s3", "s4"]
    with as_user("bob"):
        assert await page(servicer) == ["s1", "s2", "s3", "s4"]
        with pytest.raises(NotFound, match="there is no experiment or run 'run-alice'"):
            await servicer.GetDataSplits(pb.Empty(), Context(swath_experiment="run-alice"))


async def test_tags(servicer: ExperimentServicer, store: ExperimentStore):
    paint = edit("tags", string_value="odd", samples_ids=["s1", "s3"], sample_origins=["", "val"])
    for _ in range(2):  # a second time changes nothing
        assert (await servicer.EditDataSample(paint, HERE)).success
    assert await store.values(MOSS) == {"tag:odd": {"s1": True, "s3": True}}
    await servicer.EditDataSample(edit("tags", pb.EDIT_OVERRIDE, string_value="new", samples_ids=["s1"]), HERE)
    assert await store.values(MOSS) == {"tag:odd": {"s3": True}, "tag:new": {"s1": True}}
    assert list((await counts(servicer)).unique_tags) == ["new", "odd"]
    await servicer.EditDataSample(edit("tags", pb.EDIT_REMOVE, string_value="odd", samples_ids=["s3"]), HERE)
    drop = edit("tag:new", pb.EDIT_REMOVE, float_value=-1, samples_ids=["s1"], sample_origins=["train"])
    await servicer.EditDataSample(drop, HERE)
    assert (await store.values(MOSS), list((await counts(servicer)).unique_tags)) == ({}, ["odd"])
    assert await actions(store) == ["tag_add", "tag_add", "tag_add", "tag_remove", "tag_remove"]


async def test_a_tag_with_categories(servicer: ExperimentServicer, store: ExperimentStore):
    paint = edit("tag:health", string_value="dry", samples_ids=["s1"], is_categorical=True, categories=["dry", "wet"])
    assert (await servicer.EditDataSample(paint, HERE)).success
    assert await store.values(MOSS) == {"tag:health": {"s1": "dry"}}
    wrong = edit("tag:health", string_value="soaked", samples_ids=["s1"], is_categorical=True)
    answer = await servicer.EditDataSample(wrong, HERE)
    assert answer.message == "tag 'health': expected one of ['dry', 'wet'], got 'soaked'"
    (defined,) = (await counts(servicer)).categorical_tags
    assert (defined.name, list(defined.categories)) == ("health", ["dry", "wet"])


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (edit("tags", string_value="a,b;c", samples_ids=["s1"]), "tag: expected 1 to 100 characters"),
        (edit("tags", string_value="odd"), "samples_ids: expected at least one sample, got none"),
        (edit("tags", string_value="odd", samples_ids=["s9"]), "there is no sample 's9'"),
        (
            edit("tags", string_value="odd", samples_ids=["s1"], sample_origins=["bogus"]),
            "sample s1 is of 'train', not of 'bogus'",
        ),
        (
            edit("tags", string_value="odd", samples_ids=["s1", "s2"], sample_origins=["train"]),
            "sample_origins: expected one per sample, 2, or none; got 1",
        ),
        (edit("colour", samples_ids=["s1"]), "stat_name: expected one of tags"),
        (edit("__copy_metadata__", string_value="los"), "there is no column 'los': did you mean 'loss'?"),
        (edit("__delete_metadata__", string_value="origin"), "there is no copied column 'origin'"),
    ],
)
async def test_edits_that_change_nothing(
    servicer: ExperimentServicer, store: ExperimentStore, request_: pb.DataEditsRequest, said: str
):
    answer = await servicer.EditDataSample(request_, HERE)
    assert not answer.success
    assert said in answer.message
    assert (await store.values(MOSS), await store.tags(MOSS), await store.audit(MOSS)) == ({}, {}, [])


async def test_discarded_samples_leave_training(servicer: ExperimentServicer, runs: FakeRuns):
    discard = edit("discarded", pb.EDIT_OVERRIDE, bool_value=True, samples_ids=["s1", "s2"], sample_origins=["", ""])
    await servicer.EditDataSample(discard, HERE)
    answer = await counts(servicer)
    assert (answer.number_of_all_samples, answer.number_of_samples_in_the_loop) == (4, 2)
    assert answer.number_of_discarded_samples == 2
    await servicer.EditDataSample(edit("discarded", pb.EDIT_OVERRIDE, samples_ids=["s1"]), HERE)
    assert runs.asked == [("set_samples", ["s1", "s2"]), ("set_samples", ["s2"])]


async def test_tags_are_limited(servicer: ExperimentServicer):
    for name in ("a", "b", "c"):
        assert (await servicer.EditDataSample(edit("__register_tag__", string_value=name), HERE)).success
    answer = await servicer.EditDataSample(edit("__register_tag__", string_value="d"), HERE)
    assert (answer.success, answer.message) == (False, "the experiment has 3 tags, as many as it may have")


async def test_a_copied_column_is_named_as_the_page_reads_it(servicer: ExperimentServicer, store: ExperimentStore):
    answer = await servicer.EditDataSample(edit("__copy_metadata__", string_value="loss"), HERE)
    assert answer.message.endswith(f"as 'loss_1@{HASH}'.")
    assert (await store.values(MOSS))[f"loss_1@{HASH}"] == {"s1": 1.0, "s2": 0.5, "s3": 1 / 3, "s4": 0.25}
    gone = edit("__delete_metadata__", string_value=f"loss_1@{HASH}")
    assert (await servicer.EditDataSample(gone, HERE)).success
    assert await store.values(MOSS) == {}


async def test_pictures_come_where_they_are_asked_for(servicer: ExperimentServicer):
    request = pb.DataSamplesRequest(records_cnt=1, include_raw_data=True, resize_width=192, resize_height=96)
    (record,) = (await servicer.GetDataSamples(request, HERE)).data_records
    stats = {each.name: each for each in record.data_stats}
    assert (stats["raw_data"].thumbnail, list(stats["raw_data"].shape)) == (b"RIFF", [96, 192, 3])
    assert stats["loss"].value_string == "1"
    request.include_raw_data = False
    (record,) = (await servicer.GetDataSamples(request, HERE)).data_records
    assert not any(each.thumbnail for each in record.data_stats)


async def test_metadata_and_histograms(servicer: ExperimentServicer):
    metadata = await servicer.GetMetaData(pb.GetMetaDataRequest(records_cnt=2, modal_sample_id="s4"), HERE)
    assert list(metadata.all_metadata_names) == ["sample_id", "origin", "loss"]
    assert [each.sample_id for each in metadata.grid_records] == ["s1", "s2"]
    assert {each.name: each.value_string for each in metadata.modal_record.data_stats}["loss"] == "0.25"
    origins = await servicer.GetHistogram(pb.HistogramRequest(column="origin"), HERE)
    assert [(each.label, each.count) for each in origins.categorical_bars] == [("train", 2), ("val", 2)]
    losses = await servicer.GetHistogram(pb.HistogramRequest(column="loss"), HERE)
    (whole,) = losses.bins
    assert (whole.min, whole.max, whole.count) == (0.25, 1.0, 4)
    assert sum(each.count for each in whole.sub_bars) == 4


async def test_ranges_that_are_none(servicer: ExperimentServicer):
    for request in (
        pb.DataSamplesRequest(start_index=-1, records_cnt=1),
        pb.DataSamplesRequest(records_cnt=0),
        pb.DataSamplesRequest(start_index=4, records_cnt=1),
        pb.DataSamplesRequest(records_cnt=1001),
    ):
        assert not (await servicer.GetDataSamples(request, HERE)).success


# Notebook


async def test_a_notebook_is_kept_and_its_cells_run_nowhere(servicer: ExperimentServicer):
    assert not (await servicer.GetNotebook(pb.Empty(), HERE)).existed
    text = json.dumps({"cells": [], "metadata": {}})
    saved = await servicer.SaveNotebook(pb.SaveNotebookRequest(ipynb_json=text, name="a.ipynb"), HERE)
    assert (saved.ok, saved.name) == (True, "a.ipynb")
    found = await servicer.GetNotebook(pb.Empty(), HERE)
    assert (found.existed, found.ipynb_json) == (True, text)
    assert not (await servicer.SaveNotebook(pb.SaveNotebookRequest(ipynb_json="[]"), HERE)).ok
    chunks = [each async for each in servicer.RunNotebookCell(pb.RunNotebookCellRequest(code="1", cell_id="c"), HERE)]
    assert "run nowhere" in chunks[0].stderr
    assert not chunks[-1].done.ok
