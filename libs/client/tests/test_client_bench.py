"""`swath bench`: figures on a clock that is not a clock, what is sent, and whose CPU time it is."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from swath.client.bench.inputs import from_scene, made_up
from swath.client.bench.load import Samples, drive
from swath.client.bench.measure import Run, measure
from swath.client.bench.processes import ServerProcesses, server_processes
from swath.client.bench.subjects import Request, Spec, Subject, floor_of
from swath.client.errors import CallError, LocalError, UnavailableError
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.inference import open_inference_pb2 as oip

CUBE = Spec("cube", "float32", (-1, -1, -1, -1))
SIZES = {"batch": 2, "height": 3, "width": 4, "channels": 5}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def call(self, *seconds: float):
        """Return a call that takes these times in turn."""
        turns = iter(seconds * 1000)

        async def make() -> None:
            self.now += next(turns)

        return make


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestFigures:
    async def test_percentiles_and_throughput_are_those_of_the_calls(self, clock):
        # 1 to 100 ms, once each: 5.05 s.
        call = clock.call(*(n / 1e3 for n in range(1, 101)))
        samples = await drive(call, concurrency=1, seconds=1e9, most=100, clock=clock, own_cpu=lambda: 0.0)
        figures = samples.figures()
        assert (figures["calls"], figures["failures"]) == (100, {})
        assert figures["seconds"] == pytest.approx(5.05)
        assert figures["calls_per_s"] == pytest.approx(100 / 5.05)
        # Between the 50th and the 51st, 90.1, 95.05 and 99.01: numpy's rule, by hand.
        assert figures["latency_ms"] == pytest.approx(
            {"p50": 50.5, "p90": 90.1, "p95": 95.05, "p99": 99.01, "mean": 50.5, "min": 1.0, "max": 100.0}
        )

    async def test_no_call_begins_after_the_time_is_over(self, clock):
        samples = await drive(clock.call(0.3), concurrency=1, seconds=1.0, clock=clock, own_cpu=lambda: 0.0)
        assert len(samples.latencies) == 4
        assert samples.elapsed == pytest.approx(1.2)

    async def test_so_many_calls_are_made_at_a_time(self):
        now, most = 0, 0

        async def call() -> None:
            nonlocal now, most
            now, most = now + 1, max(most, now + 1)
            await asyncio.sleep(0)
            now -= 1

        samples = await drive(call, concurrency=7, seconds=1e9, most=70)
        assert (most, len(samples.latencies)) == (7, 70)

    async def test_failures_are_counted_and_are_no_latencies(self, clock):
        turns = iter([True, False, True, True] * 25)

        async def call() -> None:
            clock.now += 0.01
            if not next(turns):
                raise UnavailableError("UNAVAILABLE", "not now")

        samples = await drive(call, concurrency=1, seconds=1e9, most=100, clock=clock, own_cpu=lambda: 0.0)
        figures = samples.figures()
        assert (figures["calls"], figures["failures"]) == (75, {"UNAVAILABLE": 25})
        assert figures["calls_per_s"] == pytest.approx(75.0)

    async def test_what_only_fails_is_given_up(self, clock):
        async def call() -> None:
            raise UnavailableError("UNAVAILABLE", "never")

        with pytest.raises(CallError, match="never"):
            await drive(call, concurrency=3, seconds=1e9, clock=clock)

    def test_cpu_is_per_call_that_was_made(self):
        samples = Samples([0.1] * 3, Counter(INTERNAL=1), 2.0, cpu=0.02, own_cpu=1.0)
        figures = samples.figures()
        assert figures["server_cpu_ms_per_call"] == pytest.approx(5.0)
        assert figures["client_cpu_share"] == pytest.approx(0.5)
        assert Samples().figures()["server_cpu_ms_per_call"] is None

    def test_without_an_answer_there_are_no_latencies(self):
        assert set(Samples(elapsed=1.0).figures()["latency_ms"].values()) == {None}


class TestMeasuring:
    async def test_calls_and_floor_take_turns_and_are_compared(self, clock):
        order, spent = [], [0.0]

        async def call() -> None:
            order.append("c")
            clock.now += 0.5
            spent[0] += 0.2

        async def floor() -> None:
            order.append("f")
            clock.now += 0.125
            spent[0] += 0.05

        (run,) = await measure(call, floor, concurrencies=[1], seconds=3.0, rounds=3, cpu=lambda: spent[0], clock=clock)
        assert "".join(order) == "fcfcfc" + ("f" * 8 + "c" * 2) * 3
        report = json.loads(json.dumps(run.report()))
        assert (report["concurrency"], report["calls"], report["floor"]["calls"]) == (1, 6, 24)
        assert report["calls_per_s"] == pytest.approx(2.0)
        assert report["server_cpu_ms_per_call"] == pytest.approx(200.0)
        assert report["floor"]["server_cpu_ms_per_call"] == pytest.approx(50.0)
        assert report["over_floor"] == pytest.approx(
            {"p50": 4.0, "p90": 4.0, "p95": 4.0, "p99": 4.0, "mean": 4.0, "calls_per_s": 0.25}
        )

    async def test_each_concurrency_is_measured_by_itself(self, clock):
        told = []
        runs = await measure(
            clock.call(0.1),
            clock.call(0.1),
            concurrencies=[2, 1],
            seconds=1.0,
            rounds=2,
            clock=clock,
            told=told.append,
        )
        assert told == [run.concurrency for run in runs] == [2, 1]
        assert all(run.report()["server_cpu_ms_per_call"] is None for run in runs)


class TestInputs:
    def test_open_sizes_are_those_asked_for_and_numbers_the_same_each_time(self):
        made, again = (made_up([CUBE], SIZES)["cube"] for _ in range(2))
        assert (made.shape, made.dtype) == ((2, 3, 4, 5), np.float32)
        np.testing.assert_array_equal(made, again)
        assert 0 <= made.min() < made.max() <= 1

    def test_sizes_of_the_spec_count(self):
        specs = [
            Spec("cube", "uint8", (-1, -1, 7, 3), True),
            Spec("w", "int32", (-1, 3), True),
            Spec("x", "", (), False),
        ]
        made = made_up(specs, SIZES)
        assert {name: each.shape for name, each in made.items()} == {"cube": (2, 3, 7, 3), "w": (2, 3)}
        assert made["cube"].max() > 200

    def test_inputs_can_be_named(self):
        specs = [CUBE, Spec("mask", "bool", (-1, -1, -1))]
        assert list(made_up(specs, SIZES)) == ["cube"]
        assert {name: each.dtype for name, each in made_up(specs, SIZES, ["mask"]).items()} == {"mask": np.bool_}
        with pytest.raises(LocalError, match="there is no input labels; there are cube, mask"):
            made_up(specs, SIZES, ["labels"])

    def test_what_cannot_be_made_up_is_said(self):
        with pytest.raises(LocalError, match="nothing can be made up for what is no tensor"):
            made_up([Spec("text", "", (1,), True)], SIZES)

    def test_a_scene_goes_to_the_inputs_that_there_are(self):
        class Scene:
            def inputs(self):
                return {"cube": np.ones((1, 2, 2, 3), np.uint16), "wavelengths": np.array([[1, 2, 3]], np.int32)}

        found = from_scene(Scene(), [CUBE])
        assert {name: each.dtype for name, each in found.items()} == {"cube": np.float32}
        assert list(from_scene(Scene(), [Spec("data", "float32", (-1, -1, -1, 3))])) == ["data"]
        with pytest.raises(LocalError, match="nothing for the inputs mask"):
            from_scene(Scene(), [CUBE, Spec("mask", "bool", (-1, -1, -1), True)])
        with pytest.raises(LocalError, match="goes to none of the inputs w"):
            from_scene(Scene(), [Spec("w", "int32", (-1, 3))])


class TestRequests:
    cube = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)

    def test_a_session_gets_an_inference(self):
        name = "0f8fad5b-d9cb-469f-a165-70867728950e"
        request = Subject(None, name).request({"cube": self.cube}, ["scores"])  # pyright: ignore[reportArgumentType]
        assert request.path == "/cuvis_ai.v1.CuvisAIService/Inference"
        message = pb.InferenceRequest.FromString(request.body)
        assert (message.session_id, list(message.output_specs)) == (name, ["scores"])
        assert message.inputs.cube.raw_data == self.cube.tobytes()

    def test_a_model_gets_a_model_infer(self):
        request = Subject(None, "scene:2").request({"cube": self.cube}, ["scores"])  # pyright: ignore[reportArgumentType]
        assert request.path == "/inference.GRPCInferenceService/ModelInfer"
        message = oip.ModelInferRequest.FromString(request.body)
        assert (message.model_name, message.model_version) == ("scene", "2")
        (tensor,) = message.inputs
        assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("cube", "FP32", [1, 1, 2, 3])
        assert list(message.raw_input_contents) == [self.cube.tobytes()]
        assert [each.name for each in message.outputs] == ["scores"]

    def test_the_floor_carries_the_same_bytes_and_asks_for_health(self):
        floor = floor_of(Request("", "", bytes(range(256)) * 100))
        assert floor.path == "/grpc.health.v1.Health/Check"
        message = health_pb2.HealthCheckRequest.FromString(floor.body)
        assert message.service == ""
        assert bytes(range(256)) * 100 in message.SerializeToString()
        assert len(floor.body) == 25_600 + 5


class TestProcesses:
    def test_who_listens_here_is_found_and_its_work_counted(self):
        listen = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()"
        work = "print(s.getsockname()[1], flush=True); sum(range(30_000_000)); print('done', flush=True); input()"
        command = [sys.executable, "-c", f"{listen}; {work}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            found = server_processes(f"127.0.0.1:{port}")
            assert found.pids == (process.pid,)
            assert f"process {process.pid}" in found.why
            process.stdout.readline()
            spent = found.cpu()
            assert spent is not None
            assert spent >= 0.1
            process.communicate("\n")
        assert found.cpu() is None

    def test_where_it_cannot_be_known_it_is_left_out_and_said(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            nobody = server_processes(f"127.0.0.1:{free.getsockname()[1]}")
        assert (nobody.pids, nobody.cpu()) == ((), None)
        assert nobody.why.startswith("left out: the process at 127.0.0.1")
        assert "is not on this machine" in server_processes("192.0.2.1:50051").why
        assert "is no address of this machine" in server_processes("unix:/run/swath").why

    def test_processes_can_be_named(self):
        found = server_processes("192.0.2.1:50051", [os.getpid()])
        assert found.pids == (os.getpid(),)
        assert (found.cpu() or 0) > 0
        assert "as named" in found.why

    def test_a_gateway_is_no_server(self, monkeypatch):
        from swath.client.bench import processes

        monkeypatch.setattr(processes, "_listening", lambda port: iter([os.getpid()]))
        monkeypatch.setattr(processes, "_command", lambda pid: "/usr/bin/envoy -c x")
        found = server_processes("127.0.0.1:50051")
        assert found == ServerProcesses((), found.why)
        assert "a gateway answers" in found.why


def test_a_measurement_is_drawn(tmp_path: Path):
    from swath.client.bench.plot import draw

    samples = Samples([0.001, 0.002, 0.004], elapsed=1.0)
    for name in ("plot.png", "plot.svg"):
        draw([Run(1, samples, samples), Run(8, samples, Samples(elapsed=1.0))], "model scene", tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
