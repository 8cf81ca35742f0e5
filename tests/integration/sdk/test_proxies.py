"""A registry behind the proxy that the environment names."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading

import pytest

from datacachalog.domain.errors import SettingError, TransientNetworkError
from datlake_sdk import DatlakeClient


class ForwardProxy:
    """A proxy that notes what it is asked, and answers as a registry does."""

    def __init__(self):
        self.heads = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.heads.append(connection.recv(65536).decode())
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 2\r\nConnection: close\r\n\r\n[]"
                )

    def close(self):
        with contextlib.suppress(OSError):  # twice
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def forward():
    made = ForwardProxy()
    yield made
    made.close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_it_is_asked_through_the_proxy(forward, monkeypatch, variable, scheme):
    monkeypatch.setenv(variable, f"{scheme}{forward.address}")
    assert [] == DatlakeClient("http://lake.example.com", "k").get_tables()
    assert forward.heads[0].startswith("GET http://lake.example.com/api/v1/tables?limit=1000 ")


def test_who_the_proxy_is_asked_as_is_told_to_it_alone(forward, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://me:s%40crt@{forward.address}")
    client = DatlakeClient("http://lake.example.com", "k")
    client.get_tables()
    told = base64.b64encode(b"me:s@crt").decode()
    assert f"proxy-authorization: Basic {told}" in forward.heads[0]
    assert "s@crt" not in f"{client!r} {client.settings!r}"


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "example.com,127.0.0.1"])
def test_some_are_asked_without_it(forward, monkeypatch, server, exempt):
    monkeypatch.setenv("HTTP_PROXY", f"http://{forward.address}")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert "admin" == DatlakeClient(server.base_url, server.admin_key).whoami().principal
    assert not forward.heads


def test_one_that_is_down_is_told_of(monkeypatch, forward):
    forward.close()
    monkeypatch.setenv("HTTP_PROXY", f"http://{forward.address}")
    with pytest.raises(TransientNetworkError, match="proxy"):
        DatlakeClient("http://lake.example.com", "k", retry="max=0").whoami()


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:1", "http://u:secret@[bad", "ftp://x"])
def test_an_address_that_is_none_is_told(monkeypatch, address):
    monkeypatch.setenv("HTTP_PROXY", address)
    with pytest.raises(SettingError, match="HTTP_PROXY") as caught:
        DatlakeClient("http://lake.example.com", "k").whoami()
    assert "secret" not in f"{caught.value} {caught.value!r}"
