"""``swath infer`` against a real server: from a scene's file to a result's."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from swath.client import Client, SearchPaths, read_scenes

from .conftest import RX, Swath, refused, said

pytestmark = pytest.mark.xdist_group("client-server")


def _rows(lines: list[str]) -> dict[str, list[str]]:
    """Rows of the table by output: frame, dtype, shape and range."""
    rows = [line.replace(", ", ",").split() for line in lines if "[" in line and "wrote" not in line]
    return {row[1]: [row[0], *row[2:]] for row in rows}


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """The detector's document on this machine."""
    (tmp_path / "mine.yaml").write_text(json.dumps(RX))
    return tmp_path / "mine.yaml"


def test_a_saved_trainrun_shows_what_its_outputs_are(swath: Swath, trained: str, scene: Path) -> None:
    rows = _rows(said(swath("infer", scene, "--trainrun", trained)))
    frame, dtype, shape, low, high = rows["rx.scores"]
    assert (frame, dtype, shape) == ("tiny", "float32", "[1,6,8,1]")
    assert 0 < float(low) < float(high)
    assert rows["data.wavelengths"][3:] == ["450", "650"]


def test_results_go_to_a_file(swath: Swath, trained: str, scene: Path, tmp_path: Path) -> None:
    lines = said(swath("infer", scene, "--trainrun", f":{trained}", "--port", "rx.scores", "-o", tmp_path / "out.npz"))
    assert re.fullmatch(rf"wrote {tmp_path}/out\.npz  \d+ bytes|wrote {tmp_path}/out\.npz  \S+ kB", lines[0])
    with np.load(tmp_path / "out.npz") as outputs:
        assert outputs.files == ["rx.scores"]
        assert np.unravel_index(outputs["rx.scores"].argmax(), (6, 8)) == (2, 3)


def test_each_frame_has_a_result_of_its_own(swath: Swath, trained: str, scene: Path, tmp_path: Path) -> None:
    with np.load(scene) as file:
        np.savez(tmp_path / "stack.npz", cube=np.stack([file["cube"]] * 2), wavelengths=file["wavelengths"])
    arguments = ("infer", tmp_path / "stack.npz", "--trainrun", trained, "--port", "scores", "-o", tmp_path / "out.png")
    lines = said(swath(*arguments))
    assert [line.split("  ")[0] for line in lines if "wrote" in line] == [
        f"wrote {tmp_path}/out.png",
        f"wrote {tmp_path}/out_0001.png",
    ]
    assert [line.split()[0] for line in lines if "rx.scores" in line] == ["stack_0000", "stack_0001"]


@pytest.mark.parametrize("asked", [("score",), ("scores", "rx.score"), ("rx",)])
def test_an_output_that_there_is_none_of_is_refused_with_what_there_is(
    swath: Swath, trained: str, scene: Path, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    ports = [word for name in asked for word in ("--port", name)]
    message = refused(swath("infer", scene, "--trainrun", trained, *ports, "-o", tmp_path / "out.npz"))
    assert f"no output '{asked[-1]}'" in message
    # Also those that another node takes.
    for name in ("data.cube", "data.mask", "data.wavelengths", "rx.scores"):
        assert name in message
    assert not (tmp_path / "out.npz").exists()


def test_a_pipeline_of_the_server_runs_with_the_weights_beside_it(
    swath: Swath, client: Client, trained: str, scene: Path
) -> None:
    with client.restore(trained) as session:
        session.save_pipeline("beside/rx.yaml")
    result = swath("infer", scene, "--pipeline", "beside/rx.yaml", "--port", "scores")
    assert "rx.scores" in _rows(said(result))
    assert result.stderr == ""


def test_a_pipeline_without_weights_runs_as_it_is_and_that_is_said(swath: Swath, scene: Path) -> None:
    result = swath("infer", scene, "-p", "tiny/rx")
    assert result.stderr.splitlines()[0] == "no weights at tiny/rx.pt: running the pipeline as it is"
    assert "is not fitted" in refused(result)


@pytest.mark.parametrize("where", ["server", "here"])
def test_weights_may_be_named(
    swath: Swath, client: Client, trained: str, scene: Path, tmp_path: Path, where: str
) -> None:
    weights = "runs/tiny_pipeline.pt"
    if where == "here":
        client.workspace.get(weights, tmp_path / "w.pt")
        weights = str(tmp_path / "w.pt")
    assert "rx.scores" in _rows(said(swath("infer", scene, "-p", "tiny/rx", "-w", weights)))


def test_a_pipeline_of_this_machine_runs_with_the_weights_beside_it(
    swath: Swath, client: Client, trained: str, scene: Path, local: Path
) -> None:
    client.workspace.get("runs/tiny_pipeline.pt", local.with_suffix(".pt"))
    assert "rx.scores" in _rows(said(swath("infer", scene, "-p", local)))


def test_a_pipeline_of_this_machine_leaves_no_file_on_the_server(
    swath: Swath, client: Client, scene: Path, local: Path
) -> None:
    assert "is not fitted" in refused(swath("infer", scene, "-p", local))
    assert not [entry for entry in client.workspace.list("configs/pipeline") if "from-client" in entry.path]


def test_a_pipeline_of_this_machine_may_be_overridden(swath: Swath, scene: Path, local: Path) -> None:
    arguments = ("infer", scene, "-p", local, "--override", "nodes.rx.hparams.num_channels=4")
    assert "4" in refused(swath(*arguments))


def test_a_session_that_is_open_stays_open(swath: Swath, client: Client, trained: str, scene: Path) -> None:
    with client.session() as session:
        session.load_pipeline(RX)
        weights = ("--weights", "runs/tiny_pipeline.pt")
        assert "rx.scores" in _rows(said(swath("infer", scene, "--session", session.id, *weights)))
        assert "rx.scores" in _rows(said(swath("infer", scene, "--session", session.id)))
        assert isinstance(session.search(["data"]), SearchPaths)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "tiny/rx", "--session", "s1"), "say what to run with one of"),
        (("--trainrun", "runs/tiny.yaml", "--override", "a=1"), "--override changes a pipeline that is loaded"),
        (("-p", "tiny/rx", "-w", "no/such.pt"), "no/such.pt"),
        (("--session", "nobody"), "SESSION_NOT_FOUND"),
    ],
)
def test_what_cannot_run_is_said(swath: Swath, scene: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(swath("infer", scene, *arguments))


def test_a_result_of_an_unknown_kind_is_refused(swath: Swath, trained: str, scene: Path, tmp_path: Path) -> None:
    result = swath("infer", scene, "--trainrun", trained, "-o", tmp_path / "out.jpg")
    assert "expected a name that ends in .npz, .hdr, .tif, .png" in refused(result)


NDVI = {
    "nodes": [
        {"name": "data", "class_name": "cuvis_ai.node.data.CU3SDataNode", "hparams": {}},
        {
            "name": "ndvi",
            "class_name": "cuvis_ai.node.channel_selector.NDVISelector",
            "hparams": {"nir_nm": 650, "red_nm": 450},
        },
    ],
    "connections": [
        {"source": "data.outputs.cube", "target": "ndvi.inputs.cube"},
        {"source": "data.outputs.wavelengths", "target": "ndvi.inputs.wavelengths"},
    ],
}
"""(b - a) / (b + a) of the bands next to 650 and 450 nm."""


@pytest.fixture
def bare(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A scene without wavelengths, and its cube; and NDVI's document as ndvi.yaml."""
    cube = np.random.default_rng(3).random((4, 5, 3), dtype=np.float32) + 1
    np.savez(tmp_path / "bare.npz", cube=cube)
    (tmp_path / "ndvi.yaml").write_text(json.dumps(NDVI))
    return tmp_path / "bare.npz", cube


def test_wavelengths_are_asked_for_by_nodes_that_use_them(
    swath: Swath, trained: str, bare: tuple[Path, np.ndarray]
) -> None:
    file, _ = bare
    assert "rx.scores" in _rows(said(swath("infer", file, "--trainrun", trained)))
    error = refused(swath("infer", file, "-p", file.with_name("ndvi.yaml")))
    assert "Node 'ndvi' missing required inputs: ['wavelengths']" in error
    assert "+data.params.wavelengths in training, as --wavelengths of swath infer" in error


@pytest.mark.parametrize(
    "given",
    [
        ("--wavelengths", "450:650:3"),
        ("--wavelengths", "0.45,0.55,0.65", "--wavelength-units", "um"),
        ("--wavelengths", "bands.txt"),
    ],
    ids=["steps", "listed in another unit", "of a file"],
)
def test_wavelengths_can_be_given(swath: Swath, bare: tuple[Path, np.ndarray], given: tuple[str, ...]) -> None:
    file, cube = bare
    (file.parent / "bands.txt").write_text("450\n550\n650\n")
    arguments = [file.parent / part if part == "bands.txt" else part for part in given]
    out = file.parent / "out.npz"
    said(swath("infer", file, "-p", file.with_name("ndvi.yaml"), "--port", "index_image", "-o", out, *arguments))
    with np.load(out) as outputs:
        index = (cube[..., 2] - cube[..., 0]) / (cube[..., 2] + cube[..., 0])
        np.testing.assert_allclose(outputs["ndvi.index_image"][0, ..., 0], index, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--wavelengths", "0.45,0.55,0.65"), "have no unit and are too small for nm"),
        (("--wavelengths", "450:650:4"), "expected one for each of 3 bands, got 4"),
        (("--wavelengths", "red"), "expected START:STOP:N or numbers, got 'red'"),
        (("--wavelengths", "1:2:3", "--wavelength-units", "furlongs"), "expected one of nm, um"),
        (("--cube-key", "hsi"), "expected an array 'hsi' as cube, got cube [4, 5, 3]"),
    ],
)
def test_what_is_said_of_a_scene_must_fit(
    swath: Swath, bare: tuple[Path, np.ndarray], given: tuple[str, ...], message: str
) -> None:
    assert message in refused(swath("infer", bare[0], "-p", "tiny/rx", *given))


def test_a_cube_of_two_can_be_chosen(swath: Swath, trained: str, bare: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    _, cube = bare
    np.savez(tmp_path / "two.npz", radiance=cube, reflectance=cube + 1)
    out = tmp_path / "out.npz"
    said(swath("infer", tmp_path / "two.npz", "--trainrun", trained, "--cube-key", "radiance", "-o", out))
    with np.load(out) as outputs:
        np.testing.assert_array_equal(outputs["data.cube"][0], cube)


@pytest.mark.parametrize("suffix", [".hdr", ".tif"])
def test_a_score_map_lies_on_the_map_and_what_is_odd_about_the_file_is_said(
    swath: Swath, trained: str, tmp_path: Path, suffix: str
) -> None:
    header = (
        "ENVI\nsamples = 5\nlines = 4\nbands = 3\ndata type = 12\ninterleave = bip\nreflectance scale factor = 100\n"
    )
    placed = "map info = {UTM, 1, 1, 483000.0, 5627000.0, 2.0, 2.0, 32, North, WGS-84}\n"
    cube = np.arange(60, dtype="<u2").reshape(4, 5, 3)
    (tmp_path / "field.hdr").write_text(header + placed)
    (tmp_path / "field.img").write_bytes(cube.tobytes() + b"more")
    result = swath(
        "infer", tmp_path / "field.hdr", "--trainrun", trained, "--port", "rx.scores", "-o", tmp_path / f"out{suffix}"
    )
    said(result)
    assert "field: 'field.img' has 4 bytes after the data, which are not read" in result.stderr
    (scene,) = read_scenes(tmp_path / f"out{suffix}")
    assert scene.georeference is not None
    if suffix == ".hdr":
        assert scene.georeference.envi["map info"] == placed.partition(" = ")[2].strip()
    else:
        assert scene.georeference.geotiff[33922] == (0, 0, 0, 483000, 5627000, 0)
        assert scene.georeference.geotiff[33550] == (2, 2, 0)
        assert scene.georeference.geotiff[34735][-1] == 32632


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """An ENVI scene of 1.4 MiB, on the map, with a nodata pixel; it is float32, so every format's rule applies."""
    cube = np.random.default_rng(9).random((300, 400, 3), dtype=np.float32)
    cube[120, 7] = -1
    (tmp_path / "large.hdr").write_text(
        "ENVI\nsamples = 400\nlines = 300\nbands = 3\ndata type = 4\ninterleave = bil\ndata ignore value = -1\n"
        "map info = {UTM, 1, 1, 483000.0, 5627000.0, 2.0, 2.0, 32, North, WGS-84}\n"
    )
    (tmp_path / "large.img").write_bytes(cube.transpose(0, 2, 1).tobytes())
    return tmp_path / "large.hdr"


@pytest.mark.parametrize("suffix", [".npz", ".hdr", ".tif"])
def test_a_scene_larger_than_a_message_gives_the_same_files(
    swath: Swath, trained: str, large: Path, tmp_path: Path, suffix: str
) -> None:
    arguments = ("infer", large, "--trainrun", trained, "--port", "rx.scores", "-o")
    whole = said(swath(*arguments, tmp_path / f"whole{suffix}"))
    pieces = said(swath(*arguments, tmp_path / f"pieces{suffix}", "--max-message-mb", "1"))
    assert _rows(pieces) == _rows(whole)
    assert _rows(whole)["rx.scores"][-3:] == ["1", "of", "120000"]
    if suffix == ".npz":
        with np.load(tmp_path / "whole.npz") as one, np.load(tmp_path / "pieces.npz") as other:
            assert one["rx.scores"].tobytes() == other["rx.scores"].tobytes()
    else:
        assert (tmp_path / f"whole{suffix}").read_bytes() == (tmp_path / f"pieces{suffix}").read_bytes()
    if suffix == ".hdr":
        assert (tmp_path / "whole.img").read_bytes() == (tmp_path / "pieces.img").read_bytes()


def test_an_answer_larger_than_a_message_comes_in_pieces(swath: Swath, trained: str, tmp_path: Path) -> None:
    # As uint8 the cube is small; as float32 it is not.
    cube = np.random.default_rng(9).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    np.savez(tmp_path / "bytes.npz", cube=cube)
    arguments = ("infer", tmp_path / "bytes.npz", "--trainrun", trained, "--port", "data.cube", "--max-message-mb", "1")
    said(swath(*arguments, "-o", tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as outputs:
        np.testing.assert_array_equal(outputs["data.cube"][0], cube)


def test_the_scenes_of_a_folder_go_over_one_stream(
    swath: Swath, trained: str, large: Path, scene: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "flight"
    folder.mkdir()
    with np.load(scene) as arrays:
        np.savez(folder / "a.npz", cube=arrays["cube"])
    np.savez(folder / "b.npz", cube=np.zeros((4, 4, 2), np.float32))
    for suffix in (".hdr", ".img"):
        (folder / f"c{suffix}").write_bytes(large.with_suffix(suffix).read_bytes())
    (folder / "notes.txt").write_text("sunny")
    arguments = ("infer", folder, "--trainrun", trained, "--port", "rx.scores", "--stream", "-o", tmp_path / "out.npz")
    result = swath(*arguments)
    # One frame has two bands in place of three: it fails, and the others do not.
    assert refused(result) == "error: 1 of 3 frames failed"
    assert "error: b: " in result.stderr
    assert sorted(each.name for each in tmp_path.glob("out*")) == ["out_a.npz", "out_c.npz"]
    said(swath("infer", scene, "--trainrun", trained, "--port", "rx.scores", "-o", tmp_path / "alone.npz"))
    with np.load(tmp_path / "out_a.npz") as one, np.load(tmp_path / "alone.npz") as other:
        np.testing.assert_array_equal(one["rx.scores"], other["rx.scores"])


def test_a_frame_of_a_stream_fits_a_message(swath: Swath, trained: str, large: Path) -> None:
    message = refused(swath("infer", large, "--trainrun", trained, "--stream", "--max-message-mb", "1"))
    assert "large has 1.4 MiB, more than a message may have (1.0 MiB): send it without --stream" in message


@pytest.fixture
def scanner(large: Path, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Starts a line scanner that writes the large scene, and gives its file."""
    threads: list[threading.Thread] = []

    def start(lines: int, *, then: Callable[[], object] = lambda: None) -> Path:
        header = large.read_text().replace("lines = 300\n", "")
        (tmp_path / "scan.hdr").write_text(header)
        data = large.with_suffix(".img").read_bytes()[: lines * 4800]
        (tmp_path / "scan.img").write_bytes(data[:1000])  # not yet a line

        def write() -> None:
            with (tmp_path / "scan.img").open("ab", buffering=0) as file:
                for begin in range(1000, len(data), 20_000):
                    file.write(data[begin : begin + 20_000])
                    time.sleep(0.02)
            then()

        threads.append(threading.Thread(target=write))
        threads[0].start()
        return tmp_path / "scan.hdr"

    yield start
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("suffix", [".npz", ".hdr"])
def test_a_scene_that_is_still_written_gives_the_files_of_the_finished_one(
    swath: Swath, trained: str, large: Path, scanner: Callable[..., Path], tmp_path: Path, suffix: str
) -> None:
    arguments = ("--trainrun", trained, "--port", "rx.scores", "--port", "data.cube", "-o")
    scan = scanner(300)
    result = swath("infer", scan, *arguments, tmp_path / f"grown{suffix}", "--follow", "--lines", "300")
    lines = said(result)
    assert "scan: 300 lines: all lines that were asked for are there" in result.stderr
    whole = said(swath("infer", large, *arguments, tmp_path / f"whole{suffix}"))
    assert _rows(lines)["rx.scores"][1:] == _rows(whole)["rx.scores"][1:]
    if suffix == ".npz":
        with np.load(tmp_path / "grown.npz") as grown, np.load(tmp_path / "whole.npz") as finished:
            assert sorted(grown.files) == sorted(finished.files)
            for name in grown.files:
                assert grown[name].dtype == finished[name].dtype
                np.testing.assert_allclose(grown[name], finished[name], rtol=2e-6)
    else:
        for name in ("data.cube", "rx.scores"):
            headers = [(tmp_path / f"{each}.{name}.hdr").read_text() for each in ("grown", "whole")]
            assert headers[0] == headers[1]


@pytest.mark.parametrize("end", ["idle", "Ctrl-C"])
def test_lines_end_at_an_idle_time_or_by_hand_and_what_there_is_is_kept(
    swath: Swath, trained: str, large: Path, scanner: Callable[..., Path], tmp_path: Path, end: str
) -> None:
    by_hand = end == "Ctrl-C"

    def press() -> None:
        while signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    scan = scanner(50, then=press if by_hand else lambda: None)
    arguments = ("--trainrun", trained, "--port", "rx.scores", "-o")
    follow = ("--follow", "--idle", "60" if by_hand else "1", "--lines", "300")
    result = swath("infer", scan, *arguments, tmp_path / "grown.npz", *follow)
    said(result)
    assert ("stopped by the user" if by_hand else "no line came for a while") in result.stderr
    said(swath("infer", large, *arguments, tmp_path / "whole.npz"))
    with np.load(tmp_path / "grown.npz") as grown, np.load(tmp_path / "whole.npz") as finished:
        count = grown["rx.scores"].shape[1]
        assert 0 < count <= 50 if by_hand else count == 50
        np.testing.assert_allclose(grown["rx.scores"], finished["rx.scores"][:, :count], rtol=2e-6)


def test_a_pipeline_that_looks_at_whole_scenes_gets_the_lines_together(
    swath: Swath, client: Client, scanner: Callable[..., Path], tmp_path: Path, large: Path
) -> None:
    # Its bounds are those of all lines; its cube input is one that only whole scenes have.
    document = json.loads(json.dumps(RX))
    document["nodes"][1] = {
        "name": "scale",
        "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
        "hparams": {"use_running_stats": False},
    }
    document["connections"] = [{"source": "data.outputs.cube", "target": "scale.inputs.data"}]
    (tmp_path / "scale.yaml").write_text(json.dumps(document))
    arguments = ("-p", tmp_path / "scale.yaml", "--port", "normalized", "-o")
    said(swath("infer", scanner(60), *arguments, tmp_path / "grown.npz", "--follow", "--idle", "1"))
    (tmp_path / "part.hdr").write_text(large.read_text().replace("lines = 300", "lines = 60"))
    (tmp_path / "part.img").write_bytes(large.with_suffix(".img").read_bytes()[: 60 * 4800])
    said(swath("infer", tmp_path / "part.hdr", *arguments, tmp_path / "whole.npz"))
    with np.load(tmp_path / "grown.npz") as grown, np.load(tmp_path / "whole.npz") as finished:
        np.testing.assert_array_equal(grown["scale.normalized"], finished["scale.normalized"])


def test_a_scene_that_does_not_grow_by_lines_cannot_be_followed(swath: Swath, trained: str, scene: Path) -> None:
    message = refused(swath("infer", scene, "--trainrun", trained, "--follow"))
    assert "expected an ENVI image, to which lines can be appended, got npz" in message


def test_a_file_without_a_line_is_no_result(swath: Swath, trained: str, tmp_path: Path) -> None:
    (tmp_path / "scan.hdr").write_text("ENVI\nsamples = 4\nbands = 3\ndata type = 4\ninterleave = bip\n")
    (tmp_path / "scan.img").write_bytes(bytes(40))
    message = refused(swath("infer", tmp_path / "scan.hdr", "--trainrun", trained, "--follow", "--idle", "0.5"))
    assert "no line came for" in message


def test_a_folder_without_scenes_is_refused(swath: Swath, trained: str, tmp_path: Path) -> None:
    assert "expected scenes (.hdr" in refused(swath("infer", tmp_path, "--trainrun", trained, "--stream"))


def test_a_processing_mode_is_one_of_four(swath: Swath, scene: Path) -> None:
    result = swath("infer", scene, "-p", "tiny/rx", "--processing-mode", "Cooked")
    assert result.exit_code == 2
    assert "Raw" in result.stderr
