"""Hashes of passwords by scrypt (RFC 7914), written as `$scrypt$ln=15,r=8,p=3$SALT$HASH`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import NamedTuple, Self

from swath.runtime.settings import PASSWORD_HASH

MIN_CHARACTERS = 8
MAX_BYTES = 1024
"""Longest password, as UTF-8."""

_MAX_MEMORY = 256 * 1024**2


class Cost(NamedTuple):
    """What a hash costs: `128 r 2^log_n` bytes of memory, and time in proportion to that and to p.

    Attributes:
        log_n: Logarithm of scrypt's N.
        r: Block size.
        p: How often it is done.
    """

    # 32 MiB and a quarter of a second: OWASP's recommendation with the least memory.
    # https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
    log_n: int = 15
    r: int = 8
    p: int = 3

    @property
    def memory(self) -> int:
        """In bytes."""
        return 128 * self.r * 2**self.log_n

    def hash(self, password: str, salt: bytes) -> bytes:
        """Return the hash of a password: 32 bytes. Takes a while, without Python's lock."""
        given = password.encode(errors="replace")[: MAX_BYTES + 1]
        room = self.memory + 1024 * self.r * self.p + 1024**2
        return hashlib.scrypt(given, salt=salt, n=2**self.log_n, r=self.r, p=self.p, maxmem=room, dklen=32)


class PasswordHash(NamedTuple):
    """What a server knows of a password.

    Attributes:
        cost: Of trying one.
        salt: Random bytes.
        digest: 32 bytes.
    """

    cost: Cost
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str, cost: Cost | None = None) -> Self:
        """Hash a password, at the usual cost if none is given.

        Raises:
            ValueError: It is too short or too long.
        """
        if len(password) < MIN_CHARACTERS or len(password.encode(errors="replace")) > MAX_BYTES:
            raise ValueError(f"a password has {MIN_CHARACTERS} characters or more, and {MAX_BYTES} bytes at most")
        salt, cost = secrets.token_bytes(16), cost or Cost()
        return cls(cost, salt, cost.hash(password, salt))

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read one.

        Raises:
            ValueError: It is none, or trying a password would take more than 256 MiB. The text does not repeat it.
        """
        found = PASSWORD_HASH.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError("expected the scrypt hash of a password, as `swath user` makes it")
        cost = Cost(*map(int, found.groups()[:3]))
        if cost.memory > _MAX_MEMORY:
            raise ValueError(f"trying a password would take {cost.memory} bytes, more than {_MAX_MEMORY}")
        salt, digest = (base64.b64decode(each + "=" * (-len(each) % 4)) for each in found.groups()[3:])
        return cls(cost, salt, digest)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(each).rstrip(b"=").decode() for each in (self.salt, self.digest))
        return "$scrypt$ln={},r={},p={}${}${}".format(*self.cost, salt, digest)

    def fits(self, password: str) -> bool:
        """Whether it is of this password. Takes a while."""
        return hmac.compare_digest(self.cost.hash(password, self.salt), self.digest)

    @property
    def fingerprint(self) -> str:
        """Short text that is another one when the password is changed, and tells nothing about it."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:16]
