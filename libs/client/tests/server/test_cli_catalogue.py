"""``swath nodes`` and ``swath pipeline`` against a real server: what there is, and what it is like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from rich.filesize import decimal

from swath.client.cli.nodes import port_text
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

from .conftest import Swath, refused, said

pytestmark = pytest.mark.xdist_group("client-server")

MANIFEST = {
    "name": "mine",
    "path": "/opt/mine",
    "capabilities": [
        {
            "class_name": "mine.nodes.Blur",
            "category": "transform",
            "tags": ["preprocessing"],
            "input_specs": {"data": {"dtype": "float32", "shape": [-1, 61], "description": "Spectra [N, C]"}},
        }
    ],
}


class TestNodes:
    def test_all_are_listed_with_what_they_do(self, swath: Swath) -> None:
        lines = said(swath("nodes"))
        [line] = [line for line in lines if line.startswith("MinMaxNormalizer ")]
        assert line.split()[1] == "transform"
        count, of, total = lines[-1].split()[:3]
        assert (count, of) == (total, "of")

    def test_a_tag_keeps_its_own(self, swath: Swath) -> None:
        output = swath("nodes", "--tag", "Normalization").stdout
        assert "MinMaxNormalizer" in output
        assert "RXGlobal" not in output

    def test_are_given_as_json_to_programs(self, swath: Swath) -> None:
        rows = list(map(json.loads, said(swath("nodes", "--tag", "anomaly", "--json"))))
        [rx] = [row for row in rows if row["class_name"] == "RXGlobal"]
        assert (rx["full_path"], rx["plugin"]) == ("cuvis_ai.node.anomaly.rx_detector.RXGlobal", "")
        assert all("anomaly" in row["tags"] for row in rows)
        [shown] = map(json.loads, said(swath("nodes", "RXGlobal", "--json")))
        assert shown["full_path"] == rx["full_path"]
        assert "num_channels" in [hparam["name"] for hparam in shown["hparams"]]

    @pytest.mark.parametrize(
        ("option", "wrong", "right"), [("--category", "modell", "model"), ("--tag", "anomalie", "anomaly")]
    )
    def test_a_filter_that_nothing_passes_is_refused(self, swath: Swath, option: str, wrong: str, right: str) -> None:
        message = refused(swath("nodes", option, wrong))
        assert f"'{wrong}'" in message
        assert right in message.split("are ", 1)[1]

    def test_one_is_shown_with_ports_and_arguments(self, swath: Swath) -> None:
        lines = said(swath("nodes", "MinMaxNormalizer"))
        assert lines[0] == "cuvis_ai.node.normalization.MinMaxNormalizer"
        assert lines[1].startswith("transform · all stages · learns from data · #normalization")
        assert "data    float32 [· · · ·]   Cube [B, H, W, C]" in lines
        [argument] = [line for line in lines if line.startswith("use_running_stats ")]
        assert argument.split()[:3] == ["use_running_stats", "bool", "true"]

    def test_a_plugin_s_are_listed_with_its_name(self, swath: Swath, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(yaml.safe_dump(MANIFEST))
        (tmp_path / "b.json").write_text(json.dumps({**MANIFEST, "name": "second"}))
        plugins = ("--plugin", tmp_path / "a.yaml", "--plugin", tmp_path / "b.json")
        lines = said(swath("nodes", *plugins))
        assert len([line for line in lines if "(second)" in line]) == 1
        [line] = [line for line in lines if "(mine)" in line]
        assert line.split()[:3] == ["Blur", "(mine)", "transform"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "is no JSON and no YAML"),
            ("[]", "plugin manifest must be a JSON object"),
            ("name: a b", "refused the"),
        ],
    )
    def test_a_manifest_that_is_none_is_refused(self, swath: Swath, tmp_path: Path, content: str, message: str) -> None:
        (tmp_path / "manifest.yaml").write_text(content)
        assert message in refused(swath("nodes", "--plugin", tmp_path / "manifest.yaml"))

    def test_a_manifest_that_is_not_there_is_named(self, swath: Swath) -> None:
        assert "nowhere.yaml: No such file" in refused(swath("nodes", "--plugin", "nowhere.yaml"))


@pytest.mark.parametrize(
    ("port", "text"),
    [
        (pb.PortSpec(dtype=pb.D_TYPE_FLOAT32, shape=[-1, -1, 61]), r"float32 \[· · 61]"),
        (pb.PortSpec(dtype=pb.D_TYPE_INT64), "int64"),
        (pb.PortSpec(shape=[2]), r"any \[2]"),
        (pb.PortSpec(), "any"),
    ],
)
def test_a_port_s_type_is_short(port: pb.PortSpec, text: str) -> None:
    assert port_text(port) == text


class TestPipelines:
    def test_are_listed_by_path_with_name_and_tags(self, swath: Swath) -> None:
        lines = said(swath("pipeline", "list", "--tag", "tiny"))
        after = lines.index("tiny/rx.yaml") + 1
        assert lines[after].strip() == "Tiny RX · #tiny #statistical"

    def test_with_weights_are_marked(self, swath: Swath, trained: str) -> None:
        said(swath("train", "tiny_rx", "--save-pipeline", "marked/rx.yaml"))
        assert "marked/rx.yaml  with weights" in said(swath("pipeline", "list"))

    def test_are_shown_with_nodes_arguments_and_edges(self, swath: Swath) -> None:
        lines = said(swath("pipeline", "show", "tiny/rx"))
        assert lines[:2] == ["Tiny RX  tiny/rx.yaml", "Global RX over three bands."]
        [node] = [line for line in lines if line.startswith("rx ")]
        assert node.split() == ["rx", "RXGlobal", "num_channels=3,", "eps=0.0001"]
        assert lines[-1].split() == ["data.cube", "rx.data"]

    @pytest.mark.parametrize(
        ("suffix", "begin"),
        [(".SVG", b"<?xml"), (".mmd", b"flowchart")],
    )
    def test_are_drawn_to_a_file(self, swath: Swath, tmp_path: Path, suffix: str, begin: bytes) -> None:
        file = tmp_path / f"rx{suffix}"
        [line] = said(swath("pipeline", "draw", "tiny/rx", "--out", file))
        assert line == f"wrote {file}  {decimal(file.stat().st_size)}"
        assert file.read_bytes().startswith(begin)

    def test_are_drawn_beside_you_unless_it_is_said_where(
        self, swath: Swath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        [line] = said(swath("pipeline", "draw", "tiny/rx.yaml"))
        assert line.startswith("wrote rx.png  ")

    def test_are_given_as_json_to_programs(self, swath: Swath) -> None:
        [listed] = [
            json.loads(line)
            for line in said(swath("pipeline", "list", "--tag", "statistical", "--json"))
            if "tiny/rx" in line
        ]
        [shown] = map(json.loads, said(swath("pipeline", "show", "tiny/rx", "--json")))
        assert listed["pipeline_path"] == shown["pipeline_path"] == "tiny/rx.yaml"
        assert listed["metadata"]["tags"] == ["tiny", "statistical"]
        assert "RXGlobal" in shown["yaml_content"]

    def test_with_a_tag_that_none_has_are_refused_with_the_tags_there_are(self, swath: Swath) -> None:
        message = refused(swath("pipeline", "list", "--tag", "tinny"))
        assert "no pipeline has the tag 'tinny'" in message
        assert "tiny" in message.split("tags are")[1]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("draw",), "which pipeline? write: swath pipeline draw PATH"),
            (("show", "no/such"), "no/such.yaml"),
            (("show", "../outside"), "must be relative"),
            (("draw", "tiny/rx", "-o", "/no/such/folder/rx.png"), "/no/such/folder/rx.png: No such file"),
        ],
    )
    def test_that_cannot_be_shown_are_named(self, swath: Swath, arguments: tuple[str, ...], message: str) -> None:
        assert message in refused(swath("pipeline", *arguments))

    def test_are_listed_shown_or_drawn_and_nothing_else(self, swath: Swath) -> None:
        assert swath("pipeline", "burn").exit_code == 2
