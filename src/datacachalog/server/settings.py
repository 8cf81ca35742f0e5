"""How the registry is run: `DATLAKE_SERVER_…` in the environment, or options of the command."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from datacachalog.server.database import sqlite_url


class ServerSettings(BaseSettings):
    """Where the registry listens, and where it keeps what it knows."""

    model_config = SettingsConfigDict(env_prefix="DATLAKE_SERVER_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("datlake", appauthor=False))
    )
    database_url: str | None = None
    worker: bool = True

    def url(self) -> str:
        """The database's URL: SQLite in the data folder, unless another one is given."""
        return self.database_url or sqlite_url(self.data_dir.absolute() / "registry.sqlite")
