"""A key is in no log, no error, no note and no text of an object, whatever goes wrong."""

from __future__ import annotations

import logging
import traceback

import pytest

from datacachalog.domain.errors import DatacachalogError
from datlake_sdk import DatlakeClient
from tests.servers.exchange import Reply, Script

_SECRET = "dlk_aaaaaaaaaaaa_" + "s3cret" * 7 + "x"

_SCRIPTS = [
    Script(),
    Script(cut_up_after=0),
    Script(is_lost=True),
    Script(cut_after=5, resets=True),
    Script(reply=Reply(500, b"<html>")),
    Script(reply=Reply(200, b"<html>")),
    Script(reply=Reply(200, b"[", {"Content-Type": "application/json"})),
    Script(reply=Reply(302, b"", {"Location": "http://elsewhere.example.com/"})),
    Script(reply=Reply(401, b'{"code": "unauthenticated", "detail": "no"}')),
]


@pytest.mark.parametrize("script", _SCRIPTS, ids=range(len(_SCRIPTS)))
def test_by_what_goes_wrong(proxy, caplog, capfd, script, tmp_path):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "f").write_bytes(b"x")
    client = DatlakeClient(proxy.endpoint, _SECRET, retry="max=1,base_ms=1")
    proxy.hook = lambda _: script
    asked = [
        client.whoami,
        lambda: client.start_run("j"),
        lambda: client.upload_object("objects", "f", tmp_path / "f"),
        lambda: next(client.follow()),
    ]
    for ask in asked:
        with pytest.raises(DatacachalogError) as caught:
            ask()
        error = caught.value
        told = "".join(traceback.format_exception(error))
        told += f"{error!r} {error.args} {getattr(error, '__notes__', [])} {vars(error)}"
        assert "s3cret" not in told
    assert proxy.requests
    assert f"Bearer {_SECRET}" == proxy.requests[0].headers["authorization"]
    out, err = capfd.readouterr()
    assert (
        "s3cret" not in f"{caplog.text} {out} {err} {client!r} {vars(client)} {client.transport!r}"
    )


def test_by_what_is_made_wrong(monkeypatch):
    for wrong in (f"{_SECRET} ", f"{_SECRET}\n", f"{_SECRET}ä", f"{_SECRET} x"):
        monkeypatch.setenv("DATLAKE_API_KEY", f"x {wrong}")
        for given in (
            {},
            {"base_url": wrong},
            {"api_key": f"x {wrong}"},
            {"api_key": wrong.encode()},
        ):
            with pytest.raises(DatacachalogError) as caught:
                DatlakeClient(**given)
            told = "".join(traceback.format_exception(caught.value))
            assert "s3cret" not in f"{told.replace('(**given)', '')} {caught.value!r}"


def test_an_address_that_speaks_another_language(server, proxy):
    elsewhere = server.base_url.replace("http:", "https:")
    with pytest.raises(DatacachalogError, match="not safe") as caught:
        DatlakeClient(elsewhere, _SECRET, retry="max=0").whoami()
    assert "0x" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(DatacachalogError):
        DatlakeClient(f"{proxy.endpoint}/some/where", _SECRET, retry="max=0").whoami()
    assert "/some/where/api/v1/whoami" == proxy.requests[0].path
