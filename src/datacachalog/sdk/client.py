"""The client of a registry."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, cast

from datacachalog.adapters.api.cached import CachedApi
from datacachalog.adapters.api.http import HttpApi
from datacachalog.adapters.api.metadata import MetadataCache
from datacachalog.adapters.api.settings import ApiSettings
from datacachalog.adapters.api.transport import Transport, correlated
from datacachalog.sdk.administration import Administration
from datacachalog.sdk.events import Events
from datacachalog.sdk.jobs import Jobs
from datacachalog.sdk.policies import Policy
from datacachalog.sdk.querying import Querying
from datacachalog.sdk.runs import Runs

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from datacachalog.sdk.aio import AsyncDatlakeClient


class DatlakeClient(Querying, Jobs, Runs, Events, Administration):
    """A registry, as one caller. Threads and forked processes may share one; it can be pickled.

    What is not given is taken from the environment (`DATLAKE_API_URL`, `DATLAKE_API_KEY` and
    others), then from `~/.datlake/config.ini`. `settings` by name are those of `ApiSettings`, such
    as `default_timeout_ms`, `retry="max=5"` or `offline=True`. Nothing is asked before it is used.

    Raises:
        SettingError: a setting makes no sense.
    """

    def __init__(
        self, base_url: str | None = None, api_key: str | None = None, **settings: Any
    ) -> None:
        found = ApiSettings.found(os.environ, api_url=base_url, api_key=api_key, **settings)
        self._build(found)

    def _build(self, settings: ApiSettings) -> None:
        self.settings = settings
        self.transport = Transport(settings)
        self._http = HttpApi(self.transport)
        self._cached = CachedApi(
            self._http,
            MetadataCache(settings.cache_dir, settings.api_url or "", settings.api_key),
            latest_ttl_s=settings.latest_ttl_s,
            offline=settings.offline,
        )

    @property
    def aio(self) -> AsyncDatlakeClient:
        """The same for asyncio: `await client.aio.get_tables()`."""
        # By name: asyncio takes long to import, and few need it.
        module = importlib.import_module("datacachalog.sdk.aio")
        return cast("AsyncDatlakeClient", module.AsyncDatlakeClient(self))

    def correlated(self, request_id: str) -> AbstractContextManager[None]:
        """Has all requests of the block carry this `X-Request-Id`, to be found in logs by it."""
        return correlated(request_id)

    @property
    def policy(self) -> Policy:
        """What is done about errors by the functions and jobs that are given this client."""
        return Policy.of(self.settings)

    def __repr__(self) -> str:
        return f"DatlakeClient({self.settings.api_url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.settings)


DatalakeClient = DatlakeClient


def _rebuilt(kind: type[DatlakeClient], settings: ApiSettings) -> DatlakeClient:
    client = kind.__new__(kind)
    client._build(settings)  # noqa: SLF001 - our own class
    return client
