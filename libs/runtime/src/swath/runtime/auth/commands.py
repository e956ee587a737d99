"""`swath certs`, `swath token`, `swath user` and `swath signing-keys`."""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from swath.api import REGISTRY
from swath.errors import InvalidInput
from swath.runtime.auth.passwords import read_users
from swath.runtime.auth.scrypt import PasswordHash
from swath.runtime.auth.signing import check_keys, new_keys, rotated, write_keys
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


def user(
    name: Annotated[str, typer.Argument(help="Whose password it is.")],
    file: Annotated[
        Path | None, typer.Option(help="Users file of a server, to which the hash is written.", show_default=False)
    ] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Make a password, and show it once.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the user out of the file.")] = False,
) -> None:
    """Set the password of a user, for clients of redhare.Inference. Servers know its hash alone.

    Tokens of a user whose password is changed, or who is removed, are good no longer.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(f"a name is {NAME.pattern}, got {name!r}")
    if sum((generate, password_stdin, remove)) > 1:
        raise InvalidInput("expected one of --generate, --password-stdin and --remove at a time")
    if remove:
        _remove_user(file, name)
        return
    password = secrets.token_urlsafe(18) if generate else _asked(name, password_stdin)
    try:
        known = str(PasswordHash.of(password))
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    if generate:
        typer.echo(f"password: {password}")
    typer.echo(f"scrypt: {known}")
    if file is None:
        typer.echo(f"server: SWATH_USERS='{json.dumps({name: known})}'")
    else:
        _write(file, {**_users_of(file), name: known})
        typer.echo(f"server: SWATH_USERS_FILE={file}")


def signing_keys(
    file: Annotated[Path, typer.Argument(help="File of the keys.")],
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Have the next key sign, and make the one after it.")
    ] = False,
) -> None:
    """Make the keys that replicas sign the tokens of redhare.Inference with, or rotate them.

    Every replica must have the file, and have taken it up before the next rotation. Tokens stay good over one rotation.
    """
    if file.exists() != rotate:
        raise InvalidInput(f"there is no {file} to rotate" if rotate else f"{file} is there: --rotate goes on from it")
    if rotate:
        try:
            keys = json.loads(file.read_bytes())
            check_keys(keys)
        except ValueError as error:
            raise InvalidInput(f"{file} is no file of signing keys: {error}") from None
        write_keys(file, rotated(keys))
    else:
        write_keys(file, new_keys())
    typer.echo(f"server: SWATH_SIGNING_KEYS_FILE={file}")


def _asked(name: str, stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True)


def _users_of(file: Path) -> dict[str, str]:
    try:
        return {name: str(known) for name, known in read_users(file).items()} if file.exists() else {}
    except ValueError as error:
        raise InvalidInput(f"{file} is no users file: {error}") from None


def _remove_user(file: Path | None, name: str) -> None:
    users = _users_of(file) if file is not None else {}
    if file is None or users.pop(name, None) is None:
        raise InvalidInput(f"there is no user {name!r} in {file or 'a file: name it by --file'}")
    _write(file, users)


def _add(file: Path, name: str, known: str) -> None:
    try:
        tokens = check_tokens(json.loads(file.read_bytes())) if file.exists() else {}
    except ValueError as error:
        raise InvalidInput(f"{file} is no tokens file: {error}") from None
    # An older token stays good until it is taken out of the file.
    tokens[name] = (*tokens.get(name, ()), known)
    _write(file, tokens)


def _write(file: Path, content: Any) -> None:
    """Write JSON that only its owner reads, in one step."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(content, out, indent=2)
    os.replace(fresh, file)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
