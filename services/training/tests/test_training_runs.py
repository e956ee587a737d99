"""A run from Train to the session's new weights, and how it is stopped."""

from __future__ import annotations

import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.documents import canonical
from swath.errors import DocumentInvalid, InvalidInput, NotFitted, PipelineMissing, RunActive
from swath_training.api.admission import NOT_STARTING
from swath_training.api.requests import TrainRequest

from .conftest import CALIBRATION, GRADIENT, PIPELINE, STATISTICAL, World, Worlds, config, epoch_ended


async def test_two_phases_leave_their_weights_in_the_session(world: World) -> None:
    session = await world.configured()

    statistical = await world.train(session, STATISTICAL)
    fitted = await world.sessions.get(session.id)
    gradient = await world.train(session, GRADIENT)
    trained = await world.sessions.get(session.id)

    assert statistical[-1].status == gradient[-1].status == pb.TRAIN_STATUS_COMPLETE
    assert fitted.weights_digest is not None
    assert trained.weights_digest not in (None, fitted.weights_digest)
    assert trained.pipeline_digest != fitted.pipeline_digest  # the decider's threshold was calibrated
    assert trained.active_run is None


async def test_status_is_the_last_event(world: World) -> None:
    session = await world.configured()
    before = await world.service.status(session.id)

    last = (await world.train(session, STATISTICAL))[-1]

    assert before is None
    assert await world.status(session) == last


async def test_an_error_of_the_worker_is_the_error_of_the_stream(world: World) -> None:
    data = config()["data"] | {"params": {"universe_csv": "frames/nowhere.csv"}}
    session = await world.configured(data=data)

    with pytest.raises(Exception, match=r"nowhere\.csv") as failure:
        await world.train(session, STATISTICAL)

    assert getattr(failure.value, "code", None) == "NOT_FOUND"
    assert (await world.sessions.get(session.id)).active_run is None
    assert (await world.status(session)).status == pb.TRAIN_STATUS_ERROR


async def test_a_stop_keeps_what_was_learnt_and_the_next_phase_does_not_start(world: World) -> None:
    session = await world.fitted(epochs=1000)
    fitted = await world.sessions.get(session.id)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(2))

    await world.service.stop(session.id)
    rest = await world.train(session, GRADIENT)
    stopped = await world.sessions.get(session.id)
    next_phase = await world.train(session, CALIBRATION)

    assert rest[-1].status == pb.TRAIN_STATUS_CANCELLED
    assert stopped.weights_digest != fitted.weights_digest
    assert [response.message for response in next_phase] == [NOT_STARTING]
    assert next_phase[0].status == pb.TRAIN_STATUS_CANCELLED


async def test_a_new_configuration_takes_the_stop_back(world: World) -> None:
    session = await world.configured()
    await world.service.stop(session.id)

    await world.service.set_run_config(session.id, canonical(config()))

    assert (await world.train(session, STATISTICAL))[-1].status == pb.TRAIN_STATUS_COMPLETE


async def test_an_abandoned_run_stops_with_its_weights(worlds: Worlds) -> None:
    world = await worlds(attach_window_s=0.2)
    session = await world.fitted(epochs=1000)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))

    last = (await world.ended(following.run_id))[-1]

    assert last.status == pb.TRAIN_STATUS_CANCELLED
    assert (await world.sessions.get(session.id)).active_run is None


async def test_a_stream_that_was_never_read_does_not_hold_its_run(worlds: Worlds) -> None:
    world = await worlds(attach_window_s=0.2)
    session = await world.fitted(epochs=1000)

    (await world.service.train(TrainRequest(session.id, GRADIENT))).close()

    run = (await world.sessions.get(session.id)).active_run
    assert run is not None
    assert (await world.ended(run))[-1].status == pb.TRAIN_STATUS_CANCELLED


async def test_closing_the_session_ends_its_worker(world: World) -> None:
    session = await world.fitted(epochs=1000)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))
    worker = await world.worker(following.run_id)

    await world.sessions.close(session.id)

    assert not worker.alive
    assert (await world.ended(following.run_id))[-1].status == pb.TRAIN_STATUS_CANCELLED


@pytest.mark.parametrize(
    ("trainer", "changes", "error", "text"),
    [
        (0, {}, InvalidInput, "Unknown trainer type: 0"),
        (GRADIENT, {"training": None}, InvalidInput, "Gradient training requires training config"),
        (GRADIENT, {"loss_nodes": []}, InvalidInput, "loss_nodes must specify at least one loss node"),
        (GRADIENT, {"loss_nodes": ["nobody"]}, InvalidInput, "no node nobody in the pipeline"),
        (CALIBRATION, {}, NotFitted, "holds no trained weights"),
    ],
)
async def test_what_cannot_be_is_refused_before_a_worker_starts(
    world: World, trainer: int, changes: dict[str, object], error: type[Exception], text: str
) -> None:
    session = await world.configured(**changes)

    with pytest.raises(error, match=text):
        await world.service.train(TrainRequest(session.id, trainer))

    assert (await world.sessions.get(session.id)).active_run is None


async def test_training_needs_data(world: World) -> None:
    session = await world.session()

    with pytest.raises(InvalidInput, match="requires data config"):
        await world.service.train(TrainRequest(session.id, STATISTICAL))


async def test_data_of_the_request_becomes_the_sessions(world: World) -> None:
    session = await world.session()

    await world.train(session, STATISTICAL, data=canonical(config()["data"]))

    digest = (await world.sessions.get(session.id)).run_config_digest
    assert digest is not None
    assert b"universe_csv" in await world.artifacts.get(digest)


async def test_a_configuration_may_bring_its_pipeline(world: World) -> None:
    session = await world.sessions.create()

    from_config = await world.service.set_run_config(session.id, canonical(config(pipeline=PIPELINE)))

    assert from_config
    assert (await world.sessions.get(session.id)).pipeline_digest is not None


async def test_a_configuration_may_name_its_pipeline_as_its_file_does(world: World) -> None:
    session = await world.sessions.create()
    world.workspace.write("configs/pipeline/small.yaml", canonical(PIPELINE))

    from_config = await world.service.set_run_config(session.id, canonical(config(pipeline="../pipeline/small.yaml")))

    assert from_config
    assert (await world.sessions.get(session.id)).pipeline_digest is not None


async def test_a_configuration_without_any_pipeline_is_refused(world: World) -> None:
    session = await world.sessions.create()

    with pytest.raises(PipelineMissing, match="No pipeline attached to the session"):
        await world.service.set_run_config(session.id, canonical(config()))


async def test_an_empty_configuration_is_refused(world: World) -> None:
    session = await world.session()

    with pytest.raises(DocumentInvalid, match="2 validation errors for TrainRunConfig"):
        await world.service.set_run_config(session.id, b"{}")


async def test_a_session_that_trains_takes_no_configuration(world: World) -> None:
    session = await world.fitted(epochs=1000)
    await world.service.train(TrainRequest(session.id, GRADIENT))

    with pytest.raises(RunActive):
        await world.service.set_run_config(session.id, canonical(config()))
