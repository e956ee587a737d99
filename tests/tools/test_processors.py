"""The tests of nodes run under each kind of processor that a machine can be."""

import pytest
from tools import processors


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ("DEFAULT", ("DEFAULT",)),
        ("AVX2", ("DEFAULT", "AVX2")),
        ("AVX512", ("DEFAULT", "AVX2", "AVX512")),
        ("SVE256", ("SVE256",)),
    ],
)
def test_a_machine_has_all_up_to_its_best(best: str, expected: tuple[str, ...]) -> None:
    assert processors.able(best) == expected


def test_a_capability_is_chosen_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    best = processors.capability()
    assert [processors.capability(name) for name in processors.able(best)] == list(processors.able(best))


def test_a_failure_under_one_of_them_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "TESTS", ())
    assert processors.main(["--version"]) == 0
    assert processors.main(["--no-such-option"]) == 1
