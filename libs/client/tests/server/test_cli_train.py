"""``swath train``, ``swath restore`` and ``swath logs`` against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import Result

from swath.client import Client, NotFoundError

from .conftest import Swath, refused, said

pytestmark = pytest.mark.xdist_group("client-server")


def _word(lines: list[str], name: str) -> str:
    """The text after a name at the beginning of a line."""
    [found] = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return found


def test_a_trainrun_is_trained_and_its_run_named(swath: Swath) -> None:
    lines = said(swath("train", "tiny_rx"))
    assert lines[0].startswith("run       ")
    assert lines[1].startswith("✓ statistical ")
    assert lines[1].endswith("Statistical training complete")


def test_the_run_s_log_is_found_by_its_name(swath: Swath) -> None:
    run = _word(said(swath("train", "tiny_rx")), "run")
    first, last = said(swath("logs", run, "--follow"))
    assert first.endswith("#1 info     attempt begins")
    assert last.endswith("#1 info     attempt ends  end=result")


def test_a_session_is_closed_unless_it_is_to_be_kept(swath: Swath, client: Client) -> None:
    lines = said(swath("train", "tiny_rx", "--keep"))
    with client.attach(_word(lines, "session")) as session:
        assert "rx.scores" in session.outputs()
    with pytest.raises(NotFoundError):
        session.outputs()


def test_what_was_trained_is_saved_as_a_run_and_as_a_pipeline(swath: Swath, client: Client) -> None:
    result = swath("train", "tiny_rx", "--save", "cli/run.yaml", "--save-pipeline", "cli/rx.yaml")
    lines = said(result)
    assert _word(lines, "trainrun").endswith("cli/run.yaml")
    assert _word(lines, "pipeline").endswith("configs/pipeline/cli/rx.yaml")
    assert client.pipeline_info("cli/rx.yaml").weights_path
    assert client.workspace.stat("cli/run_pipeline.pt").size > 0
    # Each file with its size.
    written = [line for line in lines if line.startswith(("trainrun ", "pipeline ", "weights "))]
    assert [len(re.findall(r"  [\d.]+ (?:bytes|kB)", line)) for line in written] == [1, 1, 2, 1]


@pytest.mark.parametrize("name", ["Prüfung #1.npz", "scene[1] (2).npz", "a=b's.npz"])
def test_values_are_quoted_for_the_user_where_hydra_needs_it(
    swath: Swath, client: Client, scene: Path, name: str
) -> None:
    client.workspace.put(scene, f"named/{name}")
    lines = said(swath("train", "tiny_rx", f"data.params.path=named/{name}"))
    assert lines[1].startswith("✓ statistical")


def test_data_go_up_first(swath: Swath, client: Client, scene: Path) -> None:
    override = "data.params.path=uploaded/here.npz"
    lines = said(swath("train", "tiny_rx", override, "-u", f"{scene}:uploaded/here.npz", "--phase", "statistical"))
    assert lines[0].startswith(f"{scene} -> swath:uploaded/here.npz")
    assert lines[2].startswith("✓ statistical")


def test_a_phase_that_the_trainrun_does_not_describe_is_refused(swath: Swath) -> None:
    result = swath("train", "tiny_rx", "--phase", "gradient")
    assert "requires training config" in refused(result)
    assert result.stdout == ""


def test_a_run_that_fails_at_once_is_named_all_the_same(swath: Swath) -> None:
    result = swath("train", "tiny_rx", "data.params.path=data/nowhere.npz")
    assert "nowhere.npz" in refused(result)
    assert result.stdout.startswith("run       ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiny_rx", "no.such.key=1"), "CONFIG_INVALID"),
        (("tiny_rx", "-u", "nowhere.npz"), "no such file or folder: nowhere.npz"),
    ],
)
def test_what_cannot_be_trained_is_said(swath: Swath, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(swath("train", *arguments))


def test_a_phase_is_one_of_five(swath: Swath) -> None:
    result = swath("train", "tiny_rx", "--phase", "warmup")
    assert result.exit_code == 2
    assert "calibration" in result.stderr


class TestRestore:
    def _table(self, result: Result) -> dict[str, list[str]]:
        return {line.split()[0]: line.replace(", ", ",").split()[1:] for line in said(result)}

    def test_shows_what_the_pipeline_takes_and_gives(self, swath: Swath, trained: str) -> None:
        table = self._table(swath("restore", trained))
        assert table["restored"] == ["tiny_rx"]
        assert table["cube"] == ["any", "[-1,-1,-1,-1]", "yes"]
        assert table["mask"] == ["int32", "[-1,-1,-1]"]
        assert table["rx.scores"] == ["float32", "[-1,-1,-1,1]"]

    def test_keeps_the_session_when_it_is_told_to(self, swath: Swath, client: Client, trained: str) -> None:
        lines = said(swath("restore", trained, "--keep"))
        with client.attach(_word(lines, "session")) as session:
            assert "rx.scores" in session.outputs()

    def test_trains_again(self, swath: Swath, trained: str) -> None:
        lines = said(swath("restore", trained, "--phase", "AUTO"))
        ended = next(at for at, line in enumerate(lines) if line.startswith("✓ statistical"))
        assert lines[ended - 1].startswith("run ")
        # It has no split to measure on, and says so.
        assert lines[ended + 1].strip().startswith("no metrics"), lines

    def test_takes_the_weights_that_are_named(self, swath: Swath, trained: str) -> None:
        assert "restored tiny_rx" in said(swath("restore", trained, "--weights", "runs/tiny_pipeline.pt"))
        assert "no/such.pt" in refused(swath("restore", trained, "--weights", "no/such.pt"))

    def test_does_without_weights_where_there_are_none(self, swath: Swath, client: Client, trained: str) -> None:
        with client.restore(trained) as session:
            session.save_trainrun("runs/weightless.yaml", weights=False)
        assert "restored tiny_rx" in said(swath("restore", "runs/weightless"))

    def test_of_what_is_not_there_fails(self, swath: Swath) -> None:
        assert "nowhere.yaml" in refused(swath("restore", "nowhere.yaml"))
