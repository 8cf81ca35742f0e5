"""A registry behind TLS, whose certificate is signed by an authority of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.errors import TransientNetworkError
from datlake_sdk import DatlakeClient
from tests.servers.counting import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.certificates import Authority
    from tests.servers.datlake import DatlakeServer


@pytest.fixture
def address(server: DatlakeServer, authority: Authority) -> Iterator[str]:
    with CountingProxy(server.base_url, authority.context) as proxy:
        yield proxy.endpoint


def test_whoever_is_told_whom_to_trust_is_answered(address, server, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    who = DatlakeClient(address, server.admin_key).whoami()

    assert "admin" == who.principal


def test_whoever_is_not_is_told_that_it_is_not_safe(address, server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)

    with pytest.raises(TransientNetworkError, match=r"not safe .*CERTIFICATE_VERIFY_FAILED"):
        DatlakeClient(address, server.admin_key).whoami()
