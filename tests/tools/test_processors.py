"""The tests of nodes run under each kind of processor that a machine can be."""

import pytest

from tools import processors


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        ("DEFAULT", ("DEFAULT",)),
        ("AVX2", ("DEFAULT", "AVX2")),
        ("AVX512", ("DEFAULT", "AVX2", "AVX512")),
        ("SVE256", ("SVE256",)),
    ],
)
def test_a_machine_has_all_up_to_its_best(highest: str, expected: tuple[str, ...]) -> None:
    assert processors.able(highest) == expected


@pytest.mark.parametrize(("argument", "status"), [("--version", 0), ("--no-such-option", 1)])
def test_a_failure_under_one_of_the_others_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], argument: str, status: int
) -> None:
    monkeypatch.setattr(processors, "TESTS", ())
    monkeypatch.setattr(processors, "best", lambda: "AVX512")
    assert processors.main([argument]) == status
    said = capfd.readouterr()
    assert [line for line in said.out.splitlines() if line.startswith("--")] == ["-- DEFAULT", "-- AVX2"]
    assert ("failed under DEFAULT, AVX2" in said.err) == bool(status)
