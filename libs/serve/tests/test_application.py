"""Bound deployments as a graph, and applications that are imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from swath import serve
from swath.serve.application import import_application, nodes
from swath.serve.exceptions import RayServeException
from swath.serve.handle import DeploymentHandle, Target

CODE = """
from pydantic import BaseModel
from swath import serve

@serve.deployment
class Greeter:
    def __init__(self, word="hello"): self.word = word

class Args(BaseModel):
    word: str
    times: int = 1

app = Greeter.bind()
unbound = Greeter
def build(args): return Greeter.bind(args["word"])
def typed(args: Args): return Greeter.bind(args.word * args.times)
def wrong(args): return 3
number = 3
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app_of_test.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))


@serve.deployment
class Child:
    pass


@serve.deployment
class Parent:
    pass


def test_bound_deployments_become_handles_in_containers_too() -> None:
    child = Child.bind(1)
    found = nodes(Parent.bind(child, [child], named={"a": Child.options(name="Other").bind()}), "app")
    assert [each.name for each in found] == ["Child", "Other", "Parent"]
    parent = found[-1]
    handle = DeploymentHandle(Target("app", "Child"))
    assert parent.args == (handle, [handle])
    assert parent.kwargs == {"named": {"a": DeploymentHandle(Target("app", "Other"))}}


def test_one_name_with_other_arguments_is_another_deployment() -> None:
    found = nodes(Parent.bind(Child.bind(1), Child.bind(2)), "app")
    assert [(each.name, each.args) for each in found[:2]] == [("Child", (1,)), ("Child_1", (2,))]


def test_a_deployment_that_is_not_bound_is_no_argument() -> None:
    with pytest.raises(TypeError, match=r"deployment 'Child' is given as an argument: bind it first"):
        nodes(Parent.bind(Child), "app")


@pytest.mark.usefixtures("code")
def test_applications_and_builders_are_imported() -> None:
    assert import_application("app_of_test:app").args == ()
    assert import_application("app_of_test.app").deployment.name == "Greeter"
    assert import_application("app_of_test:build", {"word": "hi"}).args == ("hi",)
    assert import_application("app_of_test:typed", {"word": "hi", "times": 2}).args == ("hihi",)


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(
    ("path", "args", "text"),
    [
        ("app_of_test:ap", None, "has no attribute 'ap', did you mean 'app'"),
        ("no_such_module:app", None, "no module named 'no_such_module'"),
        ("app", None, "expected 'module:attribute' or 'module.attribute'"),
        ("app_of_test:unbound", None, r"is a deployment that is not bound: export Greeter.bind\(...\)"),
        ("app_of_test:number", None, "expected an Application or a function that returns one, got int"),
        ("app_of_test:wrong", None, "the function must return an Application, got int"),
        ("app_of_test:app", {"a": 1}, "args are given"),
        ("app_of_test:typed", {"times": "x"}, "args: word: Field required"),
    ],
)
def test_what_is_no_application_is_refused(path: str, args: dict[str, object] | None, text: str) -> None:
    with pytest.raises((RayServeException, ValueError), match=text):
        import_application(path, args)
