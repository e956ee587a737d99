"""Settings of the apps service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class AppsSettings(BaseSettings):
    """Who may deploy applications, and what they may cost. Each field is also an environment variable
    `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    app_deployers: Annotated[tuple[str, ...], NoDecode] = ("*",)
    """Identities that may deploy applications, separated by commas; `*` is whoever proves who they are. Code that
    is deployed runs with the rights of the server's user: name those who are trusted with that. Empty: nobody."""
    app_bundle_max_bytes: int = Field(default=64 * 2**20, gt=0)
    """Largest bundle of code, in bytes, packed; above 64 MiB none is taken."""
    quota_apps: int = Field(default=0, ge=0)
    """Applications that an identity may have; 0 means any number. Where nobody is asked who calls (SWATH_AUTH is off)
    all callers are one identity, and share this."""
    app_check_s: float = Field(default=120.0, gt=0)
    """Seconds that the code of a config file may take to be imported when it is checked before it is deployed."""
    app_bundle_grace_s: float = Field(default=3600.0, ge=0)
    """Seconds for which a bundle stays after it was last stored where no application refers to it."""
    app_target: str = ""
    """Where applications reach the suite, `HOST:PORT`, to call published models (`serve.model`): the gateway's address.
    Empty: a standalone server without TLS gives its own, others none."""
    app_token_file: Path | None = None
    """File with the bearer token by which applications call the suite: the identity of all of them, which models have
    to name among their callers. Read for each replica that starts. Needed where callers are asked who they are."""
    app_tls_root: Path | None = None
    """Certificates that applications trust when they call the suite (PEM); turns TLS on."""

    @field_validator("app_deployers", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    def may_deploy(self, who: str | None) -> bool:
        """Whether somebody may deploy; None is everybody, where nobody is asked who calls."""
        return who is None or "*" in self.app_deployers or who in self.app_deployers
