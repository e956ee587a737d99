"""Users with passwords, and what replicas of inference sign their tokens with, in the chart."""

from __future__ import annotations

from collections.abc import Callable

from swath_suite.testing.manifests import Objects

HASH = "$scrypt$ln=15,r=8,p=3$AAAAAAAAAAAAAAAAAAAAAA$" + "A" * 43


def _container(objects: Objects, name: str) -> dict:
    (pod,) = (
        each["spec"]["template"]["spec"]
        for each in objects
        if each["metadata"]["name"] == name and "spec" in each and each["kind"] == "Deployment"
    )
    return {**pod["containers"][0], "volumes": pod["volumes"]}


def _variables(container: dict) -> dict[str, str | None]:
    return {each["name"]: each.get("value") for each in container["env"]}


def test_replicas_of_inference_share_signing_keys(render: Callable[..., Objects]) -> None:
    objects = render()
    inference = _container(objects, "swath-inference")
    assert _variables(inference)["SWATH_SIGNING_KEYS_FILE"] == "/etc/swath/signing/keys.json"
    assert {"name": "signing", "mountPath": "/etc/swath/signing", "readOnly": True} in inference["volumeMounts"]
    (volume,) = (each for each in inference["volumes"] if each["name"] == "signing")
    assert volume["secret"]["secretName"] == "swath-signing"
    assert "SWATH_SIGNING_KEYS_FILE" not in _variables(_container(objects, "swath-session"))


def test_the_installation_makes_them_and_rotations_rotate_them(render: Callable[..., Objects]) -> None:
    objects = render()
    named = {f"{each['kind']}/{each['metadata']['name']}": each for each in objects}
    job = named["Job/swath-installation"]["spec"]
    rotation = named["CronJob/swath-rotation"]["spec"]["jobTemplate"]["spec"]
    for spec, command in ((job, "ensure"), (rotation, "rotate")):
        words = spec["template"]["spec"]["containers"][0]["command"]
        assert command in words
        assert "--signing" in words
    for role in ("swath-installation", "swath-rotation"):
        assert any("swath-signing" in rule.get("resourceNames", ()) for rule in named[f"Role/{role}"]["rules"])


def test_a_secret_of_the_operators_takes_their_place(render: Callable[..., Objects]) -> None:
    objects = render("auth.signingKeysSecret=mine")
    (volume,) = (each for each in _container(objects, "swath-inference")["volumes"] if each["name"] == "signing")
    assert volume["secret"]["secretName"] == "mine"
    assert "--signing" not in str(objects)


def test_users_go_to_inference_alone(render: Callable[..., Objects]) -> None:
    escaped = HASH.replace(",", r"\,")
    objects = render(f"auth.users.alice={escaped}", "auth.usersSecret=more")
    inference = _container(objects, "swath-inference")
    assert _variables(inference)["SWATH_USERS"] == f'{{"alice":"{HASH}"}}'
    assert _variables(inference)["SWATH_USERS_FILE"] == "/etc/swath/users/users.json"
    (volume,) = (each for each in inference["volumes"] if each["name"] == "users")
    assert volume["secret"]["items"] == [{"key": "users.json", "path": "users.json"}]
    for other in ("session", "training", "pipeline", "config"):
        assert "SWATH_USERS" not in str(_container(objects, f"swath-{other}"))


def test_a_password_in_place_of_its_hash_is_refused(helm: Callable) -> None:
    done = helm("template", "swath", "charts/swath", "--set", "auth.users.alice=secret")
    assert done.returncode != 0
    assert "auth" in done.stderr
    assert "users" in done.stderr
