"""What may be said of a model: each check returns what is kept, or says what, where, expected and got."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from swath.errors import InvalidInput
from swath.published.model import EVERYBODY, Share
from swath.published.names import shown

_MAX_SHARES = 16
_MAX_LABELS = 64
_MAX_IDENTITIES = 256
_MAX_DESCRIPTION = 4096
_MAX_TEXT = 256
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", re.ASCII)
_ALL = 100.0
_ROUNDING = 1e-6


def checked_description(text: str) -> str:
    """Return a description.

    Raises:
        InvalidInput: It is too long, or has control characters other than tabs and ends of lines.
    """
    if len(text) > _MAX_DESCRIPTION:
        raise InvalidInput(f"description: expected at most {_MAX_DESCRIPTION} characters, got {len(text)}")
    _refuse_control("description", text, but="\t\n")
    return text


def checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels.

    Raises:
        InvalidInput: They are too many, or one is none.
    """
    if len(labels) > _MAX_LABELS:
        raise InvalidInput(f"labels: expected at most {_MAX_LABELS}, got {len(labels)}")
    for key, value in labels.items():
        if not _LABEL.fullmatch(key):
            raise InvalidInput(
                "labels: expected keys of 1 to 63 letters, digits, dots, dashes, underlines and slashes, the first one "
                f"a letter or a digit, got {shown(key)}"
            )
        _refuse_text(f"labels: value of {key}", value)
    return dict(sorted(labels.items()))


def checked_callers(identities: Sequence[str]) -> tuple[str, ...]:
    """Return who may call a model.

    Raises:
        InvalidInput: They are too many, or one is no identity.
    """
    return _identities("callers", identities)


def checked_editors(identities: Sequence[str]) -> tuple[str, ...]:
    """Return who may change a model.

    Raises:
        InvalidInput: They are too many, or one is no identity.
    """
    if EVERYBODY in identities:
        raise InvalidInput(f"editors: expected identities, got {EVERYBODY!r}, which stands for everybody among callers")
    return _identities("editors", identities)


def checked_shares(alias: str, targets: Sequence[Share]) -> tuple[Share, ...]:
    """Return where an alias is to point, in ascending order of versions.

    Raises:
        InvalidInput: The shares do not sum up to 100 %, or name a version twice.
    """
    where = f"targets of alias {shown(alias)}"
    if not 1 <= len(targets) <= _MAX_SHARES:
        raise InvalidInput(f"{where}: expected 1 to {_MAX_SHARES} versions, got {len(targets)}")
    for share in targets:
        if not (math.isfinite(share.percent) and 0 < share.percent <= _ALL):
            raise InvalidInput(
                f"{where}: expected more than 0 and at most 100 percent for version {share.version}, "
                f"got {share.percent:g}"
            )
    versions = [share.version for share in targets]
    if twice := next((version for version in versions if versions.count(version) > 1), None):
        raise InvalidInput(f"{where}: expected each version once, got version {twice} twice")
    total = math.fsum(share.percent for share in targets)
    if abs(total - _ALL) > _ROUNDING:
        raise InvalidInput(f"{where}: expected percentages that sum up to 100, got {total:.9g}")
    return tuple(sorted(targets, key=lambda share: share.version))


def _identities(what: str, identities: Sequence[str]) -> tuple[str, ...]:
    if len(identities) > _MAX_IDENTITIES:
        raise InvalidInput(f"{what}: expected at most {_MAX_IDENTITIES} identities, got {len(identities)}")
    for identity in identities:
        if not identity:
            raise InvalidInput(f"{what}: expected identities, got an empty one")
        _refuse_text(what, identity)
    return tuple(sorted(set(identities)))


def _refuse_text(where: str, text: str) -> None:
    if len(text) > _MAX_TEXT:
        raise InvalidInput(f"{where}: expected at most {_MAX_TEXT} characters, got {len(text)}")
    _refuse_control(where, text)


def _refuse_control(where: str, text: str, but: str = "") -> None:
    if found := next((letter for letter in text if not letter.isprintable() and letter not in but), None):
        raise InvalidInput(f"{where}: expected no control characters, got {found!a}")
