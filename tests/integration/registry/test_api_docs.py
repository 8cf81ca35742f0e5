"""The documentation that the server shows of its own API."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest

from tests.api_reference import PAGE, openapi, page
from tests.pages import text_of

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def test_it_needs_nothing_of_anybody_else(registry):
    client = registry.client("")
    shown = client.get("/")

    assert "/docs" == shown.url.path
    found = re.findall(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""", shown.text)
    addresses = ["".join(one) for one in found]
    assert 4 == len(addresses), addresses
    for address in addresses:
        assert "//" not in address
        assert 200 == client.get(urljoin("/docs", address)).status_code


def test_what_it_shows_is_all_there_is(registry):
    told = registry.client("").get("/openapi.json").json()

    assert openapi()["paths"].keys() == told["paths"].keys()
    assert all(path.startswith("/api/v1/") for path in told["paths"])


def test_nothing_else_is_there(registry):
    for path in ("/swagger/", "/swagger/../main.py", "/swagger/%2e%2e/main.py", "/redoc"):
        assert 404 == registry.client("").get(path).status_code, path


def test_the_reference_is_of_this_version(registry):
    assert page(openapi()) == text_of(PAGE), "run python -m tests.api_reference"
