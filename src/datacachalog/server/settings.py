"""How the registry is run: `DATLAKE_SERVER_…` in the environment, or options of the command."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from datacachalog.server.database import sqlite_url
from datacachalog.server.errors import InvalidProblem

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ServerSettings(BaseSettings):
    """Where the registry listens, where it keeps what it knows, and what it takes."""

    model_config = SettingsConfigDict(env_prefix="DATLAKE_SERVER_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("datlake", appauthor=False))
    )
    database_url: str | None = None
    worker: bool = True
    lease_s: float = Field(default=30, gt=0)

    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwks_url: str | None = None
    jwt_roles_claim: str | None = None
    link_local_endpoints: bool = False

    max_upload_bytes: int = Field(default=5 << 30, gt=0, le=5 << 40)
    shutdown_s: int = Field(default=8, ge=1, le=3600)  # for requests, then for tasks
    metrics_open: bool = False
    behind_tls: bool = False
    log_format: Literal["auto", "json", "text"] = "auto"

    @property
    def lease(self) -> timedelta:
        """How long a worker that died holds its task."""
        return timedelta(seconds=self.lease_s)

    def url(self) -> str:
        """The database's URL: SQLite in the data folder, unless another one is given."""
        return self.database_url or sqlite_url(self._file())

    def has_file(self) -> bool:
        """Whether SQLite's database is in the data folder already."""
        return self._file().exists()

    def _file(self) -> Path:
        return self.data_dir.absolute() / "registry.sqlite"

    def own_root(self) -> str:
        """The folder of the bucket `objects`, with a slash at its end."""
        return f"{(self.data_dir.absolute() / 'objects').resolve()}/"

    @property
    def is_for_this_machine(self) -> bool:
        """Whether nobody else can reach it."""
        return self.host in _LOOPBACK


def settings_from(given: dict[str, Any]) -> ServerSettings:
    """The settings of the environment, less those that are given.

    Raises:
        InvalidProblem: one is none.
    """
    try:
        return ServerSettings(**given)
    except ValidationError as error:
        told = [f"{_variable(one['loc'])}: {one['msg']}" for one in error.errors()]
        raise InvalidProblem("; ".join(told)) from None


def _variable(place: tuple[int | str, ...]) -> str:
    name = str(place[0]).upper()
    prefix = str(ServerSettings.model_config["env_prefix"])
    return name if name.startswith(prefix) else f"{prefix}{name}"
