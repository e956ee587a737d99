"""Every node of the catalogue is compared with the reference, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from swath.engine.graph import registry
from tools.parity import nodes
from tools.parity.cases import Case, cases, left_out

CASES = cases()
CATALOGUE = {entry.class_name: entry.full_path for entry in registry.catalogue()}


def test_every_class_has_a_case_or_a_reason_why_not() -> None:
    assert set(CATALOGUE) == {case.class_name for case in CASES} | set(left_out())


def test_no_class_has_both() -> None:
    assert not {case.class_name for case in CASES} & set(left_out())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.class_name)
def test_cases_name_the_class_as_documents_do(case: Case) -> None:
    assert CATALOGUE[case.class_name] == f"{registry.REFERENCE}.{case.node}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.class_name)
def test_nodes_take_the_inputs_of_their_cases(case: Case, tmp_path: Path) -> None:
    ordered = nodes.order(case, tmp_path / "case")
    node = nodes.build(ordered)
    if case.fit:
        nodes.fit(node, ordered)

    outputs = nodes.forward(node, ordered)
    assert len(outputs) == len(case.calls)
    assert all(set(each) <= set(node.outputs) for each in outputs)
