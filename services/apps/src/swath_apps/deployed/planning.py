"""What becomes of all applications when somebody deploys a config file, or deletes one."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swath.api import REGISTRY
from swath.documents import dump_yaml
from swath.errors import ApplicationQuota, Denied
from swath.serve.schema import ApplicationConfig, Found, ServeConfig
from swath_apps.deployed.access import changeable
from swath_apps.deployed.rows import Application
from swath_apps.deployed.store import Applications

_RESERVED = ("grpc.", "ray.serve.")
_SAME = ("config", "grpc_options", "found", "bundle")


def wanted(
    config: ServeConfig, application: ApplicationConfig, found: Found, bundle: str | None, *, who: str | None, at: float
) -> Application:
    """Return the row of an application of a config file.

    Args:
        config: The file.
        application: The part of it that is about the application.
        found: What its code holds.
        bundle: Digest of that.
        who: Who deploys it.
        at: When, Unix time in seconds.
    """
    given = application.model_dump(mode="json", exclude_unset=True)
    # A name reads best before what it is the name of.
    deployments = [{"name": each.pop("name"), **each} for each in given.pop("deployments", ())]
    given |= {"deployments": deployments} if deployments else {}
    options = config.grpc_options.model_dump(mode="json", exclude_unset=True)
    text = dump_yaml({**({"grpc_options": options} if options else {}), "applications": [given]})
    return Application(
        name=application.name,
        owner=who or "",
        config=given,
        grpc_options=options,
        found=found.as_json(),
        bundle=bundle,
        deployed_at=at,
        deployed_by=who or "",
        text=text,
        token=secrets.token_hex(32),
    )


def deployed(new: Sequence[Application], who: str | None, most: int) -> Callable[[Applications], Applications]:
    """Return what decides the applications after a deployment: those of others stay as they are.

    Args:
        new: All that the caller is to have.
        who: Who calls.
        most: Applications that they may have; 0 means any number.

    Raises, when it decides:
        Denied: A name is another's.
        ApplicationQuota: There are too many.
    """

    def decide(before: Applications) -> Applications:
        if most and len(new) > most:
            present = sum(each.owned_by(who) for each in before.values())
            remedy = "delete one, or leave one out of the config file"
            raise ApplicationQuota.of(
                who or "", "applications", present=present, limit=most, remedy=remedy, wanted=len(new)
            )
        after = {name: each for name, each in before.items() if not each.owned_by(who)}
        for application in new:
            name, old = application.name, before.get(application.name)
            if old is None:
                after[name] = application
            elif not old.owned_by(who):
                raise Denied(
                    f"the name {name!r} is taken by an application of somebody else: choose another name",
                    metadata={"application": name},
                )
            elif all(getattr(application, each) == getattr(old, each) for each in _SAME):
                # It is the same, and goes on.
                after[name] = old
            else:
                after[name] = dataclasses.replace(application, owner=old.owner, token=old.token)
        return after

    return decide


def without(name: str, who: str | None) -> Callable[[Applications], Applications]:
    """Return what decides the applications after one is deleted.

    Raises, when it decides:
        ApplicationNotFound: There is none, or not for the caller.
        Denied: It is another's.
    """

    def decide(before: Applications) -> Applications:
        changeable(before, name, who)
        return {each: application for each, application in before.items() if each != name}

    return decide


def without_all(who: str | None) -> Callable[[Applications], Applications]:
    """Return what decides the applications after all of somebody's are deleted."""
    return lambda before: {name: each for name, each in before.items() if not each.owned_by(who)}


def reserved(found: Found) -> str | None:
    """Return the name of a gRPC service that users may not define, if one is among these."""
    ours = {each.name for each in REGISTRY.grpc_services}
    names = [each.name for each in found.services]
    return next((name for name in names if name in ours or name.startswith(_RESERVED)), None)


def config_of(application: Application) -> ApplicationConfig:
    """Return the part of a config file that a row was made of."""
    given: Mapping[str, Any] = application.config
    return ApplicationConfig.model_validate(dict(given))
