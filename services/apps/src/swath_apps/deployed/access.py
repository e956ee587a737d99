"""Who may deploy, see and change applications.

Who calls is an argument: what decides runs where a transaction does, and there nobody calls.
"""

from __future__ import annotations

from swath.errors import ApplicationNotFound, Denied
from swath.rpc.caller import caller
from swath.serve.config import nearest
from swath_apps.deployed.rows import Application
from swath_apps.deployed.store import Applications
from swath_apps.settings import AppsSettings


def identity() -> str | None:
    """Return who calls; None where nobody is asked, so that everything is allowed."""
    who = caller()
    return None if who is None else who.name


def require_deployer(settings: AppsSettings, who: str | None) -> None:
    """Refuse whoever may not deploy.

    Raises:
        Denied: They may not.
    """
    if not settings.may_deploy(who):
        raise Denied(f"{who} may not deploy applications here: SWATH_APP_DEPLOYERS of the server names who may")


def seen(applications: Applications, name: str, who: str | None) -> Application:
    """Return an application that somebody may call or change.

    Raises:
        ApplicationNotFound: There is none, or not for them.
    """
    found = applications.get(name)
    if found is None or not found.seen_by(who):
        names = [each.name for each in applications.values() if each.seen_by(who)]
        there = f"there are {', '.join(names)}" if names else "none is deployed"
        raise ApplicationNotFound(
            f"there is no application {name[:200]!r}{nearest(name, names)} ({there})",
            metadata={"application": name[:200]},
        )
    return found


def changeable(applications: Applications, name: str, who: str | None) -> Application:
    """Return an application that somebody may change.

    Raises:
        ApplicationNotFound: There is none, or not for them.
        Denied: It is another's.
    """
    found = seen(applications, name, who)
    if not found.owned_by(who):
        raise Denied(
            f"application {name!r} is another's: only whoever deployed it may change it", metadata={"application": name}
        )
    return found
