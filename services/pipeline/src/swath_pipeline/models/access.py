"""Who may see and change a model: whoever may neither call nor change it is told that there is none.

Who calls is an argument: what decides runs where a transaction does, and there nobody calls.
"""

from __future__ import annotations

from swath.errors import Denied
from swath.published.model import Model
from swath.published.names import no_model
from swath.rpc.caller import caller


def identity() -> str | None:
    """Return who calls; None where nobody is asked, so that everything is allowed."""
    who = caller()
    return None if who is None else who.name


def is_seen(model: Model, who: str | None) -> bool:
    """Whether somebody may call or change a model."""
    return model.callable_by(who) or model.changeable_by(who)


def seen(model: Model | None, name: str, who: str | None) -> Model:
    """Return a model that somebody may call or change.

    Raises:
        ModelNotFound: There is none, or not for them.
    """
    if model is None or not is_seen(model, who):
        raise no_model(name)
    return model


def changeable(model: Model | None, name: str, who: str | None) -> Model:
    """Return a model that somebody may change.

    Raises:
        ModelNotFound: There is none, or not for them.
        Denied: They may only call it.
    """
    found = seen(model, name, who)
    if not found.changeable_by(who):
        raise Denied(
            f"model {name!r} is one that you may call but not change: ask its owner to make you an editor",
            metadata={"model": name},
        )
    return found


def publishable(model: Model | None, name: str, who: str | None) -> Model:
    """Return a model that somebody may publish versions of: a new one of theirs where there is none.

    Raises:
        Denied: The name is another's. That it is taken cannot be hidden from who asks for it.
    """
    if model is None:
        return Model(name, owner=who or "")
    if not model.changeable_by(who):
        raise Denied(
            f"the name {name!r} is taken by a model that you may not change: choose another name, or ask its owner to "
            "make you an editor",
            metadata={"model": name},
        )
    return model
