"""Weights Studio, the page itself, in headless Chromium on a run of the San Diego scene."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from swath.client import Client
from swath.client.errors import MissingPackageError
from swath.client.studio import StudioServer, find_page
from swath.experiment_service import experiment_service_pb2 as pb
from swath.experiment_service.experiment_service_pb2_grpc import ExperimentServiceStub
from swath.training.v1 import commands_pb2, runs_pb2
from swath.training.v1.runs_pb2_grpc import RunServiceStub
from swath_standalone.process import ServerProcess

from .browser import CHROMIUM, Browser

SCENE = Path(__file__).resolve().parents[2] / "examples" / "data" / "san_diego.npz"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.xdist_group("studio"),
    pytest.mark.timeout(300),
]

AGE = "Number((document.body.innerText.match(/Model Age:?\\s*([0-9]+)/) || [0, 0])[1])"
TRAIN = "document.querySelector('#toggle-training')"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on which a run trains for as long as the tests take."""
    with ServerProcess(tmp_path_factory.mktemp("studio")) as server:
        command = [str(Path(sys.executable).with_name("swath")), "train", "san_diego_channel_selector"]
        command += ["training.max_epochs=10000", "--phase", "auto", "--upload", f"{SCENE}:data/san_diego.npz"]
        training = subprocess.Popen([*command, "--target", server.target], stdout=subprocess.DEVNULL)
        try:
            yield server.target
        finally:
            training.terminate()
            training.wait(60)


@pytest.fixture(scope="module")
def channel(target: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(target) as channel:
        yield channel


@pytest.fixture(scope="module")
def studio(target: str, channel: grpc.Channel) -> Iterator[StudioServer]:
    """What `swath studio` serves."""
    try:
        page = find_page()
    except MissingPackageError as error:
        pytest.skip(str(error))
    with Client(target) as client, StudioServer(page, channel, metadata=client.config.call_metadata) as server:
        yield server


@pytest.fixture(scope="module")
def browser(studio: StudioServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A window with the page, once its curves are there."""
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.wait(f"fetch('{studio.origin}/').catch(() => 1)", 5)
        browser.open(studio.url)
        browser.wait(f"{TRAIN} && {TRAIN}.innerText == 'Pause' && document.body.innerText.includes('train/bce')", 90)
        yield browser


def commands(channel: grpc.Channel) -> list[tuple[int, int]]:
    """Return kind and state of what the newest run was asked for."""
    stub = RunServiceStub(channel)
    run = stub.ListRuns(runs_pb2.ListRunsRequest()).runs[0]
    found = stub.ListCommands(runs_pb2.ListCommandsRequest(run_id=run.run_id)).commands
    return [(each.kind, each.state) for each in found]


def test_the_landing_screen_is_left_and_curves_are_drawn(browser: Browser, studio: StudioServer):
    browser.wait(f"{AGE} > 0")
    drawn = """[...document.querySelectorAll('canvas')].some((canvas) => {
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return pixels.some((value) => value != 0);
    })"""
    browser.wait(drawn)
    # It asked nobody but its own server, and no script has failed.
    asked = {each[: each.index("/", 8)] for each in browser.requested if re.match(r"\w+://", each)}
    assert asked == {studio.origin}
    assert browser.failures == []


def test_samples_have_pictures_of_the_scene(browser: Browser, studio: StudioServer, channel: grpc.Channel):
    # A page that was open before there were samples asks for them when it is loaded again.
    browser.open(studio.url)
    cells = "[...document.querySelectorAll('.cell:not(.empty) img')].filter((each) => each.naturalWidth == 25)"
    browser.wait(f"{cells}.length >= 6", 60)
    table = ExperimentServiceStub(channel)
    request = pb.DataSamplesRequest(records_cnt=16, include_raw_data=True, resize_width=192, resize_height=192)
    shown = table.GetDataSamples(request)
    pictures = {
        each.thumbnail for record in shown.data_records for each in record.data_stats if each.name == "raw_data"
    }
    assert (shown.total_count, len(pictures)) == (16, 16)
    losses = [each for each in shown.data_records[0].data_stats if each.name.startswith("signal//")]
    assert losses
    browser.wait(f"{TRAIN} && {TRAIN}.innerText == 'Pause' && {AGE} > 0", 60)


def test_pause_and_train(browser: Browser, channel: grpc.Channel):
    browser.run(f"{TRAIN}.click()")
    browser.wait(f"{TRAIN}.innerText == 'Train'")
    browser.wait(f"(window.before = window.now, window.now = {AGE}, window.before == window.now)")
    browser.run(f"{TRAIN}.click()")
    browser.wait(f"{TRAIN}.innerText == 'Pause'")
    browser.wait(f"{AGE} > window.now")
    paused, resumed = commands(channel)
    assert (paused, resumed) == (
        (commands_pb2.COMMAND_KIND_PAUSE, commands_pb2.COMMAND_STATE_DONE),
        (commands_pb2.COMMAND_KIND_RESUME, commands_pb2.COMMAND_STATE_DONE),
    )


def test_a_tag_is_made(browser: Browser, channel: grpc.Channel):
    browser.run(
        """(() => {
            const input = document.querySelector('#new-tag-input');
            input.value = 'odd';
            input.dispatchEvent(new Event('input', {bubbles: true}));
            document.querySelector('#painter-new-tag').click();
        })()"""
    )
    browser.wait("document.querySelector('#painter-tags-list').innerText.includes('odd')")
    # The page shows it before it has asked.
    stub = ExperimentServiceStub(channel)
    deadline = time.monotonic() + 30
    while list(stub.ApplyDataQuery(pb.DataQueryRequest()).unique_tags) != ["odd"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_evaluation_is_run(browser: Browser, channel: grpc.Channel):
    browser.run("document.querySelector('#training-mode-trigger').click()")
    browser.run("document.querySelector('#mode-option-eval').click()")
    browser.wait(f"{TRAIN}.innerText == 'Evaluate'")
    browser.run(f"{TRAIN}.click()")
    options = "[...document.querySelector('#eval-split-select').options].map((each) => each.value).join()"
    browser.wait(f"{options} == 'test,train,val'")
    browser.run("document.querySelector('#eval-split-select').value = 'val'")
    browser.run("document.querySelector('#eval-confirm-btn').click()")
    browser.wait("document.querySelector('#eval-status-bar').dataset.status == 'done'", 60)
    answer = ExperimentServiceStub(channel).GetLatestLoggerData(
        pb.GetLatestLoggerDataRequest(request_full_history=True)
    )
    assert {each.split_name for each in answer.points if each.is_evaluation_marker} == {"val"}


def test_a_checkpoint_is_saved_and_restored(browser: Browser, channel: grpc.Channel):
    stub = ExperimentServiceStub(channel)
    browser.run("document.querySelector('#training-save-weights-btn').click()")
    saved = (commands_pb2.COMMAND_KIND_SAVE_CHECKPOINT, commands_pb2.COMMAND_STATE_DONE)
    deadline = time.monotonic() + 30
    while commands(channel)[-1] != saved:
        assert time.monotonic() < deadline, commands(channel)
        time.sleep(0.1)
    (run, *_) = stub.ListExperimentRuns(pb.ListExperimentRunsRequest()).runs
    step = run.latest_weight_step
    assert step > 0
    answer = stub.RestoreCheckpoint(
        pb.RestoreCheckpointRequest(experiment_hash=f"{run.experiment_hash}@@weights_step={step}")
    )
    assert (answer.success, answer.message) == (True, f"Restored checkpoint {run.experiment_hash} at step {step}")


def test_who_has_no_key_is_told_nothing(studio: StudioServer):
    import urllib.error
    import urllib.request

    for path in ("/", "/?key=wrong", "/assets/index.js"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(studio.origin + path)
    other = urllib.request.Request(studio.url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(other)
