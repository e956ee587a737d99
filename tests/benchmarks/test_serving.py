"""The comparison with other servers: figures, ratios and tables by hand, and what is right by numpy. No server runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness import scene
from benchmarks.serving import ghz, weights
from benchmarks.serving.dialects import Cuvis, NotOffered, Oip, Own, Segment
from benchmarks.serving.ghz import CallsFailed, Figures
from benchmarks.serving.models import MODELS, Bare
from benchmarks.serving.report import one_line, page
from benchmarks.serving.results import Journal, Results, median
from benchmarks.serving.targets import TARGETS, Target
from benchmarks.serving.works import WORKS, wrong
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

PEERS = Path(__file__).resolve().parents[2] / "benchmarks" / "serving" / "peers"
ARRAY = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)


def report(**fields: Any) -> dict[str, Any]:
    """What ghz writes of ten calls, as far as it is read."""
    spread = [{"percentage": share, "latency": ms * 1_000_000} for share, ms in ((50, 2), (90, 3), (95, 4), (99, 7))]
    return {"count": 10, "rps": 400.5, "latencyDistribution": spread, "statusCodeDistribution": {"OK": 10}} | fields


def test_a_report_gives_rate_and_times() -> None:
    assert ghz.parse(report()) == Figures(calls=10, rate=400.5, p50_ms=2, p99_ms=7)


def test_a_call_that_failed_fails_the_measurement() -> None:
    errors = {"rpc error: code = Unavailable desc = gone": 3}
    with pytest.raises(CallsFailed, match=r"3 of 10 calls failed; 3 with: rpc error: code = Unavailable desc = gone"):
        ghz.parse(report(errorDistribution=errors))


@pytest.mark.parametrize("fields", [{"count": 0, "latencyDistribution": None}, {"latencyDistribution": []}])
def test_too_few_calls_are_no_measurement(fields: dict[str, Any]) -> None:
    with pytest.raises(CallsFailed, match="too few"):
        ghz.parse(report(**fields))


def test_each_figure_has_its_own_median() -> None:
    rounds = [Figures(10, 100, 9, 20, 0.5), Figures(12, 300, 7, 60, 0.3), Figures(11, 200, 8, 40, 0.4)]
    assert median(rounds) == Figures(33, 200, 8, 40, 0.4)
    assert median([Figures(1, 1, 1, 1)]).cpu_ms is None


def journal(folder: Path, calls: dict[tuple[str, str], list[Figures | str]]) -> Journal:
    """A journal of rounds of calls; text is an error."""
    kept = Journal(folder / "journal.jsonl")
    for (work, side), rounds in calls.items():
        for number, found in enumerate(rounds):
            value = {"error": found} if isinstance(found, str) else found.to_json()
            kept.add(("calls", str(number), work, side), value)
    return kept


def test_a_journal_goes_on_after_a_line_that_was_cut_off(tmp_path: Path) -> None:
    kept = journal(tmp_path, {("tiny@1", "swath"): [Figures(1, 2, 3, 4, 5)]})
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"key": ["calls", "1", "tiny@1", "swath"], "val')
    again = Journal(tmp_path / "journal.jsonl")
    assert ("calls", "0", "tiny@1", "swath") in again
    assert ("calls", "1", "tiny@1", "swath") not in again
    again.add(("calls", "1", "tiny@1", "swath"), Figures(1, 4, 3, 4, 5).to_json())
    results = Results(Journal(tmp_path / "journal.jsonl"))
    assert results.get("tiny@1", "swath", "rate") == 3
    assert ("extra", "x") not in kept


def test_a_server_that_failed_once_has_no_figures(tmp_path: Path) -> None:
    results = Results(journal(tmp_path, {("tiny@1", "swath"): [Figures(1, 2, 3, 4, 5), "the answer is wrong"]}))
    assert results.figures == {}
    assert results.errors == {("tiny@1", "swath"): "the answer is wrong"}
    assert results.get("tiny@1", "swath", "rate") is None


def target(title: str) -> Target:
    (found,) = (each for each in TARGETS if each.title == title)
    return found


def test_targets_are_ratios_within_the_run(tmp_path: Path) -> None:
    kept = journal(
        tmp_path,
        {
            ("tiny@1", "echo-aio"): [Figures(1, 1000, 0.5, 1, 0.1)],
            ("tiny@1", "swath"): [Figures(1, 800, 0.6, 1, 0.2)],
            ("tiny@1", "kserve"): [Figures(1, 400, 1.2, 1, 0.3)],
            ("tiny@1", "triton"): [Figures(1, 640, 1.0, 1, 0.3)],
            ("rx@1", "echo-aio"): [Figures(1, 100, 10, 1, 0.1)],
            ("rx@1", "swath"): [Figures(1, 33, 30, 1, 0.2)],
        },
    )
    kept.add(("forward", "0"), {"rx@1": 0.014})
    kept.add(("forward", "1"), {"rx@1": 0.016})
    results = Results(kept)
    expected = {
        "tiny, concurrency 1: p50 over the aio echo's": (0.6 / 0.5, True),
        "tiny, concurrency 1: rate over the fastest peer's": (800 / 640, True),
        "RX 7.6 MB: p50 over aio echo and forward": (30 / (10 + 15), False),
    }
    for title, (ratio, met) in expected.items():
        value = target(title).value(results)
        assert value == pytest.approx(ratio)
        assert target(title).met(ratio) is met
    assert target("tiny, concurrency 64: rate over the aio echo's").value(results) is None
    assert target("100 idle streams: threads more").value(results) is None


def test_limits_hold_at_their_very_value() -> None:
    assert Target("a", lambda _: None, 2).met(2)
    assert not Target("a", lambda _: None, 2).met(2.1)
    assert Target("a", lambda _: None, 2, at_least=True).met(2)
    assert not Target("a", lambda _: None, 2, at_least=True).met(1.9)


def test_the_page_has_ratios_targets_and_whoever_is_absent(tmp_path: Path) -> None:
    calls: dict[tuple[str, str], list[Figures | str]] = {
        ("tiny@1", "echo-aio"): [Figures(10, 2000, 0.5, 1, 0.1)],
        ("tiny@1", "swath"): [Figures(10, 500, 2, 4, 0.25)],
        ("shared@1", "kserve"): ["it offers no shared memory"],
    }
    kept = journal(tmp_path, calls)
    kept.add(("server", "swath"), {"version": "9.9", "note": "", "ready_s": 4.0})
    kept.add(("absent", "ray"), "it did not start:\n  no | room")
    kept.add(("extra", "gateway"), "no Postgres")
    lines = page(Results(kept), day="2030-01-02", machine="a machine", rounds=3).splitlines()
    assert "| **swath** | 500 | 0.25 | 2 | 4.00 | 4 | 0.25 |" in lines
    assert "| tiny, concurrency 1: p50 over the aio echo's | 4x | <= 1.3x | **no** |" in lines
    assert "| ready | 4 s | <= 5 s | yes |" in lines
    assert "| RX, concurrency 4: rate over KServe's | - | >= 1.4x | not measured |" in lines
    assert "| kserve | it offers no shared memory | | | | | |" in lines
    assert "| ray | **not measured** | | | | it did not start: / no \\| room |" in lines
    assert "Not measured: gateway: no Postgres." in lines
    assert not any("San Diego" in line for line in lines if line.startswith("## "))


def test_the_end_of_a_long_reason_is_kept() -> None:
    assert one_line("a\n\nbc\n", longest=4) == "/ bc"


def test_wrong_answers_are_told() -> None:
    assert wrong(ARRAY, ARRAY) is None
    assert wrong(ARRAY + 0.004, ARRAY) is None  # of 5 at most
    assert "0.0012 of the largest value away" in str(wrong(ARRAY + 0.006, ARRAY))
    assert "shape [6], expected [1, 2, 3, 1]" in str(wrong(ARRAY.ravel(), ARRAY))
    assert "not finite" in str(wrong(np.full_like(ARRAY, np.nan), ARRAY))


def test_models_are_what_numpy_makes_of_their_weights(tmp_path: Path) -> None:
    weights.write(tmp_path)
    bare = Bare(tmp_path / weights.ARRAYS)
    np.testing.assert_allclose(bare.answer("affine", ARRAY), 2 * (ARRAY - 0.5))
    cube = scene()[0]
    pixels = cube.reshape(-1, cube.shape[-1]).astype(np.float64)
    centred = pixels - pixels.mean(0)
    covariance = centred.T @ centred / (len(pixels) - 1) + 1e-6 * np.eye(pixels.shape[1])
    distances = (np.linalg.solve(covariance, centred.T).T * centred).sum(1)
    np.testing.assert_allclose(bare.answer("rx", cube).ravel(), distances, rtol=1e-5)
    np.testing.assert_array_equal(bare.answer("sample", cube), cube[:, [0, 64]][:, :, [0, 64]])
    with np.load(tmp_path / weights.ARRAYS) as arrays:
        hidden = np.maximum(pixels[:64] / 1e4 @ arrays["w1"].T + arrays["b1"], 0)
        expected = hidden @ arrays["w2"].T
    given = (pixels[:64] / 1e4).astype(np.float32).reshape(1, 1, 64, -1)
    np.testing.assert_allclose(bare.answer("mlp", given)[0, 0], expected, rtol=1e-3, atol=1e-5)


def test_cuvis_asks_a_session_and_reads_its_output(tmp_path: Path) -> None:
    dialect = Cuvis(tmp_path, {"affine": "s1", "sample": "s2"})
    request = pb.InferenceRequest.FromString(dialect.request("affine", ARRAY))
    assert (request.session_id, list(request.output_specs)) == ("s1", ["affine.logits"])
    tensor = request.inputs.extra_inputs["scores"]
    assert (list(tensor.shape), tensor.dtype) == ([1, 2, 3, 1], pb.D_TYPE_FLOAT32)
    assert tensor.raw_data == b"".join(map(np.float32.tobytes, np.arange(6, dtype=np.float32)))
    shared = pb.InferenceRequest.FromString(dialect.shared_request("sample", Segment("seg", (1, 2, 3, 1))))
    assert shared.inputs.cube.shm_ref == pb.ShmRef(name="seg", byte_size=24)
    np.testing.assert_array_equal(dialect.answer("affine", dialect.reply("affine", ARRAY)), ARRAY)


def test_requests_to_the_echoes_differ_in_length(tmp_path: Path) -> None:
    """They are answered by it."""
    dialect = Cuvis(tmp_path, {model: f"-{model}".rjust(36, "0") for model in MODELS})
    asked = {work.name.partition("@")[0]: work for work in WORKS if not work.shared}
    lengths = {len(dialect.request(work.model, work.array())) for work in asked.values()}
    assert len(lengths) == len(asked)


def test_open_inference_has_raw_contents_and_regions(tmp_path: Path) -> None:
    dialect = Oip(tmp_path)
    request = dialect.messages["inference.ModelInferRequest"].FromString(dialect.request("rx", ARRAY))
    assert (request.model_name, request.inputs[0].datatype, list(request.inputs[0].shape)) == (
        "rx",
        "FP32",
        [1, 2, 3, 1],
    )
    assert list(request.raw_input_contents) == [ARRAY.tobytes()]
    segment = Segment("seg", (1, 2, 3, 1))
    shared = dialect.messages["inference.ModelInferRequest"].FromString(dialect.shared_request("rx", segment))
    assert shared.inputs[0].parameters["shared_memory_region"].string_param == "seg"
    assert shared.inputs[0].parameters["shared_memory_byte_size"].int64_param == 24
    assert not shared.raw_input_contents
    reply = dialect.messages["inference.ModelInferResponse"](raw_output_contents=[ARRAY.tobytes()])
    reply.outputs.add(name="y", datatype="FP32", shape=ARRAY.shape)
    np.testing.assert_array_equal(dialect.answer("rx", reply.SerializeToString()), ARRAY)


def test_the_own_proto_comes_back_as_it_went(tmp_path: Path) -> None:
    dialect = Own(tmp_path)
    np.testing.assert_array_equal(dialect.answer("affine", dialect.request("affine", ARRAY)), ARRAY)
    with pytest.raises(NotOffered):
        dialect.shared_request("affine", Segment("seg", (1,)))


@pytest.mark.parametrize("file", sorted(PEERS.glob("*/requirements.txt")), ids=lambda file: file.parent.name)
def test_peers_are_pinned_with_hashes(file: Path) -> None:
    entries = re.split(r"\n(?=\S)", file.read_text().strip())
    assert all(re.match(r"[\w.\-]+(\[[\w,\-]+\])?==\S+ ", entry) and "--hash=sha256:" in entry for entry in entries)
    wanted = (file.parent / "requirements.in").read_text().split()
    pinned = {re.sub(r"\[.*\]", "", entry.split()[0]) for entry in entries}
    assert {re.sub(r"\[.*\]", "", line) for line in wanted} <= pinned


def test_figures_are_kept_as_json(tmp_path: Path) -> None:
    results = Results(journal(tmp_path, {("tiny@1", "swath"): [Figures(1, 2, 3, 4, 5)], ("rx@1", "ray"): ["gone"]}))
    kept = json.loads(json.dumps(results.to_json()))
    assert kept["works"]["tiny@1"]["swath"] == {"calls": 1, "rate": 2, "p50_ms": 3, "p99_ms": 4, "cpu_ms": 5}
    assert kept["works"]["rx@1"]["ray"] == {"error": "gone"}
