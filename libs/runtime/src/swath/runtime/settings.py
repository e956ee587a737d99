"""Settings that every serving process has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from swath.rpc.addresses import Address
from swath.rpc.metadata import MAX_METADATA_BYTES

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}", re.ASCII)
"""Names that tokens and certificates give to their bearers."""

PASSWORD_HASH = re.compile(
    r"\$scrypt\$ln=([1-9][0-9]?),r=([1-9][0-9]?),p=([1-9][0-9]?)\$([A-Za-z0-9+/]{22,88})\$([A-Za-z0-9+/]{43})", re.ASCII
)
"""What servers know of passwords; see `swath.runtime.auth.scrypt`."""

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SECRET = ("tokens", "users")

Algorithm = Literal["RS256", "ES256", "EdDSA"]


class JwtIssuer(BaseModel):
    """An issuer whose JWTs are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    issuer: str = Field(min_length=1)
    """What its tokens hold as `iss`."""
    audience: str = Field(min_length=1)
    """What they must hold as `aud`, alone or among others."""
    jwks: str = Field(min_length=1)
    """Its public keys: a file, or an `https://` URL. A private CA of that server goes into `SSL_CERT_FILE`."""
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256", "EdDSA"), min_length=1)
    """Signatures that are taken."""
    leeway_s: float = Field(default=30.0, ge=0, le=300)
    """Seconds by which its clock and this one may differ."""
    prefix: str = Field(default="", max_length=64)
    """Put before `sub` to make the caller's name, so that two issuers, or an issuer and a token, name no one alike."""
    allow_http: bool = False
    """Take the keys from an `http://` URL: whoever sits between can then be anyone."""

    @field_validator("jwks")
    @classmethod
    def _is_place(cls, value: str) -> str:
        if "://" in value and not value.startswith(("https://", "http://")):
            raise ValueError("expected a file or an https:// URL")
        return value

    @model_validator(mode="after")
    def _is_private(self) -> JwtIssuer:
        if self.jwks.startswith("http://") and not self.allow_http:
            raise ValueError("expected an https:// URL, or allow_http: true")
        return self


class ConnectionSettings(BaseSettings):
    """How a process connects to others. Each field is also an environment variable `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="SWATH_",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    tls_cert: Path | None = None
    """Own certificate chain, PEM; shown to clients and to the services that this process calls. Without it, all is
    plain text. Files that change are taken up while running."""
    tls_key: Path | None = None
    """Its private key, PEM."""
    tls_ca: Path | None = None
    """CAs that the certificates of the others must lead to, PEM."""
    max_message_bytes: int = Field(default=300 * 1024 * 1024, ge=1024, le=2**31 - 1)
    """Largest message received or sent, in bytes; protobuf itself ends at 2 GiB. It holds for the links between
    training workers and their service too: a run that reports more at once fails."""

    max_metadata_bytes: int = Field(default=MAX_METADATA_BYTES, ge=8 * 1024, le=1024 * 1024)
    """Most metadata of a call or of its answer, in bytes: names, values, and 32 for each entry. Below it no call is
    refused for its metadata, above it every one. The same in every process and in the gateway."""

    @model_validator(mode="after")
    def _check_files(self) -> ConnectionSettings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if self.tls_cert is not None and self.tls_ca is None and self._needs_ca():
            raise ValueError("tls_cert and tls_key need tls_ca too: who connects must be known by a certificate")
        if self.tls_cert is None and self.tls_ca is not None:
            raise ValueError("tls_ca needs tls_cert and tls_key")
        return self

    def _needs_ca(self) -> bool:
        return True


class ServerSettings(ConnectionSettings):
    """How a process listens, limits, logs and stops. Each field is also an environment variable `SWATH_<FIELD>`."""

    host: str = "127.0.0.1"
    """Address to listen on: a name, an IP address (`::1` or `[::1]`; `::` takes IPv4 too) or `unix:PATH`. Beside a Unix
    socket the other ports are on 127.0.0.1."""
    port: int = Field(default=50051, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    health_port: int = Field(default=0, ge=0, le=65535)
    """Port for probes: Check and List of health alone, in plain text. Answers wait for no work of the process. 0 has
    none."""
    stall_limit_s: float = Field(default=60.0, gt=0)
    """On the port for probes everything is NOT_SERVING once the process has turned to no call for this time: it hangs,
    and the liveness probe starts it again."""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Port for Prometheus, HTTP in plain text. 0 has none."""
    client_certificates: Literal["required", "ignored"] = "required"
    """Whether clients that connect by TLS must show a certificate of `tls_ca`. Ignored, only tokens prove who calls."""
    auth: Literal["auto", "off", "required"] = "auto"
    """Whether callers must prove who they are, by token, JWT or client certificate; sessions and runs then belong to
    them. `auto`: not on a loopback address or a Unix socket, on any other one and behind a gateway yes."""
    tokens: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """Names and the SHA-256 of their bearer tokens in hexadecimal, one or several each; as a variable, JSON.
    `swath token NAME` makes one."""
    tokens_file: Path | None = None
    """File with more of them, JSON of the same form; read again when it changes."""
    users: dict[str, str] = Field(default_factory=dict)
    """Names of users with passwords and the scrypt hashes of these, for redhare.Inference; as a variable, JSON.
    `swath user NAME` makes one."""
    users_file: Path | None = None
    """File with more of them, JSON of the same form; read again when it changes."""
    signing_keys_file: Path | None = None
    """File with the keys that tokens of redhare.Inference are signed with, the same for every replica; read again when
    it changes. `swath signing-keys FILE` makes one. Standalone keeps its own in the state folder if not given."""
    jwt_issuers: tuple[JwtIssuer, ...] = ()
    """Issuers whose JWTs are taken; as a variable, a JSON list of `issuer`, `audience`, `jwks`, `algorithms`,
    `leeway_s`, `prefix`, `allow_http`."""
    otlp_address: str = ""
    """HOST:PORT of an OpenTelemetry collector (OTLP over gRPC, plain text) that spans go to; empty sends none."""
    slow_call_s: float = Field(default=2.0, gt=0)
    """Unary calls that take longer leave a warning in the log."""
    max_connection_age_s: float = Field(default=1800.0, ge=0)
    """Connections are asked to reconnect after this time, so that clients spread over replicas; 0 never asks.

    Calls in flight go on."""
    drain_lag_s: float = Field(default=0.0, ge=0)
    """After SIGTERM health is NOT_SERVING and calls are still taken for this time: load balancers must notice."""
    drain_grace_s: float = Field(default=20.0, ge=0)
    """Time that calls in flight get to end after the lag."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log lines that are written."""
    log_format: Literal["text", "json"] = "text"
    """Log lines for people or for machines."""

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        return Address.of(value).host

    @field_validator("tokens")
    @classmethod
    def _check_tokens(cls, value: dict[str, str | tuple[str, ...]]) -> dict[str, str | tuple[str, ...]]:
        check_tokens(value)
        return value

    @field_validator("users")
    @classmethod
    def _check_users(cls, value: dict[str, str]) -> dict[str, str]:
        check_users(value)
        return value

    @field_validator("jwt_issuers")
    @classmethod
    def _check_issuers(cls, value: tuple[JwtIssuer, ...]) -> tuple[JwtIssuer, ...]:
        if len({each.issuer for each in value}) < len(value):
            raise ValueError("an issuer is named twice")
        return value

    @model_validator(mode="after")
    def _check_ways(self) -> ServerSettings:
        if self.auth_required and not (
            self.tokens or self.tokens_file or self.jwt_issuers or self.asks_for_certificates
        ):
            raise ValueError(
                f"callers must say who they are {self._where()}, but there is no way to: set tokens "
                "(`swath token NAME` makes one), tokens_file, jwt_issuers, or tls_cert, tls_key and tls_ca for client "
                "certificates; or set auth to off, and everybody is everybody"
            )
        return self

    @property
    def address(self) -> Address:
        """Where to listen."""
        return Address.of(self.host, self.port)

    @property
    def auth_required(self) -> bool:
        """Whether callers must prove who they are."""
        return self.auth == "required" or (self.auth == "auto" and self._is_reachable())

    @property
    def asks_for_certificates(self) -> bool:
        """Whether clients that connect must show a certificate."""
        return self.tls_cert is not None and self.client_certificates == "required"

    def _needs_ca(self) -> bool:
        return self.client_certificates == "required"

    def _is_reachable(self) -> bool:
        """Whether others than programs of this machine may call."""
        return not self.address.loopback

    def _where(self) -> str:
        return f"on {self.host}"


def check_tokens(tokens: Any) -> dict[str, tuple[str, ...]]:
    """Return names and hashes of tokens in one form.

    Raises:
        ValueError: They have another form than names with one or several SHA-256 in hexadecimal. The text repeats none
            of them: somebody may have written a token where its hash belongs.
    """
    if not isinstance(tokens, dict):
        raise ValueError("expected a mapping of names to SHA-256 hashes of tokens")
    found: dict[str, tuple[str, ...]] = {}
    for name, hashes in tokens.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f"a name is {NAME.pattern}, got {name!r}")
        each = (hashes,) if isinstance(hashes, str) else tuple(hashes) if isinstance(hashes, list | tuple) else ()
        if not each or not all(isinstance(one, str) and _HASH.fullmatch(one) for one in each):
            raise ValueError(f"{name}: expected the SHA-256 of a token, 64 lower-case hexadecimal digits, or a list")
        found[name] = each
    every = [one for each in found.values() for one in each]
    if len(set(every)) < len(every):
        raise ValueError("two entries are the same token")
    return found


def check_users(users: Any) -> dict[str, str]:
    """Return names and hashes of passwords.

    Raises:
        ValueError: They have another form than names with one scrypt hash each. The text repeats none of them: somebody
            may have written a password where its hash belongs.
    """
    if not isinstance(users, dict):
        raise ValueError("expected a mapping of names to scrypt hashes of passwords")
    for name, text in users.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f"a name is {NAME.pattern}, got {name!r}")
        if not isinstance(text, str) or not PASSWORD_HASH.fullmatch(text):
            raise ValueError(f"{name}: expected the scrypt hash of a password, as `swath user` makes it")
    return users


def problems(error: ValidationError | SettingsError) -> list[str]:
    """Return one sentence per setting that is wrong, without what may be a secret."""
    if isinstance(error, SettingsError):
        return [f"{error}: expected JSON"]
    found = []
    for problem in error.errors():
        place, message = ".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")
        if not place:
            found.append(f"settings: {message}")
        elif problem["loc"][0] in _SECRET:
            found.append(f"setting {place}: {message}")
        else:
            found.append(f"setting {place}: {message}, got {problem['input']!r}")
    return found
