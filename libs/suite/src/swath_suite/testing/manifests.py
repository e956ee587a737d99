"""Objects of Kubernetes as YAML has them: read strictly, and their pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

Objects = list[dict[str, Any]]


class UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping that says a key twice, of which PyYAML alone keeps the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the loader above, with an AssertionError for a key that is there twice."""
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        assert not twice, f"{node.start_mark}: {', '.join(twice)} twice"
        return super().construct_mapping(node, deep)


def objects_of(text: str) -> Objects:
    """Read the objects of a stream of documents."""
    return [each for each in yaml.load_all(text, UniqueKeys) if each]


def templates(objects: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the template of each pod (metadata and spec), those of Jobs that come later among them."""
    for each in objects:
        name, spec = f"{each['kind']}/{each['metadata']['name']}", each.get("spec", {})
        if each["kind"] == "Pod":
            yield name, each
        elif each["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]
        elif "template" in spec:
            yield name, spec["template"]
        elif "job.yaml" in each.get("data", {}):
            (job,) = objects_of(each["data"]["job.yaml"])
            yield f"{name} job.yaml", job["spec"]["template"]


def pods(objects: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the specification of each pod, as `templates` does."""
    for name, template in templates(objects):
        yield name, template["spec"]


def containers(objects: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the specification of each container, those that come first among them."""
    for name, pod in pods(objects):
        for each in (*pod.get("initContainers", []), *pod["containers"]):
            yield f"{name} {each['name']}", each
