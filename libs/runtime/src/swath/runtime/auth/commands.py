"""`swath certs` and `swath token`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from swath.api import REGISTRY
from swath.errors import InvalidInput
from swath.runtime.auth.tokens import new_token
from swath.runtime.settings import NAME, check_tokens


def certs(
    out: Annotated[Path, typer.Option(help="Folder of the CA and of all certificates.")] = Path("certs"),
    services: Annotated[str, typer.Option(help="Services, with commas between.")] = ",".join(REGISTRY.identities),
    users: Annotated[str, typer.Option(help="Users, with commas between.", show_default=False)] = "",
    names: Annotated[
        str, typer.Option(help="More DNS names and IP addresses of the services.", show_default=False)
    ] = "",
    days: Annotated[float, typer.Option(help="Days for which certificates of services and users are good.")] = 90.0,
    rotate: Annotated[bool, typer.Option("--rotate", help="Issue all certificates that are there anew.")] = False,
    roll_ca: Annotated[
        bool, typer.Option("--roll-ca", help="Make a new CA, trusted beside the old one; then --rotate.")
    ] = False,
    retire_ca: Annotated[bool, typer.Option("--retire-ca", help="Trust the present CA alone; after --rotate.")] = False,
) -> None:
    """Make a development CA, and certificates of services and users by it.

    Servers and clients of Swath take changed files up while they run. A new CA takes three steps, a second or more
    apart: --roll-ca, --rotate, --retire-ca.
    """
    from swath.runtime.auth.certificates import Authority

    authority = Authority(out, days)
    if sum((rotate, roll_ca, retire_ca)) > 1:
        raise InvalidInput("expected one of --rotate, --roll-ca and --retire-ca at a time")
    if (rotate or roll_ca or retire_ca) and not authority.ca.is_file():
        raise InvalidInput(f"there is no CA in {out}: make one by swath certs --out {out}")
    if rotate:
        for folder in authority.rotate():
            typer.echo(folder)
    elif roll_ca:
        authority.roll()
        typer.echo(authority.ca)
    elif retire_ca:
        authority.retire()
        typer.echo(authority.ca)
    else:
        for service in _listed(services):
            typer.echo(authority.issue_service(service, _listed(names)))
        for user in _listed(users):
            typer.echo(authority.issue_user(user))


def token(
    name: Annotated[str, typer.Argument(help="Whose token it is.")],
    file: Annotated[
        Path | None, typer.Option(help="Tokens file of a server, to which the hash is added.", show_default=False)
    ] = None,
) -> None:
    """Make a bearer token. It is shown once; servers know its hash alone."""
    if not NAME.fullmatch(name):
        raise InvalidInput(f"a name is {NAME.pattern}, got {name!r}")
    secret, known = new_token()
    if file is not None:
        _add(file, name, known)
    typer.echo(f"token: {secret}")
    typer.echo(f"sha256: {known}")
    if file is None:
        typer.echo(f"server: SWATH_TOKENS='{json.dumps({name: known})}'")
    else:
        typer.echo(f"server: SWATH_TOKENS_FILE={file}")


def _add(file: Path, name: str, known: str) -> None:
    try:
        tokens = check_tokens(json.loads(file.read_bytes())) if file.exists() else {}
    except ValueError as error:
        raise InvalidInput(f"{file} is no tokens file: {error}") from None
    # An older token stays good until it is taken out of the file.
    tokens[name] = (*tokens.get(name, ()), known)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(tokens, out, indent=2)
    os.replace(fresh, file)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
