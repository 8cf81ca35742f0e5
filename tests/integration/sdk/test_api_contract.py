"""What asks a registry over HTTP keeps the contract, with a cache before it and without."""

from __future__ import annotations

import pytest

from datacachalog.adapters.api.cached import CachedApi
from datacachalog.adapters.api.http import HttpApi
from datacachalog.adapters.api.metadata import MetadataCache
from datacachalog.adapters.api.settings import ApiSettings
from datacachalog.adapters.api.transport import Transport
from datacachalog.testing.api_contract import ApiContract, ApiPlace

STRANGER = f"dlk_{'x' * 12}_{'y' * 43}"


def http(server, key):
    return HttpApi(Transport(ApiSettings(api_url=server.base_url, api_key=key)))


class TestHttpApi(ApiContract):
    @pytest.fixture
    def place(self, server, tmp_path):
        def asked_with(key):
            return self.api_of(server, key, tmp_path)

        def reader_of(table):
            return asked_with(server.principal(("SELECT", f"table:{table}")))

        return ApiPlace(asked_with(server.admin_key), reader_of, asked_with(STRANGER), tmp_path)

    def api_of(self, server, key, folder):
        return http(server, key)


class TestCachedHttpApi(TestHttpApi):
    latest_ttl_s = 0.0

    def api_of(self, server, key, folder):
        cache = MetadataCache(folder / "metadata", server.base_url, key)
        return CachedApi(http(server, key), cache, latest_ttl_s=self.latest_ttl_s)


class TestCachedHttpApiForAWhile(TestCachedHttpApi):
    latest_ttl_s = 3600.0
